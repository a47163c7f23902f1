"""What a writer allows a minute."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Calls and tokens a minute; None where the writer does not say."""

    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    def __bool__(self) -> bool:
        return any((self.requests, self.input_tokens, self.output_tokens))


UNKNOWN = Limits()
