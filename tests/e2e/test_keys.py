"""A review by keyboard alone: open, read, next, edit, approve, reject with a reason, undo; nothing is clicked."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from brightrun.domain.conversation import Conversation, ConversationStatus
from brightrun.domain.review import ConversationFilter
from tests.e2e.conftest import SCHEMES, Site
from tests.e2e.test_corrections import OpenTab, Shoot, read, settled, write
from tests.e2e.test_tabs import until

STILL = """
() => {
  const app = document.querySelector("[data-testid=stApp]");
  const rests = window.brightrunKeys && app && app.getAttribute("data-test-script-state") === "notRunning";
  if (!rests) { window.restsSince = null; return false; }
  window.restsSince = window.restsSince || Date.now();
  return Date.now() - window.restsSince > 700;
}
"""


def still(page: Page) -> None:
    """Wait until the keys are heard and the page has stood still for a moment."""
    page.evaluate("window.restsSince = null")
    page.wait_for_function(STILL, timeout=60_000)


def press(page: Page, key: str) -> None:
    """Press a key when the page stands still, as a person does who looks before deciding."""
    still(page)
    page.keyboard.press(key)


def status(site: Site, one: Conversation) -> ConversationStatus:
    return site.app.reviews.read(one.id).status


def comes_to(site: Site, one: Conversation, wanted: ConversationStatus) -> None:
    until(lambda: status(site, one) is wanted, f"It is {status(site, one)}, not {wanted}.", 30)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_sheet_lists_every_key(site: Site, open_tab: OpenTab, shoot: Shoot, scheme: str) -> None:
    """A question mark opens the list of keys, Escape closes it."""
    first = write(site)[0]
    page = open_tab("review", scheme=scheme)
    read(page, first)
    press(page, "?")
    sheet = page.get_by_role("dialog")
    expect(sheet).to_be_visible(timeout=30_000)
    for meaning in (
        "approve",
        "undo the last decision of this visit",
        "edit that turn",
        "search the words of all turns",
    ):
        expect(sheet.get_by_text(meaning)).to_be_visible()
    settled(page)
    shoot(page, f"keys-{scheme}")
    page.keyboard.press("Escape")
    expect(sheet).to_have_count(0)


def test_a_whole_review_without_a_mouse(site: Site, open_tab: OpenTab, shoot: Shoot) -> None:
    """Every step of a reviewer's work is reached by keys, and each does what it says to the row that is read."""
    first, second, third, fourth = write(site, 4)
    page = open_tab("review")
    read(page, first)
    expect(page.get_by_text("1 of 4")).to_be_visible()

    press(page, "j")
    read(page, second)
    expect(page.get_by_text("2 of 4")).to_be_visible()
    press(page, "k")
    read(page, first)

    press(page, "2")
    field = page.locator(".st-key-reader").get_by_label("Turn 2", exact=True)
    expect(field).to_be_focused(timeout=30_000)
    page.keyboard.press("Control+a")
    page.keyboard.type("A better answer, typed.")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Corrected by ana")).to_be_visible(timeout=30_000)
    assert site.app.reviews.read(first.id).turns[1].content == "A better answer, typed."

    press(page, "a")
    comes_to(site, first, ConversationStatus.APPROVED)
    read(page, second)

    press(page, "y")
    expect(page.locator(".st-key-decide-reason input")).to_be_focused(timeout=30_000)
    page.keyboard.type("Repet")
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-decide-reason input")).to_have_value("Repetitive", timeout=30_000)
    expect(page.locator(".st-key-decide-reason input")).not_to_be_focused()
    press(page, "x")
    comes_to(site, second, ConversationStatus.REJECTED)
    assert site.app.reviews.history(second.id)[0].reason == "Repetitive"
    read(page, third)

    press(page, "u")
    comes_to(site, second, ConversationStatus.PENDING_REVIEW)
    assert status(site, first) is ConversationStatus.APPROVED

    for _ in range(80):
        if page.evaluate("document.activeElement && document.activeElement.tagName") == "IFRAME":
            break
        page.keyboard.press("Tab")
    else:
        raise AssertionError("Tab never came to the list.")
    for _ in range(3):  # past the head of the list into its rows
        page.keyboard.press("ArrowDown")
    settled(page)
    page.keyboard.press("Home")
    for key, place in (("k", "1 of"), ("j", "2 of"), ("k", "1 of")):
        for _ in range(4):
            press(page, key)
            if page.get_by_text(place).count():
                break
        expect(page.get_by_text(place)).to_be_visible(timeout=30_000)
    press(page, "?")
    expect(page.get_by_role("dialog")).to_be_visible(timeout=30_000)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    waiting = site.app.reviews.count(ConversationFilter(status=ConversationStatus.PENDING_REVIEW))
    assert waiting == 3
    assert status(site, fourth) is ConversationStatus.PENDING_REVIEW


def test_a_key_that_is_held_down_decides_once(site: Site, open_tab: OpenTab) -> None:
    """What nobody has read is not decided on because a finger stayed on a key or was faster than the page."""
    first, second, third = write(site)
    page = open_tab("review")
    read(page, first)
    still(page)
    page.keyboard.down("a")
    for _ in range(6):
        page.keyboard.down("a")
    page.keyboard.up("a")
    comes_to(site, first, ConversationStatus.APPROVED)
    read(page, second)
    assert {status(site, one) for one in (second, third)} == {ConversationStatus.PENDING_REVIEW}


def test_a_double_click_decides_on_one(site: Site, open_tab: OpenTab) -> None:
    """Who clicks Approve twice approves what was read, and never the conversation that came under the mouse next."""
    first, second, third = write(site, 3)
    page = open_tab("review")
    read(page, first)
    for one, next_one in ((first, second), (second, third)):
        still(page)
        button = page.locator(".st-key-decide-approved button")
        button.hover()
        page.mouse.down(click_count=1)
        page.mouse.up(click_count=1)
        comes_to(site, one, ConversationStatus.APPROVED)
        read(page, next_one)
        still(page)
        page.mouse.down(click_count=2)  # as a browser tells the second click of a slow double click
        page.mouse.up(click_count=2)
        page.wait_for_timeout(1500)
        still(page)
        assert status(site, next_one) is ConversationStatus.PENDING_REVIEW
