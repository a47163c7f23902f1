"""How good a conversation is: findings of the rules, and a score from 0 to 10 with its breakdown.

Score = 0.30 structure + 0.25 length + 0.20 turns + 0.15 coherence + 0.10 arc, each from 0 to 10, where
nobody set other weights (after the earlier system's validator; bands from the scenario itself, not from one
table).
Where there is no arc or no emotional figure to judge, or nothing was asked for because the conversation
was imported, the weight goes to the others in proportion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

from brightrun.domain.casting import same_feeling
from brightrun.domain.conversation import Role, Turn
from brightrun.domain.examination import examine
from brightrun.domain.rules import Finding, Severity
from brightrun.domain.scenario import Cast
from brightrun.domain.standard import STANDARD, Standard
from brightrun.domain.template import Prompt
from brightrun.domain.text import word_count, words

LOOSE_ENDS = ("SPEAKS_FOR_BOTH", "SPEAKER_LABEL", "OUT_OF_ROLE", "SEEMS_CUT", "NO_FINAL_PUNCTUATION")
"""Findings that make a conversation untidy rather than useless."""


@dataclass(frozen=True, slots=True)
class Part:
    """One dimension of the score."""

    score: float
    weight: float
    reason: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the rules found and what it adds up to."""

    findings: tuple[Finding, ...]
    score: float
    breakdown: dict[str, Part]

    @property
    def blockers(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is Severity.BLOCKER)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is not Severity.BLOCKER)

    @property
    def flags(self) -> tuple[str, ...]:
        """The codes a list can be filtered by, each once; what is merely worth knowing is no flag."""
        return tuple(dict.fromkeys(f.code for f in self.findings if f.severity is not Severity.INFO))

    def to_json(self) -> dict[str, Any]:
        return {
            "score": self.score,
            "breakdown": {
                name: {"score": part.score, "weight": round(part.weight, 3), "reason": part.reason}
                for name, part in self.breakdown.items()
            },
            "blockers": [f.to_json() for f in self.blockers],
            "warnings": [f.to_json() for f in self.warnings],
        }


def assess(
    turns: Sequence[Turn], *, cast: Cast, prompt: Prompt | None, standard: Standard = STANDARD
) -> Assessment:
    """Hold a conversation against every rule and score it; pure, so that it may be done again.

    Without a prompt nothing was asked for: lengths and the number of turns are then not judged.
    """
    findings = examine(turns, cast=cast, prompt=prompt, standard=standard)
    scores = {
        "structure": _structure(findings),
        "length": _length(turns, prompt) if prompt else None,
        "turns": _turn_count(turns, prompt) if prompt else None,
        "coherence": _coherence(turns, standard),
        "arc": _arc(turns, cast),
    }
    weights = {name: getattr(standard.weights, name) for name in scores}
    present = {name: found for name, found in scores.items() if found is not None}
    whole = sum(weights[name] for name in present) or 1.0
    breakdown = {
        name: Part(round(score, 1), weights[name] / whole, reason)
        for name, (score, reason) in present.items()
    }
    total = sum(score * weights[name] for name, (score, _) in present.items()) / whole
    if any(f.severity is Severity.BLOCKER for f in findings):
        total = min(total, standard.blocked_ceiling)
    return Assessment(tuple(findings), round(total, 1), breakdown)


def _structure(findings: Sequence[Finding]) -> tuple[float, str]:
    blockers = [f for f in findings if f.severity is Severity.BLOCKER]
    loose = [f for f in findings if f.code in LOOSE_ENDS]
    score = max(0.0, 10 - 4.0 * len(blockers) - 0.7 * len(loose))
    if blockers:
        return score, f"{len(blockers)} blocking findings, the first: {blockers[0].message}"
    return score, f"{len(loose)} loose ends" if loose else "Roles alternate and every turn is whole."


def _length(turns: Sequence[Turn], prompt: Prompt) -> tuple[float, str] | None:
    counts = [word_count(t.content) for t in turns if t.role is Role.ASSISTANT]
    if not counts:
        return 0.0, "There is no assistant turn."
    each = [_band(count, prompt.words_min, prompt.words_max) for count in counts]
    mean = sum(counts) / len(counts)
    return sum(each) / len(each), (
        f"Assistant turns have {mean:.0f} words on average; {prompt.words_min} to {prompt.words_max} were asked for."
    )


def _turn_count(turns: Sequence[Turn], prompt: Prompt) -> tuple[float, str]:
    missing = abs(len(turns) - prompt.turns)
    score = 10 * max(0.0, 1 - missing / prompt.turns)
    return score, f"{len(turns)} of {prompt.turns} turns."


def _coherence(turns: Sequence[Turn], standard: Standard) -> tuple[float, str]:
    """Variety within the assistant's words, and answers that take up what was said before."""
    said = [words(turn.content) for turn in turns]
    spoken = [said[n] for n, turn in enumerate(turns) if turn.role is Role.ASSISTANT]
    if not any(spoken):
        return 0.0, "The assistant says nothing."
    pairs = set(chain.from_iterable(map(pairwise, spoken)))
    whole = sum(len(answer) - 1 for answer in spoken if answer)
    distinct = len(pairs) / whole if whole else 1.0
    taken = [_taken_up(said[n - 1], said[n]) for n, t in enumerate(turns) if n and t.role is Role.ASSISTANT]
    shared = sum(taken) / len(taken) if taken else 0.0
    score = 6 * min(1.0, distinct / standard.fresh_pairs) + 4 * min(1.0, shared / standard.taken_up)
    return score, f"{distinct:.0%} of word pairs are new; answers take up {shared:.0%} of what was said."


def _taken_up(before: Sequence[str], after: Sequence[str]) -> float:
    """Return the share of the longer words of one turn that the next one uses."""
    longer = {word for word in before if len(word) > 4}
    return len(longer.intersection(after)) / len(longer) if longer else 1.0


def _arc(turns: Sequence[Turn], cast: Cast) -> tuple[float, str] | None:
    felt = [t.emotion for t in turns if t.role is Role.USER and t.emotion]
    if cast.arc is None or len(felt) < 2:
        return None
    arc = cast.arc
    moved = not same_feeling(felt[-1].primary, felt[0].primary)
    arrived = same_feeling(felt[-1].primary, arc.ending_emotion)
    started = same_feeling(felt[0].primary, arc.starting_emotion)
    score = 4.0 * started + 3.0 * moved + 3.0 * arrived
    return (
        score,
        f"From {felt[0].primary} to {felt[-1].primary}; {arc.starting_emotion} to {arc.ending_emotion} was asked.",
    )


def _band(value: float, low: float, high: float) -> float:
    """Return 10 inside the band, falling to 0 at half the low and at twice the high end."""
    if value < low:
        return 10 * max(0.0, (value / low - 0.5) / 0.5)
    if value > high:
        return 10 * max(0.0, (2 - value / high) / 1)
    return 10.0
