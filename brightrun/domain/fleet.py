"""Workers: processes that write wherever they stand, as the others see them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from brightrun.domain.ids import JobId

ALIVE_SECONDS = 15.0
"""Who was heard of within this time counts as alive."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One process of the fleet."""

    name: str
    """Machine and process, as in the ledger."""
    slots: int
    jobs: Sequence[JobId]
    """What it works at just now."""
    written: int
    """Items it has brought to an end since it began."""
    started_at: datetime
    seen_seconds: float
    """How long ago it was heard of, by the database's clock."""
