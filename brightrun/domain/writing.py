"""The seam to a writer: an order in, a raw answer out, and how to read one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

from brightrun.domain.limits import UNKNOWN, Limits
from brightrun.domain.scenario import Cast
from brightrun.domain.template import Prompt


class Shape(StrEnum):
    """What an answer is asked to look like."""

    TURNS = "turns"
    VERDICT = "verdict"


@dataclass(frozen=True, slots=True)
class Order:
    """One call: the prompt, the parameters behind it, and its limits."""

    prompt: Prompt
    cast: Cast
    model: str
    max_tokens: int
    seed: int
    standing: int | None = None
    """Characters of the message that, after the system prompt, the job's other prompts share; None: no caching."""
    shape: Shape = Shape.TURNS


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """The response exactly as it arrived, before anything is parsed."""

    body: bytes
    request_id: str | None
    seconds: float
    limits: Limits = UNKNOWN


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens the writer reports."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """A raw answer read as far as its envelope: the text, why it stopped, what it used."""

    text: str
    stop_reason: str | None
    model: str
    usage: Usage | None
    """None where the writer does not say: what the call cost is then unknown, and not nothing."""
    refusal_category: str | None = None
    refusal_explanation: str | None = None
    is_batched: bool = False
    """It came through Message Batches, and costs their share of the price."""


class Writer(Protocol):
    """Writes one conversation; one call, no retry inside."""

    @property
    def name(self) -> str: ...

    def write(self, order: Order) -> RawAnswer:
        """Call once and return the bytes; raises WriterFault when none arrived."""
        ...

    def read(self, body: bytes) -> Answer:
        """Read stored bytes, purely; raises AnswerUnreadable when they are no envelope."""
        ...

    def check(self) -> str:
        """Say in one sentence that the writer can be used, or raise SetupFault or WriterFault."""
        ...


@runtime_checkable
class Caller(Protocol):
    """A writer that has many calls out without a thread for each."""

    def begin(self, order: Order, told: Callable[[RawAnswer | Exception], object]) -> None:
        """Begin a call and return at once; `told` is called from another thread, once, with what `write` would end in."""
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """A writer that can say how long a prompt is, for nothing."""

    def count(self, prompt: Prompt, model: str) -> int:
        """Return the input tokens of a prompt; raises SetupFault or WriterFault."""
        ...
