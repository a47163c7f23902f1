"""Named rules a conversation is held against; each says what is wrong, in which turn, and what to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from brightrun.domain.conversation import Role, Turn
from brightrun.domain.scenario import Cast
from brightrun.domain.template import Prompt
from brightrun.domain.text import CONTROL_TOKEN, word_count


class Severity(StrEnum):
    BLOCKER = "blocker"
    """Would ruin a training run: the conversation cannot be approved."""
    WARNING = "warning"
    """A reviewer should look."""
    INFO = "info"
    """Worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule saw; `turn` counts from 1."""

    code: str
    severity: Severity
    message: str
    turn: int | None = None
    suggestion: str = ""

    def to_json(self) -> dict[str, object]:
        return {
            "code": self.code,
            "severity": self.severity.value,
            "message": self.message,
            "turn": self.turn,
            "suggestion": self.suggestion,
        }


MIN_WORDS_SHARE = 0.5
"""An assistant turn below half of the fewest words asked for is called short."""
MAX_WORDS_SHARE = 1.6
"""Above this multiple of the most words asked for it is called long."""
INTENSITY_SLACK = 0.15

_PLACEHOLDER = re.compile(
    r"\{\{.{0,80}?\}\}|\{%.{0,80}?%\}|\[(?:NAME|PERSONA|TOPIC|AMOUNT|DATE|INSERT[^\]]{0,40})\]"
)
_SPEAKER = re.compile(r"^(?:user|client|customer|human|assistant|advisor)\s*:", re.IGNORECASE | re.MULTILINE)
_FINISHED = re.compile(
    r"[.!?…][\"'”’)\]*_]*$|[:;][-)DP(]+$|\p{So}$".replace(r"\p{So}", "[\U0001f300-\U0001faff]")
)
_CUT_ENDS = ('\\"', "\\")


def examine(turns: Sequence[Turn], *, cast: Cast, prompt: Prompt | None) -> list[Finding]:
    """Return every finding, blockers first, in the order of the turns."""
    found = [
        *_shape(turns, prompt),
        *(finding for number, turn in enumerate(turns, 1) for finding in _content(number, turn)),
        *(_length(turns, prompt) if prompt else ()),
        *_repetition(turns),
        *_arc(turns, cast),
    ]
    ranks = {severity: rank for rank, severity in enumerate(Severity)}
    return sorted(found, key=lambda finding: (ranks[finding.severity], finding.turn or 0))


def _blocker(code: str, message: str, turn: int | None = None, suggestion: str = "") -> Finding:
    return Finding(code, Severity.BLOCKER, message, turn, suggestion or "Reject it or write it again.")


def _warning(code: str, message: str, turn: int | None = None, suggestion: str = "") -> Finding:
    return Finding(code, Severity.WARNING, message, turn, suggestion)


def _shape(turns: Sequence[Turn], prompt: Prompt | None) -> Iterator[Finding]:
    if len(turns) < 2:
        yield _blocker("INSUFFICIENT_TURNS", f"It has {len(turns)} turns; a conversation needs two.")
        return
    if turns[0].role is not Role.USER:
        yield _blocker("STARTS_WITH_ASSISTANT", "The assistant speaks first; trainers expect the user.", 1)
    if turns[-1].role is not Role.ASSISTANT:
        yield _blocker("ENDS_WITH_USER", "The user has the last word, so nothing answers it.", len(turns))
    for number in range(1, len(turns)):
        if turns[number].role is turns[number - 1].role:
            role = turns[number].role.value
            yield _blocker("ROLE_NOT_ALTERNATING", f"Two {role} turns follow each other.", number + 1)
    if prompt and len(turns) != prompt.turns:
        yield _warning("TURN_COUNT", f"It has {len(turns)} turns; {prompt.turns} were asked for.")


def _content(number: int, turn: Turn) -> Iterator[Finding]:
    text = turn.content
    if not text:
        yield _blocker("MISSING_CONTENT", "The turn is empty.", number)
        return
    if text.endswith(_CUT_ENDS) or text.count("```") % 2:
        yield _blocker("TRUNCATED_TURN", "The turn breaks off.", number)
    elif not _FINISHED.search(text[-8:]):
        yield Finding("NO_FINAL_PUNCTUATION", Severity.INFO, "The turn ends without punctuation.", number)
    if "<" in text or "[" in text:
        control = CONTROL_TOKEN.search(text)
        if control:
            yield _blocker(
                "CONTROL_TOKEN", f"The text holds {control.group()!r}, which trainers act on.", number
            )
    if "\ufffd" in text:
        yield _warning("BROKEN_CHARACTER", "Characters arrived broken and show as �.", number)
    if "{" in text or "[" in text:
        placeholder = _PLACEHOLDER.search(text)
        if placeholder:
            yield _blocker("PLACEHOLDER", f"{placeholder.group()!r} was left unfilled.", number)
    if turn.role is Role.ASSISTANT and _SPEAKER.search(text):
        yield _warning("SPEAKS_FOR_BOTH", "The assistant writes lines for both sides.", number)


def _length(turns: Sequence[Turn], prompt: Prompt) -> Iterator[Finding]:
    low, high = prompt.words_min * MIN_WORDS_SHARE, prompt.words_max * MAX_WORDS_SHARE
    for number, turn in enumerate(turns, 1):
        if turn.role is not Role.ASSISTANT:
            continue
        count = word_count(turn.content)
        asked = f"{prompt.words_min} to {prompt.words_max} were asked for"
        if count < low:
            yield _warning("SHORT_TURN", f"The assistant says {count} words; {asked}.", number)
        elif count > high:
            yield _warning("LONG_TURN", f"The assistant says {count} words; {asked}.", number)


def _repetition(turns: Sequence[Turn]) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for number, turn in enumerate(turns, 1):
        text = turn.content.lower()
        if len(text) > 20 and text in seen:
            yield _warning("REPEATED_TURN", f"The turn repeats turn {seen[text]}.", number)
        seen.setdefault(text, number)
    openers = Counter(" ".join(t.content.lower().split()[:4]) for t in turns if t.role is Role.ASSISTANT)
    for opener, count in openers.items():
        if count > 1 and opener.count(" ") == 3:
            yield _warning("SAME_OPENING", f"{count} assistant turns begin with “{opener}”.")


def _arc(turns: Sequence[Turn], cast: Cast) -> Iterator[Finding]:
    arc = cast.arc
    users = [(n, t.emotion) for n, t in enumerate(turns, 1) if t.role is Role.USER and t.emotion]
    if arc is None or not users:
        return
    first_number, first = users[0]
    start = (arc.starting_intensity_min - INTENSITY_SLACK, arc.starting_intensity_max + INTENSITY_SLACK)
    if first.intensity is not None and not start[0] <= first.intensity <= start[1]:
        yield _warning(
            "START_INTENSITY",
            f"It starts at intensity {first.intensity:.2f}; the arc starts at "
            f"{arc.starting_intensity_min:.2f} to {arc.starting_intensity_max:.2f}.",
            first_number,
        )
    last_number, last = users[-1]
    if len(users) > 1 and last.primary.lower() == first.primary.lower() == arc.starting_emotion.lower():
        yield _warning("ARC_STANDS_STILL", f"The feeling stays {last.primary} to the end.", last_number)
