"""Whoever looks elsewhere hears that a batch has ended, and nothing leaves the machine for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from brightrun.domain.batch import Job, JobOptions, WriterName
from tests.e2e.conftest import WHOLE, Site, launched, press
from tests.fakes import scenarios

OpenTab = Callable[..., Page]

LISTEN = """
window.notices = [];
const Real = window.Notification;
window.Notification = class extends Real {
  constructor(title, options) {
    super(title, options);
    const notice = {title, ...options, shown: false};
    window.notices.push(notice);
    this.addEventListener("show", () => { notice.shown = true; });
    this.addEventListener("error", () => { notice.failed = true; });
  }
};
"""
AWAY = "document.hasFocus = () => false"
OFFER = "Tell my desktop when it ends"


@pytest.fixture(scope="session")
def browser(driver: Playwright) -> Iterator[Browser]:
    """A browser that has a desktop to speak to, which the headless shell has not."""
    with launched(driver, *WHOLE) as opened:
        yield opened


@pytest.fixture
def extra_environment() -> dict[str, str]:
    return {"BRIGHTRUN_DEMO_SECONDS": "0.3"}


def start(site: Site, number: int, name: str = "Harbour") -> Job:
    plan = site.app.planner.plan(scenarios(number), JobOptions(WriterName.DEMO, "demo", 8000))
    return site.app.batches.create(plan, name=name, actor="ana")


def prepare(page: Page, *, allowed: bool) -> None:
    """Listen to the browser's real notices, and answer its question."""
    if allowed:
        page.context.grant_permissions(["notifications"])
    page.add_init_script(LISTEN)
    page.reload()


def test_the_desktop_says_that_a_batch_has_ended(site: Site, open_tab: OpenTab) -> None:
    """With leave given and the reader elsewhere, one real notice with the batch's name; a toast in any case."""
    job = start(site, 5, "Harbour *tables* <b>")
    page = open_tab(f"batch?job={job.id}")
    prepare(page, allowed=True)
    expect(page.get_by_text("Your desktop will say when it ends.")).to_be_visible()
    page.evaluate(AWAY)
    expect(page.get_by_text("5 written, 0 failed", exact=False).first).to_be_visible(timeout=60_000)
    page.wait_for_function("window.notices.length > 0")
    time.sleep(2)
    assert page.evaluate("window.notices") == [
        {
            "title": "Harbour *tables* <b>",
            "body": "completed, 5 written, 0 failed.",
            "tag": job.id,
            "shown": True,
        }
    ]
    page.reload()
    expect(page.get_by_text("Completed.")).to_be_visible()
    assert page.evaluate("window.notices") == [], "an ended batch is no news"


def test_whoever_looks_at_the_page_gets_the_toast_alone(site: Site, open_tab: OpenTab) -> None:
    """What is in sight need not be announced by the desktop too."""
    page = open_tab(f"batch?job={start(site, 4).id}")
    prepare(page, allowed=True)
    expect(page.get_by_test_id("stToast").get_by_text("Harbour: completed, 4 written")).to_be_visible(
        timeout=60_000
    )
    assert page.evaluate("[document.hasFocus(), window.notices]") == [True, []]


def test_without_leave_nothing_is_announced_and_the_page_says_so(site: Site, open_tab: OpenTab) -> None:
    """The browser is asked only when its reader wants that; a refusal is said and the batch goes on."""
    page = open_tab(f"batch?job={start(site, 8).id}")
    prepare(page, allowed=False)
    offer, refused = page.get_by_role("button", name=OFFER), page.get_by_text("This browser blocks notices")
    expect(offer.or_(refused)).to_be_visible()
    if offer.is_visible():
        press(offer)
        expect(refused).to_be_visible()
    page.evaluate(AWAY)
    expect(page.get_by_text("Harbour: completed, 8 written", exact=False).first).to_be_visible(timeout=60_000)
    assert page.evaluate("window.notices") == []


def test_the_list_of_batches_tells_of_one_that_ends(site: Site, open_tab: OpenTab) -> None:
    """A batch that a shell finishes is announced to whoever has the list open."""
    job = start(site, 3)
    page = open_tab("batches")
    expect(page.get_by_text("0 of 3 written")).to_be_visible()
    while site.app.batches.process_next(job.id).job.is_open:
        time.sleep(0.01)
    expect(page.get_by_test_id("stToast").get_by_text("Harbour: completed, 3 written")).to_be_visible()
    expect(page.get_by_text("3 of 3 written")).to_be_visible()
