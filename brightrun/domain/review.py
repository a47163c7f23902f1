"""Reviews: who decided what on which version, and the filter a list, a bulk and a dataset share."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from difflib import get_close_matches
from enum import StrEnum
from uuid import UUID

from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import InvalidInput
from brightrun.domain.ids import ConversationId, ImportId, JobId, TemplateVersionId
from brightrun.domain.rules import RULES
from brightrun.domain.text import clean

MAX_LENGTH = 1_000_000
MAX_TEXT = 200
MAX_SCORE = 10.0


class Decision(StrEnum):
    """What a reviewer may decide; each value is the status it leads to."""

    APPROVED = "approved"
    """Good enough to train on."""
    REJECTED = "rejected"
    """Not to be trained on."""
    NEEDS_REVISION = "needs_revision"
    """Worth mending first."""
    PENDING_REVIEW = "pending_review"
    """Back to the queue."""


MAX_REASONS = 40
MAX_REASON = 80

DECISION_TRANSITIONS: Mapping[ConversationStatus, frozenset[Decision]] = {
    ConversationStatus.PENDING_REVIEW: frozenset(Decision) - {Decision.PENDING_REVIEW},
    ConversationStatus.APPROVED: frozenset(Decision) - {Decision.APPROVED},
    ConversationStatus.REJECTED: frozenset(Decision) - {Decision.REJECTED},
    ConversationStatus.NEEDS_REVISION: frozenset(Decision) - {Decision.NEEDS_REVISION},
    ConversationStatus.ARCHIVED: frozenset({Decision.PENDING_REVIEW}),
}
"""A reviewer may change their mind; every decision is kept."""


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Which conversations are meant; None means any."""

    status: ConversationStatus | None = None
    job_id: JobId | None = None
    writer: str | None = None
    tier: str | None = None
    persona_key: str | None = None
    arc_key: str | None = None
    topic_key: str | None = None
    min_score: float | None = None
    max_score: float | None = None
    model: str | None = None
    template_version_id: TemplateVersionId | None = None
    import_id: ImportId | None = None
    flag: str | None = None
    """The code of a finding."""
    blocked: bool | None = None
    """Whether a finding keeps it from being approved."""
    min_turns: int | None = None
    max_turns: int | None = None
    min_words: int | None = None
    max_words: int | None = None
    since: str | None = None
    """The first day it may have been written on, ISO 8601."""
    until: str | None = None
    """The last such day."""
    text: str | None = None
    """Words its turns hold: all of them; in quotation marks one after the other; with a minus none."""

    def __post_init__(self) -> None:
        for name in ("min_score", "max_score"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= MAX_SCORE:
                raise InvalidInput(f"{name} is {value}.", remedy="Scores go from 0 to 10.")
        for name in ("min_turns", "max_turns", "min_words", "max_words"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= MAX_LENGTH:
                raise InvalidInput(f"{name} is {value}.", remedy=f"Lengths go from 0 to {MAX_LENGTH:,}.")
        for name in ("since", "until"):
            value = getattr(self, name)
            if value is not None and not _is_day(value):
                raise InvalidInput(f"{name} is {value!r}.", remedy="Write a day as 2026-01-31.")
        if self.text is not None and len(self.text) > MAX_TEXT:
            raise InvalidInput(f"A search holds {MAX_TEXT} characters at most.", remedy="Shorten it.")

    @classmethod
    def parse(
        cls,
        pairs: Sequence[str],
        *,
        find_job: Callable[[str], JobId] | None = None,
        find_import: Callable[[str], ImportId] | None = None,
    ) -> ConversationFilter:
        """Return the filter of `key=value` pairs; raises InvalidInput naming what cannot be read.

        `find_job` and `find_import` know one by the beginning of its id; without them the whole id is asked for.
        """
        found_by = {"job_id": find_job, "import_id": find_import}
        read = {**_READ, **{name: find for name, find in found_by.items() if find}}
        values: dict[str, object] = {}
        for pair in pairs:
            name, mark, value = pair.partition("=")
            name = SHORT_NAMES.get(name.strip(), name.strip())
            if not mark or name not in _READ:
                known = ", ".join(sorted({short_name(known) for known in _READ}))
                raise InvalidInput(f"{pair!r} is no filter.", remedy=f"Write key=value; keys are {known}.")
            if name in values:
                raise InvalidInput(f"{short_name(name)} is given twice.", remedy="Give each key once.")
            try:
                values[name] = read[name](value.strip())
            except (ValueError, KeyError) as fault:
                raise InvalidInput(
                    f"{short_name(name)} cannot be {value!r}.", remedy=_expected(name)
                ) from fault
        found = cls(**values)  # type: ignore[arg-type]
        if found.is_wordless:
            raise InvalidInput(f"There is no word to look for in {found.text!r}.", remedy=WORDLESS)
        found.require_possible()
        return found

    def require_possible(self) -> None:
        """Raise InvalidInput for a rule that is none, and for bounds between which nothing lies."""
        if self.flag is not None and self.flag not in RULES:
            near = get_close_matches(self.flag.upper(), RULES, n=1)
            raise InvalidInput(
                f"There is no finding {self.flag!r}.",
                remedy=f"Did you mean {near[0]}?" if near else f"Findings are {', '.join(sorted(RULES))}.",
            )
        for what in ("score", "turns", "words"):
            low, high = getattr(self, f"min_{what}"), getattr(self, f"max_{what}")
            if low is not None and high is not None and low > high:
                raise InvalidInput(
                    f"min_{what} {low:g} is above max_{what} {high:g}, so nothing can match.",
                    remedy="Give them the other way round.",
                )

    @property
    def is_wordless(self) -> bool:
        """Whether it looks for a text without a word, which no conversation matches."""
        return self.text is not None and not re.search(r"[^\W_]", self.text)

    def to_json(self) -> dict[str, object]:
        """Return the set conditions only, as the database functions take them."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}

    def narrowed(self, **changes: object) -> ConversationFilter:
        return replace(self, **changes)  # type: ignore[arg-type]

    def scored(self, least: float, most: float) -> ConversationFilter:
        """Return what of it has a score from `least` to `most`; bounds of its own that are narrower stay."""
        low = max(least, self.min_score or 0.0)
        high = most if self.max_score is None else min(most, self.max_score)
        return replace(self, min_score=low or None, max_score=high if high < MAX_SCORE else None)


WORDLESS = "Signs and emoji are not looked for: search for a word that is said beside them."
SHORT_NAMES = {
    "job": "job_id",
    "import": "import_id",
    "template": "template_version_id",
    "persona": "persona_key",
    "arc": "arc_key",
    "topic": "topic_key",
}
"""What people call a condition, where that is shorter than its column."""


def short_name(name: str) -> str:
    """Return what people call a condition."""
    return next((short for short, long in SHORT_NAMES.items() if long == name), name)


def _expected(name: str) -> str:
    if name == "status":
        return f"It is one of: {', '.join(ConversationStatus)}."
    if name.endswith("_id"):
        return "Write the whole id, as the lists show it with --json."
    return "Write a number." if name.startswith(("min_", "max_")) else "Write yes or no."


_READ: Mapping[str, Callable[[str], object]] = {
    **dict.fromkeys(("writer", "tier", "persona_key", "arc_key", "topic_key", "model", "flag", "text"), str),
    **dict.fromkeys(("since", "until"), str),
    **dict.fromkeys(("min_score", "max_score"), float),
    **dict.fromkeys(("min_turns", "max_turns", "min_words", "max_words"), int),
    **dict.fromkeys(("job_id", "import_id", "template_version_id"), lambda value: str(UUID(value))),
    "status": ConversationStatus,
    "blocked": {"yes": True, "true": True, "no": False, "false": False}.__getitem__,
}


def _is_day(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return len(value) == len("2026-01-31")


@dataclass(frozen=True, slots=True)
class Seen:
    """A conversation as the reviewer saw it: a decision on a newer row is refused."""

    id: ConversationId
    row_version: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """One conversation that a decision left alone, and why."""

    id: ConversationId
    cause: str
    """`changed` by somebody since, `blocked` by a finding, or `missing`."""
    status: str | None = None
    by: str | None = None
    at: datetime | None = None

    def sentence(self) -> str:
        if self.cause == "blocked":
            return "It has a blocking finding and cannot be approved; reject it or send it back."
        if self.cause == "missing":
            return "It no longer exists."
        if not self.by:
            return "It has been changed since you began to read it."
        when = f" at {self.at.astimezone():%H:%M}" if self.at else ""
        return f"{self.by} was first and set it to {(self.status or '').replace('_', ' ')}{when}."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one decision changed; `operation_id` undoes it."""

    operation_id: str
    decided: int
    refused: Sequence[Refusal] = ()
    blocked: int = 0


@dataclass(frozen=True, slots=True)
class Last:
    """A reviewer's newest decision that can still be taken back, and on how many it was."""

    operation_id: str
    decision: Decision
    number: int


@dataclass(frozen=True, slots=True)
class Review:
    """One entry of a conversation's append-only history."""

    version: int
    decision: Decision
    previous_status: ConversationStatus
    reason: str | None
    note: str | None
    reviewer: str
    created_at: datetime
    undoes: str | None = None


def read_reasons(text: str) -> tuple[str, ...]:
    """Return reasons for rejecting, one a line, as they are kept; raises InvalidInput naming what is wrong."""
    lines = [" ".join(clean(line).split()) for line in text.splitlines()]
    reasons = tuple(dict.fromkeys(line for line in lines if line))
    if not reasons or len(reasons) > MAX_REASONS:
        raise InvalidInput(f"There are 1 to {MAX_REASONS} reasons.", remedy="Write one a line.")
    for reason in reasons:
        if len(reason) > MAX_REASON:
            raise InvalidInput(
                f"“{reason[:30]}…” is too long.", remedy=f"Use {MAX_REASON} characters at most."
            )
    return reasons
