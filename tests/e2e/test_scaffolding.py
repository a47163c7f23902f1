"""Scaffolding in a real browser: edited, out as a table and in again, put aside while used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Site, choose, press, settle

Shoot = Callable[[Page, str], None]
OpenTab = Callable[..., Page]


def test_a_persona_is_edited_and_a_table_brings_another(
    site: Site, open_tab: OpenTab, shoot: Shoot, tmp_path: Path
) -> None:
    """An analyst corrects a persona, takes the table along, brings it back with a mistake and then without."""
    page = open_tab("scaffolding")
    choose(page, "Edit", "Marcus Chen")
    occupation = page.get_by_role("textbox", name="Occupation")
    occupation.fill("lighthouse keeper")
    shoot(page, "scaffolding-light")
    press(page.get_by_role("button", name="Save", exact=True))
    expect(page.get_by_text("overwhelmed_avoider is saved.").first).to_be_visible()
    assert "lighthouse keeper" in {p.occupation for p in site.app.scenarios.axes().personas}

    settle(page)
    press(page.get_by_text("Download or upload all of them as a CSV"))
    with page.expect_download() as started:
        press(page.get_by_role("button", name="Download the CSV"))
    table = Path(started.value.path()).read_bytes()
    upload(page, tmp_path / "wrong.csv", table.replace(b"overwhelmed_avoider", b"Not a key"))
    expect(page.get_by_text("column persona_key").first).to_be_visible()
    more = table.replace(b"overwhelmed_avoider", b"harbour_master").replace(b"Marcus Chen", b"Ada Pilot")
    upload(page, tmp_path / "more.csv", more)
    expect(page.get_by_text("1 new, 0 changed, 3 as they are.")).to_be_visible()
    shoot(page, "scaffolding-table-light")
    press(page.get_by_role("button", name="Save all of it"))
    expect(page.get_by_text("1 new and 0 changed are saved.").first).to_be_visible()
    assert "harbour_master" in {p.persona_key for p in site.app.scenarios.axes().personas}
    settle(page)
    choose(page, "Edit", "Ada Pilot")
    press(page.get_by_role("button", name="Delete it…"))
    press(page.get_by_role("button", name="Delete harbour_master"))
    expect(page.get_by_text("harbour_master is deleted.").first).to_be_visible()
    settle(page)
    press(page.get_by_role("button", name="Stop offering it"))
    expect(page.get_by_role("button", name="Offer it again")).to_be_visible()


def upload(page: Page, path: Path, data: bytes) -> None:
    path.write_bytes(data)
    page.locator("input[type=file]").set_input_files(path)
    settle(page)
