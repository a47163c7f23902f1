"""A page that shows a running batch stands still: only figures change, and only where they stand."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from brightrun.domain.batch import JobOptions, JobStatus, WriterName
from tests.e2e.conftest import Site
from tests.fakes import scenarios

OpenTab = Callable[..., Page]

WATCH = """
() => {
  window.seen = {still: 0, shift: 0, stale: 0, samples: 0};
  const still = ['.st-key-batch-actions', '[data-testid=stSidebar]', 'h1'];
  for (const where of still) {
    const root = document.querySelector(where);
    new MutationObserver((all) => {
      window.seen.still += all.filter((m) => m.type === 'childList' || m.type === 'characterData').length;
    }).observe(root, {childList: true, subtree: true, characterData: true});
  }
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.seen.shift += entry.value;
  }).observe({type: 'layout-shift', buffered: false});
  setInterval(() => {
    window.seen.samples += 1;
    const heading = document.querySelector('h1');
    if (parseFloat(getComputedStyle(heading).opacity) < 1) window.seen.stale += 1;
  }, 50);
}
"""


@pytest.fixture
def extra_environment() -> dict[str, str]:
    return {"BRIGHTRUN_DEMO_SECONDS": "0.3"}


def test_nothing_moves_while_a_batch_advances(
    site: Site, open_tab: OpenTab, shoot: Callable[[Page, str], None]
) -> None:
    """While items are written, buttons, menu and title are not drawn again, nothing jumps, nothing goes grey."""
    plan = site.app.planner.plan(scenarios(30), JobOptions(WriterName.DEMO, "demo", 8000))
    job = site.app.batches.create(plan, name="Harbour tables", actor="ana")
    page = open_tab(f"batch?job={job.id}")
    expect(page.get_by_role("heading", name="Harbour tables")).to_be_visible()
    page.wait_for_function("document.body.innerText.match(/[3-9] of 30 ended/)")
    before = site.app.batches.get(job.id).counts.completed
    page.evaluate(WATCH)
    time.sleep(4)
    seen = page.evaluate("window.seen")
    after = site.app.batches.get(job.id).counts.completed
    assert after > before + 2, "nothing advanced while it was watched"
    assert seen["samples"] > 20
    assert (seen["still"], seen["stale"]) == (0, 0), seen
    assert seen["shift"] < 0.01, seen
    assert page.get_by_text("closing every tab pauses the batch").count() == 1
    shoot(page, "batch-running-light")
    site.app.batches.cancel(job.id, actor="ana")
    expect(page.get_by_text("Cancelled", exact=False).first).to_be_visible()
    assert site.app.batches.get(job.id).status is JobStatus.CANCELLED
