"""A batch that goes to Claude overnight, in the browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from brightrun.domain.batch import JobStatus
from tests.e2e.conftest import Site, choose, pick, press, settle
from tests.messages_api import KEY, MessagesApi


@pytest.fixture
def extra_environment(api: MessagesApi) -> dict[str, str]:
    return {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": api.url,
        "BRIGHTRUN_OVERNIGHT_PART": "5",
        "BRIGHTRUN_OVERNIGHT_LOOK": "1",
    }


def test_a_batch_goes_overnight_and_is_there_in_the_morning(
    site: Site, api: MessagesApi, open_tab: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """An analyst sees half the price, hands a batch over, closes the page, and finds it written."""
    axes = site.app.scenarios.axes()
    page = open_tab("generate")
    pick(page, "Personas: who asks", *(p.name for p in axes.personas[:3]))
    pick(page, "Topics: what it is about", *(t.name for t in axes.topics[:4]))
    choose(page, "Template", "Choose for me")
    press(page.get_by_role("radio", name="Overnight, cheaper"))
    expect(page.get_by_text("at 50% of every price", exact=False).first).to_be_visible(timeout=30_000)
    settle(page)
    shoot(page, "overnight-plan")
    press(page.get_by_role("button", name="Start batch of 12", exact=True))
    expect(page.get_by_text("12 items are at Claude overnight", exact=False)).to_be_visible(timeout=60_000)
    expect(page.get_by_role("heading", name="Overnight")).to_be_visible()
    settle(page)
    shoot(page, "overnight-out")
    press(page.get_by_role("button", name="Cancel…"))
    expect(page.get_by_text("12 items at Claude overnight: called off", exact=False)).to_be_visible()
    press(page.get_by_role("button", name="Keep it"))
    page.close()
    assert not api.requests, "written at the full price"
    api.batches.end()
    job = site.app.batches.page(limit=1)[0]
    assert (job.status, job.parts_out) == (JobStatus.PROCESSING, 3)
    page = open_tab(f"batch?job={job.id}")
    expect(page.get_by_text("12 conversations written.").first).to_be_visible(timeout=60_000)
    settle(page)
    shoot(page, "overnight-morning")
    assert set(api.batches.written.values()) == {1}
