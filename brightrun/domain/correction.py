"""Corrections: what people changed in a conversation, turn by turn, and the difference word by word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from enum import StrEnum

from brightrun.domain.conversation import Role, Turn
from brightrun.domain.text import CONTROL_TOKEN

_TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
MOST_COMPARED = 4_000_000
"""Above this product of two lengths in words, what differs is shown as one stretch: nobody waits for a minute."""


@dataclass(frozen=True, slots=True)
class Correction:
    """One change of one turn; `version` is the one it made, `turn` counts from 1."""

    version: int
    turn: int
    before: Turn
    after: Turn
    corrector: str
    note: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Corrected:
    """What a correction led to: the new version, its score, and what keeps it from being approved."""

    version: int
    score_before: float
    score: float
    blockers: Sequence[str]
    was_decided: bool
    """Whether an earlier decision fell away with the text it was made on."""
    warning: str = ""
    """What could not be done beside it: its documents may have to be made again."""


class Fate(StrEnum):
    """What became of a stretch of text."""

    SAME = "same"
    GONE = "gone"
    NEW = "new"


@dataclass(frozen=True, slots=True)
class Stretch:
    fate: Fate
    text: str


def leaves_pair(corrections: Sequence[Correction]) -> bool:
    """Whether one conversation's corrections, oldest first, leave an answer to prefer over the one before it."""
    first: dict[int, Turn] = {}
    last: dict[int, Turn] = {}
    for one in corrections:
        first.setdefault(one.turn, one.before)
        last[one.turn] = one.after

    def texts(turn: int) -> tuple[str, str]:
        return (first[turn].content, last[turn].content) if turn in first else ("", "")

    return any(
        before.role is Role.ASSISTANT
        and last[turn].train
        and is_preference(question=texts(turn - 1), answer=texts(turn))
        for turn, before in first.items()
    )


def is_preference(*, question: tuple[str, str], answer: tuple[str, str]) -> bool:
    """Whether an answer is one to prefer over the one before it; of each text as it was and as it is now.

    The question must be as it was, and a system text may stand above it now.
    """
    asked_before, asked = question
    before, now = answer
    return (
        asked.endswith(asked_before)
        and before != now
        and bool(before.strip())
        and not CONTROL_TOKEN.search(before)
    )


def difference(before: str, after: str) -> list[Stretch]:
    """Return both texts as stretches of whole words that stayed, went and came, in reading order.

    The stretches that did not come are `before`, those that did not go are `after`, character by character.
    """
    old, new = _TOKEN.findall(before), _TOKEN.findall(after)
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    ends = len(old) - tail, len(new) - tail
    found = [
        Stretch(Fate.SAME, "".join(old[:head])),
        *_joined(_compared(old[head : ends[0]], new[head : ends[1]])),
        Stretch(Fate.SAME, "".join(old[ends[0] :])),
    ]
    return [stretch for stretch in found if stretch.text]


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    number = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        number += 1
    return number


def _compared(old: Sequence[str], new: Sequence[str]) -> Iterator[Stretch]:
    if len(old) * len(new) > MOST_COMPARED:
        yield Stretch(Fate.GONE, "".join(old))
        yield Stretch(Fate.NEW, "".join(new))
        return
    for kind, i, j, k, m in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield Stretch(Fate.SAME, "".join(old[i:j]))
            continue
        yield Stretch(Fate.GONE, "".join(old[i:j]))
        yield Stretch(Fate.NEW, "".join(new[k:m]))


def _joined(stretches: Iterator[Stretch]) -> Iterator[Stretch]:
    """Make one change of changes with nothing but white space between them: so a person reads them."""
    gone = new = space = ""
    for stretch in stretches:
        if stretch.fate is Fate.SAME and (gone or new) and stretch.text.isspace():
            space = stretch.text
        elif stretch.fate is Fate.SAME:
            yield from (
                Stretch(Fate.GONE, gone),
                Stretch(Fate.NEW, new),
                Stretch(Fate.SAME, space + stretch.text),
            )
            gone = new = space = ""
        elif stretch.text:
            gone, new, space = gone + space, new + space, ""
            if stretch.fate is Fate.GONE:
                gone += stretch.text
            else:
                new += stretch.text
    yield from (Stretch(Fate.GONE, gone), Stretch(Fate.NEW, new), Stretch(Fate.SAME, space))
