"""The page of templates without a browser: what is published, what is refused, and what versions tell."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from brightrun.bootstrap import App
from brightrun.domain.template import Template, TemplateVersion
from brightrun.domain.variable import Variable
from brightrun.services.drafts import draft_of, own_variables
from tests.pages.conftest import OpenPage
from tests.pages.test_pages import said


def test_a_template_with_an_undeclared_variable_is_not_published(open_page: OpenPage, app: App) -> None:
    """Publishing says which variable nobody declared; no version appears."""
    template = app.templates.all()[0]
    page = open_page("templates", template=template.template_key)
    prefix = f"edit-{template.version.id}"
    page.text_area(key=f"{prefix}-user_text").set_value("About {{ nobody_declared_this }}.")
    submit = next(button for button in page.button if button.label == "Publish the next version")
    submit.click().run()
    assert "nobody_declared_this" in said(page)
    assert len(app.templates.versions(template.id)) == 1


def published(page: AppTest) -> str:
    """What a page says once its next version was asked for."""
    next(button for button in page.button if button.label == "Publish the next version").click().run()
    return said(page).replace("\\", "")


@pytest.mark.parametrize(("field", "label"), [("min", "at least"), ("max", "at most")])
@pytest.mark.parametrize("typed", ["-5", "99999999999", "6.5", ""])
def test_a_template_is_not_published_beside_a_number_that_cannot_be(
    open_page: OpenPage, app: App, field: str, label: str, typed: str
) -> None:
    """A number of words that no turn can have is refused by the name of its field, and no version appears."""
    template = app.templates.all()[0]
    page = open_page("templates", template=template.template_key)
    page.text_input(key=f"edit-{template.version.id}-{field}").set_value(typed)
    page.text_input(key=f"edit-{template.version.id}-name").set_value("Renamed").run()
    assert f"Words of an assistant turn, {label}: " in published(page)
    assert "is no whole number from 1 to 4,000" in page.error[0].value.replace("\\", "")
    assert len(app.templates.versions(template.id)) == 1


def test_a_template_that_is_as_it_was_is_not_published(open_page: OpenPage, app: App) -> None:
    """Publishing without a change says so, and makes no second version."""
    template = app.templates.all()[0]
    page = open_page("templates", template=template.template_key)
    assert "Nothing has changed since v1." in published(page)
    assert len(app.templates.versions(template.id)) == 1


def test_a_renamed_template_has_its_new_name_everywhere(open_page: OpenPage, app: App) -> None:
    """The list is told its new name too, and two versions that differ in nothing they keep say what they do not keep."""
    template = app.templates.all()[0]
    page = open_page("templates", template=template.template_key)
    page.text_input(key=f"edit-{template.version.id}-name").set_value("Renamed").run()
    published(page)
    chosen = page.selectbox(key="template-chosen")
    assert "Renamed" in chosen.options
    assert (chosen.value, chosen.proto.raw_value, chosen.proto.set_value) == (
        template.template_key,
        "Renamed",
        True,
    )
    assert "such as its name, tier, description and rating, is kept only as it is now" in page.code[-1].value
    page.run()
    assert page.selectbox(key="template-chosen").value == template.template_key


def test_versions_tell_how_their_variables_are_described(open_page: OpenPage, app: App) -> None:
    """What was changed in a description stands in the difference, line by line, as in a text."""
    template = next(t for t in app.templates.all() if own_variables(t.version))
    name = own_variables(template.version)[0]
    draft = draft_of(template, template.version)
    app.templates.publish(
        draft.model_copy(update={"variables": (Variable(name=name, default="calm", help="the mood"),)}),
        actor="ana",
    )
    page = open_page("templates", template=template.template_key)
    assert any(f"+{name}: text; default calm; for the mood" in shown.value for shown in page.code)


def test_a_template_is_published_as_its_next_version(open_page: OpenPage, app: App) -> None:
    """Publishing makes version 2 and leaves version 1 as it was."""
    template = app.templates.all()[0]
    page = open_page("templates", template=template.template_key)
    prefix = f"edit-{template.version.id}"
    changed = template.version.user_text + "\nKeep it short."
    page.text_area(key=f"{prefix}-user_text").set_value(changed)
    next(button for button in page.button if button.label == "Publish the next version").click().run()
    newest, oldest = app.templates.versions(template.id)
    assert (newest.version, newest.user_text) == (2, changed)
    assert oldest.user_text == template.version.user_text


def test_the_preview_of_a_template_is_of_the_number_that_stands_there(open_page: OpenPage, app: App) -> None:
    """A prompt and its price are shown for the messages that were typed, or not at all."""
    page = open_page("templates", template=app.templates.all()[0].template_key)
    assert page.selectbox(key="preview-model")
    page.text_input(key="preview-turns").set_value("6.5").run()
    assert "Messages: '6.5' is no whole number from 2 to 200" in said(page).replace("\\", "")
    assert not [box for box in page.selectbox if box.key == "preview-model"]


def test_what_is_typed_outlives_the_version_of_somebody_else(open_page: OpenPage, app: App) -> None:
    """Whoever edits a template while another version of it is published keeps the text, is told, and may go on or begin
    again; who has typed nothing goes on from the newest."""
    template = app.templates.all()[0]
    idle, page = (open_page("templates", template=template.template_key) for _ in range(2))
    field = f"edit-{template.version.id}-user_text"
    mine = f"{template.version.user_text} Be brief."
    page.text_area(key=field).set_value(mine).run()
    theirs = draft_of(template, template.version).model_copy(update={"words_max": 170})
    newest = app.templates.publish(theirs, actor="ben").version
    assert "Version 2 was published while you edit version 1" in said(page.run()).replace("\\", "")
    assert page.text_area(key=field).value == mine
    assert idle.run().text_area(key=f"edit-{newest.id}-user_text").value == template.version.user_text
    published(page)
    found = app.templates.versions(template.id)[0]
    assert (found.version, found.user_text) == (3, mine)
    again = page.run().text_area(key=f"edit-{found.id}-user_text")
    again.set_value("Something else.").run()
    app.templates.publish(theirs.model_copy(update={"words_max": 160}), actor="ben")
    page.run().button(key="edit-again").click().run()
    assert "while you edit" not in said(page)
    newest = app.templates.versions(template.id)[0]
    assert page.text_area(key=f"edit-{newest.id}-user_text").value == template.version.user_text


def newest_of(app: App, template: Template) -> TemplateVersion:
    return app.templates.versions(template.id)[0]


def test_an_older_version_is_gone_back_to(open_page: OpenPage, app: App) -> None:
    """What was better before is put into the editor as it was, and published as the newest; versions show the last two."""
    template = app.templates.all()[0]
    first = template.version
    page = open_page("templates", template=template.template_key)
    for number in (2, 3):
        field = f"edit-{newest_of(app, template).id}-user_text"
        page.text_area(key=field).set_value(f"{first.user_text} And no. {number}.")
        published(page)
        assert newest_of(app, template).version == number
    page.run()
    assert page.selectbox(key=f"older-{template.id}-3").value == 2
    page.selectbox(key=f"older-{template.id}-3").set_value(1).run()
    page.button(key="versions-begin").click().run()
    assert "This begins from version 1. Published, it is version 4." in said(page)
    assert page.text_area(key=f"edit-{first.id}-user_text").value == first.user_text
    assert "This begins from" not in published(page)
    newest = newest_of(app, template)
    assert (newest.version, newest.user_text) == (4, first.user_text)


def test_variables_in_another_order_are_no_difference(open_page: OpenPage, app: App) -> None:
    """Two versions that need the same variables do not differ in them."""
    template = next(t for t in app.templates.all() if len(t.version.required) > 1)
    page = open_page("templates", template=template.template_key)
    prefix = f"edit-{template.version.id}"
    page.text_area(key=f"{prefix}-required").set_value(", ".join(reversed(template.version.required)))
    page.text_area(key=f"{prefix}-user_text").set_value(f"{template.version.user_text} Once more.")
    published(page)
    shown = next(code.value for code in page.run().get("code") if "+++" in code.value)
    assert "Once more" in shown
    assert "Variables" not in shown
