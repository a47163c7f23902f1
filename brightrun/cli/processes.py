"""Slots spread over processes: one Python process keeps one core busy, and short calls ask for more than that."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from queue import SimpleQueue

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import OpenJob, Step
from brightrun.domain.errors import BrightRunError, SetupFault
from brightrun.domain.ids import JobId
from brightrun.services.slots import Rota, Slots

SLOTS_EACH = 16
"""So many fill a core; before that another process is not worth the second it takes to start, nor its memory."""
TELL_SECONDS = 0.2
KILLED_SECONDS = 5.0
LEAVE_SECONDS = 5.0
"""So long somebody who has asked twice to stop waits at most, while what has come back is kept."""


def shares_of(slots: int) -> list[int]:
    """Return the slots of each process: as many as there are cores and slots to fill them, and one more.

    Each stands still now and then until a disk has made its files safe, and another has the core meanwhile.
    """
    filled = min(os.cpu_count() or 1, slots // SLOTS_EACH)
    number = filled + 1 if filled > 1 else 1
    return [slots // number + (1 if place < slots % number else 0) for place in range(number)]


@contextmanager
def crew_of(
    app: App, slots: int, tell: Callable[[Step], None], complain: Callable[[str], None]
) -> Iterator[Here | Processes]:
    """Lend so many slots, in this process or spread over several; what they tell comes one at a time."""
    shares = shares_of(slots)
    if len(shares) == 1:
        yield Here(app, slots, tell, complain)
        return
    with Processes(app.settings, shares, tell, complain) as crew:
        yield crew


@dataclass(frozen=True)
class _Task:
    """Which job, or all; and whether those that come are waited for."""

    only: JobId | None
    wait_for_more: bool


class _Wish(StrEnum):
    """What a process at work is asked."""

    LOOK = "look"
    STOP = "stop"
    LEAVE = "leave"


@dataclass(frozen=True)
class _Told:
    """Steps of a process: the newest of each job, and every one that has something to say."""

    steps: Sequence[Step] = ()
    complaint: str = ""


@dataclass(frozen=True)
class _Done:
    """A process has come to the end of its task, or to a fault that no waiting mends."""

    fault: str = ""
    remedy: str = ""


class Here:
    """Slots of this very process."""

    def __init__(
        self,
        app: App,
        slots: int,
        tell: Callable[[Step], None],
        complain: Callable[[str], None],
    ) -> None:
        self._app = app
        self._slots = slots
        self._tell = tell
        self._complain = complain
        self._crew: Slots | None = None
        self._stopped = False

    def run(self, only: JobId | None, *, wait_for_more: bool = False) -> None:
        """Work until no job is open or `stop` is called; raises what no waiting mends."""
        self._crew = Slots(
            self._app.steps,
            Rota(lambda: _listed(self._app, only)),
            tell=self._tell,
            complain=lambda fault: self._complain(f"{fault} Trying again."),
            wait_for_more=wait_for_more,
        )
        if self._stopped:  # before there was anything to stop
            self._crew.stop()
        self._crew.run(self._slots)

    def look(self) -> None:
        """Look at once for jobs that ended elsewhere."""
        if self._crew:
            self._crew.look()

    def stop(self) -> None:
        """Begin nothing more; what is in hand is finished and kept."""
        self._stopped = True
        if self._crew:
            self._crew.stop()

    def leave(self) -> None:
        """Begin nothing more and wait for no call; what has come back is kept."""
        self._stopped = True
        if self._crew:
            self._crew.leave()


@dataclass
class Processes:
    """Processes with slots of their own; one that is lost leaves its items to the others, as any worker does."""

    settings: Settings
    shares: Sequence[int]
    tell: Callable[[Step], None] = lambda step: None
    complain: Callable[[str], None] = lambda message: None
    _doors: dict[Connection, BaseProcess] = field(default_factory=dict)
    _stopped: bool = False

    def __enter__(self) -> Processes:
        """Start them; raises SetupFault where one cannot start."""
        try:
            for slots in self.shares:
                self._start(slots)
            self._listen()
        except BaseException as fault:
            self.__exit__(type(fault))
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End them: what is in hand is finished, or only kept where somebody has asked twice to stop."""
        patience = self.settings.lease_seconds
        if kind is KeyboardInterrupt:
            self._send(_Wish.LEAVE)
            patience = LEAVE_SECONDS
        for door in self._doors:
            door.close()  # which each takes for the wish to end
        until = time.monotonic() + patience
        try:
            for process in self._doors.values():
                process.join(max(0.0, until - time.monotonic()))
        finally:  # whoever breaks off this wait too
            for process in self._doors.values():
                process.kill()
            for (
                process
            ) in self._doors.values():  # the embedded server is let go of only by those that have ended
                process.join(KILLED_SECONDS)

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._doors.values() if process.pid]

    def run(self, only: JobId | None, *, wait_for_more: bool = False) -> None:
        """Work until no job is open or `stop` is called; raises what no waiting mends."""
        if not self._stopped:
            self._send(_Task(only, wait_for_more))
            self._listen()

    def stop(self) -> None:
        """Begin nothing more; what is in hand is finished and kept."""
        self._stopped = True
        self._send(_Wish.STOP)

    def _start(self, slots: int) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(self.settings, slots, theirs), daemon=True)
        process.start()
        theirs.close()
        self._doors[ours] = process

    def _send(self, what: _Task | _Wish) -> None:
        for door in self._doors:
            with suppress(OSError):  # one that has ended is noticed by who listens
                door.send(what)

    def _listen(self) -> None:
        """Pass on what is told until every process is done; the first fault of one ends all."""
        at_work, fault = set(self._doors), _Done()
        while at_work:
            for door in wait(list(at_work)):
                assert isinstance(door, Connection)
                try:
                    told = door.recv()
                except (EOFError, OSError):
                    at_work.discard(door)
                    self._lose(door)
                    continue
                if isinstance(told, _Told):
                    self._pass_on(told)
                    continue
                at_work.discard(door)
                if told.fault and not fault.fault:
                    fault = told
                    self.stop()
        if fault.fault:
            raise BrightRunError(fault.fault, remedy=fault.remedy)

    def _pass_on(self, told: _Told) -> None:
        for step in told.steps:
            self.tell(step)
        if any(not step.job.is_out for step in told.steps):
            self._send(_Wish.LOOK)  # who waits for the items of others need wait no longer
        if told.complaint:
            self.complain(told.complaint)

    def _lose(self, door: Connection) -> None:
        process = self._doors.pop(door)
        door.close()
        process.join(KILLED_SECONDS)
        if self._stopped:
            return
        ended = f"A process of slots has ended by itself (exit code {process.exitcode})."
        if not self._doors:
            raise SetupFault(ended, remedy="The job goes on where it stopped: start `brightrun work` again.")
        self.complain(f"{ended} The others go on; what it had in hand comes back to them.")


def _serve(settings: Settings, slots: int, door: Connection) -> None:
    """Do what is asked through the door until it closes: the parent has ended, or wants no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which knows what to do
    teller = _Teller(door)
    try:
        app = open_app(settings)
    except BrightRunError as fault:
        teller.end(fault)
        return
    try:
        here = Here(app, slots, teller.step, lambda message: teller.send(_Told(complaint=message)))
        _obey(here, door, teller)
    finally:
        app.close()


def _obey(here: Here, door: Connection, teller: _Teller) -> None:
    """Do one task after the other, and hear meanwhile whether to stop; SIGTERM finishes what is in hand and leaves."""
    tasks: SimpleQueue[_Task | None] = SimpleQueue()
    leaving: SimpleQueue[None] = SimpleQueue()

    def leave() -> None:
        leaving.get()
        teller.leave()
        here.stop()
        tasks.put(None)

    def hear() -> None:
        with suppress(EOFError, OSError):
            while True:
                told = door.recv()
                if isinstance(told, _Task):
                    tasks.put(told)
                elif told is _Wish.LOOK:
                    here.look()
                else:
                    here.leave() if told is _Wish.LEAVE else here.stop()
                    tasks.put(None)
        here.stop()
        tasks.put(None)

    signal.signal(signal.SIGTERM, lambda *_: leaving.put(None))  # a handler may take no lock
    threading.Thread(target=leave, daemon=True).start()
    threading.Thread(target=hear, daemon=True).start()
    teller.end(None)
    while task := tasks.get():
        try:
            here.run(task.only, wait_for_more=task.wait_for_more)
        except BrightRunError as fault:
            teller.end(fault)
        else:
            teller.end(None)


def _listed(app: App, only: JobId | None) -> Sequence[OpenJob]:
    if only is None:
        return app.batches.open_jobs()
    found = app.batches.get(only)
    return [OpenJob(found.id, found.priority)] if found.is_out else []


class _Teller:
    """Tells the parent how far the jobs are, seldom enough to cost nothing."""

    def __init__(self, door: Connection) -> None:
        self._door = door
        self._newest: dict[JobId, Step] = {}
        self._told_at = float("-inf")
        self._lock = threading.Lock()
        self._leaves = False

    def step(self, step: Step) -> None:
        """Note a step; called by one slot at a time."""
        self._newest[step.job.id] = step
        if step.message or not step.job.is_out or time.monotonic() - self._told_at > TELL_SECONDS:
            self._flush()

    def leave(self) -> None:
        """Be lost to the parent from now on, which says so: the work is not done."""
        self._leaves = True

    def end(self, fault: BrightRunError | None) -> None:
        self._flush()
        if self._leaves:
            return
        self.send(_Done(fault.message, fault.remedy) if fault else _Done())

    def send(self, told: _Told | _Done) -> None:
        with self._lock, suppress(OSError):  # nobody is there to be told any more
            self._door.send(told)

    def _flush(self) -> None:
        if self._newest:
            self.send(_Told(list(self._newest.values())))
            self._newest.clear()
        self._told_at = time.monotonic()
