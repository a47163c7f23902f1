"""Calls out: so many at a time, the next of those that wait as soon as one has come back."""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue

from brightrun.domain.writing import Caller, RawAnswer
from brightrun.services.hands import Hand, LeaseOver

GATHER_SECONDS = 0.005
"""So long others are waited for that come back at nearly the same time: what is done for several costs less for each."""
AHEAD_SECONDS = 0.1
"""Items wait in line for no longer than about this: whoever pauses a job wants it to pause."""

Back = tuple[Hand, RawAnswer | Exception]


class Line:
    """Hands whose calls are out or wait to be; one thread adds them and takes what has come back."""

    def __init__(self, most: int, threads: ThreadPoolExecutor) -> None:
        """`threads` make the calls of a writer that can have only one of them out in a thread."""
        self._most = most
        self._threads = threads
        self._back: SimpleQueue[Back | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting: deque[Hand] = deque()
        self._out = 0
        self._length = 0
        self._times: deque[float] = deque(maxlen=max(most, 8))

    def add(self, hand: Hand) -> None:
        """Let a hand's call be made when there is room for it."""
        self._length += 1
        with self._lock:
            if self._out >= self._most:
                self._waiting.append(hand)
                return
            self._out += 1
        self._begin(hand)

    @property
    def length(self) -> int:
        """How many were added and not taken back."""
        return self._length

    @property
    def room(self) -> int:
        """How many more are wanted: so many that the next call begins when one has come back, and few more."""
        return self._most + min(self._most // 2, int(self._pace() * AHEAD_SECONDS)) - self.length

    def back(self, seconds: float) -> list[Back]:
        """Return what has come back, or nothing after so many seconds, or when somebody calls `wake`."""
        found: list[Back] = []
        with suppress(Empty):
            first = self._back.get(timeout=seconds)
            if first is None:
                return []
            if self._length > 1:
                time.sleep(GATHER_SECONDS)
            found.append(first)
            while (one := self._back.get_nowait()) is not None:
                found.append(one)
        self._length -= len(found)
        self._times.extend([time.monotonic()] * len(found))
        return found

    def wake(self) -> None:
        """Let `back` return; may be called from anywhere."""
        self._back.put(None)

    def _pace(self) -> float:
        """Return how many come back in a second."""
        if len(self._times) < 2:
            return 0.0
        return len(self._times) / max(time.monotonic() - self._times[0], 0.001)

    def _begin(self, hand: Hand) -> None:
        call = hand.call
        assert call
        if call.is_late():
            self._come(hand, LeaseOver())
        elif isinstance(call.writer, Caller):
            call.writer.begin(call.order, partial(self._come, hand))
        else:
            self._threads.submit(lambda: self._come(hand, call.made()))

    def _come(self, hand: Hand, came: RawAnswer | Exception) -> None:
        with self._lock:
            following = self._waiting.popleft() if self._waiting else None
            if following is None:
                self._out -= 1
        if following is not None:
            self._begin(following)
        self._back.put((hand, came))
