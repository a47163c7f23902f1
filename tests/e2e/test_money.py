"""Money in the browser: an estimate before the start, a price that is corrected, a budget that is raised."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from brightrun.bootstrap import App
from brightrun.domain.batch import JobStatus, WriterName
from brightrun.domain.review import ConversationFilter, Decision
from tests.e2e.conftest import Site, choose, press
from tests.fakes import options, scenarios
from tests.messages_api import KEY, MessagesApi

Shoot = Callable[[Page, str], None]
OpenTab = Callable[..., Page]
MODEL = "claude-sonnet-5-5"
ROWS = 8


@pytest.fixture
def extra_environment(api: MessagesApi) -> dict[str, str]:
    return {
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": api.url,
        "BRIGHTRUN_MAX_TOKENS": "2000",
    }


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "errands.csv"
    with path.open("w", newline="") as file:
        rows = [[f"A reader asks to renew {n + 2} books at the library."] for n in range(ROWS)]
        csv.writer(file).writerows([["scenario"], *rows])
    return path


def figure(page: Page, label: str) -> Locator:
    """Return the value of a figure by its label."""
    return page.get_by_test_id("stMetric").filter(has_text=label).get_by_test_id("stMetricValue").first


def upload(page: Page, sheet: Path) -> None:
    press(page.get_by_text("A CSV file", exact=True))
    page.locator("input[type=file]").set_input_files(sheet)
    expect(page.get_by_text("Which variable does each column feed?")).to_be_visible()


def test_the_generator_shows_what_a_batch_costs_and_what_that_rests_on(
    site: Site, open_tab: OpenTab, shoot: Shoot, sheet: Path, api: MessagesApi
) -> None:
    """Three figures and their grounds before anything is paid; an unpriced model is refused with the way out."""
    page = open_tab("generate")
    upload(page, sheet)
    expect(figure(page, "Expected cost")).to_contain_text("$0.")
    expect(figure(page, "If long")).to_contain_text("$0.")
    expect(figure(page, "At most")).to_contain_text("$0.")
    expect(page.get_by_text(f"counted by Claude for 4 of {ROWS} prompts")).to_be_visible()
    expect(page.get_by_text("approximated from the words each template asks for")).to_be_visible()
    shoot(page, "generate-estimate-light")
    assert api.requests == []

    budget = page.get_by_role("textbox", name="Budget in dollars")
    for typed, told in (("-1", "is negative"), ("1,000", "one way only"), ("0", "$0.000001 at least")):
        budget.fill(typed)
        budget.press("Enter")
        expect(page.get_by_text(told).first).to_be_visible()
        expect(page.get_by_role("button", name="Start batch")).to_have_count(0)
    shoot(page, "generate-budget-refused")
    budget.fill("0,5")
    budget.press("Enter")
    expect(page.get_by_role("button", name="Start batch")).to_be_enabled()

    choose(page, "Model", "claude-next-1-20270101")
    expect(page.get_by_text("There is no price for the model")).to_be_visible()
    expect(page.get_by_role("button", name="Start batch")).to_have_count(0)
    shoot(page, "generate-unpriced-light")
    press(page.get_by_role("link", name="Add its price on the System page"))
    expect(page.get_by_role("heading", name="Prices")).to_be_visible()
    assert site.app.batches.count() == 0
    press(page.get_by_role("link", name="New batch"))
    expect(page.get_by_text("as you brought it before")).to_be_visible()
    expect(page.get_by_text("There is no price for the model")).to_be_visible()
    press(page.get_by_role("button", name="Take it away"))
    expect(page.get_by_text("The first line names the columns")).to_be_visible()


def test_a_price_is_added_and_corrected_on_the_page(site: Site, open_tab: OpenTab, shoot: Shoot) -> None:
    """A wrong figure is one change; nothing is accepted as free; the history says who changed what."""
    page = open_tab("system")
    press(page.get_by_text("Add, correct or remove a price", exact=True))
    expect(page.get_by_test_id("stStatusWidget")).to_have_count(0)  # the checks are done, the page rests
    choose(page, "Start from", f"{MODEL} from 2026-10-01")
    field = page.get_by_role("textbox", name="Output, $")
    expect(field).to_have_value("10")
    field.fill("1,250")
    press(page.get_by_role("button", name="Save price"))
    expect(page.get_by_text("is no amount that can be read in one way only")).to_be_visible()
    field.fill("0")
    press(page.get_by_role("button", name="Save price"))
    expect(page.get_by_text("A model that costs nothing would make every budget useless")).to_be_visible()
    field.fill("12")
    field.press("Tab")
    shoot(page, "prices-form-light")
    press(page.get_by_role("button", name="Save price"))
    expect(page.get_by_text("is saved")).to_be_visible()
    saved = next(p for p in site.app.prices.in_force() if p.model == MODEL)
    assert (saved.input_usd, saved.output_usd) == (2, 12)
    newest = site.app.prices.history(model=MODEL)[0]
    assert (newest.by, newest.story()) == ("ana", "corrected: out 10 → 12")
    site.app.prices.save(replace(saved, model="claude-sonet"), actor="ana")
    page.reload()
    press(page.get_by_text("Add, correct or remove a price", exact=True))
    choose(page, "Start from", f"claude-sonet from {saved.effective_from}")
    press(page.get_by_role("button", name="Remove it…"))
    shoot(page, "prices-remove-light")
    press(page.get_by_role("button", name="Remove it", exact=True))
    expect(page.get_by_text("is removed")).to_be_visible()
    assert not site.app.prices.has("claude-sonet")
    press(page.get_by_text("History", exact=True))
    chosen = page.get_by_role("combobox", name="Model")
    expect(chosen).to_be_visible()
    chosen.scroll_into_view_if_needed()
    page.get_by_test_id("stDataFrame").last.scroll_into_view_if_needed()
    shoot(page, "prices-history-light")


def test_a_batch_stopped_by_its_budget_is_given_more_and_goes_on(
    site: Site, open_tab: OpenTab, shoot: Shoot, api: MessagesApi
) -> None:
    """The page says what is left and what going on needs; with more it finishes, and what it cost stands there."""
    job = start(site.app, budget=0.07)
    page = open_tab(f"batch?job={job}")
    expect(page.get_by_text("Raise the budget and go on")).to_be_visible(timeout=60_000)
    paused = site.app.batches.get(site.app.batches.find(job))
    assert paused.status is JobStatus.PAUSED
    assert 0 < paused.money.spent <= 0.07
    expect(page.get_by_text("the next call may cost")).to_be_visible()
    shoot(page, "batch-budget-light")

    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_disabled()
    amount = page.get_by_role("textbox", name="Budget in dollars")
    enough = amount.input_value()
    for typed, told in (("ten", "is not a number"), ("", "No budget was typed")):
        page.get_by_role("textbox", name="Budget in dollars").fill(typed)
        press(page.get_by_role("button", name="Set the budget and go on"))
        expect(page.get_by_text(told)).to_be_visible()
    page.get_by_role("textbox", name="Budget in dollars").fill("0.01")
    press(page.get_by_role("button", name="Set the budget and go on"))
    expect(page.get_by_text("is spent already, may be, or is reserved")).to_be_visible()
    amount = page.get_by_role("textbox", name="Budget in dollars")
    amount.fill(enough)
    press(page.get_by_role("button", name="Set the budget and go on"))
    expect(page.get_by_text("Completed", exact=True).first).to_be_visible()
    page.wait_for_function(f"document.body.innerText.includes('{ROWS} of {ROWS} ended')", timeout=60_000)
    ended = site.app.batches.get(paused.id)
    assert (ended.status, ended.counts.completed) == (JobStatus.COMPLETED, ROWS)
    assert len(api.requests) == ROWS

    site.app.reviews.decide_matching(ConversationFilter(job_id=paused.id), Decision.APPROVED, reviewer="ana")
    page.reload()
    expect(figure(page, "Per approved")).to_contain_text("$0.")
    expect(figure(page, "Saved by caching")).to_contain_text("$0")
    expect(page.get_by_text("Before it started,")).to_be_visible()
    page.get_by_test_id("stDataFrame").last.scroll_into_view_if_needed()
    shoot(page, "batch-costs-light")


def test_a_template_shows_what_its_conversations_cost(site: Site, open_tab: OpenTab, shoot: Shoot) -> None:
    """On the Templates page each version has its cost by model and by approved conversation."""
    app = site.app
    job = app.batches.find(start(app, budget=None))
    page = open_tab(f"batch?job={job}")
    page.wait_for_function(f"document.body.innerText.includes('{ROWS} of {ROWS} ended')", timeout=60_000)
    app.reviews.decide_matching(ConversationFilter(job_id=job), Decision.APPROVED, reviewer="ana")
    key = app.templates.of_version(
        app.templates.version(app.batches.items(job)[0].template_version_id)
    ).template_key
    page = open_tab(f"templates?template={key}")
    press(page.get_by_role("tab", name="Cost"))
    expect(page.get_by_text("includes what failed or was rejected on the way")).to_be_visible()
    shoot(page, "template-costs-light")


def start(app: App, *, budget: float | None) -> str:
    given = options(WriterName.CLAUDE, max_tokens=2000, budget=budget)
    plan = app.planner.plan(scenarios(ROWS), given)
    return app.batches.create(plan, name="Errands with a budget", actor="ana").id
