"""A line of a job's log, as a person reads it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LogLine:
    """What was logged about a job; about an item also by which attempt, from the ledger of calls."""

    at: datetime
    message: str
    position: int | None = None
    attempt: int | None = None
    request_id: str | None = None
    error_code: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    seconds: float | None = None
    cost: float = 0.0

    def text(self) -> str:
        """Return `[time] message (what is known of the call)`."""
        known = ", ".join(self._known())
        return f"[{self.at.isoformat()}] {self.message}" + (f" ({known})" if known else "")

    def _known(self) -> list[str]:
        parts = []
        if self.position is not None:
            parts.append(f"item {self.position}")
        if self.attempt is not None:
            parts.append(f"attempt {self.attempt}")
        if self.error_code:
            parts.append(self.error_code)
        if self.request_id:
            parts.append(f"request {self.request_id}")
        if self.input_tokens or self.output_tokens:
            parts.append(f"{self.input_tokens} + {self.output_tokens} tokens")
        if self.seconds is not None:
            parts.append(f"{self.seconds:.1f} s")
        if self.cost:
            parts.append(f"${self.cost:.4f}")
        return parts
