"""Scaffolding: edited, taken along as a table and brought back, and never deleted while used."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.bootstrap import App
from brightrun.domain.errors import Conflict, InvalidInput, NotFound
from brightrun.domain.scaffolding import DRAFTS, Kind, PersonaDraft, TopicDraft
from brightrun.domain.spreadsheet import cell, unguarded
from brightrun.services.scaffolding import Removal, to_csv
from tests.fakes import options

ARC = (
    *("arc_key", "name", "starting_emotion", "starting_intensity_min", "starting_intensity_max"),
    *("ending_emotion", "ending_intensity_min", "ending_intensity_max", "typical_turn_count_min"),
)
LINE = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=20).filter(
    lambda text: text == text.strip() and len(text.splitlines()) == 1
)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_table_taken_along_changes_nothing_where_it_is_brought_back(app: App, kind: Kind) -> None:
    """What the seed holds is exported, read and found to be the same, field by field."""
    change = app.scaffolding.from_csv(kind, app.scaffolding.to_csv(kind), "x.csv")
    assert (change.new, change.changed) == ([], [])
    assert len(change.same) == len(app.scaffolding.all(kind))


@given(LINE, LINE, st.lists(LINE, max_size=3))
def test_every_text_survives_the_table_and_none_is_a_formula(
    name: str, about: str, questions: list[str]
) -> None:
    """Whatever is written in a field comes back as it was, and a spreadsheet calculates none of it."""
    draft = PersonaDraft(
        persona_key="a",
        name=name,
        archetype=about,
        typical_questions=tuple(questions),
        demographics={"home": about},
    )
    rows = list(csv.reader(io.StringIO(to_csv(Kind.PERSONA, [draft]).decode("utf-8-sig"), newline="")))
    held = dict(zip(rows[0], rows[1], strict=True))
    assert not any(text.startswith(("=", "+", "-", "@", "\t")) for text in rows[1])
    assert unguarded(held["name"]) == name
    assert unguarded(held["archetype"]) == about
    assert tuple(unguarded(held["typical_questions"]).splitlines()) == tuple(questions)
    assert unguarded(held["demographics"]) == f"home: {about}"


@given(st.text(max_size=6))
def test_a_guarded_cell_comes_back_as_it_was(text: str) -> None:
    """One rule writes cells and one reads them, apostrophes included."""
    written = cell(text)[1:-1].replace('""', '"')
    assert unguarded(written) == text


def test_rows_are_saved_all_or_none(app: App) -> None:
    """A table with new, changed and untouched rows is one step; what it does not name stays."""
    topics = app.scaffolding.all(Kind.TOPIC)
    changed = topics[0].model_copy(update={"description": "=1+1, said as text"})
    new = TopicDraft(topic_key="boat_licence", name="A boat licence", suitable_personas=("anxious_planner",))
    data = to_csv(Kind.TOPIC, [changed, topics[1], new])
    change = app.scaffolding.from_csv(Kind.TOPIC, data, "topics.csv")
    assert (change.new, len(change.changed), len(change.same)) == (["boat_licence"], 1, 1)
    assert app.scaffolding.save(Kind.TOPIC, change.drafts, seen=change.before) == 3
    assert len(app.scaffolding.all(Kind.TOPIC)) == len(topics) + 1
    found = {topic.topic_key: topic for topic in app.scenarios.axes().topics}
    assert found["boat_licence"].suitable_personas == ("anxious_planner",)
    assert "=1+1, said as text" in {topic.description for topic in found.values()}


@pytest.mark.parametrize("kind", list(Kind))
def test_a_table_with_only_some_columns_leaves_the_others_as_they_are(app: App, kind: Kind) -> None:
    """A table that corrects names neither empties the other columns nor offers again what was taken out."""
    key = app.scaffolding.all(kind)[0].model_dump()[kind.key]
    app.scaffolding.offer(kind, key, active=False)
    before = app.scaffolding.all(kind)
    change = app.scaffolding.from_csv(kind, f"{kind.key},name\n{key},Another\n".encode(), "few.csv")
    assert (change.new, change.changed) == ([], [key])
    app.scaffolding.save(kind, change.drafts, seen=change.before)
    assert app.scaffolding.all(kind) == [before[0].model_copy(update={"name": "Another"}), *before[1:]]


@pytest.mark.parametrize("kind", list(Kind))
def test_what_somebody_else_has_made_of_it_is_not_written_over(app: App, kind: Kind) -> None:
    """The second of two editors is told, and so is whoever gives something new a key that is taken."""
    before = app.scaffolding.all(kind)
    ours, theirs = (before[0].model_copy(update={"name": name}) for name in ("Ours", "Theirs"))
    app.scaffolding.save(kind, [theirs], seen=[before[0]])
    with pytest.raises(Conflict, match="Somebody has changed"):
        app.scaffolding.save(kind, [ours, before[1]], seen=before[:2])
    with pytest.raises(Conflict, match="already"):
        app.scaffolding.save(kind, [ours])
    assert app.scaffolding.all(kind) == [theirs, *before[1:]]
    app.scaffolding.save(kind, [ours], seen=[theirs])
    another = ours.model_copy(update={kind.key: "another"})
    app.scaffolding.save(kind, [another])
    app.scaffolding.remove(kind, "another")
    with pytest.raises(Conflict, match="Somebody has changed"):
        app.scaffolding.save(kind, [another], seen=[another])
    assert app.scaffolding.all(kind) == [ours, *before[1:]]


def test_a_key_that_was_changed_is_said_to_make_a_second_one(app: App) -> None:
    """Who changes a key in a table learns that the old one stays, before there are two of one name."""
    kept, held = app.scaffolding.all(Kind.TOPIC)[0].model_dump(), app.scaffolding.all(Kind.TOPIC)
    text = to_csv(Kind.TOPIC, held).decode().replace(f'\n"{kept["topic_key"]}"', '\n"another_key"')
    change = app.scaffolding.from_csv(Kind.TOPIC, text.encode(), "topics.csv")
    (note,) = change.notes
    assert note.startswith(f"another_key is new and has the name of {kept['topic_key']}")
    assert app.scaffolding.from_csv(Kind.TOPIC, to_csv(Kind.TOPIC, held), "topics.csv").notes == ()


def test_a_new_row_of_a_table_with_only_some_columns_gets_defaults(app: App) -> None:
    """What is new needs its required columns, and is offered unless the table says otherwise."""
    known = app.scaffolding.all(Kind.TOPIC)[0].model_dump()["topic_key"]
    text = f"topic_key,name\n{known},Known\nboat_licence,A boat licence\n"
    change = app.scaffolding.from_csv(Kind.TOPIC, text.encode(), "few.csv")
    assert change.drafts[1] == TopicDraft(topic_key="boat_licence", name="A boat licence")
    text = f"topic_key,is_active\n{known},no\n"
    assert app.scaffolding.from_csv(Kind.TOPIC, text.encode(), "few.csv").changed == [known]
    with pytest.raises(InvalidInput, match="lacks the column name"):
        app.scaffolding.from_csv(Kind.TOPIC, f"{text}boat_licence,yes\n".encode(), "few.csv")


@pytest.mark.parametrize("kind", list(Kind))
def test_an_empty_cell_of_a_column_that_may_be_left_out_is_its_default(app: App, kind: Kind) -> None:
    """Who leaves cells blank gets what is offered as usual, in new rows and in rows of what was taken out."""
    fields = DRAFTS[kind].model_fields
    seen = app.scaffolding.all(kind)[0]
    old = seen.model_copy(update={"is_active": False})
    app.scaffolding.save(kind, [old], seen=[seen])
    new = old.model_copy(update={kind.key: "another"})
    rows = list(csv.reader(io.StringIO(to_csv(kind, [old, new]).decode("utf-8-sig"), newline="")))
    blank = [
        [text if fields[name].is_required() else " " for name, text in zip(rows[0], row, strict=True)]
        for row in rows[1:]
    ]
    written = io.StringIO(newline="")
    csv.writer(written).writerows([rows[0], *blank])
    change = app.scaffolding.from_csv(kind, written.getvalue().encode(), "blank.csv")
    needed = {name: value for name, value in old.model_dump().items() if fields[name].is_required()}
    assert change.drafts == [DRAFTS[kind](**needed), DRAFTS[kind](**needed | {kind.key: "another"})]
    assert all(draft.model_dump()["is_active"] for draft in change.drafts)


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        (Kind.TOPIC, "topic_key,name,colour\na,b,c\n", "no column 'colour'"),
        (Kind.TOPIC, "topic_key,nam\na,b\n", "no column 'nam'"),
        (Kind.TOPIC, "topic_key\na\n", "lacks the column name"),
        (Kind.TOPIC, "topic_key,name\na,b\nA!,c\n", "Line 3, column topic_key: 'A!' is no key"),
        (Kind.TOPIC, "topic_key,name\na,b\na,c\n", "stands in line 2 already"),
        (
            Kind.TOPIC,
            "topic_key,name,complexity_level\na,b,hard\n",
            "Line 2, column complexity_level: 'hard' is none of 'beginner'",
        ),
        (
            Kind.TOPIC,
            "topic_key,name,suitable_personas\na,b,nobody\n",
            "Line 2, a, column suitable_personas: there is no persona 'nobody'",
        ),
        (
            Kind.TOPIC,
            "topic_key,name,is_active\na,b,maybe\n",
            "Line 2, column is_active: 'maybe' is neither yes nor no",
        ),
        (Kind.PERSONA, "persona_key,name\na, \n", "Line 2, column name: it is empty"),
        (
            Kind.ARC,
            f"{','.join(ARC)}\na,A,fear,0.9,0.2,calm,0.1,1.5,3\n",
            "Line 2, column ending_intensity_max: '1.5' is more than 1",
        ),
        (
            Kind.ARC,
            f"{','.join(ARC)}\na,A,fear,much,0.5,calm,0.1,0.5,4\n",
            "Line 2, column starting_intensity_min: 'much' is not a number.",
        ),
        (
            Kind.ARC,
            f"{','.join(ARC)}\n\na,A,fear,much,,calm,0.1,0.5,3\n",
            "Line 3, column starting_intensity_max: it is empty.\nLine 3, column typical_turn_count_min: '3' is not",
        ),
        (
            Kind.ARC,
            f"{','.join(ARC)}\na,A,fear,0.9,0.2,calm,0.1,0.5,4\n",
            "Line 2, starting_intensity_min is more than starting_intensity_max.",
        ),
        (
            Kind.TOPIC,
            'topic_key,name,key_concepts\na,b,"one\ntwo"\nA!,c,\n',
            "Line 4, column topic_key: 'A!' is no key",
        ),
        (
            Kind.TOPIC,
            'topic_key,name,suitable_personas\na,b,"anxious_planner\nThe other"\n',
            "column suitable_personas, number 2 of its list: 'The other' is no key",
        ),
    ],
)
def test_what_is_wrong_in_a_table_is_named_with_row_and_column(
    app: App, kind: Kind, text: str, said: str
) -> None:
    """Nothing is saved while anything is wrong, and the message leads to the cell."""
    before = app.scaffolding.all(kind)
    with pytest.raises(InvalidInput) as caught:
        app.scaffolding.save(kind, app.scaffolding.from_csv(kind, text.encode(), "x.csv").drafts)
    assert said in f"{caught.value}"
    assert app.scaffolding.all(kind) == before


def test_a_decimal_comma_is_a_decimal_point(app: App) -> None:
    """A table from a spreadsheet that writes 0,7 is read as it was meant."""
    text = f"{';'.join(ARC)}\na;A;fear;0,2;,7;calm;0,1;1;4\n"
    (draft,) = app.scaffolding.from_csv(Kind.ARC, text.encode(), "x.csv").drafts
    held = draft.model_dump()
    assert [held[f"starting_intensity_{end}"] for end in ("min", "max")] == [0.2, 0.7]


def test_what_is_used_is_put_aside_and_what_is_not_is_deleted(app: App) -> None:
    """A persona of a batch stays readable and is not offered; an unused one goes; an unknown one is named."""
    new = PersonaDraft(persona_key="harbour_master", name="Ada Holm")
    app.scaffolding.save(Kind.PERSONA, [new])
    topic = app.scenarios.axes().topics[0].topic_key
    scenarios = app.scenarios.product(["harbour_master"], [], [topic])
    job = app.batches.create(app.planner.plan(scenarios, options()), name="one", actor="ana")
    assert app.scaffolding.remove(Kind.PERSONA, "harbour_master") == (Removal.DEACTIVATED, 1)
    assert "harbour_master" not in {p.persona_key for p in app.scenarios.axes().personas}
    app.batches.process_next(job.id)
    assert app.batches.get(job.id).counts.completed == 1, "a batch that has it goes on"
    app.scaffolding.offer(Kind.PERSONA, "harbour_master", active=True)
    assert "harbour_master" in {p.persona_key for p in app.scenarios.axes().personas}

    app.scaffolding.save(Kind.PERSONA, [new.model_copy(update={"persona_key": "nobody_needs"})])
    assert app.scaffolding.remove(Kind.PERSONA, "nobody_needs") == (Removal.REMOVED, 0)
    with pytest.raises(NotFound, match="no persona 'nobody_needs'"):
        app.scaffolding.remove(Kind.PERSONA, "nobody_needs")


@pytest.mark.parametrize("kind", list(Kind))
def test_uses_count_what_names_a_key(app: App, kind: Kind) -> None:
    """An arc that a template was written for cannot be deleted, batch or no batch."""
    uses = app.scaffolding.uses(kind)
    keys = {getattr(draft, kind.key) for draft in app.scaffolding.all(kind)}
    assert set(uses) <= keys
    if kind is Kind.ARC:
        arc = next(t.arc_key for t in app.templates.all() if t.arc_key)
        assert app.scaffolding.remove(kind, arc)[0] is Removal.DEACTIVATED
