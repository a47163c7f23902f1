"""Batch jobs, their items and attempts, and the transitions each status allows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from brightrun.domain.ids import (
    AttemptId,
    ConversationId,
    FencingToken,
    ItemId,
    JobId,
    TemplateId,
    TemplateVersionId,
)
from brightrun.domain.judging import Subject
from brightrun.domain.part import Delivery
from brightrun.domain.scenario import Scenario

MAX_SEED = 9_000_000_000_000_000_000
"""The column is a bigint; what is left above is for writing again, which counts up from a job's seed."""


class JobStatus(StrEnum):
    QUEUED = "queued"
    """Accepted, nothing written yet."""
    PROCESSING = "processing"
    """At least one item was claimed and work remains."""
    PAUSED = "paused"
    """Stopped by a person, a budget or a rejected key; resumable."""
    COMPLETED = "completed"
    """Nothing is queued or processing, and at least one item was completed."""
    FAILED = "failed"
    """Nothing is queued or processing, and no item was completed."""
    CANCELLED = "cancelled"
    """Ended by a person; what was in flight is still kept."""


class ItemStatus(StrEnum):
    QUEUED = "queued"
    """Waits for its turn, or for `next_attempt_at`."""
    PROCESSING = "processing"
    """Leased by one worker until `lease_until`."""
    COMPLETED = "completed"
    """Became a conversation."""
    FAILED = "failed"
    """Ended without one; the reason is on the item."""
    CANCELLED = "cancelled"
    """Never started, because its job was cancelled."""


class AttemptOutcome(StrEnum):
    STARTED = "started"
    """Claimed; a call may be in flight."""
    STORED = "stored"
    """The answer arrived and its raw bytes are stored."""
    FAILED = "failed"
    """The writer refused or was unreachable; nothing was paid."""
    UNKNOWN = "unknown"
    """The worker vanished or the connection broke: it may have been paid."""
    SKIPPED = "skipped"
    """No call was made, because an earlier attempt's answer was already stored."""


JOB_TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset(
        {JobStatus.PROCESSING, JobStatus.PAUSED, JobStatus.CANCELLED, JobStatus.FAILED}
    ),
    JobStatus.PROCESSING: frozenset(
        {JobStatus.PAUSED, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.PAUSED: frozenset(
        {JobStatus.QUEUED, JobStatus.PROCESSING, JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}
    ),
    JobStatus.COMPLETED: frozenset({JobStatus.QUEUED}),
    JobStatus.FAILED: frozenset({JobStatus.QUEUED, JobStatus.COMPLETED}),
    JobStatus.CANCELLED: frozenset(),
}
"""Ended jobs go back to queued only when their failed items are retried; a failed one is completed by an item
whose stored answer could be read after all."""

ITEM_TRANSITIONS: dict[ItemStatus, frozenset[ItemStatus]] = {
    ItemStatus.QUEUED: frozenset({ItemStatus.PROCESSING, ItemStatus.CANCELLED}),
    ItemStatus.PROCESSING: frozenset(
        {ItemStatus.QUEUED, ItemStatus.COMPLETED, ItemStatus.FAILED, ItemStatus.CANCELLED}
    ),
    ItemStatus.COMPLETED: frozenset(),
    ItemStatus.FAILED: frozenset({ItemStatus.QUEUED, ItemStatus.COMPLETED}),
    ItemStatus.CANCELLED: frozenset(),
}


class WriterName(StrEnum):
    DEMO = "demo"
    """The built-in writer: free, deterministic, and marked as a demo everywhere."""
    CLAUDE = "claude"
    """Claude, through the Messages API."""


class JobKind(StrEnum):
    """What the answers of a job become."""

    WRITE = "write"
    """Conversations."""
    JUDGE = "judge"
    """Verdicts on conversations that are there."""


class StepOutcome(StrEnum):
    """What one call of `process_next` did."""

    COMPLETED = "completed"
    """One item became a conversation."""
    FAILED = "failed"
    """One item ended without a conversation."""
    RETRY = "retry"
    """One item went back to the queue and will be tried again."""
    WAIT = "wait"
    """Nothing to claim now: items are held elsewhere or wait for their time."""
    PAUSED = "paused"
    """The job is paused."""
    DONE = "done"
    """The job has ended."""
    FENCED = "fenced"
    """Another worker took the item over; the answer is kept as an extra raw object."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Items of one job by status."""

    queued: int = 0
    processing: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0

    @property
    def total(self) -> int:
        return self.queued + self.processing + self.completed + self.failed + self.cancelled

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.cancelled

    @property
    def share(self) -> float:
        """Items that were brought to their end as a share of all, 0.0 to 1.0; an empty job counts as 0."""
        return (self.completed + self.failed) / self.total if self.total else 0.0


@dataclass(frozen=True, slots=True)
class Money:
    """US dollars of one job: settled, possible but unknown, and reserved by calls in flight."""

    spent: float = 0.0
    possible: float = 0.0
    reserved: float = 0.0
    budget: float | None = None


@dataclass(frozen=True, slots=True)
class JobOptions:
    """The frozen settings a job is written with."""

    writer: WriterName
    model: str
    max_tokens: int
    turns: int | None = None
    """Messages a conversation should have; None lets each arc decide."""
    seed: int = 0
    stop_on_error: bool = False
    """Pause the job at its first failed item."""
    budget: float | None = None
    """US dollars the job may never exceed."""
    retry_cut: bool = False
    """Buy an answer that was cut at the token limit once more."""
    delivery: Delivery = Delivery.DIRECT


@dataclass(frozen=True, slots=True)
class Job:
    """One batch job as a list or a page shows it."""

    id: JobId
    name: str
    status: JobStatus
    options: JobOptions
    template_id: TemplateId
    counts: Counts
    money: Money
    pause_reason: str | None
    created_by: str
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    rate_per_minute: float | None = None
    """Items ended per minute, over the latest ones."""
    seconds_left: float | None = None
    """Until all that may be written now has ended; None where nobody has it at hand."""
    next_attempt_at: datetime | None = None
    """Nothing of the job is called before: the API asked to slow down."""
    preview: int | None = None
    """Only the first so many items are written until a person starts the rest; None: all of them."""

    priority: int = 0
    """Jobs with a higher number come first; equals share."""
    kind: JobKind = JobKind.WRITE
    parts_out: int = 0
    """Parts of it that are on their way through Message Batches."""

    @property
    def waiting(self) -> int:
        """Items behind a preview, until a person starts them."""
        can_start = self.is_open or self.status is JobStatus.PAUSED
        return max(0, self.counts.total - self.preview) if self.preview and can_start else 0

    @property
    def now(self) -> Counts:
        """The items that may be written now: all but those that wait behind a preview."""
        return replace(self.counts, queued=max(0, self.counts.queued - self.waiting))

    @property
    def awaits_start(self) -> bool:
        """Whether its preview is written, to be read, and a person is to start the rest."""
        is_written = not self.now.queued and not self.now.processing
        return self.status is JobStatus.PAUSED and self.waiting > 0 and is_written

    @property
    def is_out(self) -> bool:
        """Whether something of it is still to come, whatever became of the job."""
        return self.is_open or self.parts_out > 0

    def is_idle(self, now: datetime) -> bool:
        """Whether it could go on, and nothing of it is in hand or was a moment ago."""
        if not self.is_open or self.counts.processing or self.seconds_left is not None:
            return False
        if self.options.delivery is Delivery.OVERNIGHT:
            return not self.parts_out and self.status is JobStatus.QUEUED
        waits = self.next_attempt_at is not None and self.next_attempt_at > now
        return self.rate_per_minute is not None or not waits  # before the first has ended no time is known

    @property
    def is_open(self) -> bool:
        """Whether process_next may still find work without a person's help."""
        return self.status in (JobStatus.QUEUED, JobStatus.PROCESSING)


@dataclass(frozen=True, slots=True)
class OpenJob:
    """A job that wants to be advanced, and how urgent it is."""

    id: JobId
    priority: int


@dataclass(frozen=True, slots=True)
class Item:
    """One scenario of one job, as the item table shows it."""

    id: ItemId
    job_id: JobId
    position: int
    status: ItemStatus
    scenario: Scenario
    template_version_id: TemplateVersionId
    template_choice: str
    attempts: int
    conversation_id: ConversationId | None
    error_code: str | None
    error_message: str | None
    next_attempt_at: datetime | None
    seconds: float | None
    """How long the last attempt took."""
    cost: float
    template_name: str
    quality_score: float | None
    subject: Subject | None = None
    """What it judges; None where it is to be written."""


@dataclass(frozen=True, slots=True)
class EarlierAnswer:
    """An earlier attempt whose answer may be stored and was not found useless."""

    number: int
    worker: str
    """Who made it: host, process and thread."""
    is_stored: bool
    """Whether the ledger says that the answer is stored; else its worker vanished and nobody knows."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One item as a writer was given it: what its answer is read with."""

    item_id: ItemId
    job_id: JobId
    scenario: Scenario
    template_version_id: TemplateVersionId
    options: JobOptions
    claimed_at: datetime
    """By the database's clock; the call's price is that of this day."""


@dataclass(frozen=True, slots=True)
class Claim(Assignment):
    """One leased item with all a worker needs to write it."""

    token: FencingToken
    attempt_id: AttemptId
    attempt: int
    tries: int
    """The attempt's number since the item was last retried by hand."""
    crashes: int
    """How often a worker vanished with the item."""
    answers: tuple[EarlierAnswer, ...]
    """Newest first."""
    may_call: bool
    """False when the attempts are used up: only a stored answer may still be used."""
    subject: Subject | None = None
    """What is to be judged; None where it is to be written."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one process_next did, and the job after it."""

    outcome: StepOutcome
    job: Job
    item_id: ItemId | None = None
    conversation_id: ConversationId | None = None
    message: str = ""
    again_in: float = 0.0
    """Seconds after which calling again makes sense."""
