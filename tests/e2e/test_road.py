"""From an uploaded sheet to a downloaded dataset, by mouse and keyboard."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import FrameLocator, Locator, Page, expect

from brightrun.domain.batch import ItemStatus, JobStatus
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.review import ConversationFilter
from tests.conftest import SHARED
from tests.e2e.conftest import ALL, ROOT, Site, choose, press, settle

Shoot = Callable[[Page, str], None]
OpenTab = Callable[..., Page]


def sheets() -> list[pytest.param]:  # type: ignore[valid-type]
    shared = SHARED / "star_scenarios.csv"
    skip = pytest.mark.skipif(not shared.exists(), reason="the shared data folder is not beside the checkout")
    examples = pytest.param(ROOT / "examples" / "scenarios.csv", 24, id="examples")
    star = pytest.param(shared, 100, id="star", marks=[skip, pytest.mark.shared])
    return [examples, star] if ALL else [examples]


@pytest.mark.parametrize(("sheet", "number"), sheets())
def test_a_sheet_becomes_a_downloaded_dataset(
    site: Site, open_tab: OpenTab, shoot: Shoot, sheet: Path, number: int, tmp_path: Path
) -> None:
    """An analyst uploads a sheet, sees the cost, starts, cancels one batch, finishes another, reviews and downloads."""
    page = open_tab()
    expect(page.get_by_text("No batch yet")).to_be_visible()
    start_batch(page, sheet, number, name="To be cancelled")
    cancel_half_way(site, page)
    shoot(page, "batch-cancelled-light")

    start_batch(page, sheet, number, name="Errands")
    seen = watch(page, site, number)
    assert seen[0] < seen[len(seen) // 2] < seen[-1] == 100, f"The bar did not move: {seen}"
    job = site.app.batches.page(limit=1)[0]
    assert job.status is JobStatus.COMPLETED
    shoot(page, "batch-light")

    press(page.get_by_role("link", name="Review what it wrote"))
    approve_and_reject(site, page, shoot)
    download(site, page, shoot, tmp_path)


def start_batch(page: Page, sheet: Path, number: int, *, name: str) -> None:
    press(page.get_by_role("link", name="New batch"))
    start = prepare(page, sheet, number)
    expect(start).to_be_enabled()
    expect(page.get_by_text("Expected cost")).to_be_visible()
    page.get_by_role("textbox", name="Name", exact=True).fill(name)
    page.get_by_role("textbox", name="Name", exact=True).press("Enter")
    press(start)
    expect(page.get_by_role("heading", name=name)).to_be_visible()


def prepare(page: Page, sheet: Path, number: int) -> Locator:
    """Upload a sheet, take its first rows, and return the button that starts them."""
    press(page.get_by_text("A CSV file", exact=True))
    page.locator("input[type=file]").set_input_files(sheet)
    expect(page.get_by_text("Which variable does each column feed?")).to_be_visible()
    page.get_by_role("textbox", name="At most this many").fill(str(number))
    page.get_by_role("textbox", name="At most this many").press("Enter")
    return page.get_by_role("button", name=f"Start batch of {number}", exact=True)


def cancel_half_way(site: Site, page: Page) -> None:
    page.wait_for_function("document.body.innerText.match(/([1-9]\\d*) of \\d+ ended/)")
    page.get_by_role("button", name="Cancel…").click()
    confirm = page.get_by_role("button", name="Cancel the batch")
    expect(confirm).to_be_visible()
    began = time.monotonic()
    confirm.click()  # the batch goes on meanwhile, and the page with it
    while site.app.batches.page(limit=1)[0].status is not JobStatus.CANCELLED:
        assert time.monotonic() - began < 30, "Cancel did not reach the database."
        time.sleep(0.02)
    expect(page.get_by_text("Cancelled", exact=False).first).to_be_visible()
    job = site.app.batches.page(limit=1)[0]
    assert job.counts.completed >= 1
    assert job.counts.cancelled >= 1
    assert job.counts.queued == 0


def watch(page: Page, site: Site, number: int) -> list[int]:
    """Return the shares the bar showed, until it showed the whole."""
    seen: list[int] = []
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        found = re.search(r"(\d+) of (\d+) ended · (\d+)%", page.inner_text("body"))
        if found:
            assert int(found[2]) == number
            seen.append(int(found[3]))
            if seen[-1] == 100:
                return seen
        time.sleep(0.1)
    raise AssertionError(f"The batch did not end: {seen[-5:]}, {site.app.batches.page(limit=1)[0]}")


def grid_of(page: Page) -> FrameLocator:
    grid = page.frame_locator("iframe").first
    expect(grid.locator(".ag-center-cols-container [row-id]").first).to_be_visible(timeout=30_000)
    return grid


def row_ids(grid: FrameLocator) -> list[str]:
    """Return the rows in view, from the top, as they stand at one moment."""
    found: list[list[str]] = grid.locator(".ag-center-cols-container [row-id]").evaluate_all(
        "rows => rows.map(row => [row.getAttribute('row-index'), row.getAttribute('row-id')])"
    )
    return [row_id for _, row_id in sorted((int(index), row_id) for index, row_id in found)]


def tick(grid: FrameLocator, row_id: str) -> None:
    press(grid.locator(f"[row-id='{row_id}'] input[type=checkbox]").first)


def statuses(site: Site) -> dict[str, int]:
    return {s.value: site.app.reviews.count(ConversationFilter(status=s)) for s in ConversationStatus}


def approve_and_reject(site: Site, page: Page, shoot: Shoot) -> None:
    grid = grid_of(page)
    ids = row_ids(grid)
    press(grid.locator(f"[row-id='{ids[2]}'] [col-id=scenario]"))
    reader = page.locator(".st-key-reader")
    first = site.app.reviews.read(ids[2]).turns[0].content  # type: ignore[arg-type]
    expect(reader.get_by_text(first[:60]).first).to_be_visible()
    shoot(page, "review-light")

    for row_id in ids[:3]:
        tick(grid, row_id)
    press(page.get_by_role("button", name="Approve 3"))
    expect(page.get_by_role("button", name="Undo “Approved: 3 conversations”")).to_be_visible()
    assert statuses(site)["approved"] == 3
    expect(grid.locator(f"[row-id='{ids[0]}']")).to_have_count(0)

    grid = grid_of(page)
    left = row_ids(grid)
    tick(grid, left[0])
    choose(page, "Reason for rejecting", "Repetitive")
    press(page.get_by_role("button", name="Reject 1"))
    expect(page.get_by_role("button", name="Undo “Rejected: 1 conversation”")).to_be_visible()
    rejected = site.app.reviews.read(left[0])  # type: ignore[arg-type]
    assert (rejected.status, rejected.review_reason) == (ConversationStatus.REJECTED, "Repetitive")
    assert rejected.reviewed_by == "ana"

    settle(page)  # the buttons move while the page draws what the last decision led to
    press(page.get_by_role("button", name="Undo"))
    expect(page.get_by_text("Undone: 1 conversation")).to_be_visible()
    assert statuses(site)["rejected"] == 0

    decide_by_keyboard(site, page)
    press(page.get_by_role("button", name="Decide on all"))
    press(page.get_by_role("button", name=re.compile(r"Approve: \d+")))
    expect(page.get_by_text(re.compile("All caught up|Nothing matches"))).to_be_visible()


def decide_by_keyboard(site: Site, page: Page) -> None:
    """Decide without the mouse: the row goes and the next one is under the cursor."""
    job = site.app.batches.page(limit=1)[0]
    pending = ConversationFilter(status=ConversationStatus.PENDING_REVIEW, job_id=job.id)
    expect(page.get_by_text(f"{site.app.reviews.count(pending)} conversations match.")).to_be_visible()
    grid = grid_of(page)
    ids = row_ids(grid)[:3]
    press(grid.locator(f"[row-id='{ids[0]}'] [col-id=scenario]"))
    for key, row_id in zip("axn", ids, strict=True):
        expect(grid.locator(f"[row-id='{row_id}'] .ag-cell-focus")).to_have_count(1)
        page.keyboard.press(key)
        expect(grid.locator(f"[row-id='{row_id}']")).to_have_count(0)
    now = [site.app.reviews.read(row_id).status for row_id in ids]  # type: ignore[arg-type]
    assert now == [
        ConversationStatus.APPROVED,
        ConversationStatus.REJECTED,
        ConversationStatus.NEEDS_REVISION,
    ]


def download(site: Site, page: Page, shoot: Shoot, folder: Path) -> None:
    press(page.get_by_role("link", name="Datasets", exact=True))
    approved = statuses(site)["approved"]
    shoot(page, "datasets-maker-light")
    press(page.get_by_role("button", name=f"Freeze {approved} conversations"))
    expect(page.get_by_text("Prepare the file")).to_be_visible(timeout=30_000)
    expect(page).to_have_url(re.compile("dataset="))
    shoot(page, "datasets-light")
    jsonl = save(page, "Messages (JSONL)", folder).read_text(encoding="utf-8").splitlines()
    assert len(jsonl) == approved
    row = json.loads(jsonl[0])
    assert row["messages"][-1]["role"] == "assistant"
    assert row["writer"] == "demo", "a demo row must say so"
    table = save(page, "CSV for people", folder)
    assert table.name.endswith("-demo.csv")
    rows = list(csv.DictReader(io.StringIO(table.read_bytes().decode("utf-8-sig"), newline="")))
    assert len({r["conversation_id"] for r in rows}) == approved
    assert {r["status"] for r in rows} == {"approved"}
    packed = save(page, "Everything (zip)", folder)
    with zipfile.ZipFile(packed) as opened:
        assert opened.testzip() is None
        manifest = json.loads(opened.read(f"{packed.stem}/manifest.json"))
        for entry in manifest["files"]:
            data = opened.read(f"{packed.stem}/{entry['path']}")
            assert hashlib.sha256(data).hexdigest() == entry["sha256"], entry["path"]
    read_preflight(page, shoot)


def read_preflight(page: Page, shoot: Shoot) -> None:
    """Each trainer's verdict stands there, and a template that refuses the rows says so before a run does."""
    press(page.get_by_role("tab", name="Preflight"))
    expect(page.get_by_text("tokens, ").first).to_be_visible(timeout=30_000)
    expect(page.get_by_text("<|im_start|>assistant").first).to_be_visible()
    shoot(page, "preflight-light")
    page.get_by_role("radio", name="Gemma-like").or_(
        page.get_by_role("button", name="Gemma-like")
    ).first.click()
    expect(
        page.get_by_text("<start_of_turn>").or_(page.get_by_text("System role not supported")).first
    ).to_be_visible()


def save(page: Page, label: str, folder: Path) -> Path:
    """Pick a format, have it prepared, and download it."""
    choose(page, "Format", label)
    press(page.get_by_role("button", name="Prepare the file"))
    button = page.get_by_role("button", name=re.compile("Download .*B"))
    expect(button).to_be_visible(timeout=30_000)
    with page.expect_download() as started:
        press(button)
    path = folder / started.value.suggested_filename
    started.value.save_as(path)
    return path


def test_every_item_of_the_browsers_batch_points_at_its_conversation(site: Site, open_tab: OpenTab) -> None:
    """What the pages wrote is linked by primary key, and the log and the files are where they belong."""
    page = open_tab("generate")
    press(prepare(page, ROOT / "examples" / "scenarios.csv", 3))
    watch(page, site, 3)
    expect(page.get_by_role("button", name="Pause")).to_be_disabled()  # drawn again for the last time
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
    job = site.app.batches.page(limit=1)[0]
    for item in site.app.batches.items(job.id, status=ItemStatus.COMPLETED):
        assert item.conversation_id is not None
        conversation = site.app.reviews.read(item.conversation_id)
        assert conversation.id == item.conversation_id != conversation.key
        for path in (conversation.raw_path, conversation.final_path, conversation.enriched_path):
            assert path
            assert json.loads(site.app.enrichment.document(path))
    with page.expect_download() as started:
        press(page.get_by_role("button", name="Download log"))
    assert "completed" in Path(started.value.path()).read_text(encoding="utf-8")


def test_a_file_waits_for_a_slow_browser(site: Site, open_tab: OpenTab) -> None:
    """What a download button made is still there seconds later, however often pages were drawn meanwhile."""
    page = open_tab("generate")
    press(prepare(page, ROOT / "examples" / "scenarios.csv", 24))
    page.wait_for_function("document.body.innerText.match(/([1-9]\\d*) of \\d+ ended/)")
    with page.expect_download() as started:
        press(page.get_by_role("button", name="Download log"))
    ended = site.app.batches.page(limit=1)[0].counts.completed
    while site.app.batches.page(limit=1)[0].counts.completed < ended + 5:
        page.wait_for_timeout(200)
    late = page.request.get(started.value.url)
    assert late.status == 200
    assert "attempt" in late.text()


def test_a_double_click_starts_one_batch(site: Site, open_tab: OpenTab) -> None:
    """An impatient double click on Start makes one batch, is taken to it, and pays for nothing twice."""
    page = open_tab("generate")
    prepare(page, ROOT / "examples" / "scenarios.csv", 2).dblclick()
    watch(page, site, 2)
    expect(page).to_have_url(re.compile("/batch\\?job="))
    assert [job.counts.completed for job in site.app.batches.page(limit=5)] == [2]
