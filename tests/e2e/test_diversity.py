"""How varied a batch is, asked for on its page."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from brightrun.domain.batch import JobOptions, WriterName
from tests.e2e.conftest import Site, press


def test_a_batch_tells_how_varied_it_is(
    site: Site, open_tab: Callable[..., Page], shoot: Callable[[Page, str], None]
) -> None:
    """An analyst asks whether a batch repeats itself and sees a verdict, each figure and its limit."""
    axes = site.app.scenarios.axes()
    space = site.app.spaces.space(
        {
            "persona": [axes.personas[0].persona_key],
            "arc": [axes.arcs[0].arc_key],
            "topic": [t.topic_key for t in axes.topics],
        }
    )
    scenarios = site.app.spaces.choose(space).scenarios
    plan = site.app.planner.plan(scenarios, JobOptions(WriterName.DEMO, "demo", 16_000))
    job = site.app.batches.create(plan, name="Twenty alike", actor="ana")
    while site.app.batches.process_next(job.id).job.is_open:
        pass
    page = open_tab(f"batch?job={job.id}")
    press(page.get_by_text("How varied is it?"))
    press(page.get_by_role("button", name="Measure"))
    expect(page.get_by_text("These conversations").first).to_be_visible(timeout=60_000)
    expect(page.get_by_text("figures that count").first).to_be_visible()
    expect(page.get_by_text("Measured on 20 of 20 conversations")).to_be_visible()
    page.get_by_text("How varied is it?").scroll_into_view_if_needed()
    shoot(page, "diversity-light")
    press(page.get_by_role("button", name="Flag near-duplicates"))
    expect(page.get_by_text("20 conversations are nearly the same as").first).to_be_visible(timeout=30_000)
    press(page.get_by_text("Final and enriched documents"))
    expect(page.get_by_text("20 completed")).to_be_visible()
    press(page.get_by_role("button", name="Make 20 pairs again"))
    expect(page.get_by_text("20 pairs of documents made again").first).to_be_visible(timeout=30_000)
    page.goto(f"{site.url}/insight?show=Variety")
    press(page.get_by_role("button", name="Measure"))
    expect(page.get_by_text("too few to say how varied").first).to_be_visible(timeout=30_000)
    shoot(page, "variety-light")
