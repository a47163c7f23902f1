"""Datasets: frozen lists of approved conversation versions, and the one form every file is written from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from brightrun.domain.errors import InvalidInput
from brightrun.domain.ids import ConversationId, ConversationKey, DatasetId
from brightrun.domain.text import counted

ROLES = ("system", "user", "assistant")

Message = Mapping[str, str]
"""One message with exactly `role` and `content`."""


class Split(StrEnum):
    """Where a row goes; decided by its scenario, so that one scenario never stands on two sides."""

    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class DatasetOptions:
    """How rows are divided and mended; frozen with the dataset. Shares are fractions of one."""

    validation: float = 0.1
    test: float = 0.0
    merge_system: bool = False
    """Put the system text in front of the first user turn, for templates without a system role."""
    drop_trailing_user: bool = False
    """Leave a last user turn out that nobody answered, instead of leaving the conversation out."""
    split_tokens: int | None = None
    """Cut conversations that are longer between two exchanges; None cuts none."""

    def __post_init__(self) -> None:
        if not (0 <= self.validation <= 0.5 and 0 <= self.test <= 0.5):
            raise InvalidInput(
                "The shares of validation and test go from 0 to 50 %.",
                remedy="Leave at least half of the rows for training; 5 to 10 % validate well.",
            )
        if self.split_tokens is not None and not 64 <= self.split_tokens <= 1_000_000:
            raise InvalidInput("Conversations can be cut at 64 to 1,000,000 tokens.", remedy="Try 4096.")

    def to_json(self) -> dict[str, object]:
        return {f.name: getattr(self, f.name) for f in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> DatasetOptions:
        """Return what was frozen; a dataset from before there were options was not divided."""
        known = {f.name for f in fields(cls)}
        return cls(**({"validation": 0.0} | {name: value for name, value in data.items() if name in known}))


@dataclass(frozen=True, slots=True)
class Dataset:
    """One frozen version of a named dataset."""

    id: DatasetId
    name: str
    version: int
    filter: Mapping[str, Any]
    options: DatasetOptions
    row_count: int
    rejected_count: int
    duplicate_count: int
    demo_count: int
    prices: Sequence[Mapping[str, Any]]
    report: Mapping[str, Any] | None
    """What the checks found, once they have run."""
    near_duplicates: Mapping[str, Any] | None
    """What was alike and what was left out for it; None for a dataset from before anybody looked."""
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Row:
    """One conversation version as it leaves."""

    key: ConversationKey
    version: int
    messages: Sequence[Message]
    writer: str
    model: str
    persona_key: str | None
    arc_key: str | None
    topic_key: str | None
    tier: str
    variables: Mapping[str, str]
    quality_score: float
    flags: Sequence[str]
    decision: str
    reviewer: str | None
    reviewed_at: str | None
    reason: str | None
    template: str
    job_id: str | None
    split: str
    created_at: str
    cost: float = 0.0
    first_messages: Sequence[Message] | None = None
    """What the writer wrote, where people corrected it since."""
    skipped: frozenset[int] = frozenset()
    """Answers that a reviewer keeps out of training, by their place in `spoken`."""
    part: int = 0
    """1, 2, ... where a long conversation was cut into parts; 0 where it is whole."""

    @property
    def id(self) -> str:
        """What every file and the sidecar call this row."""
        return f"{self.key}.{self.part}" if self.part else str(self.key)

    @property
    def system(self) -> str:
        return self.messages[0]["content"] if self.messages and self.messages[0]["role"] == "system" else ""

    @property
    def spoken(self) -> Sequence[Message]:
        """The messages after the system message."""
        return self.messages[1:] if self.system else self.messages

    @property
    def skipped_messages(self) -> frozenset[int]:
        """The answers kept out of training, by their place in `messages`."""
        head = len(self.messages) - len(self.spoken)
        return frozenset(place + head for place in self.skipped)

    @property
    def skipped_within(self) -> int:
        """How many answers are to be skipped though a later one is trained."""
        return sum(place <= self._last_trained for place in self.skipped)

    @property
    def _last_trained(self) -> int:
        return max((at for at in range(1, len(self.spoken), 2) if at not in self.skipped), default=-1)

    def without_tail(self) -> Row:
        """Return the row up to its last answer that is trained: what comes after teaches nothing."""
        kept = self._last_trained + 1
        if not self.skipped or kept == len(self.spoken):
            return self
        head = len(self.messages) - len(self.spoken)
        within = frozenset(place for place in self.skipped if place < kept)
        return replace(self, messages=self.messages[: head + kept], skipped=within)


@dataclass(frozen=True, slots=True)
class Difference:
    """One conversation that stands otherwise in a newer dataset: `added`, `removed`, `changed` or `moved`."""

    kind: str
    id: ConversationId
    key: ConversationKey
    name: str
    older: int | None
    newer: int | None
    sides: tuple[Split | None, Split | None]
    """Where it stands in the older one and in the newer one; None where it is not in it."""

    @property
    def place(self) -> str:
        """The side it stands on, or from which to which it went."""
        return " → ".join(dict.fromkeys(side.value for side in self.sides if side))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two datasets; `rows` names the first of each kind only."""

    counts: Mapping[str, int]
    rows: Sequence[Difference]

    @property
    def same(self) -> int:
        """Conversations that stand in both, in one version and on one side."""
        return self.counts.get("same", 0)

    @property
    def differs(self) -> bool:
        return any(count for kind, count in self.counts.items() if kind != "same")

    def sameness(self) -> str:
        """Say how much of the two is the same."""
        many = f"{counted(self.same, 'conversation')}"
        if not self.differs:
            return f"Nothing differs: both hold the same {many}, on the same sides of the split."
        return f"{many} {'is' if self.same == 1 else 'are'} the same in both."
