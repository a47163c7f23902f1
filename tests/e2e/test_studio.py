"""From nothing to a batch worth having: a template, a preview of it, a plan, three read first, the rest, a top-up."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from brightrun.domain.batch import JobStatus
from brightrun.domain.review import ConversationFilter, Decision, Seen
from tests.e2e.conftest import Site, choose, pick, press, settle
from tests.e2e.test_road import watch

Shoot = Callable[[Page, str], None]
OpenTab = Callable[..., Page]


def test_a_batch_is_designed_seen_before_it_is_paid_and_topped_up(
    site: Site, open_tab: OpenTab, shoot: Shoot
) -> None:
    """An analyst builds a template, previews, plans, reads three, mends the rest, starts it, and fills a rejected cell."""
    page = open_tab("templates")
    build(page)
    describe(page, shoot)
    press(page.get_by_role("tab", name="Preview"))
    expect(page.get_by_text("The visitor is calm.")).to_be_visible()
    expect(page.get_by_text("tokens in and")).to_be_visible()
    page.get_by_role("combobox", name="What one conversation costs with").scroll_into_view_if_needed()
    shoot(page, "studio-template-light")

    axes = site.app.scenarios.axes()
    press(page.get_by_role("link", name="New batch"))
    pick(page, "Personas: who asks", *(p.name for p in axes.personas[:3]))
    pick(page, "Topics: what it is about", *(t.name for t in axes.topics[:4]))
    choose(page, "Template", "Harbour desk", exact=True)
    expect(page.get_by_role("combobox", name="mood: How the visitor feels")).to_be_visible()
    first = page.get_by_role("button", name="Write 3 first, then decide")
    first.scroll_into_view_if_needed()
    shoot(page, "studio-plan-light")
    press(first)

    start = page.get_by_role("button", name="Start the remaining 9")
    expect(start).to_be_visible(timeout=60_000)
    job = site.app.batches.page(limit=1)[0]
    assert (job.status, job.counts.completed, job.counts.queued) == (JobStatus.PAUSED, 3, 9)
    expect(page.get_by_role("button", name="Resume")).to_have_count(0)
    page.get_by_role("heading", name="Preview: the first 3 of 12").scroll_into_view_if_needed()
    shoot(page, "preview-light")

    press(page.get_by_text("Adjust the rest"))
    variables = page.get_by_role("textbox", name="Variables that all of the rest gets")
    variables.fill("mood: in a hury")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Did you mean in a hurry?").first).to_be_visible()
    variables.fill("mood: in a hurry")
    page.keyboard.press("Control+Enter")
    settle(page)
    adjust = page.get_by_role("button", name="Adjust the remaining 9")
    expect(adjust).to_be_enabled()
    expect(page.get_by_text("is not applied yet")).to_be_visible()
    expect(start).to_be_disabled()
    page.get_by_role("button", name="Preview one more").scroll_into_view_if_needed()
    shoot(page, "preview-adjust-light")
    press(adjust)
    expect(page.get_by_text("9 items adjusted.").first).to_be_visible()
    expect(variables).to_have_value("")
    expect(page.get_by_text("and mood: in a hurry.")).to_be_visible()
    expect(page.get_by_text("3 of 12 ended · 25% · 9 wait to be started")).to_be_visible()
    press(start)
    expect(page.get_by_text("wait to be started")).to_have_count(0)
    watch(page, site, 12)
    items = site.app.batches.items(job.id, limit=20)
    assert [item.scenario.variables.get("mood") for item in items] == [None] * 3 + ["in a hurry"] * 9

    rows = site.app.reviews.page(
        ConversationFilter(persona_key=axes.personas[2].persona_key, topic_key=axes.topics[3].topic_key)
    )
    assert len(rows) == 1
    site.app.reviews.decide(
        [Seen(row["id"], row["row_version"]) for row in rows], Decision.REJECTED, reviewer="ana"
    )
    press(page.get_by_role("link", name="New batch"))
    press(page.get_by_text("What was rejected", exact=True))
    expect(page.get_by_text("1 scenario lost every conversation")).to_be_visible()
    shoot(page, "studio-top-up-light")
    press(page.get_by_role("button", name="Start batch of 1", exact=True))
    watch(page, site, 1)
    assert site.app.spaces.emptied() == []


def build(page: Page) -> None:
    """Write a template from nothing and publish it."""
    choose(page, "Template", "A new template", exact=True)
    page.get_by_role("textbox", name="Key: small letters").fill("harbour_desk")
    page.get_by_role("textbox", name="Name", exact=True).fill("Harbour desk")
    page.get_by_role("textbox", name="System prompt sent to the writer").fill(
        "You write conversations of {{ turns }} messages between a visitor and the harbour desk."
    )
    page.get_by_role("textbox", name="Order sent to the writer").fill(
        "The visitor is {{ persona_name }} ({{ persona_communication_style }}). They ask about {{ topic_name }}. "
        "{% if mood %}The visitor is {{ mood }}. {% endif %}"
        "Answers have {{ words_min }} to {{ words_max }} words."
    )
    page.get_by_role("textbox", name="Variables it needs").fill(
        "persona_name, persona_communication_style, topic_name"
    )
    page.get_by_role("textbox", name="Variables it may do without").fill("mood")
    press(page.get_by_role("button", name="Publish", exact=True))
    expect(page.get_by_text("Harbour desk v1 is published.").first).to_be_visible()
    settle(page)


def describe(page: Page, shoot: Shoot) -> None:
    """Say what the template's own variable may hold, and publish that."""
    press(page.get_by_role("tab", name="Variables"))
    choose(page, "Type of mood", "Choice")
    page.get_by_role("textbox", name="Allowed values of mood").fill("calm, in a hurry")
    page.get_by_role("textbox", name="Default of mood").fill("calm")
    page.get_by_role("textbox", name="What mood is for").fill("How the visitor feels")
    shoot(page, "studio-variables-light")
    press(page.get_by_role("button", name="Publish the next version with these"))
    expect(page.get_by_text("Harbour desk v2 is published.").first).to_be_visible()
    settle(page)
