"""A call that ends in time, whatever the other side does with each of its bytes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")
Ending = tuple[T, None] | tuple[None, BaseException]

_ON_TIME_SECONDS = 0.5
_UNREAD_SECONDS = 1.0
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

    def run() -> None:
        try:
            ended.put((call(abandoned), None))
        except BaseException as fault:  # noqa: BLE001 - raised again where the call was made
            ended.put((None, fault))

    told = copy_context()  # what is logged inside still says for which item
    threading.Thread(target=told.run, args=(run,), name="call", daemon=True).start()
    result, fault = _waited_for(ended, seconds, abandoned)
    if fault is not None:
        raise fault
    return result  # type: ignore[return-value]


def _waited_for(ended: SimpleQueue[Ending[T]], seconds: float, abandoned: threading.Event) -> Ending[T]:
    began = time.monotonic()
    with suppress(Empty):
        return ended.get(timeout=seconds)
    stood_still = time.monotonic() - began - seconds > _ON_TIME_SECONDS
    with suppress(Empty):
        return ended.get(timeout=_UNREAD_SECONDS if stood_still else 0.0)
    abandoned.set()
    raise DeadlinePassed
