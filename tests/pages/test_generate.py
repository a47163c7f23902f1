"""The page of a new batch without a browser: what is chosen, counted, priced and started, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from streamlit.testing.v1 import AppTest

from brightrun.bootstrap import App
from brightrun.domain.space import Method
from tests.pages.conftest import OpenPage
from tests.pages.test_pages import said


def test_the_generator_counts_and_prices_before_anything_starts(open_page: OpenPage, app: App) -> None:
    """Choosing axes shows how many conversations that is and what they cost; nothing is created by looking."""
    page = open_page("generate")
    axes = app.scenarios.axes()
    page.multiselect(key="axis-personas").set_value([p.persona_key for p in axes.personas[:2]]).run()
    page.multiselect(key="axis-arcs").set_value([a.arc_key for a in axes.arcs[:3]]).run()
    page.multiselect(key="axis-topics").set_value([axes.topics[0].topic_key]).run()
    assert "**6 conversations**" in said(page)
    figures = {metric.label: metric.value for metric in page.metric}
    assert figures["Conversations"] == "6"
    assert "Expected cost" in figures
    assert app.batches.count() == 0


def test_a_file_with_a_row_that_cannot_be_written_goes_on_without_it(open_page: OpenPage, app: App) -> None:
    """An analyst sees which row is left out and starts the others; the file has become a batch afterwards."""
    page = open_page("generate")
    page.segmented_control(key="intake-way").set_value("A CSV file").run()
    table = b"scenario,mood\nBook a table,calm\n,tense\nCancel it,calm\n"
    page.file_uploader(key="intake-file").set_value(("own.csv", table, "text/csv")).run()
    assert "cannot be written, so nothing starts yet" in said(page)
    page.checkbox(key="order-leave-out").check().run()
    assert "1 scenario cannot be written and will be left out" in said(page)
    page.text_input(key="order-limit").set_value("some").run()
    page.text_input(key="order-limit").set_value("").run()
    assert page.checkbox(key="order-leave-out").value, "a slip elsewhere does not take the choice back"
    next(b for b in page.button if b.label == "Start batch of 2").click().run()
    assert [job.counts.total for job in app.batches.page(limit=5)] == [2]
    again = open_page("generate")
    again.segmented_control(key="intake-way").set_value("A CSV file").run()
    assert "as you brought it before" not in said(again)


def test_a_plan_is_shown_by_names_and_called_by_one_number(open_page: OpenPage, app: App) -> None:
    """The map of a plan names personas and topics, the longer axis down, and the batch's name says its number once."""
    page = open_page("generate")
    axes = app.scenarios.axes()
    page.multiselect(key="axis-personas").set_value([p.persona_key for p in axes.personas]).run()
    page.multiselect(key="axis-topics").set_value([t.topic_key for t in axes.topics[:17]]).run()
    chart = page.get("vega_lite_chart")[0].proto.spec
    for name in (*(p.name for p in axes.personas), *(t.name for t in axes.topics[:17])):
        assert json.dumps(name) in chart
    rows = next(layer["encoding"]["y"]["sort"] for layer in json.loads(chart)["layer"])
    assert rows == [t.name for t in axes.topics[:17]]
    assert page.text_input(key="order-name").placeholder == "Combinations of the scaffolding (68)"


def test_a_variable_of_ones_own_is_read_as_the_shell_writes_it_too(open_page: OpenPage, app: App) -> None:
    """`mood=calm,tense` and `mood: calm, tense` are the same two values; a name of the scaffolding's leads to its list."""
    page = open_page("generate")
    topic = app.scenarios.axes().topics[0].topic_key
    page.multiselect(key="axis-topics").set_value([topic]).run()
    for text in ("mood=calm,tense", "mood: calm, tense"):
        page.text_area(key="axis-own").set_value(text).run()
        assert "1 topic × 2 moods = **2 combinations**" in said(page)
    page.text_area(key="axis-own").set_value("persona: a, b").run()
    assert "Choose personas in their own list" in said(page)


def test_the_generator_starts_what_it_showed(open_page: OpenPage, app: App) -> None:
    """The start button creates exactly the batch that was shown, in the name of whoever pressed it."""
    page = open_page("generate")
    topic = app.scenarios.axes().topics[0].topic_key
    page.multiselect(key="axis-topics").set_value([topic]).run()
    page.text_input(key="order-name").set_value("First light").run()
    next(b for b in page.button if b.label == "Start batch of 1").click().run()
    jobs = app.batches.page(limit=5)
    assert [(j.name, j.counts.total, j.created_by) for j in jobs] == [("First light", 1, "ana")]


def starts(page: AppTest) -> list[str]:
    """What a person may press to start a batch."""
    return [b.label for b in page.button if b.label.startswith("Start batch") and not b.disabled]


@pytest.mark.parametrize(
    ("field", "typed", "told"),
    [
        ("order-limit", "-5", "At most this many: '-5' is no whole number from 1 to 50,000."),
        ("order-limit", "9" * 20, f"At most this many: '{'9' * 20}' is no whole number from 1 to 50,000."),
        ("order-turns", "1", "Messages each: '1' is no whole number from 2 to 200."),
        ("order-turns", "1000", "Messages each: '1000' is no whole number from 2 to 200."),
        ("order-turns", "3.7", "Messages each: '3.7' is no whole number from 2 to 200."),
    ],
)
def test_no_batch_starts_beside_a_number_that_cannot_be(
    open_page: OpenPage, app: App, field: str, typed: str, told: str
) -> None:
    """What was typed is told with what it may be, and there is nothing to press: it is not passed over in silence."""
    page = open_page("generate")
    topic = app.scenarios.axes().topics[0].topic_key
    page.multiselect(key="axis-topics").set_value([topic]).run()
    page.text_input(key=field).set_value(typed).run()
    assert [told in error.value.replace("\\", "") for error in page.error] == [True]
    assert not starts(page)
    page.text_input(key=field).set_value("").run()
    assert starts(page) == ["Start batch of 1"]


def test_an_odd_number_of_messages_is_said_to_be_made_even(open_page: OpenPage, app: App) -> None:
    """Whoever asks for three messages reads before the start that four will be written, and why."""
    page = open_page("generate")
    topic = app.scenarios.axes().topics[0].topic_key
    page.multiselect(key="axis-topics").set_value([topic]).run()
    page.text_input(key="order-turns").set_value("3").run()
    told = said(page).replace("\\", "")
    assert "3 messages became 4: the user begins and the assistant has the last word" in told
    assert starts(page) == ["Start batch of 1"]


def test_how_many_outlives_a_variable_that_is_being_typed(open_page: OpenPage, app: App) -> None:
    """A cover stays a cover beside an error in another field and a look at another page: all there are cost far more."""
    page, axes = open_page("generate"), app.scenarios.axes()
    page.multiselect(key="axis-personas").set_value([p.persona_key for p in axes.personas]).run()
    page.multiselect(key="axis-arcs").set_value([a.arc_key for a in axes.arcs[:4]]).run()
    page.multiselect(key="axis-topics").set_value([t.topic_key for t in axes.topics[:4]]).run()
    page.segmented_control(key="axis-method").set_value(Method.COVER).run()
    page.selectbox(key="axis-strength").set_value(3).run()
    page.text_input(key="axis-seed").set_value("7").run()
    page.text_input(key="order-name").set_value("Mine").run()
    page.text_area(key="axis-own").set_value("mood").run()
    assert "is not a variable with values" in said(page)
    assert not starts(page)
    page.text_area(key="axis-own").set_value("").run()
    for look in ("after the error", "after another page"):
        assert page.segmented_control(key="axis-method").value == Method.COVER, look
        assert page.selectbox(key="axis-strength").value == 3, look
        assert page.text_input(key="axis-seed").value == "7", look
        assert page.text_input(key="order-name").value == "Mine", look
        page.switch_page("pages/batches.py").run()
        page.switch_page("pages/generate.py").run()


def test_a_sample_is_drawn_by_the_number_that_stands_there_or_not_at_all(
    open_page: OpenPage, app: App
) -> None:
    """A number that cannot be drawn is named beside its field, and nothing is chosen by the one before it."""
    page, axes = open_page("generate"), app.scenarios.axes()
    page.multiselect(key="axis-topics").set_value([t.topic_key for t in axes.topics]).run()
    page.segmented_control(key="axis-method").set_value(Method.SAMPLE).run()
    page.text_input(key="axis-number").set_value("3").run()
    assert starts(page) == ["Start batch of 3"]
    for typed in ("3.7", "99999999999999999999", ""):
        page.text_input(key="axis-number").set_value(typed).run()
        told = said(page).replace("\\", "")
        assert "How many to draw: " in told
        assert "is no whole number from 1 to 50,000" in told
        assert not starts(page)
    page.text_input(key="axis-number").set_value("4").run()
    assert starts(page) == ["Start batch of 4"]


def test_a_budget_that_cannot_be_read_is_told_once(
    open_page: OpenPage, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One slip of the hand has one cause: nobody is told of nothing being too little where a mark was meant."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-none")
    monkeypatch.setenv("BRIGHTRUN_WRITER", "claude")
    page = open_page("generate")
    page.text_input(key="order-budget").set_value("1,000").run()
    topic = app.scenarios.axes().topics[0].topic_key
    page.multiselect(key="axis-topics").set_value([topic]).run()
    [error] = page.error
    assert "read in one way only" in error.value
    assert not starts(page)


def test_a_price_that_changed_meanwhile_is_told_to_who_presses_start(
    open_page: OpenPage, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was priced otherwise is not started, and whoever pressed the button learns why nothing happened."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-none")
    monkeypatch.setenv("BRIGHTRUN_WRITER", "claude")
    page = open_page("generate")
    topic = app.scenarios.axes().topics[0].topic_key
    page.multiselect(key="axis-topics").set_value([topic]).run()
    page.text_input(key="order-budget").set_value("0.01").run()
    assert "lets nothing be written" in said(page)
    price = next(p for p in app.prices.in_force() if p.model == app.settings.model)
    app.prices.save(replace(price, output_usd=price.output_usd * 2), actor="ben")
    start = next(button for button in page.button if button.label.startswith("Start batch"))
    start.click().run()
    assert "The plan changed before it was started" in said(page)
    assert app.batches.count() == 0
    page.run()
    assert "The plan changed" not in said(page)


def test_a_plan_of_three_axes_says_what_a_cell_sums_up(open_page: OpenPage, app: App) -> None:
    """A map has two axes: the third is named with how many of it lie in a cell, and one of it can be looked at."""
    page, axes = open_page("generate"), app.scenarios.axes()
    page.multiselect(key="axis-personas").set_value([p.persona_key for p in axes.personas[:2]]).run()
    page.multiselect(key="axis-arcs").set_value([a.arc_key for a in axes.arcs[:3]]).run()
    page.multiselect(key="axis-topics").set_value([t.topic_key for t in axes.topics[:2]]).run()
    assert "of 3 emotional arcs together" in said(page)
    page.selectbox(key="plan-map-arc").set_value(axes.arcs[1].arc_key).run()
    assert "together" not in said(page)
