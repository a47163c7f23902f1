"""How a batch job went so far: what went wrong how often, and its counters over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ErrorClass:
    """One kind of error within a job, with the latest of its messages."""

    code: str
    category: str
    """Of a refusal, in the model's own word; else empty."""
    times: int
    """Calls it struck."""
    ended_items: int
    """Items it ended; the others were tried again."""
    message: str
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Point:
    """The counters of a job at one moment."""

    at: datetime
    completed: int
    failed: int
    spent: float


@dataclass(frozen=True, slots=True)
class Progress:
    """What a screen shows of a job beside its present counters; bounded, whatever its size."""

    retries: int = 0
    """How often an item was tried again."""
    errors: Sequence[ErrorClass] = ()
    """Most frequent first."""
    points: Sequence[Point] = ()
    """From the start to now, in the order of time: at most one for each hundredth of the job."""
