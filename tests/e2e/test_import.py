"""Import in the browser: a file goes in, every line is accounted for, and the review opens on it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Site, press

OpenTab = Callable[..., Page]
Shoot = Callable[[Page, str], None]


def test_a_file_is_imported_and_opens_in_the_review(
    site: Site, open_tab: OpenTab, shoot: Shoot, tmp_path: Path
) -> None:
    """Two good lines and a broken one: the figures add up, the reason stands by its line, the list is theirs."""
    talk = [{"role": "user", "content": "Hello there."}, {"role": "assistant", "content": "Good day to you."}]
    lines = [json.dumps({"messages": talk}), "{broken", json.dumps({"messages": talk * 2})]
    path = tmp_path / "mine.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    page = open_tab("imports")
    page.locator("input[type=file]").set_input_files(str(path))
    expect(page.get_by_text("mine.jsonl")).to_be_visible()
    press(page.get_by_role("button", name="Import", exact=True))
    expect(page.get_by_role("heading", name="Refused")).to_be_visible()
    expect(page.get_by_role("link", name="Review the 2 conversations")).to_be_visible()
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()
    shoot(page, "import")
    press(page.get_by_role("link", name="Review the 2 conversations"))
    expect(page.get_by_text("Only from the import mine.jsonl")).to_be_visible()
    expect(page.get_by_text("2 conversations match.")).to_be_visible()
    assert [found.imported for found in site.app.imports.page()] == [2]
