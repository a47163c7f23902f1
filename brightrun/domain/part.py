"""Parts of a job that are handed over to Message Batches, and what is known of them there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol, runtime_checkable

from brightrun.domain.ids import ItemId, JobId, PartId
from brightrun.domain.writing import Order

MOST_REQUESTS = 100_000
"""Of one batch (platform.claude.com, batch processing)."""
MOST_BYTES = 200_000_000
"""Of one batch's body: the API takes 256 MB."""


class Delivery(StrEnum):
    """How a job's answers come."""

    DIRECT = "direct"
    """Each by a call of its own, as soon as it can be made."""
    OVERNIGHT = "overnight"
    """Through Message Batches: within a day, at a share of the price."""


class PartStatus(StrEnum):
    PREPARING = "preparing"
    """A worker is about to hand it over."""
    LOST = "lost"
    """It may have been handed over or not: the batches at Claude tell."""
    SENT = "sent"
    """It is at Claude, under its remote id."""
    CLOSED = "closed"
    """Each of its items has an end, or is back in the queue."""


PART_TRANSITIONS: dict[PartStatus, frozenset[PartStatus]] = {
    PartStatus.PREPARING: frozenset({PartStatus.SENT, PartStatus.LOST, PartStatus.CLOSED}),
    PartStatus.LOST: frozenset({PartStatus.SENT, PartStatus.CLOSED}),
    PartStatus.SENT: frozenset({PartStatus.CLOSED}),
    PartStatus.CLOSED: frozenset(),
}


class PartEnd(StrEnum):
    """What became of a part that is closed."""

    COLLECTED = "collected"
    """Claude's answers to it were read."""
    NOT_HANDED_OVER = "not handed over"
    """Claude never had it; what of it had no end went back."""
    GONE = "results missing"
    """Claude has no answers to it any more, or does not name all of them."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some items of one job on their way through Message Batches."""

    id: PartId
    job_id: JobId
    number: int
    status: PartStatus
    size: int
    remote_id: str | None
    cancel_asked: bool
    faults: int
    """Looks in a row that told nothing."""
    fault: str | None
    created_at: datetime
    sent_at: datetime | None
    ends_by: datetime | None
    closed_at: datetime | None
    results_gone: bool
    """Whether Claude has no answers to it any more, or did not name all of its items."""
    look_seconds: float | None
    """Until it is looked at again."""
    token: str | None = None
    """Of whoever has it in hand; None where it is only shown."""

    @property
    def end(self) -> PartEnd | None:
        """What became of it; None while it is out."""
        if self.status is not PartStatus.CLOSED:
            return None
        if self.results_gone:
            return PartEnd.GONE
        return PartEnd.COLLECTED if self.remote_id else PartEnd.NOT_HANDED_OVER


@dataclass(frozen=True, slots=True)
class Remote:
    """A batch as Claude tells of it."""

    id: str
    size: int
    created_at: datetime | None
    expires_at: datetime | None
    is_ended: bool
    is_archived: bool
    """Its results are gone."""
    is_cancelling: bool


@dataclass(frozen=True, slots=True)
class Result:
    """One line of a batch's results, exactly as it came, and what it says of itself."""

    item_id: ItemId
    kind: str
    """succeeded, errored, canceled or expired."""
    body: bytes
    error_type: str = ""
    error_message: str = ""


@runtime_checkable
class BatchWriter(Protocol):
    """A writer that takes many orders at once and answers later; no retry inside."""

    def submit(self, orders: Sequence[tuple[ItemId, Order]]) -> Remote:
        """Hand orders over, once; raises WriterFault."""
        ...

    def size_of(self, order: Order) -> int:
        """Return the bytes an order takes in a batch's body, or a little more."""
        ...

    def look(self, remote_id: str) -> Remote:
        """Return how far a batch is; raises WriterFault."""
        ...

    def call_off(self, remote_id: str) -> None:
        """Ask for a batch to be cancelled; what is written already still comes. Raises WriterFault."""
        ...

    def newest(self, since: datetime) -> list[Remote]:
        """Return the batches of the key's workspace that are not older; raises WriterFault."""
        ...

    def results(self, remote_id: str) -> Iterator[Result | bytes]:
        """Yield an ended batch's results in any order; bytes where a line is no result.

        Raises WriterFault, in the middle of it where the connection breaks.
        """
        ...
