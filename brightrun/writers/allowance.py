"""The rate limits that a response of the Messages API tells in its headers."""

from __future__ import annotations

from collections.abc import Mapping

from brightrun.domain.limits import Limits

_MOST = 10**12
_PREFIX = "anthropic-ratelimit"


def allowed(headers: Mapping[str, str]) -> Limits:
    """Return what is allowed a minute; a header that is missing or no number says nothing."""
    return Limits(
        requests=_number(headers.get(f"{_PREFIX}-requests-limit")),
        input_tokens=_number(headers.get(f"{_PREFIX}-input-tokens-limit")),
        output_tokens=_number(headers.get(f"{_PREFIX}-output-tokens-limit")),
    )


def _number(text: str | None) -> int | None:
    if text is None or not text.strip().isdecimal() or len(text) > len(str(_MOST)):
        return None
    return int(text) or None
