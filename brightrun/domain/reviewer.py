"""The people who decide: how much, how fast, and how far two of them agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brightrun.domain.text import counted

FEW_PAIRS = 30
"""Below this many versions that both decided on, kappa is told with a warning."""


@dataclass(frozen=True, slots=True)
class Reviewer:
    """How much and how fast one person decided; undone decisions do not count, those that were followed by another do."""

    name: str
    decisions: int
    approved: int
    rejected: int
    revision: int
    in_bulk: int
    days: int
    timed: int
    """Decisions on one conversation within five minutes of the one before."""
    median_seconds: float | None

    @property
    def per_hour(self) -> float | None:
        return 3600 / self.median_seconds if self.median_seconds else None


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two people decided alike on the versions both decided on."""

    first: str
    second: str
    rows: int
    alike: int
    kappa: float | None
    """Cohen's kappa; None where it is not defined, because all decisions of both are the same."""

    def sentence(self) -> str:
        share = (
            f"{self.first} and {self.second} agree on {self.alike:,} of {self.rows:,} "
            f"({self.alike / self.rows:.0%})"
        )
        if self.kappa is None:
            return (
                f"{share}; all of it is one and the same decision, so agreement cannot be told from chance."
            )
        few = " With so few this may well change." if self.rows < FEW_PAIRS else ""
        return f"{share}; kappa {self.kappa:.2f}, {_strength(self.kappa)} beyond chance.{few}"


def _strength(kappa: float) -> str:
    """Return the word Landis and Koch (1977) gave to a kappa."""
    for least, word in ((0.81, "almost perfect"), (0.61, "substantial"), (0.41, "moderate"), (0.21, "fair")):
        if kappa >= least:
            return f"{word} agreement"
    return "slight agreement" if kappa > 0 else "no agreement"


@dataclass(frozen=True, slots=True)
class Desks:
    """The people who decide."""

    people: Sequence[Reviewer]
    agreements: Sequence[Agreement]

    def sentence(self) -> str:
        if not self.people:
            return "Nobody has decided on anything here."
        total = sum(person.decisions for person in self.people)
        who = counted(len(self.people), "person", "people")
        what = counted(total, "decision that was not undone", "decisions that were not undone")
        timed = [p for p in self.people if p.median_seconds is not None]
        pace = ", ".join(f"{p.name} {_seconds(p.median_seconds)}" for p in timed[:3])
        return f"{who} made {what}, those on what was sent back or decided on again included." + (
            f" Median time for one conversation: {pace}." if pace else ""
        )

    def agreement_sentence(self) -> str:
        if not self.agreements:
            return (
                "No version was decided on one by one by two people, so nothing can be said about agreement; "
                "decisions in bulk do not count for it."
            )
        rows = sum(pair.rows for pair in self.agreements)
        alike = sum(pair.alike for pair in self.agreements)
        return (
            f"Where two people decided one by one on the same version, they agree in {alike:,} of {rows:,} cases "
            f"({alike / rows:.0%}). The second could see what the first had said."
        )


def _seconds(seconds: float | None) -> str:
    return "–" if seconds is None else f"{seconds:.1f} s" if seconds < 10 else f"{seconds:,.0f} s"
