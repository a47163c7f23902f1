"""Correcting in a real browser: a turn edited in place, the difference, two people at once, hostile text."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.conversation import Conversation
from brightrun.domain.ids import ConversationId
from brightrun.domain.review import ConversationFilter
from tests.e2e.conftest import SCHEMES, Site, press

OpenTab = Callable[..., Page]
Shoot = Callable[[Page, str], None]
HOSTILE = (
    '<script>document.title = "ran"</script> ![x](http://leak.invalid/p.png) '
    '<img src="http://leak.invalid/q.png" onerror="document.title = 1"> $a$ :red[b] [c](javascript:x) 1 < 2\u200b'
)


def write(site: Site, number: int = 3) -> list[Conversation]:
    axes = site.app.scenarios.axes()
    scenarios = site.app.scenarios.product(
        [axes.personas[0].persona_key], [], [topic.topic_key for topic in axes.topics[:number]]
    )
    plan = site.app.planner.plan(scenarios, JobOptions(WriterName.DEMO, "demo", 8000), template="auto")
    job = site.app.batches.create(plan, name="To correct", actor="ana")
    while site.app.batches.process_next(job.id).job.is_open:
        continue
    rows = site.app.reviews.page(ConversationFilter())
    return [site.app.reviews.read(ConversationId(row["id"])) for row in rows]


def settled(page: Page) -> None:
    """Wait until Streamlit has finished drawing."""
    page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=30_000)


def read(page: Page, conversation: Conversation) -> None:
    expect(page.locator(".st-key-reader").get_by_text(conversation.turns[0].content[:60])).to_be_visible(
        timeout=30_000
    )
    settled(page)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_turn_is_corrected_where_it_stands(
    site: Site, open_tab: OpenTab, shoot: Shoot, scheme: str
) -> None:
    """Edit, type, save: the turn shows the new text, the difference word by word, and the new version waits."""
    first = write(site)[0]
    before = first.turns[1].content
    page = open_tab(f"review?id={first.id}", scheme=scheme)
    read(page, first)
    expect(page.frame_locator("iframe").first.locator("[row-id]").first).to_be_visible(timeout=30_000)
    shoot(page, f"reader-{scheme}")
    press(page.locator(".st-key-edit-2 button"))
    field = page.locator(".st-key-reader").get_by_label("Turn 2", exact=True)
    expect(field).to_have_value(before)
    shoot(page, f"edit-{scheme}")
    words = before.split(" ")
    field.fill(" ".join([*words[:3], "very good", *words[4:], HOSTILE]))
    page.locator(".st-key-reader").get_by_label("Why").fill("Said more calmly.")
    field.press("Control+Enter")
    expect(page.get_by_text("Corrected by ana")).to_be_visible(timeout=30_000)
    press(page.get_by_text("Corrected by ana"))
    expect(page.locator(".st-key-corrected-2 ins").first).to_be_visible()
    expect(page.locator(".st-key-corrected-2 del").first).to_be_visible()
    expect(page.locator(".st-key-corrected-2")).to_contain_text("⟨U+200B⟩")
    settled(page)
    page.locator(".st-key-corrected-2 ins").first.evaluate("one => one.scrollIntoView({block: 'center'})")
    shoot(page, f"difference-{scheme}")
    after = site.app.reviews.read(first.id)
    assert (after.version, after.turns[1].content.split()[-3:]) == (2, ["1", "<", "2\u200b"])
    assert page.title() != "ran"
    assert page.locator(".st-key-reader img[src*=leak]").count() == 0


def test_the_second_of_two_editors_is_told_and_keeps_the_draft(
    site: Site, open_tab: OpenTab, shoot: Shoot
) -> None:
    """Who saves second reads who was first, still has the own text, and sees what stands there now."""
    first = write(site)[0]
    page = open_tab(f"review?id={first.id}")
    read(page, first)
    press(page.locator(".st-key-edit-2 button"))
    field = page.locator(".st-key-reader").get_by_label("Turn 2", exact=True)
    field.fill("My own words, by ana.")
    site.app.corrections.correct(first.id, 2, "What ben wrote first.", corrector="ben")
    field.press("Control+Enter")
    expect(page.get_by_text("ben corrected turn 2")).to_be_visible(timeout=30_000)
    expect(field).to_have_value("My own words, by ana.")
    expect(page.locator(".st-key-reader").get_by_text("What ben wrote first.")).to_be_visible()
    settled(page)
    shoot(page, "edit-late")
    assert site.app.reviews.read(first.id).turns[1].content == "What ben wrote first."
    press(page.locator(".st-key-edit-save-2 button"))
    expect(page.get_by_text("Saved as version 3")).to_be_visible(timeout=30_000)
    assert site.app.reviews.read(first.id).turns[1].content == "My own words, by ana."


def test_a_draft_outlives_a_look_at_another_conversation(site: Site, open_tab: OpenTab) -> None:
    """Reading on in the middle of a correction loses nothing of it; Escape gives it up."""
    first, second, _ = write(site)
    page = open_tab(f"review?id={first.id}")
    read(page, first)
    press(page.locator(".st-key-edit-2 button"))
    field = page.locator(".st-key-reader").get_by_label("Turn 2", exact=True)
    field.fill("A draft that is not lost.")
    field.blur()
    settled(page)
    grid = page.frame_locator("iframe").first
    press(grid.locator(f'[row-id="{second.id}"] [col-id="opening"]'))
    read(page, second)
    press(grid.locator(f'[row-id="{first.id}"] [col-id="opening"]'))
    expect(field).to_have_value("A draft that is not lost.", timeout=30_000)
    field.press("Escape")
    expect(page.locator(".st-key-edit-2 button")).to_be_visible(timeout=30_000)
    assert site.app.reviews.read(first.id).version == 1


def test_a_turn_is_kept_out_of_training(site: Site, open_tab: OpenTab, shoot: Shoot) -> None:
    """Skip marks the assistant's turn, shows it, and takes it in again."""
    first = write(site)[0]
    page = open_tab(f"review?id={first.id}")
    read(page, first)
    press(page.locator(".st-key-skip-2").get_by_role("button"))
    expect(page.get_by_role("button", name="train again", exact=False)).to_be_visible(timeout=30_000)
    settled(page)
    shoot(page, "skipped")
    assert not site.app.reviews.read(first.id).turns[1].train
    press(page.get_by_role("button", name="train again", exact=False))
    expect(page.get_by_role("button", name="train again", exact=False)).to_have_count(0)
    assert site.app.reviews.read(first.id).turns[1].train
