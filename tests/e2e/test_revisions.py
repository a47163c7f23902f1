"""Writing a conversation again from the reader: feedback, price, batch, and the way both ways."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from brightrun.domain.batch import JobStatus
from tests.e2e.conftest import SCHEMES, Site, press
from tests.e2e.test_corrections import HOSTILE, OpenTab, Shoot, read, settled, write
from tests.e2e.test_tabs import until


@pytest.mark.parametrize("scheme", SCHEMES)
def test_feedback_becomes_another_conversation_that_knows_its_parent(
    site: Site, open_tab: OpenTab, shoot: Shoot, scheme: str
) -> None:
    """Say what should be otherwise, see the price, start: the batch runs, and parent and child lead to each other."""
    first = write(site)[0]
    page = open_tab(f"review?id={first.id}", scheme=scheme)
    read(page, first)
    press(page.locator(".st-key-again button"))
    note = page.get_by_role("dialog").get_by_label("What should be otherwise")
    note.fill(f"Name one step. {HOSTILE}")
    note.press("Control+Enter")
    expect(page.get_by_role("dialog").get_by_text("at most")).to_be_visible(timeout=30_000)
    settled(page)
    shoot(page, f"again-{scheme}")
    press(page.locator(".st-key-again-start button"))
    expect(page.get_by_role("button", name="Read it")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("dialog")).to_have_count(0)
    settled(page)
    shoot(page, f"again-written-{scheme}")
    assert first.id in page.url, "who reviews was led away"
    jobs = site.app.batches.page(limit=1)
    until(lambda: site.app.batches.get(jobs[0].id).status is JobStatus.COMPLETED, "It was not written.")
    (again,) = site.app.revisions.of(first.id)
    press(page.get_by_role("button", name="Read it"))
    expect(page).to_have_url(re.compile(str(again.conversation_id)))
    expect(page.get_by_role("button", name="Read it")).to_have_count(0)
    page.goto(f"{site.url}/review?id={first.id}")
    read(page, first)
    press(page.get_by_role("tab", name="Origin"))
    link = page.get_by_role("link", name="Written again")
    expect(link).to_be_visible(timeout=30_000)
    settled(page)
    shoot(page, f"origin-parent-{scheme}")
    press(link)
    assert again.conversation_id
    expect(page.get_by_role("link", name="From version 1")).to_be_visible(timeout=30_000)
    expect(page.locator(".st-key-reader").get_by_text("Name one step.")).to_be_visible()
    settled(page)
    assert again.conversation_id in page.url
    shoot(page, f"origin-child-{scheme}")
    press(page.get_by_role("link", name="From version 1"))
    expect(page.get_by_role("link", name="Written again")).to_be_visible(timeout=30_000)
