"""Few scenarios that hold every allowed group of values, and as many of each value as that leaves room for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations

import covertable
import numpy as np
from numpy.typing import NDArray

from brightrun.domain.errors import InvalidInput
from brightrun.domain.space import AtMost, Never, Only, Space, Weight

COVERED = 10_000
"""Covering more pairs, or triples, of values than these takes longer than a page waits; a sample is the way there."""
ROUGH, FINE = 3, 20
"""So often each place is looked at at most: groups gain little after three rounds, single values end by themselves."""

Mask = NDArray[np.bool_]
Combination = dict[str, str]
Places = tuple[int, ...]
"""One combination, by the place of each value on its axis."""
Gain = tuple[int, float, int]
"""What a change makes worse: scenarios too many in a limited cell, lopsided axes, groups held unequally often."""


def cover(space: Space, seed: int, strength: int) -> list[Combination]:
    """Return combinations that hold every allowed group of so many values; raises InvalidInput for too many."""
    sizes = [len(values) for values in space.axes.values()]
    work = sum(int(np.prod(group)) for group in combinations(sizes, strength))
    if work > COVERED:
        raise InvalidInput(
            f"{work:,} combinations of {strength} values are too many to cover ({COVERED:,}).",
            remedy="Draw a sample instead, or choose fewer values.",
        )
    rows: list[Combination] = covertable.make(
        {axis: list(values) for axis, values in space.axes.items()},
        strength=strength,
        constraints=[_condition(rule) for rule in space.rules if isinstance(rule, Never | Only)],
        salt=str(seed),
    )
    return rows


def spread(space: Space, mask: Mask, rows: Sequence[Combination], strength: int) -> list[Combination]:
    """Return as many combinations that hold the same groups, with the spare places spread over the values.

    covertable fills a place that no group needs with the first value of its axis, so one persona would get
    most of a batch.
    """
    if strength >= len(space.axes):  # every combination is a group of its own: no place is spare
        return list(rows)
    even = _Spread(space, mask, rows, strength)
    before = even.unevenness()
    even.settle(rough=True)
    if even.unevenness() > before:  # what values gave up for groups did not all come back
        even = _Spread(space, mask, rows, strength)
        even.settle(rough=False)
    return even.combinations()


def _condition(rule: Never | Only) -> dict[str, object]:
    if isinstance(rule, Never):
        together = [_among(axis, values) for axis, values in rule.parts.items()]
        return {"operator": "not", "condition": {"operator": "and", "conditions": together}}
    elsewhere = {"operator": "not", "condition": _among(rule.axis, rule.values)}
    others = [_among(axis, values) for axis, values in rule.others.items()]
    return {"operator": "or", "conditions": [elsewhere, {"operator": "and", "conditions": others}]}


def _among(axis: str, values: Iterable[str]) -> dict[str, object]:
    return {"operator": "in", "left": axis, "values": list(values)}


class _Spread:
    """Exchanges one value of a combination at a time while that makes the whole more even and loses no group."""

    def __init__(self, space: Space, mask: Mask, rows: Sequence[Combination], strength: int) -> None:
        self._space = space
        self._mask = mask
        self._names = list(space.axes)
        self._values = [list(values) for values in space.axes.values()]
        at = [{value: place for place, value in enumerate(values)} for values in self._values]
        self._rows: list[Places] = [
            tuple(at[axis][row[name]] for axis, name in enumerate(self._names)) for row in rows
        ]
        self._taken = set(self._rows)
        self._strict = False
        groups = list(combinations(range(len(self._names)), strength))
        self._groups = [[group for group in groups if axis in group] for axis in range(len(self._names))]
        self._held = {
            group: Counter(tuple(row[axis] for axis in group) for row in self._rows) for group in groups
        }
        self._count = [Counter(row[axis] for row in self._rows) for axis in range(len(self._names))]
        self._weight = [_weights(space, name) for name in self._names]
        self._limits = [rule for rule in space.rules if isinstance(rule, AtMost)]
        self._filled = Counter(cell for row in self._rows for cell in self._cells(row))

    def settle(self, *, rough: bool) -> None:
        """Exchange until no exchange makes them more even: values before all else, after values and groups at once."""
        if rough:
            self._exchange_for(ROUGH)
        self._strict = True
        self._exchange_for(FINE)

    def combinations(self) -> list[Combination]:
        """Return the combinations as they stand now."""
        return [self._combination(row) for row in self._rows]

    def unevenness(self) -> float:
        """Return the sum of squared counts over weights, of all axes."""
        axes = zip(self._count, self._weight, strict=True)
        return round(sum(n**2 / weight[value] for count, weight in axes for value, n in count.items()), 6)

    def _exchange_for(self, rounds: int) -> None:
        """Exchange until nothing gets better by it."""
        for _ in range(rounds):
            # From the end: whoever takes the first so many only keeps what those held.
            moves = [
                self._move(number, axis)
                for axis in range(len(self._names))
                for number in reversed(range(len(self._rows)))
            ]
            if not any(moves):
                break

    def _move(self, number: int, axis: int) -> bool:
        """Exchange the value of one combination on one axis for the best there is; False where there is none."""
        row = self._rows[number]
        if any(self._held[group][_part(row, group)] < 2 for group in self._groups[axis]):
            return False
        best = min(self._exchanges(row, axis), default=None)
        if best is None:
            return False
        self._exchange(number, axis, (*row[:axis], best[1], *row[axis + 1 :]))
        return True

    def _exchanges(self, row: Places, axis: int) -> Iterator[tuple[Gain, int]]:
        """Yield what each value would change for the better, where it may stand."""
        crowded = sum(self._filled[cell] > self._limits[cell[0]].number for cell in self._cells(row))
        for value in range(len(self._values[axis])):
            lopsided = self._lopsided(axis, row[axis], value)
            if value == row[axis] or (self._strict and lopsided > 0 and not crowded):
                continue
            changed = (*row[:axis], value, *row[axis + 1 :])
            if changed in self._taken or not self._mask[changed]:
                continue
            relieved = self._relieved(row, changed) if self._limits else 0
            if relieved is None:
                continue
            repeated = 2 * self._repeated(row, changed, axis)
            gain = (-relieved, lopsided, repeated) if self._strict else (-relieved, lopsided + repeated, 0)
            if gain < (0, 0, 0):
                yield gain, value

    def _lopsided(self, axis: int, old: int, new: int) -> float:
        """Return by how much the sum of squared counts over weights grows: least where all are as heavy."""
        count, weight = self._count[axis], self._weight[axis]
        return round((2 * count[new] + 1) / weight[new] - (2 * count[old] - 1) / weight[old], 9)

    def _repeated(self, row: Places, changed: Places, axis: int) -> int:
        """Return how much more often the groups of the new value are held than those of the old are without it."""
        return sum(
            self._held[group][_part(changed, group)] - self._held[group][_part(row, group)] + 1
            for group in self._groups[axis]
        )

    def _relieved(self, row: Places, changed: Places) -> int | None:
        """Return how many overfull cells an exchange leaves; None where it would overfill one."""
        left, entered = set(self._cells(row)), set(self._cells(changed))
        if any(self._filled[cell] >= self._limits[cell[0]].number for cell in entered - left):
            return None
        return sum(self._filled[cell] > self._limits[cell[0]].number for cell in left - entered)

    def _cells(self, row: Places) -> list[tuple[int, tuple[str, ...]]]:
        if not self._limits:
            return []
        combination = self._combination(row)
        found = [(number, limit.cell(combination)) for number, limit in enumerate(self._limits)]
        return [(number, cell) for number, cell in found if cell is not None]

    def _exchange(self, number: int, axis: int, changed: Places) -> None:
        row = self._rows[number]
        self._rows[number] = changed
        self._taken.remove(row)
        self._taken.add(changed)
        self._count[axis].subtract([row[axis]])
        self._count[axis].update([changed[axis]])
        self._filled.subtract(self._cells(row))
        self._filled.update(self._cells(changed))
        for group in self._groups[axis]:
            self._held[group].subtract([_part(row, group)])
            self._held[group].update([_part(changed, group)])

    def _combination(self, row: Places) -> Combination:
        return {name: self._values[axis][row[axis]] for axis, name in enumerate(self._names)}


def _weights(space: Space, axis: str) -> list[float]:
    """Return how heavy each value of an axis is to be; a weight of values that stand together is for samples."""
    factors = dict.fromkeys(space.axes[axis], 1.0)
    for rule in space.rules:
        if isinstance(rule, Weight) and list(rule.parts) == [axis]:
            for value in rule.parts[axis]:
                factors[value] *= rule.factor
    return list(factors.values())


def _part(row: Places, group: Places) -> Places:
    return tuple(row[axis] for axis in group)
