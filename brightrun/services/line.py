"""Calls out: so many at a time, the next of those that wait as soon as one has come back."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import islice
from queue import Empty, SimpleQueue

from brightrun.domain.writing import Caller, RawAnswer
from brightrun.events.event import about
from brightrun.services.hands import Hand, LeaseOver
from brightrun.services.pace import mean

GATHER_SECONDS = 0.005
"""So long others are waited for that come back at nearly the same time: what is done for several costs less for each."""
AHEAD_SECONDS = 0.1
"""Items wait in line for no longer than about this: whoever pauses a job wants it to pause."""
SOON_SECONDS = AHEAD_SECONDS / 2
"""So long before a call comes back the next item is asked for, and with it those for all that come back little later."""

KEEP_SECONDS = 0.5
"""An answer waits no longer than about twice this to be kept, whatever keeps the thread that takes it."""

Came = RawAnswer | Exception
Back = tuple[Hand, Came | None]
"""A hand whose call is over, and what came; None where that is kept already."""


class Line:
    """Hands whose calls are out or wait to be; one thread adds them and takes what has come back."""

    def __init__(self, most: int, threads: ThreadPoolExecutor) -> None:
        """`threads` make the calls of a writer that can have only one of them out in a thread."""
        self._most = most
        self._threads = threads
        self._back: SimpleQueue[Back | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: deque[Hand] = deque()
        self._out: dict[Hand, float] = {}
        self._length = 0
        self._seconds = 0.0
        self._strays = 0.0
        self._busy_since: float | None = None
        self._closed = threading.Event()
        self._keeper = threading.Thread(target=self._watch, name="keeper", daemon=True)
        self._keeper.start()

    def add(self, hand: Hand) -> None:
        """Let a hand's call be made when there is room for it."""
        self._length += 1
        with self._lock:
            if len(self._out) >= self._most:
                self._waiting.append(hand)
                return
            self._out[hand] = time.monotonic()
        self._begin(hand)

    @property
    def length(self) -> int:
        """How many were added and not taken back."""
        return self._length

    @property
    def room(self) -> int:
        """How many more are wanted: so many that the next call begins when one has come back, and few more."""
        each = self._seconds
        if not each or self._most == 1:
            return self._most - self._length
        ahead = max(int(AHEAD_SECONDS * self._most / max(each, 0.001)), self._due())
        return self._most + min(self._most, ahead) - self._length

    def back(self, seconds: float) -> list[Back]:
        """Return what has come back, or nothing after so many seconds, when more are wanted, or when somebody calls `wake`."""
        self._busy_since = None
        found: list[Back] = []
        try:
            one = self._back.get(timeout=min(seconds, self._wanted_in()))  # which is asked for once
            while one is not None:
                found.append(one)
                if len(found) == 1 < self._length and seconds:
                    time.sleep(GATHER_SECONDS)
                one = self._back.get_nowait()
        except Empty:
            pass
        except BaseException:
            for one in found:
                self._back.put(one)
            raise
        self._length -= len(found)
        self._busy_since = time.monotonic()
        return found

    def wake(self) -> None:
        """Let `back` return; may be called from anywhere."""
        self._back.put(None)

    def close(self) -> None:
        """Call for none that still waits, and end who looks after the line once it has kept what it took."""
        self._closed.set()
        self._keeper.join()

    def _wanted_in(self) -> float:
        """Return the seconds until the next call is about to come back that no item waits for."""
        if self._most == 1 or not self._is_even:
            return float("inf")
        now = time.monotonic()
        with self._lock:
            without = islice(self._out.values(), len(self._waiting), None)
            left = (began + self._seconds - SOON_SECONDS - now for began in without)
            return next((seconds for seconds in left if seconds > 0), float("inf"))

    def _due(self) -> int:
        """Return how many calls will have come back while an item may wait, as far as one can tell: where all take as long."""
        if not self._is_even:
            return 0
        since = time.monotonic() + AHEAD_SECONDS - self._seconds
        with self._lock:
            return sum(began <= since for began in self._out.values())

    @property
    def _is_even(self) -> bool:
        """Whether calls take about as long as each other."""
        return 0 < self._strays < SOON_SECONDS

    def _watch(self) -> None:
        """Keep what has come back while the thread that takes it is held up by something else."""
        while not self._closed.wait(KEEP_SECONDS):
            since = self._busy_since
            if since is not None and time.monotonic() - since > KEEP_SECONDS:
                self._keep()

    def _keep(self) -> None:
        found: list[Back | None] = []
        with suppress(Empty):
            while True:
                found.append(self._back.get_nowait())
        for one in found:
            if one is not None and one[1] is not None:
                one[0].go_on(one[1])
                one = (one[0], None)
            self._back.put(one)

    def _begin(self, hand: Hand) -> None:
        call = hand.call
        assert call
        if call.is_late():
            self._come(hand, LeaseOver())
            return
        told = partial(self._come, hand)
        try:
            if isinstance(call.writer, Caller):
                with about(**hand.known):  # what is logged on the way still says for which item
                    call.writer.begin(call.order, told)
            else:
                self._threads.submit(lambda: told(call.made()))
        except Exception as fault:  # noqa: BLE001 - it is raised again where the item is brought on, or nobody would
            self._come(hand, fault)

    def _come(self, hand: Hand, came: Came) -> None:
        self._back.put((hand, came))
        with self._lock:
            took = time.monotonic() - self._out.pop(hand)
            if isinstance(came, RawAnswer):  # a refusal takes no time, and answers do
                self._strays = mean(self._strays, abs(took - self._seconds))  # the first by all it took
                self._seconds = mean(self._seconds, took)
            following = self._waiting.popleft() if self._waiting and not self._closed.is_set() else None
            if following is not None:
                self._out[following] = time.monotonic()
        if following is not None:
            self._begin(following)
