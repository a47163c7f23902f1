"""The events by name, and how one is told together with what it is about."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum

ROOT = "brightrun"

_log = logging.getLogger(ROOT)
_about: ContextVar[dict[str, object] | None] = ContextVar("about", default=None)


class Event(StrEnum):
    """Everything that is told by name; each is one line of the log."""

    APP_OPENED = "app.opened"
    """A process connected to its database and files."""
    APP_CLOSED = "app.closed"
    """A process let go of them."""
    JOB_CREATED = "job.created"
    """A plan was accepted as a batch job."""
    JOB_PAUSED = "job.paused"
    """A job hands out no items, and why."""
    JOB_RESUMED = "job.resumed"
    """A person let it go on."""
    JOB_ADJUSTED = "job.adjusted"
    """A person gave what a preview has not begun another template or other values."""
    JOB_RELEASED = "job.released"
    """A person started what waited behind a preview, or more of it."""
    JOB_BUDGETED = "job.budgeted"
    """A person set what it may cost in all; one that was paused goes on."""
    JOB_CANCELLED = "job.cancelled"
    """A person ended it for good."""
    JOB_RETRIED = "job.retried"
    """A person queued its failed items again."""
    IMPORT_WITHDRAWN = "import.withdrawn"
    """A person took back what a file had brought."""
    JOB_ENDED = "job.ended"
    """Nothing of it is queued or processing any more."""
    ITEMS_RECLAIMED = "items.reclaimed"
    """Items whose worker vanished went back to the queue."""
    ITEM_CLAIMED = "item.claimed"
    """A worker leased an item."""
    PART_SENT = "part.sent"
    """Items of an overnight job are at Claude, under one id."""
    PART_COLLECTED = "part.collected"
    """What came back of them was read to its end."""
    PART_CLOSED = "part.closed"
    """Each of them has an end, or is back in the queue."""
    CALL_STARTED = "call.started"
    """A call that may cost money is about to leave."""
    CALL_ANSWERED = "call.answered"
    """Its answer arrived; told once the bytes are safe."""
    CALL_FAILED = "call.failed"
    """No answer arrived, and why."""
    ANSWER_STORED = "answer.stored"
    """The raw bytes stand at their write-once key."""
    ANSWER_SPOOLED = "answer.spooled"
    """The store did not take them: they wait on this machine."""
    ANSWER_REUSED = "answer.reused"
    """An earlier attempt's answer was found: nothing is paid."""
    ANSWER_READ = "answer.read"
    """Its tokens and its price are known."""
    ITEM_COMPLETED = "item.completed"
    """An item became a conversation."""
    ITEM_FAILED = "item.failed"
    """An item ended without one."""
    JOB_PRIORITISED = "job.prioritised"
    """A job was moved before or behind others."""
    ITEM_RETRIED = "item.retried"
    """An item waits to be tried again."""
    ITEM_PUT_BACK = "item.put_back"
    """An item went back because its job paused."""
    ITEM_CANCELLED = "item.cancelled"
    """An item in flight ended with its cancelled job."""
    ITEM_FENCED = "item.fenced"
    """An answer came too late: another worker has the item."""


LEVELS = {
    Event.JOB_PAUSED: logging.WARNING,
    Event.ITEMS_RECLAIMED: logging.WARNING,
    Event.CALL_FAILED: logging.WARNING,
    Event.ANSWER_SPOOLED: logging.WARNING,
    Event.ITEM_RETRIED: logging.WARNING,
    Event.ITEM_PUT_BACK: logging.WARNING,
    Event.ITEM_FENCED: logging.WARNING,
    Event.ITEM_FAILED: logging.ERROR,
}
"""Every other event is information."""


def emit(event: Event, **fields: object) -> None:
    """Tell one event; a field that is None is left out. Never raises and never waits for a disk."""
    level = LEVELS.get(event, logging.INFO)
    if _log.isEnabledFor(level):
        _log.handle(_record(event, level, fields))


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Add fields to every line told inside, by whatever module: the job, the item, the attempt."""
    before = _about.set({**(_about.get() or {}), **fields})
    try:
        yield
    finally:
        _about.reset(before)


def note(**fields: object) -> None:
    """Add what has become known, such as a request id, to the lines still to come inside `about`."""
    known = _about.get()
    if known is not None:
        known.update(fields)


def context() -> dict[str, object]:
    """Return what the lines of this thread are about."""
    return dict(_about.get() or {})


def _record(event: Event, level: int, fields: Mapping[str, object]) -> logging.LogRecord:
    """Return a record made by hand: to look for the line of code that tells it costs as much as the line."""
    record = logging.LogRecord.__new__(logging.LogRecord)
    now = time.time()
    record.__dict__ = {
        **_ALIKE,
        "msg": event.value,
        "levelno": level,
        "levelname": logging.getLevelName(level),
        "created": now,
        "msecs": now % 1 * 1000,
        "process": os.getpid(),
        "thread": threading.get_ident(),
        "threadName": threading.current_thread().name,
        "event": event,
        "fields": fields,
    }
    return record


_ALIKE = vars(logging.LogRecord(ROOT, logging.INFO, __file__, 0, "", None, None))
