"""Insight: is the writing good, is the score any good, what does it cost, how do people decide, what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from brightrun import saol
from brightrun.domain.insight import (
    Band,
    Cell,
    CostLine,
    Costs,
    Coverage,
    Decisions,
    Dimension,
    Group,
    Lift,
    Rate,
    Scope,
    Scores,
    half,
)
from brightrun.domain.reviewer import Agreement, Desks, Reviewer
from brightrun.services import statistics
from brightrun.services.scenarios import Scenarios
from brightrun.stores import insight as store

LIFTS = 20
LONGEST_NAME = 120
NOTHING: Mapping[str, str] = {
    Dimension.TEMPLATE: "Imported, no template",
    Dimension.PERSONA: "No persona",
    Dimension.ARC: "No emotional arc",
    Dimension.TOPIC: "No topic",
}
"""What stands in place of a name where a conversation has none."""
WRITERS = {"demo": "Demo writer", "claude": "Claude"}


class Insight:
    """Reads figures; changes nothing."""

    def __init__(self, db: saol.Database, scenarios: Scenarios) -> None:
        self._db = db
        self._scenarios = scenarios

    def decisions(self, scope: Scope) -> Decisions:
        """Return approval and reasons by every dimension, with the pairs that stand out."""
        data = store.decisions(self._db, scope)
        groups: dict[Dimension, list[Group]] = {dimension: [] for dimension in Dimension}
        total = None
        for row in data["groups"]:
            if row["dimension"] == "all":
                total = _group(row)
            else:
                groups[Dimension(row["dimension"])].append(_group(row))
        total = total or Group(None, "", 0, 0, 0, 0, None, {})
        return Decisions(
            total=total,
            groups=groups,
            left_out={Dimension(name): int(many) for name, many in data["left_out"].items()},
            lifts=_lifts(data["pairs"], total),
            compared=len(data["pairs"]),
        )

    def scores(self, scope: Scope) -> Scores:
        """Return how the score fares against what people decided."""
        bands = [
            Band(float(r["score"]), str(r["status"]), bool(r["in_bulk"]), int(r["times"]))
            for r in store.scores(self._db, scope)
        ]
        single = [band for band in bands if not band.in_bulk]
        return Scores(bands, statistics.area(bands), statistics.area(single), _rates(bands))

    def costs(self, scope: Scope) -> Costs:
        """Return what was paid, by template version and model, and by writer."""
        data = store.costs(self._db, scope)
        return Costs([_cost(row) for row in data["lines"]], [_cost(row) for row in data["writers"]])

    def reviewers(self, scope: Scope) -> Desks:
        """Return how people decide, and how far they agree."""
        data = store.reviewers(self._db, scope)
        return Desks([_reviewer(row) for row in data["people"]], [_agreement(row) for row in data["couples"]])

    def coverage(self, scope: Scope) -> Coverage:
        """Return which combinations of the scaffolding were planned, written and approved."""
        data = store.coverage(self._db, scope)
        axes = self._scenarios.axes(active_only=False)
        held = {axis: {row[f"{axis}_key"] for row in data["cells"]} for axis in ("persona", "arc", "topic")}
        keys = {
            "persona": [
                p.persona_key for p in axes.personas if p.is_active or p.persona_key in held["persona"]
            ],
            "arc": [a.arc_key for a in axes.arcs if a.is_active or a.arc_key in held["arc"]],
            "topic": [t.topic_key for t in axes.topics if t.is_active or t.topic_key in held["topic"]],
        }
        return Coverage(
            cells=[
                Cell(
                    persona=_known(row["persona_key"], keys["persona"]),
                    arc=_known(row["arc_key"], keys["arc"]),
                    topic=_known(row["topic_key"], keys["topic"]),
                    planned=int(row["planned"]),
                    written=int(row["written"]),
                    approved=int(row["approved"]),
                )
                for row in data["cells"]
            ],
            keys=keys,
            left_out=int(data["left_out"]),
        )


def _rates(bands: Sequence[Band]) -> dict[float, Rate]:
    counts: dict[float, list[int]] = {}
    for band in bands:
        hits_total = counts.setdefault(half(band.score), [0, 0])
        hits_total[0] += band.times if band.decision == "approved" else 0
        hits_total[1] += band.times
    found = {start: statistics.rate(*counts[start]) for start in sorted(counts)}
    return {start: rate for start, rate in found.items() if rate is not None}


def _known(key: str | None, keys: Sequence[str]) -> str | None:
    return key if key in keys else None


def _group(row: Mapping[str, Any]) -> Group:
    approved, rejected, revision = int(row["approved"]), int(row["rejected"]), int(row["revision"])
    return Group(
        value=row["value"],
        label=_label(row["dimension"], row["value"], row["label"]),
        written=int(row["written"]),
        approved=approved,
        rejected=rejected,
        revision=revision,
        rate=statistics.rate(approved, approved + rejected + revision),
        reasons={str(reason): int(times) for reason, times in row["reasons"].items()},
    )


def _label(dimension: str, value: str | None, label: str | None) -> str:
    if value is None:
        return NOTHING.get(dimension, "(none)")
    if dimension == Dimension.WRITER:
        return WRITERS.get(value, value.capitalize())
    return _short(label or value)


def _short(name: str) -> str:
    """Cut a name that would push the figures out of a sentence."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1].rstrip() + "…"


def _lifts(pairs: Sequence[Mapping[str, Any]], total: Group) -> list[Lift]:
    counts = [(int(pair["rejected"]), int(pair["decided"])) for pair in pairs]
    found = statistics.standing_out(counts, total.rejected, total.decided)
    lifts = [
        Lift(
            first=Dimension(pairs[place]["first"]),
            first_label=_short(pairs[place]["first_label"] or pairs[place]["first_value"]),
            second=Dimension(pairs[place]["second"]),
            second_label=_short(pairs[place]["second_label"] or pairs[place]["second_value"]),
            rejected=counts[place][0],
            decided=counts[place][1],
            times=ratio.times,
            low=ratio.low,
            high=ratio.high,
        )
        for place, ratio in found.items()
    ]
    return sorted(lifts, key=lambda lift: -lift.low)[:LIFTS]


def _cost(row: Mapping[str, Any]) -> CostLine:
    writer = str(row["writer"])
    return CostLine(
        label=_short(str(row.get("label") or WRITERS.get(writer, writer))),
        model=str(row.get("model") or ""),
        writer=writer,
        items=int(row["items"]),
        written=int(row["written"]),
        approved=int(row["approved"]),
        decided=int(row["decided"]),
        spent=float(row["spent_usd"]),
        possible=float(row["possible_usd"]),
    )


def _reviewer(row: Mapping[str, Any]) -> Reviewer:
    median = row["median_seconds"]
    return Reviewer(
        name=_short(str(row["reviewer"])),
        decisions=int(row["decisions"]),
        approved=int(row["approved"]),
        rejected=int(row["rejected"]),
        revision=int(row["revision"]),
        in_bulk=int(row["in_bulk"]),
        days=int(row["days"]),
        timed=int(row["timed"]),
        median_seconds=float(median) if median is not None else None,
    )


def _agreement(row: Mapping[str, Any]) -> Agreement:
    said = {(str(s["first"]), str(s["second"])): int(s["times"]) for s in row["said"]}
    return Agreement(
        first=_short(str(row["first"])),
        second=_short(str(row["second"])),
        rows=int(row["rows"]),
        alike=sum(times for (first, second), times in said.items() if first == second),
        kappa=statistics.kappa(said),
    )
