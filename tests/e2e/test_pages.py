"""Every page as a person meets it, empty and in use, light and dark."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.services.scenarios import read_sheet
from tests.e2e.conftest import ALL, SCHEMES, Site, press, settle

OpenTab = Callable[..., Page]
Shoot = Callable[[Page, str], None]

PAGES = {
    "batch": "First steps with money",  # first, so that a cold server is entered by a deep link
    "": "From parameters to a dataset",
    "generate": "New batch",
    "batches": "Batches",
    "review": "Review",
    "datasets": "Datasets",
    "templates": "Templates",
    "scaffolding": "Scaffolding",
    "system": "System",
}


def fill(site: Site) -> str:
    """Write a batch, approve some of it and freeze a dataset; returns the job's id."""
    axes = site.app.scenarios.axes()
    scenarios = site.app.scenarios.product(
        [persona.persona_key for persona in axes.personas[:2]],
        [arc.arc_key for arc in axes.arcs if arc.category == "core"][:4],
        [topic.topic_key for topic in axes.topics[:3]],
    )
    options = JobOptions(WriterName.DEMO, "demo", 8000)
    plan = site.app.planner.plan(scenarios, options, template="auto")
    job = site.app.batches.create(plan, name="First steps with money", actor="ana")
    while site.app.batches.process_next(job.id).job.is_open:
        time.sleep(0)
    some = ConversationFilter(job_id=job.id, min_score=9.9)
    site.app.reviews.decide_matching(some, Decision.APPROVED, reviewer="ana")
    site.app.datasets.freeze(ConversationFilter(), name="first steps", actor="ana")
    return job.id


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_dataset_opens_by_its_address(site: Site, open_tab: OpenTab, shoot: Shoot, scheme: str) -> None:
    """A link to a dataset shows its report, its files, its preflight and what changed, in light and dark."""
    fill(site)
    waiting = ConversationFilter(status=ConversationStatus.PENDING_REVIEW, blocked=False)
    row = site.app.reviews.page(waiting)[0]
    site.app.reviews.decide([Seen(row["id"], row["row_version"])], Decision.APPROVED, reviewer="ana")
    site.app.datasets.freeze(ConversationFilter(), name="first steps", actor="ana")
    dataset = site.app.datasets.find("first steps")
    page = open_tab(f"datasets?dataset={dataset.id}", scheme=scheme)
    expect(page.get_by_role("heading", name="first steps v2", level=1)).to_be_visible()
    expect(page.get_by_role("button", name="Prepare the file")).to_be_visible(timeout=30_000)
    shoot(page, f"dataset-{scheme}")
    press(page.get_by_role("tab", name="Preflight"))
    expect(page.get_by_text("One row as the model sees it")).to_be_visible(timeout=30_000)
    shoot(page, f"dataset-preflight-{scheme}")
    press(page.get_by_role("tab", name="Compare"))
    expect(page.get_by_test_id("stMetric").filter(has_text="Added")).to_contain_text("1")
    expect(page.get_by_test_id("stException")).to_have_count(0)
    shoot(page, f"dataset-compare-{scheme}")
    press(page.get_by_role("button", name="All datasets"))
    expect(page.get_by_text("Frozen so far")).to_be_visible()
    expect(page).to_have_url(f"{site.url}/datasets")
    shoot(page, f"datasets-list-{scheme}")
    press(page.locator(f".st-key-dataset-open-{dataset.id}").get_by_role("button"))
    expect(page).to_have_url(f"{site.url}/datasets?dataset={dataset.id}")
    page.reload()
    expect(page.get_by_role("heading", name="first steps v2", level=1)).to_be_visible()


def test_the_list_to_review_can_be_used_in_a_narrow_window(
    site: Site, open_tab: OpenTab, shoot: Shoot
) -> None:
    """On a small screen the list begins in the upper half, and its scores stand whole beside the scenarios."""
    fill(site)
    page = open_tab("review")
    page.set_viewport_size({"width": 1100, "height": 800})
    settle(page)
    score = page.frame_locator("iframe").first.locator(".ag-header-cell[col-id=score]")
    expect(score).to_be_visible(timeout=30_000)
    grid, heading = page.locator(".st-key-review-grid").bounding_box(), score.bounding_box()
    assert grid
    assert heading
    assert grid["y"] < 400
    assert heading["x"] + heading["width"] <= grid["x"] + grid["width"]
    shoot(page, "review-narrow")


def test_kinds_of_arc_stand_whole_in_a_narrow_window(site: Site, open_tab: OpenTab, shoot: Shoot) -> None:
    """On a small screen every kind of arc can be read and pressed, beside or below the list of arcs."""
    page = open_tab("generate")
    page.set_viewport_size({"width": 1100, "height": 800})
    kinds = page.locator(".st-key-axis-arc-kind")
    edge = kinds.get_by_role("radio", name="Edge")
    settle(page)
    shoot(page, "generate-narrow")
    group, last, plan = (part.bounding_box() for part in (kinds, edge, page.locator(".st-key-plan")))
    assert group
    assert last
    assert plan
    assert last["x"] + last["width"] <= group["x"] + group["width"] <= plan["x"]
    press(edge)
    expect(edge).to_be_checked()


@pytest.mark.parametrize("is_warm", [False], ids=["cold"])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_page_stands_with_data(site: Site, open_tab: OpenTab, shoot: Shoot, scheme: str) -> None:
    """Each page opens by its own address, shows its title and no error, and asks nobody outside for anything.

    Without ALL=1 two of them enter a cold server, and the others stand in test_accessibility.
    """
    job = fill(site)
    pages = PAGES if ALL else {path: PAGES[path] for path in ("batch", "review")}
    for path, title in pages.items():
        address = f"{path}?job={job}" if path == "batch" else path
        page = open_tab(address, scheme=scheme)
        expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible()
        if path == "review":
            expect(page.frame_locator("iframe").first.locator("[row-id]").first).to_be_visible(timeout=30_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0)
        shoot(page, f"{path or 'home'}-{scheme}")
        page.close()


def test_an_empty_installation_says_what_to_do_next(site: Site, open_tab: OpenTab, shoot: Shoot) -> None:
    """With nothing written yet, each page names the next step and leads there."""
    for path, words in {
        "batches": "Make the first batch",
        "review": "Make the first batch",
        "datasets": "New batch",
        "batch": "See all batches",
    }.items():
        page = open_tab(path)
        expect(page.get_by_test_id("stSidebar").get_by_role("link", name="New batch")).to_be_visible()
        expect(page.get_by_test_id("stMain").get_by_text(words).first).to_be_visible()
        shoot(page, f"{path}-empty")
        page.close()


def test_a_markdown_image_in_an_answer_is_never_fetched(
    site: Site, open_tab: OpenTab, tmp_path: Path
) -> None:
    """Text a model or a sheet brings in is shown as text: no picture is asked for, no heading appears."""
    leak = '![x](http://leak.invalid/p.png) <img src="http://leak.invalid/q.png"> # Heading $a$ :red[b]'
    sheet = tmp_path / "leak.csv"
    sheet.write_text(f'scenario\n"{leak.replace(chr(34), chr(34) * 2)}"\n', encoding="utf-8")
    read = read_sheet(sheet.read_bytes(), sheet.name)
    scenarios = site.app.scenarios.from_sheet(read).scenarios
    plan = site.app.planner.plan(scenarios, JobOptions(WriterName.DEMO, "demo", 8000), template="auto")
    job = site.app.batches.create(plan, name=leak[:200], actor=leak[:100])
    while site.app.batches.process_next(job.id).job.is_open:
        time.sleep(0)
    site.app.reviews.decide_matching(ConversationFilter(), Decision.NEEDS_REVISION, reviewer=leak[:60])
    others = ("batches", "", "datasets") if ALL else ()
    for address in (f"batch?job={job.id}", "review?status=Any", *others):
        page = open_tab(address)
        expect(page.locator("h1").first).to_be_visible()
        if address.startswith("review"):
            expect(page.frame_locator("iframe").first.locator("[row-id]").first).to_be_visible(timeout=30_000)
        settle(page)
        page.wait_for_load_state("networkidle")  # a picture that was asked for has been noted
        assert "leak.invalid" not in page.locator("img").evaluate_all("all => all.map(i => i.src).join(' ')")
        page.close()
