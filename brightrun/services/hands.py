"""An item in hand: brought on a piece at a time, so that whoever makes its call may have many others out."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from brightrun.domain.batch import Claim
from brightrun.domain.text import clean
from brightrun.domain.writing import Order, RawAnswer, Writer
from brightrun.events.event import about, context

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Written:
    """An item that became a conversation or a verdict: the ledger's entry and the row."""

    attempt: Mapping[str, object]
    conversation: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Unwritten:
    """An item that did not: what becomes of it, and the ledger's entry."""

    disposition: str
    attempt: Mapping[str, object]
    delay: float = 0.0
    refund: bool = False
    slow_down: bool = False
    reason: str | None = None
    """What is said of the item and a paused job, where it is not the attempt that is at fault."""

    @property
    def message(self) -> str:
        return self.reason or str(self.attempt.get("error_message") or "")


Result = Written | Unwritten


class LeaseOver(Exception):
    """Too little of the lease is left for a call."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is to be made, unless the `uptime` is past `until` by then."""

    writer: Writer
    order: Order
    until: float

    def is_late(self) -> bool:
        """Whether another worker may have the item by the time an answer came."""
        return uptime() > self.until

    def made(self) -> RawAnswer | Exception:
        """Call, and return what came, a fault included."""
        try:
            return self.writer.write(self.order)
        except Exception as fault:  # noqa: BLE001 - it is raised again where the item is brought on
            return fault


Writing = Generator[Call | None, RawAnswer | None, Result]
"""Yields the call to be made and is sent its answer, or thrown what came instead; yields None once that is kept."""


class Hand:
    """One claimed item: `call` is what is to be made next, `result` what it became."""

    def __init__(self, claim: Claim, writing: Writing) -> None:
        self.claim = claim
        self.call: Call | None = None
        self.result: Result | None = None
        self.known: dict[str, object] = {"job": claim.job_id, "item": claim.item_id, "attempt": claim.attempt}
        """What every line told of it says."""
        self._writing = writing

    def go_on(self, came: RawAnswer | Exception | None = None) -> None:
        """Bring the item on: to its call, with what came of that to where it is kept, and from there to its end."""
        claim = self.claim
        with about(**self.known):
            try:
                if isinstance(came, Exception):
                    self.call = self._writing.throw(came)
                else:
                    self.call = self._writing.send(came)
            except StopIteration as ended:
                self.call, self.result = None, ended.value
            except Exception as fault:
                log.exception("item %s met an unexpected fault", claim.item_id)
                self.call, self.result = None, _unexpected(claim, fault)
            self.known = context()

    def finish(self) -> None:
        """Bring the item to its end, by way of its call where that is still to be made."""
        while self.result is None:
            self.go_on(self.call.made() if self.call else None)


def uptime() -> float:
    """Return seconds that pass while this machine sleeps too, where its system counts them."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def _unexpected(claim: Claim, fault: Exception) -> Unwritten:
    reason = clean(f"Unexpected fault: {type(fault).__name__}: {fault}"[:1000])
    entry = {"number": claim.attempt, "outcome": "unknown", "error_code": "internal_error"}
    return Unwritten("failed", entry | {"error_message": reason})
