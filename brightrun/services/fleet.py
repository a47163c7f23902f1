"""The fleet: working at a job for a while, and who else does."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from brightrun import saol
from brightrun.domain.batch import Job, Step, StepOutcome
from brightrun.domain.errors import DatabaseFault
from brightrun.domain.fleet import ALIVE_SECONDS, Worker
from brightrun.domain.ids import JobId
from brightrun.services.workers import process
from brightrun.stores import fleet as store

SLICE_SECONDS = 20.0
"""So long a task works at one job; then others have their turn."""
REST_SECONDS = 2.0

log = logging.getLogger(__name__)


class Fleet:
    """What this process does for all, and what is known of the others."""

    def __init__(
        self,
        db: saol.Database,
        process_next: Callable[[JobId], Step],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._db = db
        self._process_next = process_next
        self._clock = clock
        self._lock = threading.Lock()
        self._at: Counter[JobId] = Counter()
        self._written = 0
        self._name = process()

    def drain(self, job_id: JobId, stop: threading.Event, *, seconds: float = SLICE_SECONDS) -> None:
        """Work at a job until its time is over, nothing is left to begin, or `stop` is set."""
        with self._lock:
            self._at[job_id] += 1
        try:
            self._drain(job_id, stop, self._clock() + seconds)
        finally:
            with self._lock:
                self._at[job_id] -= 1

    def beat(self, slots: int) -> None:
        """Tell the others that this process is alive and what it does."""
        with self._lock:
            jobs, written = [job for job, times in self._at.items() if times], self._written
        store.beat(self._db, self._name, slots=slots, jobs=jobs, written=written)

    def leave(self) -> None:
        """Tell the others that this process ends."""
        store.leave(self._db, self._name)

    def alive(self) -> list[Worker]:
        """Return the workers that were heard of just now."""
        return store.alive(self._db, ALIVE_SECONDS)

    def unattended(self, jobs: Iterable[Job]) -> set[JobId]:
        """Return those of some jobs that nobody writes: they are idle, and no worker is alive that would take them up."""
        now = datetime.now(UTC)
        idle = {job.id for job in jobs if job.is_idle(now)}
        return set() if idle and self.alive() else idle

    def _drain(self, job_id: JobId, stop: threading.Event, until: float) -> None:
        while not stop.is_set() and self._clock() < until:
            try:
                step = self._process_next(job_id)
            except DatabaseFault as fault:
                if not fault.is_transient:
                    raise
                log.warning("job %s waits for the database: %s", job_id, fault)
                stop.wait(REST_SECONDS)
                continue
            if step.item_id is not None:
                with self._lock:
                    self._written += step.outcome in (StepOutcome.COMPLETED, StepOutcome.FAILED)
            if not step.job.is_open or (step.item_id is None and not step.job.counts.queued):
                return
            if step.outcome is StepOutcome.WAIT:
                stop.wait(min(max(step.again_in, 0.01), REST_SECONDS))
