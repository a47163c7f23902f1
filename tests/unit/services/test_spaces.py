"""Choosing scenarios from a space: what is allowed, what is covered, and what is written already."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brightrun.bootstrap import App
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.errors import InvalidInput
from brightrun.domain.review import ConversationFilter, Decision, Seen
from brightrun.domain.scenario import Scenario
from brightrun.domain.space import AtMost, Method, Never, Only, Rule, Space, Weight, parse_rule
from brightrun.services.spaces import Spaces

AXES = {
    name: tuple(f"{name}{number}" for number in range(size))
    for name, size in zip("abc", (3, 4, 2), strict=True)
}
WIDE = {
    "persona": [f"p{n}" for n in range(12)],
    "arc": [f"a{n}" for n in range(10)],
    "topic": [f"t{n}" for n in range(25)],
    "tier": ["template", "scenario", "edge_case"],
}
WIDE_RULES = ["never persona=p1,p2 topic=t3,t4", "only tier=edge_case arc=a8,a9", "never arc=a0 topic=t24"]


def is_allowed(values: Mapping[str, str], rules: Sequence[Rule]) -> bool:
    """The rules in the plainest words, for comparison."""
    for rule in rules:
        if isinstance(rule, Never) and all(values[axis] in named for axis, named in rule.parts.items()):
            return False
        if (
            isinstance(rule, Only)
            and values[rule.axis] in rule.values
            and not all(values[axis] in named for axis, named in rule.others.items())
        ):
            return False
    return True


def every(axes: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    for row in product(*axes.values()):
        yield dict(zip(axes, row, strict=True))


def values_of(scenario: Scenario, axes: Mapping[str, Sequence[str]]) -> dict[str, str]:
    known = {
        "persona": scenario.persona_key,
        "arc": scenario.arc_key,
        "topic": scenario.topic_key,
        "tier": scenario.tier,
    }
    return {axis: str(known[axis] if axis in known else scenario.variables[axis]) for axis in axes}


def parts(draw: st.DrawFn, axes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    return {
        axis: tuple(draw(st.lists(st.sampled_from(AXES[axis]), min_size=1, max_size=3, unique=True)))
        for axis in axes
    }


@st.composite
def rules(draw: st.DrawFn) -> list[Rule]:
    made: list[Rule] = []
    for _ in range(draw(st.integers(0, 4))):
        axes = draw(st.lists(st.sampled_from("abc"), min_size=2, max_size=3, unique=True))
        named = parts(draw, axes)
        if draw(st.booleans()):
            made.append(Never(named))
        else:
            made.append(Only(axes[0], named[axes[0]], {axis: named[axis] for axis in axes[1:]}))
    return made


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=rules(), method=st.sampled_from(Method), seed=st.integers(0, 5))
def test_what_is_chosen_is_what_the_rules_allow(
    app: App, rules: list[Rule], method: Method, seed: int
) -> None:
    """Whatever the rules, nothing forbidden is planned, and everything or every pair that is allowed is."""
    space = Space(AXES, rules)
    allowed = [values for values in every(AXES) if is_allowed(values, rules)]
    chosen = app.spaces.choose(space, method, number=100, seed=seed)
    got = [values_of(scenario, AXES) for scenario in chosen.scenarios]
    pairs = {pair for values in allowed for pair in combinations(values.items(), 2)}
    assert all(values in allowed for values in got)
    assert len({tuple(values.items()) for values in got}) == len(got)
    assert (chosen.allowed, chosen.groups, chosen.covered) == (len(allowed), len(pairs), len(pairs))
    assert {pair for values in got for pair in combinations(values.items(), 2)} == pairs
    held = {pair for values in allowed for pair in values.items()}
    lost = {axis: tuple(v for v in values if (axis, v) not in held) for axis, values in AXES.items()}
    assert dict(chosen.shut_out) == {axis: values for axis, values in lost.items() if values}
    if method is not Method.COVER:
        assert len(got) == len(allowed)


@pytest.mark.parametrize("strength", [2, 3])
def test_few_scenarios_cover_every_allowed_pair(strength: int) -> None:
    """Of 9,000 combinations a few hundred hold every allowed pair, 3,000 every triple, counted one by one."""
    axes, rules = WIDE, [parse_rule(text) for text in WIDE_RULES]
    space = Space(axes, rules)
    chosen = Spaces(None, None).choose(space, Method.COVER, strength=strength)  # type: ignore[arg-type]
    got = [values_of(scenario, axes) for scenario in chosen.scenarios]
    wanted = {
        group
        for values in every(axes)
        if is_allowed(values, rules)
        for group in combinations(values.items(), strength)
    }
    assert all(is_allowed(values, rules) for values in got)
    assert {group for values in got for group in combinations(values.items(), strength)} == wanted
    if strength == 2:
        assert len(got) <= 1.05 * 12 * 25, "no more than the two largest axes need"
    else:
        assert len(got) <= 1.05 * 12 * 10 * 25, "no more than the three largest axes need"
    assert chosen.covered == chosen.groups


def test_a_sample_is_the_same_for_the_same_seed_and_follows_the_weights() -> None:
    """A seed draws the same scenarios again; a value that weighs nine times as much comes far more often."""
    spaces = Spaces(None, None)  # type: ignore[arg-type]
    space = Space(WIDE, [Weight(9, {"persona": ("p0",)})])
    drawn = [spaces.choose(space, Method.SAMPLE, number=300, seed=seed).scenarios for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    heavy = Counter(scenario.persona_key for scenario in drawn[0])["p0"]
    assert 100 < heavy < 170, "9 of 20 parts would be 135"


def test_no_cell_is_overfilled() -> None:
    """A quota holds in every cell it speaks of and nowhere else."""
    space = Space(WIDE, [AtMost(2, {"persona": (), "tier": ("edge_case",)}), AtMost(3, {"topic": ("t0",)})])
    chosen = Spaces(None, None).choose(space).scenarios  # type: ignore[arg-type]
    edge = Counter(s.persona_key for s in chosen if s.tier == "edge_case")
    assert set(edge.values()) == {2}
    assert sum(s.topic_key == "t0" for s in chosen) == 3
    assert sum(s.topic_key == "t1" and s.tier == "template" for s in chosen) == 120


def test_a_million_combinations_are_drawn_from_in_bounded_memory() -> None:
    """Drawing a thousand of a million combinations takes tens of megabytes, not a million objects."""
    space = Space({name: [f"{name}{n}" for n in range(100)] for name in "abc"})
    tracemalloc.start()
    chosen = Spaces(None, None).choose(space, Method.SAMPLE, number=1_000)  # type: ignore[arg-type]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(chosen.scenarios), chosen.total) == (1_000, 1_000_000)
    assert peak < 80e6, f"{peak / 1e6:.0f} MB"


def test_rules_that_contradict_each_other_name_whom_they_shut_out() -> None:
    """A persona that may only have one topic, and only another, is missed before the batch is paid for."""
    rules = [parse_rule("only a=a0 b=b0"), parse_rule("only a=a0 b=b1")]
    chosen = Spaces(None, None).choose(Space(AXES, rules))  # type: ignore[arg-type]
    assert chosen.scenarios
    assert chosen.cautions({"a": {"a0": "Anna"}}) == ["The rules leave no combination for a Anna."]
    some = Spaces(None, None).choose(Space(AXES, rules[:1]))  # type: ignore[arg-type]
    assert some.cautions() == []


def test_too_much_is_refused_with_a_way_out() -> None:
    """A plan no job could hold, and a cover that would take minutes, say what to do instead."""
    spaces = Spaces(None, None)  # type: ignore[arg-type]
    large = Space({name: [f"{name}{n}" for n in range(100)] for name in "abc"})
    with pytest.raises(InvalidInput, match="Take a sample"):
        spaces.choose(large)
    with pytest.raises(InvalidInput, match="Draw a sample"):
        spaces.choose(large, Method.COVER)
    with pytest.raises(InvalidInput, match="A sample needs a number"):
        spaces.choose(large, Method.SAMPLE)


def test_what_suits_is_what_the_scaffolding_says(app: App, dsn: str) -> None:
    """Leaving out parts that are not made for each other leaves exactly the scenarios that fit."""
    axes = app.scenarios.axes()
    persona, arc, topic = axes.personas[0].persona_key, axes.arcs[1].arc_key, axes.topics[2].topic_key
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update public.emotional_arcs set suitable_personas = array[%s] where arc_key = %s",
            [persona, arc],
        )
        connection.execute(
            "update public.training_topics set suitable_emotional_arcs = array[%s, 'gone'] where topic_key = %s",
            [arc, topic],
        )
    app.scenarios.refresh()
    chosen = {
        "persona": [p.persona_key for p in axes.personas],
        "arc": [a.arc_key for a in axes.arcs],
        "topic": [t.topic_key for t in axes.topics],
    }
    whole = app.spaces.choose(app.spaces.space(chosen)).scenarios
    fitting = app.spaces.choose(app.spaces.space(chosen, only_fitting=True)).scenarios
    assert list(fitting) == app.scenarios.fitting(whole)
    assert 0 < len(fitting) < len(whole)


def test_what_is_written_or_on_its_way_is_left_out_until_it_is_rejected(app: App) -> None:
    """A scenario in a running job or with a conversation is not planned again; a rejected one is topped up."""
    axes = app.scenarios.axes()
    chosen = {"persona": [p.persona_key for p in axes.personas], "arc": [axes.arcs[0].arc_key]}
    space = app.spaces.space(chosen)
    whole = app.spaces.choose(space).scenarios
    job = app.batches.create(
        app.planner.plan(whole[:2], JobOptions(WriterName.DEMO, "demo", 16_000)), name="first", actor="ana"
    )
    left = app.spaces.choose(space, leave_out_known=True)
    assert (list(left.scenarios), left.known) == (list(whole[2:]), 2)

    while app.batches.get(job.id).is_open:
        app.batches.process_next(job.id)
    assert app.spaces.choose(space, leave_out_known=True).known == 2
    assert app.spaces.emptied() == []

    item = app.batches.items(job.id)[0]
    assert item.conversation_id is not None
    rows = [Seen(row["id"], row["row_version"]) for row in app.reviews.page(ConversationFilter())]
    seen = [row for row in rows if row.id == item.conversation_id]
    assert app.reviews.decide(seen, Decision.REJECTED, reviewer="ana").decided == 1
    assert app.spaces.emptied(job.id) == app.spaces.emptied() == [item.scenario], "the cell is empty again"
    assert app.spaces.states([item.scenario])[item.scenario.fingerprint()].rejected == 1
    assert app.spaces.choose(space, leave_out_known=True).known == 1
    app.batches.create(
        app.planner.plan([item.scenario], JobOptions(WriterName.DEMO, "demo", 16_000, seed=1)),
        name="top up",
        actor="ana",
    )
    assert app.spaces.emptied() == []
