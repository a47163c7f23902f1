"""Planning a batch by rules, and topping up what rejection emptied, in a real browser."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from brightrun.domain.review import ConversationFilter, Decision, Seen
from tests.e2e.conftest import Site, pick, press, settle
from tests.e2e.test_road import watch

Shoot = Callable[[Page, str], None]
OpenTab = Callable[..., Page]


def open_rules(page: Page) -> None:
    settle(page)
    press(page.get_by_text("Rules: never together"))
    expect(page.get_by_role("button", name="Add this rule")).to_be_visible()


def test_a_plan_keeps_its_rules_and_a_top_up_writes_what_was_rejected(
    site: Site, open_tab: OpenTab, shoot: Shoot
) -> None:
    """An analyst covers every allowed pair in few scenarios, forbids one, and tops up what was rejected."""
    page = open_tab("generate")
    axes = site.app.scenarios.axes()
    persona, topic = axes.personas[0], axes.topics[0]
    pick(page, "Personas: who asks", *(p.name for p in axes.personas[:3]))
    pick(page, "Emotional arcs: how the feeling moves", *(a.name for a in axes.arcs[:3]))
    pick(page, "Topics: what it is about", *(t.name for t in axes.topics[:4]))
    expect(page.get_by_text("36 combinations")).to_be_visible()
    press(page.get_by_text("Cover every pair", exact=True))
    expect(page.get_by_text("33 of 33 pairs of values are covered")).to_be_visible()
    expect(page.get_by_role("button", name="Start batch of 12", exact=True)).to_be_visible()

    open_rules(page)
    rules = page.locator("[data-testid=stExpander]").filter(has_text="Rules: never together")
    pick(rules, "Persona", persona.name)
    pick(rules, "Topic", topic.name)
    press(page.get_by_role("button", name="Add this rule"))
    expect(page.get_by_text(f"Never together: persona {persona.name} and topic {topic.name}")).to_be_visible()
    expect(page.get_by_text("33 of 36 combinations are allowed")).to_be_visible()
    expect(page.get_by_text("32 of 32 pairs of values are covered")).to_be_visible()
    page.get_by_text("How the plan lies on the axes").scroll_into_view_if_needed()
    settle(page)
    shoot(page, "plan-light")

    start = page.get_by_role("button", name="Start batch of")
    number = int(start.inner_text().split()[-1])
    press(start)
    watch(page, site, number)
    job = site.app.batches.page(limit=1)[0]
    items = site.app.batches.items(job.id, limit=100)
    planned = [item.scenario for item in items]
    assert not [s for s in planned if (s.persona_key, s.topic_key) == (persona.persona_key, topic.topic_key)]

    rows = site.app.reviews.page(ConversationFilter(persona_key=persona.persona_key))
    site.app.reviews.decide(
        [Seen(row["id"], row["row_version"]) for row in rows], Decision.REJECTED, reviewer="ana"
    )
    press(page.get_by_role("link", name="New batch"))
    press(page.get_by_text("What was rejected", exact=True))
    expect(page.get_by_text(f"{len(rows)} scenarios lost every conversation")).to_be_visible()
    shoot(page, "top-up-light")
    press(page.get_by_role("button", name=f"Start batch of {len(rows)}", exact=True))
    watch(page, site, len(rows))
    assert site.app.spaces.emptied() == []


def test_a_plan_that_cannot_be_is_said_with_a_way_out(site: Site, open_tab: OpenTab) -> None:
    """A rule that says nothing is refused in words, and a removed value a rule speaks of is named."""
    page = open_tab("generate")
    axes = site.app.scenarios.axes()
    pick(page, "Personas: who asks", *(p.name for p in axes.personas[:2]))
    pick(page, "Topics: what it is about", *(t.name for t in axes.topics[:2]))
    open_rules(page)
    press(page.get_by_role("button", name="Add this rule"))
    expect(page.get_by_text("needs values on at least two axes").first).to_be_visible()
    press(page.get_by_text("Let something else vary"))
    page.get_by_role("textbox", name="Variables of your own").fill("mood calm")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("is not a variable with values").first).to_be_visible()
    page.get_by_role("textbox", name="Variables of your own").fill("mood: calm, tense")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("8 combinations")).to_be_visible()
