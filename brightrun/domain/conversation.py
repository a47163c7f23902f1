"""Conversations: turns a writer wrote, with every other field from our own parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from brightrun.domain.ids import ConversationId, ConversationKey, ImportId, ItemId, JobId, TemplateVersionId
from brightrun.domain.scenario import Scenario

MAX_TURNS = 200
"""More turns than this is a runaway answer, not a conversation."""

MAX_ANSWER_BYTES = 2_000_000
"""A larger answer is kept raw and refused."""


class Role(StrEnum):
    USER = "user"
    ASSISTANT = "assistant"


class ConversationStatus(StrEnum):
    PENDING_REVIEW = "pending_review"
    """Waits for a person."""
    APPROVED = "approved"
    """May enter a dataset."""
    REJECTED = "rejected"
    """Will not."""
    NEEDS_REVISION = "needs_revision"
    """Worth mending before it is decided again."""
    ARCHIVED = "archived"
    """Put away."""


class EnrichmentStatus(StrEnum):
    NOT_STARTED = "not_started"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Emotion:
    """What the writer says a turn expresses; intensity 0 to 1."""

    primary: str
    secondary: str | None = None
    intensity: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    role: Role
    content: str
    emotion: Emotion | None = None
    train: bool = True
    """Whether a model is to learn to say it; what a person decided to skip stays there to be read."""

    def to_json(self) -> dict[str, object]:
        data: dict[str, object] = {"role": self.role.value, "content": self.content}
        if self.emotion:
            data["emotional_context"] = {
                "primary_emotion": self.emotion.primary,
                "secondary_emotion": self.emotion.secondary,
                "intensity": self.emotion.intensity,
            }
        if not self.train:
            data["train"] = False
        return data


@dataclass(frozen=True, slots=True)
class Conversation:
    """One stored conversation as the reader shows it."""

    id: ConversationId
    key: ConversationKey
    item_id: ItemId | None
    job_id: JobId | None
    name: str
    writer: str
    model: str
    scenario: Scenario
    system: str
    """The system message the trained assistant will see; empty when there is none."""
    turns: Sequence[Turn]
    status: ConversationStatus
    version: int
    row_version: int
    """Counts every change of the row; a decision must name the one it saw."""
    quality_score: float
    quality: Mapping[str, object]
    validation: Mapping[str, object]
    marks: Sequence[Mapping[str, object]]
    """Findings that need more than the conversation: what else is there, or a judge."""
    enrichment_status: EnrichmentStatus
    template_version_id: TemplateVersionId | None
    template_name: str
    cost: float
    raw_path: str | None
    final_path: str | None
    enriched_path: str | None
    reviewed_by: str | None
    reviewed_at: datetime | None
    review_reason: str | None
    created_at: datetime
    import_id: ImportId | None = None
    import_line: int | None = None
    """Where it begins in the file it was imported from."""

    @property
    def has_order(self) -> bool:
        """Whether it can be written again: one that was imported without a scenario has nothing to be written by."""
        return self.import_id is None or self.scenario.is_told

    @property
    def findings(self) -> list[Mapping[str, Any]]:
        """What the rules found in it by itself, blockers first."""
        found: Mapping[str, Any] = self.validation
        return [finding for kind in ("blockers", "warnings") for finding in (found.get(kind) or ())]

    def messages(self) -> list[dict[str, str]]:
        """Return the training messages: one optional system message, then the turns."""
        head = [{"role": "system", "content": self.system}] if self.system else []
        return head + [{"role": t.role.value, "content": t.content} for t in self.turns]
