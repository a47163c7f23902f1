"""The insight page in a real browser: every part, light and dark, and the way from a cell to its next step."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote_plus

import pytest
from playwright.sync_api import Locator, Page, expect

from brightrun.domain.insight import Scope
from brightrun.domain.review import ConversationFilter, Decision
from tests.e2e.conftest import SCHEMES, Site, press
from tests.fakes import options, scenarios
from tests.planting import fill

OpenTab = Callable[..., Page]
Shoot = Callable[[Page, str], None]
VIEWS = ("Approval", "Rejections", "Score", "Cost", "Reviewers", "Coverage")
SIZE = 420
TILES = ".stVegaLiteChart .mark-rect path"
STILL = "[data-testid=stApp][data-test-script-state=notRunning]"


def open_drawn(open_tab: OpenTab, address: str, *, scheme: str = "light") -> Page:
    """Open the page and wait until its chart stands."""
    page = open_tab(f"insight{address}", scheme=scheme)
    expect(page.get_by_role("heading", name="Insight", level=1)).to_be_visible()
    expect(page.locator(".stVegaLiteChart svg, .stVegaLiteChart canvas").first).to_be_visible()
    expect(page.locator(STILL)).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    return page


def choose(page: Page, number: str) -> Locator:
    """Click the first cell of the map that shows this number; returns the box about it."""
    labels = page.locator(".stVegaLiteChart .mark-text.role-mark text")
    shown = labels.all_text_contents()
    page.locator(TILES).nth(shown.index(number)).click(force=True)  # in its middle, where the number stands
    box = page.locator(".st-key-coverage-cell")
    expect(box).to_contain_text("planned")
    return box


@pytest.mark.parametrize("scheme", SCHEMES)
def test_each_part_draws_its_chart(
    site: Site, dsn: str, open_tab: OpenTab, shoot: Shoot, scheme: str
) -> None:
    """Every part of the page draws its chart, on a light ground and on a dark one."""
    fill(dsn, SIZE, job=60)
    for view in VIEWS:
        page = open_drawn(open_tab, f"?show={view}&by=Model&count=Approved", scheme=scheme)
        shoot(page, f"insight-{view.lower()}-{scheme}")
        page.close()


def test_a_filled_cell_leads_to_its_conversations(
    site: Site, dsn: str, open_tab: OpenTab, shoot: Shoot
) -> None:
    """Choosing a cell says what is in it and opens the review with exactly these conversations."""
    fill(dsn, SIZE, job=60)
    page = open_drawn(open_tab, "?show=Coverage&count=Written")
    cells = app_cells(site, "persona", "arc")
    number = next(n for n in map(str, sorted(cells.values(), reverse=True)) if int(n) < 20)
    box = choose(page, number)
    shoot(page, "insight-cell")
    expect(box).to_contain_text(f"{number} written")
    press(box.get_by_role("link", name="Review these"))
    expect(page.get_by_role("heading", name="Review", level=1)).to_be_visible()
    expect(page.get_by_text(f"{number} conversations match.")).to_be_visible()


def test_an_empty_cell_leads_to_a_batch_that_fills_it(
    site: Site, dsn: str, open_tab: OpenTab, shoot: Shoot
) -> None:
    """Choosing a cell with nothing in it offers no review, and opens a new batch with its combination chosen."""
    fill(dsn, SIZE, job=60)
    page = open_drawn(open_tab, "?show=Coverage&grid=Persona+×+topic")
    box = choose(page, "0")
    expect(box).to_contain_text("0 planned, 0 written, 0 approved")
    expect(box.get_by_role("link", name="Review these")).to_have_count(0)
    persona, topic = box.locator("strong").inner_text().split(" × ")
    press(box.get_by_role("link", name="New batch for this"))
    expect(page.get_by_role("heading", name="New batch", level=1)).to_be_visible()
    expect(page.locator(".st-key-axis-personas").get_by_label("Selected values")).to_contain_text(persona)
    expect(page.locator(".st-key-axis-topics").get_by_label("Selected values")).to_contain_text(topic)
    expect(page.get_by_text("1 combination", exact=True).first).to_be_visible()
    shoot(page, "insight-to-batch")


def app_cells(site: Site, down: str, across: str) -> dict[tuple[str, str], int]:
    """How many conversations stand in each cell of the map of two axes."""
    found: dict[tuple[str, str], int] = {}
    for cell in site.app.insight.coverage(Scope()).cells:
        keys = (getattr(cell, down), getattr(cell, across))
        if all(keys):
            found[keys] = found.get(keys, 0) + cell.written
    return found


def test_a_scope_without_conversations_says_so(site: Site, dsn: str, open_tab: OpenTab, shoot: Shoot) -> None:
    """With nothing written, nothing decided, and nothing in the chosen days, the page says so and leads on."""
    page = open_tab("insight")
    expect(page.get_by_text("Nothing has been written yet")).to_be_visible()
    shoot(page, "insight-empty")
    job = site.app.batches.create(site.app.planner.plan(scenarios(1), options()), name="One", actor="ana")
    while site.app.batches.process_next(job.id).job.is_open:
        continue
    page.reload()
    expect(page.get_by_text("Nothing has been decided on")).to_be_visible()
    shoot(page, "insight-undecided")
    site.app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="ana")
    for view in VIEWS[:-1]:
        page = open_tab(f"insight?show={view}")
        expect(page.get_by_text("100%", exact=True).first).to_be_visible()
        expect(page.locator(STILL)).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        shoot(page, f"insight-one-{view.lower()}")
    page = open_tab("insight?since=2030-01-01")
    expect(page.get_by_text("Nothing matches")).to_be_visible()
    shoot(page, "insight-nothing-matches")
    press(page.get_by_role("button", name="Show everything"))
    expect(page.get_by_text("100%", exact=True).first).to_be_visible()
    assert "since" not in unquote_plus(page.url)
