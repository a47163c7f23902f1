"""Statements on their way to the database, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Power(StrEnum):
    """What a statement can do, from harmless to final."""

    READ = "read"
    WRITE = "write"
    DEFINE = "define"
    DESTRUCTIVE = "destructive"
    """Removes what cannot be had back, or hides what it does."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as it was written; `$1` and so on stand for its values."""

    text: str
    power: Power
    values: Sequence[Any] = ()
    reason: str = ""
    """Why it counts as destructive."""


@dataclass(frozen=True, slots=True)
class Script:
    """Statements that run together: in one transaction unless said otherwise, kept unless it is a rehearsal."""

    statements: Sequence[Statement]
    read_only: bool = False
    transaction: bool = True
    keep: bool = True
    timeout_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What one statement answered."""

    command: str
    rows: list[dict[str, Any]]
    count: int | None
