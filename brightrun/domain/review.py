"""Reviews: who decided what on which version, and the filter a list, a bulk and a dataset share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum

from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import InvalidInput
from brightrun.domain.ids import ConversationId, JobId


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


REJECT_REASONS: tuple[str, ...] = (
    "Off topic",
    "Emotional arc not followed",
    "Unhelpful or wrong advice",
    "Unnatural voice",
    "Too short or too long",
    "Repetitive",
    "Speaks for the user",
    "Unsafe",
    "Other",
)

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

    def __post_init__(self) -> None:
        for name in ("min_score", "max_score"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 10:
                raise InvalidInput(f"{name} is {value}.", remedy="Scores go from 0 to 10.")

    def to_json(self) -> dict[str, object]:
        """Return the set conditions only, as the database functions take them."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}

    def narrowed(self, **changes: object) -> ConversationFilter:
        return replace(self, **changes)  # type: ignore[arg-type]


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
        who = self.by or "somebody"
        when = f" at {self.at:%H:%M}" if self.at else ""
        return f"{who} set it to {(self.status or '').replace('_', ' ')}{when}; reload to see it."


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one decision changed; `operation_id` undoes it."""

    operation_id: str
    decided: int
    refused: Sequence[Refusal] = ()
    blocked: int = 0


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
