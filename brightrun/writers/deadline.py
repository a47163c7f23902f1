"""A call that ends in time, whatever the other side does with each of its bytes."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
Ending = tuple[T, None] | tuple[None, BaseException]

_IDLE_SECONDS = 30.0
ON_TIME_SECONDS = 0.5
UNREAD_SECONDS = 1.0
"""What arrived while this process stood still is read in less: it is paid for, and not to be thrown away."""


class DeadlinePassed(Exception):
    """The call goes on where nobody waits for it any more."""


def within(seconds: float, call: Callable[[threading.Event], T]) -> T:
    """Return what a call returns or raise what it raises; raises DeadlinePassed after so many seconds.

    The event tells the call that nobody waits for it any more.
    A time-out of a socket is one of each read: a server that sends a byte now and then is never too
    late by it, and would hold an item for longer than its lease.
    """
    ended: SimpleQueue[Ending[T]] = SimpleQueue()
    abandoned = threading.Event()

    told = copy_context()  # what is logged inside still says for which item
    caller = _idle_one() or _Caller()
    caller.take(lambda: ended.put(told.run(_ending_of, call, abandoned)))
    result, fault = _waited_for(ended, seconds, abandoned)
    if fault is not None:
        raise fault
    return result  # type: ignore[return-value]


class _Caller:
    """A thread that makes one call after the other; it outlives one that nobody waits for, and ends when unused."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        threading.Thread(target=self._run, name="call", daemon=True).start()

    def take(self, call: Callable[[], None]) -> None:
        self._calls.put(call)

    def _run(self) -> None:
        while True:
            try:
                call = self._calls.get(timeout=_IDLE_SECONDS)
            except Empty:
                with suppress(ValueError):  # somebody has just taken it, whose call is about to come
                    _idle.remove(self)
                    return
                continue
            call()
            del call  # with what it answered, which may be large
            _idle.append(self)


_idle: deque[_Caller] = deque()
"""The newest last, so that those beyond the usual number come to their end."""


def _idle_one() -> _Caller | None:
    with suppress(IndexError):
        return _idle.pop()
    return None


def _ending_of(call: Callable[[threading.Event], T], abandoned: threading.Event) -> Ending[T]:
    try:
        return call(abandoned), None
    except BaseException as fault:  # noqa: BLE001 - raised again where the call was made
        return None, fault


def _waited_for(ended: SimpleQueue[Ending[T]], seconds: float, abandoned: threading.Event) -> Ending[T]:
    began = time.monotonic()
    with suppress(Empty):
        return ended.get(timeout=seconds)
    stood_still = time.monotonic() - began - seconds > ON_TIME_SECONDS
    with suppress(Empty):
        return ended.get(timeout=UNREAD_SECONDS if stood_still else 0.0)
    abandoned.set()
    raise DeadlinePassed
