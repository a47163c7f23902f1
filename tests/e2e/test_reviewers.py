"""Two people at the same review, and one who keeps a list: nothing is overwritten, a link opens what was seen."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.review import ConversationFilter
from tests.e2e.conftest import Site, press, serving
from tests.e2e.test_road import grid_of, row_ids, statuses
from tests.seed import Seed, seed_conversations

OpenTab = Callable[..., Page]
Shoot = Callable[[Page, str], None]


def settled(page: Page) -> None:
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible(
        timeout=30_000
    )


def test_the_second_of_two_reviewers_is_told_who_was_first(
    site: Site, open_tab: OpenTab, shoot: Shoot, dsn: str, tmp_path: Path
) -> None:
    """Both see the same row; the first decides; the second is told who that was, and nothing is overwritten."""
    seed_conversations(dsn, [Seed(number, status="pending_review") for number in range(3)])
    (tmp_path / "ben").mkdir()
    with serving(dsn, tmp_path / "ben", "ben") as other:
        mine = open_tab("review")
        theirs = open_tab("review")
        theirs.goto(f"{other.url}/review")
        row_id = row_ids(grid_of(mine))[0]
        assert row_ids(grid_of(theirs))[0] == row_id
        settled(theirs)
        settled(mine)
        press(mine.get_by_role("button", name="Approve", exact=True))
        expect(mine.get_by_role("button", name="Undo “Approved: 1 conversation”")).to_be_visible()
        theirs.get_by_role("textbox", name="Note").fill("I would not train on this.")
        theirs.get_by_role("textbox", name="Note").press("Enter")
        settled(theirs)
        press(theirs.get_by_role("button", name="Reject", exact=True))
        expect(theirs.get_by_text(re.compile("ana was first and set it to approved at"))).to_be_visible()
        settled(theirs)
        shoot(theirs, "second-reviewer")
        expect(theirs.get_by_role("textbox", name="Note")).to_have_value("I would not train on this.")
    read = site.app.reviews.read(row_id)  # type: ignore[arg-type]
    assert (read.status, read.reviewed_by) == (ConversationStatus.APPROVED, "ana")
    assert [entry.reviewer for entry in site.app.reviews.history(read.id)] == ["ana"]


def test_a_list_is_kept_and_comes_back(site: Site, open_tab: OpenTab, shoot: Shoot, dsn: str) -> None:
    """A filter stands in the address, is kept as a view for everybody, and the columns are remembered."""
    seeds = [Seed(n, status=("pending_review", "approved")[n % 2], topic=f"topic {n % 3}") for n in range(12)]
    seed_conversations(dsn, seeds)
    page = open_tab("review?status=Approved&sort=Worst+score+first&q=matter&score=8.5")
    grid = grid_of(page)
    expect(page.get_by_text(re.compile(r"^4 conversations match\."))).to_be_visible()
    press(page.get_by_role("button", name="Views"))
    page.get_by_role("textbox", name="Keep this view as").fill("Worst approved")
    page.get_by_role("textbox", name="Keep this view as").press("Enter")
    settled(page)
    press(page.get_by_role("button", name="Save view"))
    expect(page.get_by_role("button", name="Worst approved")).to_be_visible()
    settled(page)
    shoot(page, "views")
    page.keyboard.press("Escape")
    press(page.get_by_role("button", name="Columns"))
    press(page.get_by_role("button", name="Persona", exact=True))
    press(page.get_by_role("button", name="Begins with", exact=True))
    settled(page)
    shoot(page, "columns")
    page.keyboard.press("Escape")
    page.reload()
    grid = grid_of(page)
    expect(grid.locator("[col-id=persona]").first).to_be_visible()
    expect(grid.locator("[col-id=opening]")).to_have_count(0)

    other = open_tab("review")
    expect(other.get_by_text(re.compile(r"^6 conversations match\."))).to_be_visible()
    settled(other)
    press(other.get_by_role("button", name="Views"))
    press(other.get_by_role("button", name="Worst approved"))
    expect(other.get_by_text(re.compile(r"^4 conversations match\."))).to_be_visible()
    expect(other).to_have_url(re.compile("score=8.5"))
    expect(other).to_have_url(re.compile("sort=Worst"))
    scores = [
        float(text)
        for text in grid_of(other).locator(".ag-center-cols-container [col-id=score]").all_inner_texts()
    ]
    assert scores == sorted(scores)
    assert len(scores) == 4


def test_a_whole_filter_is_decided_on_and_undone(
    site: Site, open_tab: OpenTab, shoot: Shoot, dsn: str
) -> None:
    """The count stands on the button before, one click decides, and one takes all of it back."""
    seed_conversations(dsn, [Seed(number, status="pending_review", words=3) for number in range(120)])
    page = open_tab("review")
    grid_of(page)
    settled(page)
    press(page.get_by_role("button", name="Decide on all 120"))
    press(page.get_by_role("dialog").get_by_text("Reject", exact=True))
    expect(page.get_by_role("button", name="Reject: 120")).to_be_visible()
    shoot(page, "bulk")
    press(page.get_by_role("button", name="Reject: 120"))
    undo = page.get_by_role("button", name="Undo “Rejected: 120 conversations”")
    expect(undo).to_be_visible()
    assert statuses(site)["rejected"] == 120
    settled(page)
    press(undo)
    expect(page.get_by_text("Undone: 120 conversations")).to_be_visible()
    assert statuses(site)["pending_review"] == 120


def test_the_head_of_a_column_orders_the_whole_list(
    site: Site, open_tab: OpenTab, shoot: Shoot, dsn: str
) -> None:
    """A click on Score brings the best of all pages, a second one the worst; the choice beside it says so too."""
    seed_conversations(dsn, [Seed(n, status="pending_review") for n in range(60)])
    best, worst = (
        f"{site.app.reviews.page(ConversationFilter(), sort=sort, limit=1)[0]['quality_score']:.1f}"
        for sort in ("best", "worst")
    )
    page = open_tab("review")
    head = grid_of(page).locator(".ag-header-cell[col-id=score]")
    order = page.get_by_role("combobox", name="Order")
    expect(head).to_have_attribute("aria-sort", "none")
    settled(page)
    head.click()
    expect(order).to_have_value("Best score first")
    expect(grid_of(page).locator("[row-index='0'] [col-id=score]")).to_contain_text(best)
    expect(page).to_have_url(re.compile(r"sort=Best"))
    expect(head).to_have_attribute("aria-sort", "descending")
    settled(page)
    shoot(page, "ordered")
    head.click()
    expect(order).to_have_value("Worst score first")
    expect(grid_of(page).locator("[row-index='0'] [col-id=score]")).to_contain_text(worst)
    settled(page)
    order.click()
    page.get_by_role("option", name="Newest first").click()
    expect(head).to_have_attribute("aria-sort", "none")
    expect(order).to_have_value("Newest first")
    settled(page)
    expect(page).not_to_have_url(re.compile("sort=Worst"))


def test_what_is_read_stays_though_the_list_does_not_hold_it(
    site: Site, open_tab: OpenTab, shoot: Shoot, dsn: str
) -> None:
    """A link to a conversation of another page, or of an empty list, shows that conversation, and deciding stays there."""
    seed_conversations(dsn, [Seed(n, status="pending_review") for n in range(60)])
    last = site.app.reviews.page(ConversationFilter(), sort="oldest", limit=1)[0]
    page = open_tab(f"review?id={last['id']}")
    reader = page.locator(".st-key-reader")
    expect(reader.get_by_text(last["name"], exact=True).first).to_be_visible()
    expect(page.get_by_text("Not on this page of the list")).to_be_visible()
    settled(page)
    press(page.get_by_role("button", name="Approve", exact=True))
    expect(reader.get_by_text("Approved", exact=True).first).to_be_visible()
    expect(reader.get_by_text(last["name"], exact=True).first).to_be_visible()
    page.goto(f"{site.url}/review?status=Rejected&id={last['id']}")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    expect(reader.get_by_text(last["name"], exact=True).first).to_be_visible()
    settled(page)
    expect(page.get_by_role("button", name=re.compile("Decide on all"))).to_have_count(0)
    expect(page.get_by_role("button", name="Next", exact=True)).to_be_disabled()
    shoot(page, "reading-beside-nothing")


def test_a_view_is_replaced_or_removed_only_where_that_is_meant(
    site: Site, open_tab: OpenTab, shoot: Shoot, dsn: str
) -> None:
    """A name that is taken offers to replace that view, by another button; removing asks once more."""
    seed_conversations(dsn, [Seed(1)])
    site.app.views.save("Mine", {"status": "approved"}, person="ben")
    page = open_tab("review?status=Any")
    grid_of(page)
    settled(page)
    press(page.get_by_role("button", name="Views"))
    name = page.get_by_role("textbox", name="Keep this view as")
    name.fill("mine")
    name.press("Enter")
    replace = page.get_by_role("button", name="Replace Mine")
    expect(replace).to_be_visible()
    settled(page)
    shoot(page, "view-taken")
    press(replace)
    expect(page.get_by_text("Saved: Mine")).to_be_visible()
    (view,) = site.app.views.all()
    assert (view.saved_by, view.query) == ("ana", {"status": "any"})
    settled(page)
    press(page.get_by_role("button", name="Remove", exact=True))
    really = page.get_by_role("button", name="Remove for all")
    expect(really).to_be_visible()
    assert site.app.views.all()
    settled(page)
    press(really)
    expect(page.get_by_text("No view is saved yet")).to_be_visible()
    assert not site.app.views.all()
