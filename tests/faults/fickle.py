"""Adapters whose faults a test decides: a writer with a journal of what it was truly paid, a store that goes down."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from brightrun.buckets.local import LocalBucket
from brightrun.domain.errors import (
    StorageFault,
    WriterBusy,
    WriterDeclined,
    WriterRejected,
    WriterUncertain,
)
from brightrun.domain.price import approximate_tokens
from brightrun.domain.writing import Answer, Order, RawAnswer
from brightrun.writers.demo import DemoWriter

INPUT_USD, OUTPUT_USD = 2e-6, 10e-6
"""What a token of the seed's Sonnet costs."""


class Gone(BaseException):
    """Stands for kill -9: nothing in the package catches it."""


@dataclass(frozen=True)
class Act:
    """What the next call meets, and which share of the token limit the answer uses."""

    kind: str
    share: float = 0.1


WHOLE, GARBLED, MUTE, CUT, REFUSED, INCOMPLETE = "whole", "garbled", "mute", "cut", "refused", "incomplete"
BUSY, LIMITED, REJECTED, DECLINED, TIMED_OUT, BUG = (
    "busy",
    "limited",
    "rejected",
    "declined",
    "timed out",
    "bug",
)
DIES_BEFORE, DIES_IN_CALL, DIES_STORED, DIES_READ = (
    "dies before the call",
    "dies in the call",
    "dies once the answer is stored",
    "dies once the documents are stored",
)
ANSWERED = (WHOLE, GARBLED, MUTE, CUT, REFUSED, INCOMPLETE, DIES_STORED, DIES_READ)
KINDS = (*ANSWERED, BUSY, LIMITED, REJECTED, DECLINED, TIMED_OUT, BUG, DIES_BEFORE, DIES_IN_CALL)


@dataclass
class FickleWriter:
    """Follows an act, and notes what every call truly cost by the scenario it was for."""

    name: str = "claude"
    act: Act = field(default_factory=lambda: Act(WHOLE))
    paid: list[tuple[str, float]] = field(default_factory=list)
    before_call: Callable[[str], None] = lambda subject: None
    dies_on_read: bool = False
    understands_garble: bool = False
    """Whether the parser has been improved since."""

    def __post_init__(self) -> None:
        self._demo = DemoWriter()

    def write(self, order: Order) -> RawAnswer:
        kind = self.act.kind
        if kind == DIES_BEFORE:
            raise Gone
        subject = order.cast.scenario.variables["scenario"]
        self.before_call(subject)
        tokens = approximate_tokens(order.prompt.system + order.prompt.user)
        usage = {"input_tokens": tokens, "output_tokens": max(1, int(order.max_tokens * self.act.share))}
        cost = usage["input_tokens"] * INPUT_USD + usage["output_tokens"] * OUTPUT_USD
        self._refuse(kind, subject)
        self.paid.append((subject, cost))
        if kind == TIMED_OUT:
            raise WriterUncertain("Timed out.", code="timeout")
        if kind == DIES_IN_CALL:
            raise Gone
        self.dies_on_read = kind == DIES_STORED
        return RawAnswer(self._body(order, kind, usage), "req_fickle", 0.01)

    def read(self, body: bytes) -> Answer:
        if self.dies_on_read:
            self.dies_on_read = False
            raise Gone
        if self.understands_garble:
            body = body.replace(b"@@garbled@@", b"")
        return self._demo.read(body)

    def check(self) -> str:
        return "A fickle writer."

    def _refuse(self, kind: str, subject: str) -> None:
        if kind == BUSY:
            raise WriterBusy("Overloaded.", code="overloaded", status=529)
        if kind == LIMITED:
            raise WriterBusy("Slow down.", code="rate_limited", status=429, retry_after=30)
        if kind == REJECTED:
            raise WriterRejected("No.", code="key_rejected", status=401)
        if kind == DECLINED:
            raise WriterDeclined("Bad request.", code="invalid_request", status=400)
        if kind == BUG:
            self.paid.append((subject, 0.0))
            raise RuntimeError("a bug in the adapter")

    def _body(self, order: Order, kind: str, usage: dict[str, int]) -> bytes:
        message = json.loads(self._demo.write(order).body) | {"usage": usage, "model": order.model}
        if kind == MUTE:
            return b"<html>Bad gateway</html>"
        if kind == REFUSED:
            message |= {"stop_reason": "refusal", "stop_details": {"category": "cyber"}}
        if kind == CUT:
            message["stop_reason"] = "max_tokens"
        if kind == INCOMPLETE:
            message["stop_reason"] = None
        if kind == GARBLED:
            message["content"][0]["text"] = message["content"][0]["text"].replace("turns", "tu@@garbled@@rns")
        return json.dumps(message).encode()


class FickleBucket(LocalBucket):
    """The local bucket, which can be told to go down, or to take the worker with it at a kind of object."""

    def __init__(self, root: Path, name: str) -> None:
        super().__init__(root, name)
        self.is_down = False
        self.is_down_for_writing = False
        self.dies_after: str | None = None

    def put(self, key: str, data: bytes, *, overwrite: bool = False, durable: bool = True) -> None:
        if self.is_down or (self.is_down_for_writing and not key.startswith("check-")):
            raise StorageFault("The store is down.", bucket=self.name, key=key)
        super().put(key, data, overwrite=overwrite, durable=False)
        if self.dies_after and key.startswith(self.dies_after):
            self.dies_after = None
            raise Gone

    def get(self, key: str) -> bytes:
        if self.is_down:
            raise StorageFault("The store is down.", bucket=self.name, key=key)
        return super().get(key)
