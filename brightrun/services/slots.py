"""Slots: a number of items written at the same time, fairly between jobs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field

from brightrun.domain.batch import OpenJob, Step, StepOutcome
from brightrun.domain.errors import BrightRunError, DatabaseFault
from brightrun.domain.ids import JobId

MOST_SLOTS = 128
LOOK_SECONDS = 1.0
"""How often it is looked for jobs that began, ended, or changed their priority elsewhere."""
LONGEST_REST = 30.0

Listed = Callable[[], Sequence[OpenJob]]


@dataclass
class _Turn:
    """Where one job stands in line."""

    priority: int
    served: int = 0
    rests_until: float = float("-inf")
    faults: int = 0


@dataclass
class Rota:
    """Whose turn it is: the most urgent jobs that have something to do, each as often as the others."""

    listed: Listed
    clock: Callable[[], float] = time.monotonic
    _turns: dict[JobId, _Turn] = field(default_factory=dict)
    _served: int = 0
    _looked: float = float("-inf")
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> JobId | float | None:
        """Return a job to advance, or the seconds until one may have something to do; None where all have ended."""
        with self._lock:
            now = self.clock()
            if now - self._looked >= LOOK_SECONDS or not self._turns:
                self._look(now)
            if not self._turns:
                return None
            due = [
                (turn.priority, -turn.served, id)
                for id, turn in self._turns.items()
                if turn.rests_until <= now
            ]
            if not due:
                return min(turn.rests_until for turn in self._turns.values()) - now
            job_id = max(due)[2]
            self._served += 1
            self._turns[job_id].served = self._served
            return job_id

    def look(self) -> None:
        """Look at once for what has changed elsewhere, whatever rests."""
        with self._lock:
            self._looked = float("-inf")
            for turn in self._turns.values():
                turn.rests_until = float("-inf")

    def stepped(self, job_id: JobId, step: Step) -> None:
        """Note what came of a turn: a job that has to wait rests, one that has ended leaves."""
        with self._lock:
            turn = self._turns.get(job_id)
            if turn is None:
                return
            turn.faults = 0
            if not step.job.is_out:
                del self._turns[job_id]
            elif step.outcome is StepOutcome.WAIT:
                turn.rests_until = self.clock() + min(max(step.again_in, 0.01), LONGEST_REST)

    def failed(self, job_id: JobId) -> None:
        """Let a job whose step met a fault rest, longer each time; what several slots met at once counts once."""
        with self._lock:
            turn = self._turns.get(job_id)
            if turn is not None and turn.rests_until <= self.clock():
                turn.faults += 1
                turn.rests_until = self.clock() + min(0.5 * 2.0 ** min(turn.faults, 16), LONGEST_REST)

    def _look(self, now: float) -> None:
        found = self.listed()
        before, self._turns, self._looked = self._turns, {}, now
        for job in found:
            turn = self._turns[job.id] = before.get(job.id) or _Turn(job.priority, self._served)
            turn.priority = job.priority


class Slots:
    """Works a rota off with a number of threads, each of which has one item in hand at most."""

    def __init__(
        self,
        process_next: Callable[[JobId], Step],
        rota: Rota,
        *,
        tell: Callable[[Step], None] = lambda step: None,
        complain: Callable[[BrightRunError], None] = lambda fault: None,
        wait_for_more: bool = False,
    ) -> None:
        """`tell` and `complain` are called from the slots' threads, one at a time.

        wait_for_more: go on when no job is open, for those that come.
        """
        self._process_next = process_next
        self._rota = rota
        self._tell = tell
        self._complain = complain
        self._wait_for_more = wait_for_more
        self._stop = threading.Event()
        self._changed = threading.Condition()
        self._telling = threading.Lock()

    def stop(self) -> None:
        """Begin nothing more; what is in hand is finished and kept."""
        self._stop.set()
        self._wake()

    def look(self) -> None:
        """Look at once for jobs that began or ended elsewhere."""
        self._rota.look()
        self._wake()

    def run(self, number: int) -> None:
        """Work until no job is open or `stop` is called; raises what no waiting mends."""
        with ThreadPoolExecutor(number, thread_name_prefix="brightrun-slot") as pool:
            slots = [pool.submit(self._work) for _ in range(number)]
            for slot in as_completed(slots):
                if slot.exception():
                    self.stop()
        for slot in slots:
            slot.result()

    def _work(self) -> None:
        while not self._stop.is_set():
            turn = self._next()
            if turn is None and not self._wait_for_more:
                return
            if not isinstance(turn, str):
                self._rest(min(turn or LOOK_SECONDS, LOOK_SECONDS))
                continue
            try:
                step = self._process_next(turn)
            except DatabaseFault as fault:
                self._bear(fault)
                self._rota.failed(turn)
                continue
            self._rota.stepped(turn, step)
            if not step.job.is_out:
                self._wake()  # who waited for it need not look again
            with self._telling:
                self._tell(step)

    def _rest(self, seconds: float) -> None:
        with self._changed:
            if not self._stop.is_set():
                self._changed.wait(seconds)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _next(self) -> JobId | float | None:
        try:
            return self._rota.next()
        except DatabaseFault as fault:
            self._bear(fault)
            return LOOK_SECONDS

    def _bear(self, fault: DatabaseFault) -> None:
        """Tell a fault that passes, and raise any other."""
        if not fault.is_transient:
            raise fault
        with self._telling:
            self._complain(fault)
