"""Spreading the spare places of a cover: nothing is lost, nothing forbidden comes in, and no value dominates."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from brightrun.bootstrap import App
from brightrun.domain.space import AtMost, Method, Never, Rule, Space, Weight
from brightrun.services.covers import Mask, cover, spread
from brightrun.services.spaces import Spaces

NAMES = "abcde"
Row = Mapping[str, str]


def space_of(sizes: Sequence[int], rules: Sequence[Rule] = ()) -> Space:
    axes = {
        name: tuple(f"{name}{number}" for number in range(size))
        for name, size in zip(NAMES, sizes, strict=False)
    }
    return Space(axes, rules)


def mask_of(space: Space) -> Mask:
    """Which combinations the rules leave, one by one."""
    axes = list(space.axes.items())
    mask = np.ones([len(values) for _, values in axes], dtype=np.bool_)
    for places in np.ndindex(mask.shape):
        row = {name: values[place] for (name, values), place in zip(axes, places, strict=True)}
        mask[places] = not any(
            isinstance(rule, Never) and all(row[axis] in named for axis, named in rule.parts.items())
            for rule in space.rules
        )
    return mask


def held(rows: Iterable[Row], strength: int) -> set[tuple[tuple[str, str], ...]]:
    return {group for row in rows for group in combinations(sorted(row.items()), strength)}


def unevenness(rows: Sequence[Row], axis: str) -> int:
    return sum(number**2 for number in Counter(row[axis] for row in rows).values())


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    sizes = draw(st.lists(st.integers(2, 5), min_size=2, max_size=5))
    axes = space_of(sizes).axes
    rules: list[Rule] = []
    for _ in range(draw(st.integers(0, 3))):
        pair = draw(st.lists(st.sampled_from(list(axes)), min_size=2, max_size=2, unique=True))
        rules.append(Never({axis: (draw(st.sampled_from(axes[axis])),) for axis in pair}))
    return space_of(sizes, rules)


NARROW = space_of(
    (3, 5, 2, 2, 5),
    [
        Never({"d": ("d0",), "c": ("c1",)}),
        Never({"a": ("a0",), "e": ("e0",)}),
        Never({"b": ("b0",), "c": ("c0",)}),
    ],
)
"""What values give up here for groups does not come back."""


@settings(max_examples=80, deadline=None)
@given(space=spaces(), seed=st.integers(0, 9), strength=st.integers(2, 4))
@example(space=NARROW, seed=0, strength=3)
def test_spreading_loses_nothing_and_lets_nothing_forbidden_in(
    space: Space, seed: int, strength: int
) -> None:
    """Whatever the rules: as many scenarios, no two alike, the same groups held, and no axis more lopsided in sum."""
    strength = min(strength, len(space.axes))
    rows = cover(space, seed, strength)
    even = spread(space, mask_of(space), rows, strength)
    assert len(even) == len(rows) == len({tuple(sorted(row.items())) for row in even})
    assert held(even, strength) == held(rows, strength)
    for rule in space.rules:
        assert isinstance(rule, Never)
        assert not [row for row in even if all(row[axis] in named for axis, named in rule.parts.items())]
    assert sum(unevenness(even, axis) for axis in space.axes) <= sum(
        unevenness(rows, axis) for axis in space.axes
    )
    assert even == spread(space, mask_of(space), rows, strength)


@settings(max_examples=40, deadline=None)
@given(space=spaces(), number=st.integers(1, 12), seed=st.integers(0, 3))
def test_a_limited_cell_is_never_overfilled_by_spreading(space: Space, number: int, seed: int) -> None:
    """A plan with a quota keeps it, and holds no fewer scenarios and pairs than without spreading."""
    limit = AtMost(number, {"a": ()})
    limited = Space(space.axes, [*space.rules, limit])
    rows = cover(limited, seed, 2)
    filled = Counter[str]()
    bare = [row for row in rows if not filled.update([row["a"]]) and filled[row["a"]] <= number]
    chosen = Spaces(None, None).choose(limited, Method.COVER, seed=seed)  # type: ignore[arg-type]
    got = Counter(scenario.variables["a"] for scenario in chosen.scenarios)
    assert max(got.values(), default=0) <= number
    assert chosen.covered >= len(held(bare, 2))


@pytest.mark.parametrize("seed", range(5))
def test_no_persona_gets_most_of_a_cover_of_the_scaffolding(app: App, seed: int) -> None:
    """Covering all personas, arcs and topics takes 200 scenarios, and each persona, arc and topic gets its share."""
    known = app.scenarios.axes()
    axes = {
        "persona": [p.persona_key for p in known.personas],
        "arc": [a.arc_key for a in known.arcs],
        "topic": [t.topic_key for t in known.topics],
    }
    chosen = app.spaces.choose(app.spaces.space(axes), Method.COVER, seed=seed)
    assert (chosen.covered, chosen.groups) == (320, 320)
    assert len(chosen.scenarios) <= 205, "arcs and topics alone need 200"
    for axis, values in axes.items():
        shares = Counter(getattr(scenario, f"{axis}_key") for scenario in chosen.scenarios)
        assert max(shares.values()) <= 1.3 * len(chosen.scenarios) / len(values)
    together = Counter((scenario.persona_key, scenario.arc_key) for scenario in chosen.scenarios)
    assert max(together.values()) <= 8, "five would be even, and 17 were"


def test_a_quota_costs_a_cover_no_more_than_it_must() -> None:
    """Four values with at most 45 scenarios each make 180, not the 107 that one crowded value would leave."""
    space = space_of((4, 10, 20), [AtMost(45, {"a": ()})])
    chosen = Spaces(None, None).choose(space, Method.COVER)  # type: ignore[arg-type]
    assert len(chosen.scenarios) == 180


def test_a_weight_draws_spare_places_to_its_value() -> None:
    """A persona that weighs three times as much stands in about three times as many scenarios of a cover."""
    space = space_of((4, 10, 20), [Weight(3, {"a": ("a1",)})])
    chosen = Spaces(None, None).choose(space, Method.COVER)  # type: ignore[arg-type]
    got = Counter(scenario.variables["a"] for scenario in chosen.scenarios)
    assert got["a1"] == pytest.approx(100, abs=3)
    assert chosen.covered == chosen.groups


def test_spreading_takes_a_fraction_of_what_covering_does() -> None:
    """Close to the most pairs a page covers, spreading adds little to the wait."""
    space = space_of((8, 60, 60))
    started = time.process_time()
    rows = cover(space, 0, 2)
    covered = time.process_time()
    spread(space, np.ones((8, 60, 60), dtype=np.bool_), rows, 2)
    assert time.process_time() - covered < 0.5 * (covered - started) + 0.5
