"""What decisions say about templates, scenarios, the score, the money and the reviewers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from math import prod

from brightrun.domain.errors import InvalidInput
from brightrun.domain.ids import JobId
from brightrun.domain.price import dollars
from brightrun.domain.text import counted

FEW = 10
"""Below this many on either side, a figure about a whole is told as too few to say."""


class Dimension(StrEnum):
    """By what decisions are told apart."""

    TEMPLATE = "template"
    PERSONA = "persona"
    ARC = "arc"
    TOPIC = "topic"
    MODEL = "model"
    WRITER = "writer"


@dataclass(frozen=True, slots=True)
class Scope:
    """Which conversations the figures are about; days are of UTC, both included, None means any."""

    job_id: JobId | None = None
    writer: str | None = None
    since: date | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        if self.since and self.until and self.since > self.until:
            raise InvalidInput(
                f"The first day, {self.since}, is after the last, {self.until}.",
                remedy="Choose a first day that is not after the last.",
            )

    def to_json(self) -> dict[str, str]:
        """Return the set conditions only, as the database functions take them."""
        given = {"job_id": self.job_id, "writer": self.writer, "since": self.since, "until": self.until}
        return {name: str(value) for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with what it was counted from, and between which shares the true one probably lies."""

    hits: int
    total: int
    low: float
    high: float

    @property
    def share(self) -> float:
        return self.hits / self.total

    def sentence(self) -> str:
        """Return it as `75% (6 of 8; 41% to 93%)`."""
        return f"{self.share:.0%} ({self.hits:,} of {self.total:,}; {self.low:.0%} to {self.high:.0%})"


@dataclass(frozen=True, slots=True)
class Group:
    """What became of the conversations that share one value."""

    value: str | None
    """The key; None where a conversation has none."""
    label: str
    written: int
    approved: int
    rejected: int
    revision: int
    rate: Rate | None
    """Approved of decided; None before the first decision."""
    reasons: Mapping[str, int]
    """How often each reason was given for a rejection; an empty one is none given."""

    @property
    def decided(self) -> int:
        return self.approved + self.rejected + self.revision


@dataclass(frozen=True, slots=True)
class Lift:
    """A pair of values that is rejected more often than everything else, by more than chance explains."""

    first: Dimension
    first_label: str
    second: Dimension
    second_label: str
    rejected: int
    decided: int
    times: float
    """How many times the rate of all other decisions."""
    low: float
    high: float

    def sentence(self) -> str:
        return (
            f"{self.first_label} × {self.second_label} is rejected {self.times:.1f} times as often as "
            f"the rest ({self.rejected:,} of {self.decided:,}; {self.low:.1f} to {self.high:.1f} times)."
        )


@dataclass(frozen=True, slots=True)
class Decisions:
    """Approval by every dimension."""

    total: Group
    groups: Mapping[Dimension, Sequence[Group]]
    """Most decided first; bounded."""
    left_out: Mapping[Dimension, int]
    """How many values each list does not show."""
    lifts: Sequence[Lift]
    compared: int
    """How many pairs had enough decisions to be compared."""

    def sentence(self) -> str:
        whole = self.total
        if whole.rate is None:
            return f"None of {counted(whole.written, 'conversation')} has been decided on."
        return (
            f"{whole.decided:,} of {counted(whole.written, 'conversation')} "
            f"{'has' if whole.decided == 1 else 'have'} been decided on; approved: {whole.rate.sentence()}."
        )

    def lift_sentence(self) -> str:
        """Say how many pairs stand out, and of how many."""
        if not self.compared:
            return "No pair of persona, arc and topic has the ten decisions it takes to be compared."
        if not self.lifts:
            return (
                f"None of {self.compared:,} pairs with ten decisions or more is rejected clearly more often "
                "than the rest."
            )
        return (
            f"{len(self.lifts):,} of {self.compared:,} pairs with ten decisions or more "
            f"{'is' if len(self.lifts) == 1 else 'are'} rejected clearly more often than the rest."
        )

    def spread_sentence(self, dimension: Dimension) -> str:
        """Say which value fares best and which worst, or that the numbers do not tell them apart."""
        rated = [(g, g.rate) for g in self.groups.get(dimension, ()) if g.rate is not None]
        if len(rated) < 2:
            return "There are not two values with decisions yet, so there is nothing to compare."
        best, best_rate = max(rated, key=lambda pair: pair[1].low)
        worst, worst_rate = min(rated, key=lambda pair: pair[1].high)
        if best_rate.low <= worst_rate.high:
            return "The ranges of all values overlap: from these numbers, none is surely better than another."
        return (
            f"{best.label} is approved most surely, {best_rate.sentence()}; "
            f"{worst.label} least, {worst_rate.sentence()}."
        )

    def reason_sentence(self) -> str:
        """Say what rejections were mostly for."""
        given = {reason: times for reason, times in self.total.reasons.items() if reason}
        if not self.total.rejected:
            return "Nothing has been rejected."
        if not given:
            return f"None of {counted(self.total.rejected, 'rejection')} says why."
        reason, times = max(given.items(), key=lambda pair: (pair[1], pair[0]))
        return f"“{reason}” is the most frequent reason: {times:,} of {counted(self.total.rejected, 'rejection')}."


@dataclass(frozen=True, slots=True)
class Band:
    """How many conversations of one score were decided in one way."""

    score: float
    decision: str
    in_bulk: bool
    """Decided together with others in one deed, so that perhaps nobody read them."""
    times: int


HALF = 0.5


def half(score: float) -> float:
    """Return the start of the half point that a score of 0 to 10 belongs to; ten belongs to the last."""
    return min(int(score / HALF) * HALF, 10 - HALF)


@dataclass(frozen=True, slots=True)
class Scores:
    """The score against what people decided."""

    bands: Sequence[Band]
    area: float | None
    """Of one approved and one rejected conversation, how often the approved one scores higher; ties half."""
    area_single: float | None
    """The same among conversations that were decided on one by one."""
    rates: Mapping[float, Rate]
    """Approved of decided for each half point of the score that has decisions, by its start."""

    def count(self, decision: str, *, single: bool = False) -> int:
        return sum(b.times for b in self.bands if b.decision == decision and not (single and b.in_bulk))

    @property
    def in_bulk(self) -> int:
        return sum(band.times for band in self.bands if band.in_bulk)

    def sentence(self) -> str:
        approved, rejected = self.count("approved"), self.count("rejected")
        if self.area is None:
            return (
                f"{approved:,} approved and {rejected:,} rejected: with fewer than {FEW} of either, "
                "nothing can be said about the score."
            )
        text = (
            f"Take one approved and one rejected conversation at random: the approved one has the higher "
            f"score {self.area:.0%} of the time, where 50% would be chance; {_worth(self.area)}"
        )
        if not self.in_bulk:
            return text
        alone = f"{self.area_single:.0%}" if self.area_single is not None else "too few to say"
        return (
            f"{text} {self.in_bulk:,} were decided in bulk, perhaps by their score; among those decided "
            f"one by one it is {alone}."
        )


def _worth(area: float) -> str:
    if area >= 0.8:
        return "it can sort the queue."
    if area >= 0.65:
        return "it helps, but does not replace reading."
    if area > 0.35:
        return "it hardly tells them apart."
    return "it points the wrong way."


@dataclass(frozen=True, slots=True)
class CostLine:
    """What one template version cost with one model, failed items included."""

    label: str
    model: str
    writer: str
    items: int
    """Items with at least one call."""
    written: int
    approved: int
    decided: int
    spent: float
    possible: float
    """The most that calls without a known cost can have cost; never part of `spent`."""

    @property
    def per_approved(self) -> float | None:
        """Dollars spent for each approved conversation; None before the first."""
        return self.spent / self.approved if self.approved else None


@dataclass(frozen=True, slots=True)
class Costs:
    """Money by template version and model; each writer has a sum of its own, and they are never added up."""

    lines: Sequence[CostLine]
    writers: Sequence[CostLine]

    @property
    def paid(self) -> Sequence[CostLine]:
        return [line for line in self.lines if line.writer != "demo"]

    @property
    def demo(self) -> Sequence[CostLine]:
        return [line for line in self.lines if line.writer == "demo"]

    def sentence(self) -> str:
        """Say what an approved conversation cost; the demo's are free and not counted."""
        paid = [line for line in self.writers if line.writer != "demo"]
        if not paid:
            return "No call of a paid writer is on record here; the demo writer costs nothing."
        spent, approved = sum(line.spent for line in paid), sum(line.approved for line in paid)
        waiting = sum(line.written - line.decided for line in paid)
        text = (
            f"{dollars(spent)} bought {counted(approved, 'approved conversation')}, {dollars(spent / approved)} each."
            if approved
            else f"{dollars(spent)} was spent, and nothing of it is approved yet."
        )
        verb = "waits" if waiting == 1 else "wait"
        more = f" {waiting:,} more still {verb} for a decision." if waiting else ""
        possible = sum(line.possible for line in paid)
        unknown = (
            f" Up to {dollars(possible)} more may have been spent on unanswered calls." if possible else ""
        )
        return text + more + unknown


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination of persona, arc and topic; None where there is none, or one the scaffolding no longer has."""

    persona: str | None
    arc: str | None
    topic: str | None
    planned: int
    """Items of batches that were not cancelled."""
    written: int
    approved: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which combinations were planned, written and approved; those not named are empty."""

    cells: Sequence[Cell]
    keys: Mapping[str, Sequence[str]]
    """By axis, what is offered and what is not offered any more and was planned or written."""
    left_out: int
    """Combinations beyond the most that are counted."""

    @property
    def possible(self) -> int:
        """Return how many combinations there are."""
        return prod(len(keys) for keys in self.keys.values())

    def sentence(self) -> str:
        whole = [cell for cell in self.cells if cell.persona and cell.arc and cell.topic]
        return (
            f"Of {counted(self.possible, 'combination')} of persona, arc and topic, "
            f"{sum(c.planned > 0 for c in whole):,} were planned, {sum(c.written > 0 for c in whole):,} written, "
            f"and {sum(c.approved > 0 for c in whole):,} have something approved."
        )
