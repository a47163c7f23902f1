"""What was spent on whom; what may have been spent stands apart and is never added to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from brightrun.domain.batch import AttemptOutcome
from brightrun.domain.estimate import Estimate
from brightrun.domain.ids import ItemId, JobId
from brightrun.domain.writing import Usage


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars spent on some items, and how many of them became something."""

    items: int
    completed: int
    approved: int
    rejected: int
    calls: int
    unknown_calls: int
    """Calls that may have been paid for, without an answer or without one that says what it used."""
    spent_usd: float
    possible_usd: float
    """The most that the unknown calls can have cost."""

    @property
    def per_conversation(self) -> float | None:
        """Dollars spent for each conversation written; None before the first."""
        return self.spent_usd / self.completed if self.completed else None

    @property
    def per_approved(self) -> float | None:
        """Dollars spent for each approved conversation, whatever was failed or rejected on the way."""
        return self.spent_usd / self.approved if self.approved else None


@dataclass(frozen=True, slots=True)
class VersionCost:
    """What one template version cost with one model."""

    template_name: str
    version: int
    model: str
    writer: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class JobCost:
    """Everything about the money of one job."""

    job_id: JobId
    model: str
    writer: str
    budget_usd: float | None
    reserved_usd: float
    saved_usd: float
    """What prompt caching spared; below zero where it only wrote."""
    usage: Usage
    cost: Cost
    templates: Sequence[VersionCost]
    estimate: Estimate | None
    """What was expected when the job was started."""


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One call, or one that may have been made, as the ledger has it."""

    item_id: ItemId
    number: int
    outcome: AttemptOutcome
    model: str
    cost_usd: float
    possible_usd: float
    reserved_usd: float
    usage: Usage = field(default_factory=Usage)
    saved_usd: float = 0.0
    request_id: str | None = None
    error_code: str | None = None
    started_at: datetime | None = None
