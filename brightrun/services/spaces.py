"""From axes to scenarios: everything allowed, a sample, or as few as cover every pair of values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from brightrun import saol
from brightrun.domain.errors import InvalidInput
from brightrun.domain.ids import JobId
from brightrun.domain.scenario import Scenario
from brightrun.domain.space import AtMost, Method, Never, Only, Parts, Rule, Space, Weight
from brightrun.services.covers import Combination, Mask, cover, spread
from brightrun.services.plans import MAX_ITEMS
from brightrun.services.scenarios import Axes, Scenarios
from brightrun.stores import scenarios as store

LOOKED_UP = 2_000
"""So many scenarios are looked up at once."""
NAMED = 5
"""Values that a sentence names one by one."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Scenarios chosen from a space, and how they lie in it."""

    scenarios: Sequence[Scenario]
    total: int
    allowed: int
    known: int
    """How many were left out because they are written or on their way."""
    strength: int
    """How many values are counted together below: as many as a cover was to hold, and pairs of anything else."""
    groups: int
    """How many groups of so many values the rules allow."""
    covered: int
    """How many of them stand together in a chosen scenario."""
    shut_out: Mapping[str, tuple[str, ...]]
    """By axis, the values that the rules leave no combination for."""

    def cautions(self, names: Mapping[str, Mapping[str, str]] | None = None) -> list[str]:
        """Return which values the rules shut out, which rules that contradict each other do unmeant; `names` by axis and value."""
        if not self.allowed:
            return []  # which is told as such
        told = []
        for axis, values in self.shut_out.items():
            known = (names or {}).get(axis, {})
            some = [known.get(value, value) for value in values[:NAMED]]
            rest = f" and {len(values) - NAMED:,} more" if len(values) > NAMED else ""
            told.append(f"The rules leave no combination for {axis} {', '.join(some)}{rest}.")
        return told


class Spaces:
    """Chooses scenarios; nothing is written and nothing but their fingerprints is looked up."""

    def __init__(self, db: saol.Database, scenarios: Scenarios) -> None:
        self._db = db
        self._scenarios = scenarios

    def space(
        self, axes: Mapping[str, Sequence[str]], rules: Sequence[Rule] = (), *, only_fitting: bool = False
    ) -> Space:
        """Return a space of the scaffolding's keys and of own variables; raises InvalidInput."""
        known = self._scenarios.axes(active_only=False)
        chosen = {axis: tuple(dict.fromkeys(values)) for axis, values in axes.items() if values}
        space = Space(chosen, rules, {arc.arc_key: arc.tier for arc in known.arcs})
        space.require()
        if only_fitting:
            space = Space(chosen, (*rules, *_suitable(known, chosen)), space.tier_of_arc)
        return space

    def choose(
        self,
        space: Space,
        method: Method = Method.EVERY,
        *,
        number: int | None = None,
        seed: int = 0,
        strength: int = 2,
        leave_out_known: bool = False,
    ) -> Chosen:
        """Return at most `number` scenarios, the same for the same seed; raises InvalidInput.

        A sample needs a number. `strength` is how many axes are covered together.
        """
        mask = _allowed(space)
        allowed = int(mask.sum())
        offered = self._offered(space, mask, method, number, seed, strength)
        limited = _limited(offered, space)
        taken = Counter[str]()
        fresh = self._fresh(limited, space, taken) if leave_out_known else limited
        scenarios, held = [], []
        for combination in islice(fresh, MAX_ITEMS + 1 if number is None else number):
            scenarios.append(space.scenario(combination))
            held.append(combination)
        if len(scenarios) > MAX_ITEMS:
            raise InvalidInput(
                f"More than {MAX_ITEMS:,} scenarios would be planned, which one job cannot hold.",
                remedy="Take a sample, cover the pairs, or choose fewer values.",
            )
        together = min(strength, len(space.axes)) if method is Method.COVER else 2
        groups, covered = _coverage(space, mask, held, together)
        shut_out = _shut_out(space, mask)
        return Chosen(scenarios, space.size, allowed, taken["known"], together, groups, covered, shut_out)

    def emptied(self, job_id: JobId | None = None) -> list[Scenario]:
        """Return the scenarios that rejection emptied, of one job or of all: what a top-up writes again."""
        return store.emptied(self._db, job_id, limit=MAX_ITEMS)

    def states(self, scenarios: Sequence[Scenario]) -> dict[str, store.State]:
        """Return what has become of scenarios before, by fingerprint."""
        found: dict[str, store.State] = {}
        marks = [scenario.fingerprint() for scenario in scenarios]
        for start in range(0, len(marks), LOOKED_UP):
            found |= store.states(self._db, marks[start : start + LOOKED_UP])
        return found

    def _offered(
        self, space: Space, mask: Mask, method: Method, number: int | None, seed: int, strength: int
    ) -> Iterator[Combination]:
        if method is Method.COVER:
            return _cover(space, mask, seed, strength)
        if method is Method.SAMPLE:
            if not number:
                raise InvalidInput("A sample needs a number.", remedy="Say how many scenarios to draw.")
            return _combinations(space, _drawn(space, mask, seed))
        return _combinations(space, np.flatnonzero(mask))

    def _fresh(
        self, offered: Iterator[Combination], space: Space, taken: Counter[str]
    ) -> Iterator[Combination]:
        """Leave out what is written or on its way, looking it up in portions."""
        while portion := list(islice(offered, LOOKED_UP)):
            marks = [space.scenario(combination).fingerprint() for combination in portion]
            states = store.states(self._db, marks)
            for mark, combination in zip(marks, portion, strict=True):
                if mark in states and states[mark].is_taken:
                    taken["known"] += 1
                else:
                    yield combination


def _suitable(known: Axes, chosen: Mapping[str, Sequence[str]]) -> list[Rule]:
    """Return what scaffolding says of itself as rules: an arc or topic may name whom it suits."""
    stated = [
        ("arc", arc.arc_key, {"persona": arc.suitable_personas, "topic": arc.suitable_topics})
        for arc in known.arcs
    ]
    stated += [
        (
            "topic",
            topic.topic_key,
            {"persona": topic.suitable_personas, "arc": topic.suitable_emotional_arcs},
        )
        for topic in known.topics
    ]
    return [
        Only(axis, (key,), {other: tuple(v for v in suitable if v in chosen[other])})
        for axis, key, others in stated
        if key in chosen.get(axis, ())
        for other, suitable in others.items()
        if suitable and other in chosen
    ]


def _allowed(space: Space) -> Mask:
    """Return which combinations the rules allow: one truth value each, an axis a dimension."""
    mask = np.ones([len(values) for values in space.axes.values()] if space.axes else [0], dtype=np.bool_)
    for rule in space.rules:
        if isinstance(rule, Never):
            mask[_block(space, rule.parts)] = False
        elif isinstance(rule, Only):
            for other, values in rule.others.items():
                rest = tuple(value for value in space.axes[other] if value not in values)
                if rest:
                    mask[_block(space, {rule.axis: rule.values, other: rest})] = False
    return mask


def _shut_out(space: Space, mask: Mask) -> dict[str, tuple[str, ...]]:
    """Return the values that no allowed combination holds, by axis."""
    found: dict[str, tuple[str, ...]] = {}
    for place, (axis, values) in enumerate(space.axes.items()):
        is_held = mask.any(axis=tuple(other for other in range(mask.ndim) if other != place))
        if lost := tuple(values[number] for number in np.flatnonzero(~is_held).tolist()):
            found[axis] = lost
    return found


def _block(space: Space, parts: Parts) -> tuple[NDArray[np.intp], ...]:
    """Return where values lie in the mask; an axis that is not named lies there whole."""
    places = []
    for axis, values in space.axes.items():
        wanted = parts.get(axis) or values
        lookup = {value: place for place, value in enumerate(values)}
        places.append(np.array([lookup[value] for value in wanted], dtype=np.intp))
    return np.ix_(*places)


def _drawn(space: Space, mask: Mask, seed: int) -> NDArray[np.intp]:
    """Return every allowed combination in the order of a weighted draw without replacement.

    Gumbel noise on the logarithm of the weights: Efraimidis and Spirakis, Weighted random sampling with a
    reservoir, Information Processing Letters 97 (2006), in logarithms.
    """
    log_weight = np.zeros(mask.shape, dtype=np.float32)
    for rule in space.rules:
        if isinstance(rule, Weight):
            log_weight[_block(space, rule.parts)] += np.log(rule.factor)
    places = np.flatnonzero(mask)
    keys = log_weight.reshape(-1)[places]
    keys += np.random.default_rng(seed).gumbel(size=len(places)).astype(np.float32)
    order: NDArray[np.intp] = places[np.argsort(-keys, kind="stable")]
    return order


def _combinations(space: Space, places: NDArray[np.intp]) -> Iterator[Combination]:
    names, axes = list(space.axes), list(space.axes.values())
    shape = [len(values) for values in axes]
    for start in range(0, len(places), LOOKED_UP):
        found = np.unravel_index(places[start : start + LOOKED_UP], shape)
        for row in zip(*(part.tolist() for part in found), strict=True):
            yield {name: axes[axis][place] for axis, (name, place) in enumerate(zip(names, row, strict=True))}


def _cover(space: Space, mask: Mask, seed: int, strength: int) -> Iterator[Combination]:
    """Cover and spread; what overfills a cell is left out where that loses least."""
    strength = min(strength, len(space.axes))
    if strength < 2:
        return _combinations(space, np.flatnonzero(mask))
    rows = cover(space, seed, strength)
    bare = list(_limited(iter(rows), space))
    even = list(_limited(iter(spread(space, mask, rows, strength)), space))
    worth = [(_coverage(space, mask, held, strength)[1], len(held)) for held in (bare, even)]
    return iter(even if worth[1] >= worth[0] else spread(space, mask, bare, strength))


def _limited(offered: Iterator[Combination], space: Space) -> Iterator[Combination]:
    """Leave out what would overfill a cell."""
    limits = [rule for rule in space.rules if isinstance(rule, AtMost)]
    filled = Counter[tuple[int, tuple[str, ...]]]()
    for combination in offered:
        found = [(number, limit.cell(combination)) for number, limit in enumerate(limits)]
        cells = [(number, cell) for number, cell in found if cell is not None]
        if all(filled[cell] < limits[cell[0]].number for cell in cells):
            filled.update(cells)
            yield combination


def _coverage(space: Space, mask: Mask, chosen: Sequence[Combination], together: int) -> tuple[int, int]:
    """Return how many groups of so many values of different axes are allowed, and how many were chosen."""
    names = list(space.axes)
    groups = covered = 0
    if together < 2:  # a single value stands together with nothing
        return 0, 0
    for group in combinations(range(len(names)), together):
        others = tuple(axis for axis in range(len(names)) if axis not in group)
        groups += int(mask.any(axis=others).sum())
        covered += len({tuple(row[names[axis]] for axis in group) for row in chosen})
    return groups, covered
