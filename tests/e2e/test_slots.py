"""Several items at a time while a page is open."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from brightrun.domain.batch import WriterName
from tests.e2e.conftest import Site, press
from tests.fakes import options, scenarios
from tests.messages_api import KEY, MessagesApi


@pytest.fixture
def extra_environment(api: MessagesApi) -> dict[str, str]:
    api.seconds = 2.0
    return {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": api.url}


def test_a_page_writes_several_items_at_a_time(
    site: Site, open_tab: Callable[..., Page], shoot: Callable[[Page, str], None], api: MessagesApi
) -> None:
    """Chosen on the page of a batch, four calls are out at once; the choice stands in the address, nothing is doubled."""
    plan = site.app.planner.plan(scenarios(12), options(WriterName.CLAUDE))
    job = site.app.batches.create(plan, name="Together", actor="ana")
    page = open_tab(f"batch?job={job.id}")
    press(page.get_by_role("radio", name="4", exact=True))
    expect(page).to_have_url(re.compile("slots=4"))
    expect(page.get_by_text(re.compile("[4-8] of 12 ended"))).to_be_visible(timeout=60_000)
    shoot(page, "slots-light")
    expect(page.get_by_text("12 conversations written.").first).to_be_visible(timeout=60_000)
    assert len([each for each in api.requests if each.status == 200]) == 12
    assert 2 <= api.journal.most_at_once <= 4
