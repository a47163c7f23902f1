"""Which rows stay on one side of a split: those of one scenario, and scenarios told in nearly the same words.

A scenario that was in a dataset before keeps its side while the shares stay the same. A new one goes where
what it resembles stands, and to the side of its own hash where it resembles nothing. A row that resembles rows of both sides
can stand on neither without giving the one away to the other: it is left out, and named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from brightrun.domain.ids import ConversationId

NAMED = 200
"""Rows left out that are named one by one; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A conversation version that would be frozen, and where its scenario was placed before."""

    id: ConversationId
    version: int
    is_approved: bool
    group: str
    """The scenario, hashed."""
    anchor: str | None = None
    """The group whose hash places this one; None for a group that was in no dataset yet."""
    side: str | None = None
    """The split that its anchor leads to."""


@dataclass(frozen=True, slots=True)
class Apart:
    """A row that is left out: it nearly repeats `near`, which stands on another side."""

    id: ConversationId
    near: ConversationId
    is_approved: bool


@dataclass(slots=True)
class Placement:
    """What may be frozen, by which hash each new scenario is placed, and what is left out."""

    anchors: dict[str, str] = field(default_factory=dict)
    apart: list[Apart] = field(default_factory=list)
    resembling: int = 0
    """Rows that nearly repeat another one which is kept, either way round."""
    clusters: int = 0
    """Clusters of two and more scenarios."""
    largest: int = 0
    """Rows of the largest cluster, whether of one scenario or of many."""


def place(rows: Sequence[Candidate], near: Callable[[int, AbstractSet[int]], Sequence[int]]) -> Placement:
    """Place rows in their order, the first come first served.

    `near(row, kept)` returns the places of kept rows, all before this one, that it nearly repeats.
    """
    groups = _Groups(rows)
    placement = Placement()
    kept: set[int] = set()
    alike: set[int] = set()
    for at, row in enumerate(rows):
        found = near(at, kept)
        sides = [groups.side(rows[n].group) for n in found]
        own = groups.side(row.group) or next(filter(None, sides), None)
        other = next((n for n, side in zip(found, sides, strict=True) if side not in (None, own)), None)
        if other is not None:
            placement.apart.append(Apart(row.id, rows[other].id, row.is_approved))
            continue
        for n in found:
            groups.join(row.group, rows[n].group)
        kept.add(at)
        alike.update(found, [at] if found else [])
    held = {rows[at].group for at in kept}
    placement.anchors = {group: groups.anchor(group) for group in held if groups.is_new(group)}
    placement.resembling = len(alike)
    sizes = Counter(groups.root(rows[at].group) for at in kept)
    members = Counter(groups.root(group) for group in held)
    placement.clusters = sum(number > 1 for number in members.values())
    placement.largest = max(sizes.values(), default=0)
    return placement


class _Groups:
    """Scenarios joined where they are told alike; what is joined stands on one side."""

    def __init__(self, rows: Sequence[Candidate]) -> None:
        self._parent: dict[str, str] = {}
        self._anchors: dict[str, str] = {}
        self._sides: dict[str, str] = {}
        self._new: set[str] = set()
        for row in rows:
            self._parent.setdefault(row.group, row.group)
            if row.anchor is not None and row.side is not None:
                self._anchors[row.group], self._sides[row.group] = row.anchor, row.side
            else:
                self._new.add(row.group)
        self._order = {group: place for place, group in enumerate(self._parent)}

    def root(self, group: str) -> str:
        while (above := self._parent[group]) != group:
            self._parent[group] = group = self._parent[above]
        return group

    def side(self, group: str) -> str | None:
        """Return the split a group is bound to; None while only its own hash would decide."""
        return self._sides.get(self.root(group))

    def join(self, one: str, other: str) -> None:
        """Join two groups; the one that was placed, or came first, leads."""
        first, second = self.root(one), self.root(other)
        if first == second:
            return
        leads = sorted((first, second), key=lambda root: (root not in self._sides, self._order[root]))
        self._parent[leads[1]] = leads[0]

    def anchor(self, group: str) -> str:
        root = self.root(group)
        return self._anchors.get(root, root)

    def is_new(self, group: str) -> bool:
        return group in self._new


def told(placement: Placement, keys: Mapping[ConversationId, str], likeness: float) -> dict[str, Any]:
    """Return what a dataset keeps of this; `keys` calls the conversations as its files do."""
    return {
        "likeness": likeness,
        "rows": placement.resembling,
        "clusters": placement.clusters,
        "largest_cluster_rows": placement.largest,
        "left_out": sum(apart.is_approved for apart in placement.apart),
        "labels_left_out": sum(not apart.is_approved for apart in placement.apart),
        "named": [{"id": keys[apart.id], "near": keys[apart.near]} for apart in placement.apart[:NAMED]],
    }
