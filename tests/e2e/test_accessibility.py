"""Every page held against axe-core's rules, in use and in both themes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.review import ConversationFilter
from tests.e2e.conftest import SCHEMES, Site
from tests.e2e.test_keys import press, still
from tests.e2e.test_pages import OpenTab, fill
from tests.fakes import scenarios

GRAVE = ("serious", "critical")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast", "link-in-text-block"]
"""All else is the same page in either theme."""
STREAMLIT = {
    "list": '[data-testid="stSidebarNavItems"]',
    "listitem": '[data-testid="stSidebarNavItems"]',
    "color-contrast": ".stButtonGroup:has([disabled], [data-disabled])",
}
"""Rules that a part of Streamlit's own breaks, and that part: we cannot reach into it (docs/accessibility.md)."""
WITHIN = """
([target, part]) => {
  const found = document.querySelector(target);
  return Boolean(found && found.closest(part));
}
"""

Found = dict[str, list[dict[str, Any]]]


def scan(page: Page, scheme: str) -> list[dict[str, Any]]:
    """Return what axe-core finds on a page and in its frames, node by node; in the dark, of colours alone."""
    axe = Axe()
    for frame in page.frames[1:]:
        frame.evaluate(axe.axe_script)
    # What passes would be described node by node as well, which takes longer than looking.
    asked = {"runOnly": RULES if scheme == "light" else COLOURS, "resultTypes": ["violations"]}
    violations = axe.run(page, options=asked).response["violations"]
    return [
        {
            "rule": violation["id"],
            "impact": violation["impact"],
            "target": node["target"],
            "html": node["html"][:300],
            "summary": node.get("failureSummary", "")[:300],
            "is_streamlit": _is_streamlit(page, violation["id"], node["target"]),
        }
        for violation in violations
        for node in violation["nodes"]
    ]


def _is_streamlit(page: Page, rule: str, target: list[str]) -> bool:
    return (
        rule in STREAMLIT and len(target) == 1 and bool(page.evaluate(WITHIN, [target[0], STREAMLIT[rule]]))
    )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_page_keeps_the_rules_that_let_everybody_in(site: Site, open_tab: OpenTab, scheme: str) -> None:
    """No page breaks a serious or critical rule of axe-core, but for those Streamlit itself breaks, which are named."""
    job = fill(site)
    conversation = site.app.reviews.page(ConversationFilter())[0]["id"]
    site.app.corrections.correct(conversation, 2, "Said better.", corrector="ana")
    pages = {
        "home": "",
        "preview": f"batch?job={preview(site)}",
        "batch": f"batch?job={job}",
        "datasets": "datasets",
        "dataset": f"datasets?dataset={site.app.datasets.find('first steps').id}",
        "generate": "generate",
        "batches": "batches",
        "imports": "imports",
        "insight": "insight",
        "templates": "templates",
        "scaffolding": "scaffolding",
        "system": "system",
    }
    found: Found = {}
    page = open_tab("", scheme=scheme)
    for name, address in pages.items():
        page.goto(f"{site.url}/{address}")
        expect(page.locator("h1").first).to_be_visible(timeout=60_000)
        page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for(timeout=60_000)
        expect(page.get_by_test_id("stSkeleton")).to_have_count(0, timeout=60_000)
        expect(page.get_by_test_id("stException")).to_have_count(0)
        page.wait_for_timeout(500)  # charts settle
        found[name] = scan(page, scheme)
    found |= _review(page, f"{site.url}/review?id={conversation}", scheme)
    if folder := os.environ.get("BRIGHTRUN_SHOTS"):
        (Path(folder) / f"accessibility-{scheme}.json").write_text(json.dumps(found, indent=1))
    grave = [
        (name, node["rule"], node["html"], node["summary"])
        for name, nodes in found.items()
        for node in nodes
        if node["impact"] in GRAVE and not node["is_streamlit"]
    ]
    assert not grave


def preview(site: Site) -> str:
    """Write the preview of a batch; returns the job's id."""
    plan = site.app.planner.plan(scenarios(4), JobOptions(WriterName.DEMO, "demo", 8000))
    job = site.app.batches.create(plan, name="Seen first", actor="ana", preview=2)
    while site.app.batches.process_next(job.id).job.is_open:
        pass
    return job.id


def _review(page: Page, address: str, scheme: str) -> Found:
    """Scan the review: reading, editing, and with its sheet of keys."""
    page.goto(address)
    expect(page.locator(".st-key-reader h1, .st-key-reader p").first).to_be_visible(timeout=60_000)
    still(page)
    found = {"review": scan(page, scheme)}
    press(page, "2")
    expect(page.locator(".st-key-reader textarea")).to_be_visible(timeout=60_000)
    still(page)
    found["review, editing"] = scan(page, scheme)
    page.keyboard.press("Escape")
    expect(page.locator(".st-key-reader textarea")).to_have_count(0, timeout=60_000)
    press(page, "?")
    expect(page.get_by_role("dialog")).to_be_visible(timeout=60_000)
    still(page)
    found["review, keys"] = scan(page, scheme)
    return found
