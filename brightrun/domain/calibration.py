"""How far a judge says what reviewers say: Cohen's kappa, and what it is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FEW = 20
"""Of fewer conversations that both judged, nothing is said."""
BELIEVABLE = 0.6
"""From here on agreement counts as substantial (Landis and Koch, 1977)."""
MODERATE = 0.4


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often judge and reviewers said the same of a text: good enough, or not."""

    rows: int
    alike: int
    said: Mapping[tuple[str, str], int]
    """By what the judge and what the reviewers said, `approved` or `rejected`."""
    kappa: float | None
    """Cohen's; None where both only ever said one thing."""

    @property
    def share(self) -> float:
        return self.alike / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """Verdicts beside the decisions on the same versions."""

    verdicts: int
    doubtful: int
    """Verdicts that quote what nobody said."""
    floor: int
    overall: Agreement
    """The lowest dimension of a verdict against the decision."""
    dimensions: Mapping[str, Agreement]

    def sentence(self) -> str:
        """Say whether to believe the judge."""
        overall = self.overall
        if not self.verdicts:
            return "Nothing has been judged yet."
        if overall.rows < FEW:
            return (
                f"{self.verdicts:,} conversations are judged and {overall.rows:,} of them decided on: with fewer than "
                f"{FEW} nothing can be said about the judge."
            )
        text = f"Judge and reviewers say the same of {overall.share:.0%} of {overall.rows:,} conversations"
        if overall.kappa is None:
            return f"{text}, but both only ever said one thing, which says nothing about the judge."
        return f"{text}; beyond chance that is a kappa of {overall.kappa:.2f}: {_worth(overall.kappa)}"


def _worth(kappa: float) -> str:
    if kappa >= BELIEVABLE:
        return "its verdicts can be believed."
    if kappa >= MODERATE:
        return "it can point at what to read first, not decide."
    return "its verdicts are not to be believed here."
