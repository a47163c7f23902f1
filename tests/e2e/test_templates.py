"""Templates in a real browser: from nothing to published, out to a file, and a harmful one that hurts nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.e2e.conftest import Site, choose, press, settle

Shoot = Callable[[Page, str], None]
OpenTab = Callable[..., Page]


def test_a_template_is_built_published_and_carried_on(
    site: Site, open_tab: OpenTab, shoot: Shoot, tmp_path: Path
) -> None:
    """An analyst writes a template, is told what is wrong, publishes it, previews it, and takes it along as a file."""
    page = open_tab("templates")
    choose(page, "Template", "A new template", exact=True)
    page.get_by_role("textbox", name="Key: small letters").fill("harbour_desk")
    page.get_by_role("textbox", name="Name", exact=True).fill("Harbour desk")
    page.get_by_role("textbox", name="System prompt sent to the writer").fill("You write {{ turns }} turns.")
    order = page.get_by_role("textbox", name="Order sent to the writer")
    order.fill("About {{ scenrio }}.{% for i in 'abc' %} {{ persona_name }}{% endfor %}")
    page.get_by_role("textbox", name="Variables it needs").fill("scenario, persona_name")
    press(page.get_by_role("button", name="Publish", exact=True))
    expect(page.get_by_text("Did you mean scenario?")).to_be_visible()
    press(page.get_by_role("link", name="Batches"))
    expect(page.get_by_role("heading", name="Batches")).to_be_visible()
    press(page.get_by_role("link", name="Templates"))
    choose(page, "Template", "A new template", exact=True)
    expect(order).to_have_value(re.compile("scenrio"))
    order.fill("About {{ scenario }}.{% for i in 'abc' %} {{ persona_name }}{% endfor %}")
    press(page.get_by_role("button", name="Publish", exact=True))
    expect(page.get_by_text("Harbour desk v1 is published.").first).to_be_visible()
    settle(page)
    page.get_by_role("textbox", name="scenario").fill("a lost boat key")
    page.get_by_role("textbox", name="scenario").press("Enter")
    name = site.app.scenarios.axes().personas[0].name
    expect(page.get_by_text(f"About a lost boat key. {name} {name} {name}")).to_be_visible()
    shoot(page, "template-preview-light")

    with page.expect_download() as started:
        press(page.get_by_role("button", name="Download it as a file"))
    held = json.loads(Path(started.value.path()).read_text(encoding="utf-8"))
    held["user_text"] = (
        "{% for a in '123456789' %}" * 9 + "{{ scenario }}{{ persona_name }}" + "{% endfor %}" * 9
    )
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(held), encoding="utf-8")
    press(page.get_by_text("Publish a template from a file"))
    page.locator("input[type=file]").set_input_files(changed)
    press(page.get_by_role("button", name="Publish it"))
    expect(page.get_by_text("Harbour desk v2 is published.").first).to_be_visible()
    expect(
        page.get_by_text("renders to more than").or_(page.get_by_text("s of computing")).first
    ).to_be_visible()
    press(page.get_by_role("tab", name="Versions"))
    expect(page.get_by_text("+++ v2 Order sent to the writer")).to_be_visible()
    shoot(page, "template-versions-light")

    press(page.get_by_role("tab", name="Edit"))
    page.get_by_role("textbox", name="Name", exact=True).fill("Harbour office")
    press(page.get_by_role("button", name="Publish the next version"))
    expect(page.get_by_text("Harbour office v3 is published.").first).to_be_visible()
    expect(page.get_by_role("combobox", name="Template", exact=True)).to_have_value("Harbour office")
