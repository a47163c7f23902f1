"""A call that ends in time, whatever the other side does with each of its bytes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context
from queue import Empty, SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class DeadlinePassed(Exception):
    """The call goes on where nobody waits for it any more."""


def within(seconds: float, call: Callable[[], T]) -> T:
    """Return what a call returns or raise what it raises; raises DeadlinePassed after so many seconds.

    A time-out of a socket is one of each read: a server that sends a byte now and then is never too
    late by it, and would hold an item for longer than its lease.
    """
    ended: SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = SimpleQueue()

    def run() -> None:
        try:
            ended.put((call(), None))
        except BaseException as fault:  # noqa: BLE001 - raised again where the call was made
            ended.put((None, fault))

    told = copy_context()  # what is logged inside still says for which item
    threading.Thread(target=told.run, args=(run,), name="call", daemon=True).start()
    try:
        result, fault = ended.get(timeout=seconds)
    except Empty:
        raise DeadlinePassed from None
    if fault is not None:
        raise fault
    return result  # type: ignore[return-value]
