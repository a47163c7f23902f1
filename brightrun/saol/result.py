"""The one result object every SAOL function returns, and the exception a caller may turn it into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from brightrun.domain.errors import DatabaseFault


class Priority(StrEnum):
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


@dataclass(frozen=True, slots=True)
class NextAction:
    """What a caller would sensibly do next."""

    action: str
    description: str
    example: str = ""
    priority: Priority = Priority.LOW


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an operation failed, and what to do about it."""

    code: str
    message: str
    remediation: str
    category: str
    sqlstate: str | None = None
    details: str | None = None
    is_transient: bool = False
    """Whether the same call may succeed in a moment."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an operation did: data on success, a Failure otherwise; it is never raised by itself."""

    operation: str
    success: bool
    summary: str
    data: Any = None
    count: int | None = None
    duration_ms: float = 0.0
    error: Failure | None = None
    next_actions: Sequence[NextAction] = ()

    def require(self) -> Result:
        """Return self, or raise DatabaseFault when the operation failed."""
        if self.error is None:
            return self
        raise DatabaseFault(
            self.error.message,
            remedy=self.error.remediation,
            code=self.error.code,
            sqlstate=self.error.sqlstate,
            is_transient=self.error.is_transient,
        )

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows; raises DatabaseFault."""
        data = self.require().data
        assert isinstance(data, list)
        return data

    def value(self) -> Any:
        """Return a function's JSON value; raises DatabaseFault."""
        return self.require().data

    def total(self) -> int:
        """Return the count that was asked for; raises DatabaseFault."""
        count = self.require().count
        assert count is not None
        return count
