"""Scenarios from axes and sheets: how many, which are the same, which parts are unknown."""

from __future__ import annotations

import pytest

from brightrun.bootstrap import App
from brightrun.domain.errors import InvalidInput
from brightrun.domain.scenario import Tier
from brightrun.services.scenarios import Planned, guess_mapping
from brightrun.services.sheets import read_sheet


def read(app: App, text: str, mapping: dict[str, str] | None = None) -> Planned:
    return app.scenarios.from_sheet(read_sheet(text.encode(), "mine.csv"), mapping)


def test_axes_are_combined_whole(app: App) -> None:
    """Two personas, three arcs and two topics are twelve scenarios, each once."""
    axes = app.scenarios.axes()
    made = app.scenarios.product(
        [p.persona_key for p in axes.personas[:2]],
        [a.arc_key for a in axes.arcs[:3]],
        [t.topic_key for t in axes.topics[:2]],
    )
    assert len({s.fingerprint() for s in made}) == len(made) == 12


def test_an_empty_axis_stays_open_and_no_axis_is_nothing(app: App) -> None:
    """Leaving an axis empty leaves it open; choosing nothing at all makes no scenario."""
    key = app.scenarios.axes().topics[0].topic_key
    (only,) = app.scenarios.product([], [], [key])
    assert (only.persona_key, only.arc_key, only.topic_key) == (None, None, key)
    assert app.scenarios.product([], [], []) == []


def test_equal_rows_are_one_scenario(app: App) -> None:
    """Duplicates are left out, counted and named; white space at the ends does not make a difference."""
    planned = read(app, "scenario,mood\nRing a bell,calm\n Ring a bell , calm\nRing a bell,loud\n")
    assert (len(planned.scenarios), planned.duplicates) == (2, 1)
    assert planned.notes == ["Left out: line 3 is line 2 again."]
    many = read(app, "scenario\n" + "Ring a bell\n" * 8)
    assert many.duplicates == 7
    assert many.notes[0].endswith("line 6 is line 2 again, line 7 is line 2 again, and 2 more.")


def test_columns_feed_the_variables_they_are_mapped_to(app: App) -> None:
    """A column goes where the mapping says, scaffolding columns are looked up, a dash drops one."""
    axes = app.scenarios.axes()
    persona, arc = axes.personas[0].persona_key, axes.arcs[0].arc_key
    text = f"Who,Wie,Story,Remark\n{persona},{arc},Ring a bell,skip me\n"
    (made,) = read(app, text, {"Who": "persona", "Wie": "arc", "Story": "scenario", "Remark": "-"}).scenarios
    assert (made.persona_key, made.arc_key, dict(made.variables)) == (
        persona,
        arc,
        {"scenario": "Ring a bell"},
    )
    assert made.tier is app.scenarios.axes().arcs[0].tier


def test_the_guess_knows_what_columns_usually_mean() -> None:
    """Columns called like the scaffolding are taken for it, others become variables by their name."""
    guess = guess_mapping(["Persona", "emotional_arc", "Topic Key", "Opening Line"])
    assert guess["Persona"] == "persona"
    assert guess["emotional_arc"] == "arc"
    assert guess["Opening Line"] == "opening_line"


@pytest.mark.parametrize(
    ("text", "mapping", "said"),
    [
        ("persona,scenario\nmarcus_the_unknown,x\n", None, "mine.csv, line 2: There is no persona"),
        ("tier,scenario\nhuge,x\n", None, "mine.csv, line 2: There is no tier"),
        ("scenario\nx\n", {"senario": "scenario"}, "senario"),
        ("a,b\nx,y\n", {"a": "scenario", "b": "scenario"}, "scenario"),
    ],
)
def test_what_is_not_there_is_named_with_its_line(
    app: App, text: str, mapping: dict[str, str] | None, said: str
) -> None:
    """An unknown persona, tier or column is an error with its place before anything is planned."""
    with pytest.raises(InvalidInput, match=said):
        read(app, text, mapping)


@pytest.mark.parametrize("column", ["persona", "tier"])
def test_a_fault_is_told_by_the_line_an_editor_shows(app: App, column: str) -> None:
    """Blank rows and line breaks within the cells above count, so that the line leads to the row."""
    text = f'scenario,{column}\n\n"one\ntwo\nthree",\n"four\nfive",nobody_at_all\n'
    with pytest.raises(InvalidInput, match=f"mine.csv, line 6: There is no {column}"):
        read(app, text)


def test_a_tier_may_stand_in_the_sheet(app: App) -> None:
    """The tier column decides over the default."""
    assert [s.tier for s in read(app, "tier,scenario\nedge_case,x\n").scenarios] == [Tier.EDGE_CASE]
