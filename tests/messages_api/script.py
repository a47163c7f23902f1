"""Which request meets which fault."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS = {
    "status": "an error status with `status`, `retry_after`, `type`, `error_code`, `message`",
    "cut": "a message that stopped at max_tokens in the middle of its JSON",
    "refusal": "stop_reason refusal with `category` and `explanation`",
    "stop": "a whole message with `stop_reason` (None stands for null)",
    "broken_json": "a message whose text is JSON with a part missing",
    "text": "a message whose text is `message`",
    "body": "status 200 with `message`, or the bytes `data`, as its whole body",
    "reset": "the connection is reset before any answer",
    "cut_body": "the connection is closed half-way through the body",
    "stall": "nothing for `seconds`, then the ordinary answer",
    "trickle": "the body in many small pieces over `seconds`",
    "wire": "the steps of `wire`, then the end of the connection",
}
STEPS = {
    "send": "a text, one byte a character",
    "answer": "a part of the ordinary body: [0, 0.5] is its first half",
    "trickle": "[a text, seconds]: one byte at a time",
    "wait": "seconds",
    "reset": "null: the connection is reset",
}
"""What a connection can be made to do, one [step, value] after the other."""


@dataclass(frozen=True)
class Fault:
    """One scripted fault: for the `at`-th message request, or those whose prompt holds `contains`."""

    kind: str
    at: int | None = None
    contains: str | None = None
    times: int | None = 1
    """How often it strikes; None means always."""
    status: int = 500
    retry_after: str | None = None
    type: str = "api_error"
    error_code: str | None = None
    message: str = "scripted"
    category: str | None = None
    explanation: str | None = None
    stop_reason: str | None = None
    seconds: float = 0.0
    data: bytes | None = None
    wire: Sequence[tuple[str, Any]] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no fault; there are {', '.join(KINDS)}")
        for step, _ in self.wire:
            if step not in STEPS:
                raise ValueError(f"{step!r} is no step; there are {', '.join(STEPS)}")

    def strikes(self, number: int, prompt: str) -> bool:
        return (self.at is None or self.at == number) and (self.contains is None or self.contains in prompt)


class Script:
    """Faults in order; each request meets the first that fits and has not been used up."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = [(fault, [fault.times]) for fault in faults]
        self._lock = threading.Lock()

    @classmethod
    def read(cls, path: Path) -> Script:
        """Read a JSON list of objects whose members are those of Fault."""
        return cls(Fault(**each) for each in json.loads(path.read_text()))

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append((fault, [fault.times]))

    def next(self, number: int, prompt: str) -> Fault | None:
        with self._lock:
            for fault, left in self._faults:
                if left[0] != 0 and fault.strikes(number, prompt):
                    left[0] = None if left[0] is None else left[0] - 1
                    return fault
        return None
