"""Slots: a number of calls out at the same time, fairly between jobs."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from brightrun.domain.batch import OpenJob, Step, StepOutcome
from brightrun.domain.errors import BrightRunError, DatabaseFault
from brightrun.domain.ids import JobId
from brightrun.services.hands import Hand
from brightrun.services.line import Back, Line

MOST_SLOTS = 128
LOOK_SECONDS = 1.0
"""How often it is looked for jobs that began, ended, or changed their priority elsewhere."""
LONGEST_REST = 30.0
KEEPS = 4
"""So many answers are kept at the same time: a disk makes several files safe in little more than the time of one."""

T = TypeVar("T")
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

    def hold(self, job_id: JobId) -> None:
        """Give a job no turn until it is released."""
        with self._lock:
            if job_id in self._turns:
                self._turns[job_id].rests_until = float("inf")

    def release(self, job_id: JobId) -> None:
        """Give a job turns again."""
        with self._lock:
            if job_id in self._turns:
                self._turns[job_id].rests_until = float("-inf")

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


class Worker(Protocol):
    """What slots work with: see `Steps`."""

    @property
    def at_once(self) -> int: ...

    def is_slow(self, job_id: JobId) -> bool: ...

    def next(self, job_id: JobId) -> Step: ...

    def hand_out(self, job_id: JobId, number: int) -> tuple[list[Hand], Step | None]: ...

    def conclude(self, hands: Sequence[Hand]) -> list[Step | BrightRunError]: ...


class Slots:
    """Works a rota off with a number of calls at a time, and one thread for all that is done before and after them."""

    def __init__(
        self,
        steps: Worker,
        rota: Rota,
        *,
        tell: Callable[[Step], None] = lambda step: None,
        complain: Callable[[BrightRunError], None] = lambda fault: None,
        wait_for_more: bool = False,
    ) -> None:
        """`tell` and `complain` are called from the thread that runs the slots.

        wait_for_more: go on when no job is open, for those that come.
        """
        self._steps = steps
        self._keeps = max(steps.at_once, KEEPS)
        self._rota = rota
        self._tell = tell
        self._complain = complain
        self._wait_for_more = wait_for_more
        self._stopped = False
        self._left = False
        self._fault: BrightRunError | None = None
        self._line: Line | None = None
        self._came: deque[Back] = deque()
        self._slow: dict[JobId, Future[Step]] = {}
        self._pool: ThreadPoolExecutor
        self._beside: ThreadPoolExecutor

    def stop(self) -> None:
        """Begin nothing more; what is in hand is finished and kept."""
        self._stopped = True
        self._wake()

    def leave(self) -> None:
        """Begin nothing more and wait for no call; what has come back is kept, and gone on from another time."""
        self._stopped = self._left = True
        self._wake()

    def look(self) -> None:
        """Look at once for jobs that began or ended elsewhere."""
        self._rota.look()
        self._wake()

    def run(self, number: int) -> None:
        """Work until no job is open or `stop` is called; raises what no waiting mends."""
        with (
            ThreadPoolExecutor(number, thread_name_prefix="brightrun-slot") as callers,
            ThreadPoolExecutor(self._keeps, thread_name_prefix="brightrun-store") as self._pool,
            ThreadPoolExecutor(number, thread_name_prefix="brightrun-part") as self._beside,
        ):
            self._line = line = Line(number, callers)
            try:
                self._work(line, number)
            except KeyboardInterrupt:  # somebody has asked twice to stop
                self._break_off(line)
                raise
            except BaseException:
                self._stopped = True
                self._take()
                while line.length:  # what is out is paid for: it is kept, and gone on from another time
                    self._came.extend(line.back(LOOK_SECONDS))
                    self._take()
                raise
            finally:
                line.close()
        if self._fault:
            raise self._fault

    def _work(self, line: Line, number: int) -> None:
        while not self._left:
            kept = self._take()
            # A refusal may hold all others back: a limit, a rejected key. It is recorded before more are handed out.
            is_first = number == 1 or any(hand.result for hand in kept)
            if is_first:
                self._finish(kept)
            rest = self._fill(line)
            if not is_first:
                self._finish(kept)
            if kept and not line.length:
                continue  # what has just ended may have been the last, and nobody waits for more then
            if not line.length and not self._slow and (rest is None or self._stopped):
                return
            self._came.extend(line.back(min(rest or LOOK_SECONDS, LOOK_SECONDS)))
        self._break_off(line)

    def _break_off(self, line: Line) -> None:
        """Keep what has come back, and wait for nothing else."""
        line.close()
        self._came.extend(line.back(0))
        self._take()

    def _take(self) -> list[Hand]:
        """Keep every answer that has come back before anything else is done; returns whose they are.

        In other threads, for a signal breaks in on this one: an answer would be lost on its way to the store.
        """
        hands = [hand for hand, _ in self._came]
        threads = min(self._keeps, len(hands))
        for keeping in [self._pool.submit(_keep, self._came) for _ in range(threads)]:
            keeping.result()
        return hands

    def _each(self, bring_on: Callable[[T], object], some: Sequence[T]) -> None:
        if self._steps.at_once > 1 and len(some) > 1:
            list(self._pool.map(bring_on, some))
        else:
            for one in some:
                bring_on(one)

    def _fill(self, line: Line) -> float | None:
        """Hand out items until enough are in hand; returns the seconds until there may be more, None for never."""
        self._hear_of_slow()
        while not self._stopped and (room := line.room) > 0:
            wanted: Counter[JobId] = Counter()
            rest: float | None = None
            while wanted.total() < room:
                turn = self._next()
                if not isinstance(turn, str):
                    rest = LOOK_SECONDS if turn is None and self._wait_for_more else turn
                    break
                wanted[turn] += 1
            if not wanted:
                return rest
            for job_id, number in wanted.items():
                if self._stopped:
                    break
                if self._steps.is_slow(job_id):
                    self._begin_slow(line, job_id)
                else:
                    self._hand_out(line, job_id, number)
        return None if self._stopped else LOOK_SECONDS

    def _hand_out(self, line: Line, job_id: JobId, number: int) -> None:
        try:
            hands, step = self._steps.hand_out(job_id, number)
        except BrightRunError as fault:
            self._bear(fault)
            self._rota.failed(job_id)
            return
        for hand in hands:
            if hand.call:
                line.add(hand)
        if step is not None:
            self._note(job_id, step)
        self._finish([hand for hand in hands if not hand.call])  # which needed no call

    def _begin_slow(self, line: Line, job_id: JobId) -> None:
        """Advance a job beside everything else, and let it rest until that is done."""
        self._rota.hold(job_id)
        if job_id in self._slow:
            return
        self._slow[job_id] = self._beside.submit(self._steps.next, job_id)
        self._slow[job_id].add_done_callback(lambda _: line.wake())

    def _hear_of_slow(self) -> None:
        for job_id, step in list(self._slow.items()):
            if not step.done():
                continue
            del self._slow[job_id]
            self._rota.release(job_id)
            try:
                self._note(job_id, step.result())
            except BrightRunError as fault:
                self._bear(fault)
                self._rota.failed(job_id)

    def _finish(self, hands: Sequence[Hand]) -> None:
        """Bring items to their ends, and record those of a job together."""
        self._each(Hand.finish, hands)
        jobs: dict[JobId, list[Hand]] = {}
        for hand in hands:
            jobs.setdefault(hand.claim.job_id, []).append(hand)
        for job_id, some in jobs.items():
            for step in self._steps.conclude(some):
                if isinstance(step, BrightRunError):
                    self._bear(step)
                    self._rota.failed(job_id)
                else:
                    self._note(job_id, step)

    def _note(self, job_id: JobId, step: Step) -> None:
        self._rota.stepped(job_id, step)
        self._tell(step)

    def _wake(self) -> None:
        if self._line:
            self._line.wake()

    def _next(self) -> JobId | float | None:
        try:
            return self._rota.next()
        except DatabaseFault as fault:
            self._bear(fault)
            return LOOK_SECONDS

    def _bear(self, fault: BrightRunError) -> None:
        """Tell a fault that passes; with any other the work ends once what is in hand is finished."""
        if isinstance(fault, DatabaseFault) and fault.is_transient:
            self._complain(fault)
            return
        self._fault = self._fault or fault
        self._stopped = True


def _keep(came: deque[Back]) -> None:
    """Keep one answer after the other, each off the list from then on, until none is left."""
    while True:
        try:
            hand, answer = came.popleft()
        except IndexError:
            return
        if answer is not None:
            hand.go_on(answer)
