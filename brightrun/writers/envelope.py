"""The Messages API's response as far as every writer shares it, and the shape asked of its text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from brightrun.domain.errors import AnswerUnreadable
from brightrun.domain.judging import Dimension
from brightrun.domain.text import clean
from brightrun.domain.writing import Answer, Shape, Usage

MOST_BYTES = 32_000_000
"""No answer is that large: 128,000 tokens are about half a megabyte. More is neither received nor read."""
_MOST_TOKENS = 10_000_000
"""Ten times the longest context there is; a larger figure is no count of tokens."""
_MOST_CHARACTERS = 300
_PROXY = "If it is a proxy's page, check ANTHROPIC_BASE_URL, then retry the item."

TURNS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "turns": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "turn_number": {"type": "integer", "description": "Counted from 1."},
                    "role": {"type": "string", "enum": ["user", "assistant"]},
                    "content": {"type": "string", "description": "What is said, as plain text."},
                    "emotional_context": {
                        "type": "object",
                        "properties": {
                            "primary_emotion": {"type": "string"},
                            "secondary_emotion": {"type": "string"},
                            "intensity": {"type": "number", "description": "From 0 to 1."},
                        },
                        "required": ["primary_emotion", "secondary_emotion", "intensity"],
                        "additionalProperties": False,
                    },
                },
                "required": ["turn_number", "role", "content", "emotional_context"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["turns"],
    "additionalProperties": False,
}

VERDICT_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "scores": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "dimension": {"type": "string", "enum": [dimension.value for dimension in Dimension]},
                    "score": {"type": "integer", "enum": [1, 2, 3, 4, 5]},
                    "evidence": {"type": "string", "description": "Copied word for word from one turn."},
                    "reason": {"type": "string", "description": "One sentence."},
                },
                "required": ["dimension", "score", "evidence", "reason"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["scores"],
    "additionalProperties": False,
}

SCHEMAS: Mapping[Shape, dict[str, Any]] = {Shape.TURNS: TURNS_SCHEMA, Shape.VERDICT: VERDICT_SCHEMA}


def read_envelope(body: bytes) -> Answer:
    """Read a response as far as its text; raises AnswerUnreadable when it is no message at all."""
    if len(body) > MOST_BYTES:
        raise AnswerUnreadable(
            f"The answer is larger than {MOST_BYTES:,} bytes; no more than that was received of it, and is kept.",
            remedy=f"No conversation is that long. {_PROXY}",
        )
    try:
        data = json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError) as exc:
        raise _unreadable("is not JSON", body) from exc
    is_batched = isinstance(data, dict) and "custom_id" in data
    if is_batched:  # a line of a batch's results, which is kept as it came
        data = _mapping(data.get("result")).get("message")
    if not isinstance(data, dict):
        raise _unreadable("is no message", body)
    content, stop = data.get("content"), data.get("stop_reason")
    if not isinstance(content, list) and not isinstance(stop, str):
        raise _unreadable("is no message", body)
    details = _mapping(data.get("stop_details"))
    return Answer(
        text="".join(_texts(content)),
        stop_reason=_text(stop),
        model=_text(data.get("model")) or "",
        usage=_usage(data.get("usage")),
        refusal_category=_text(details.get("category")),
        refusal_explanation=_text(details.get("explanation")),
        is_batched=is_batched,
    )


def _texts(content: object) -> list[str]:
    """Return the text of every text block; blocks of other types carry no turns."""
    blocks = content if isinstance(content, list) else []
    texts = (block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text")
    return [text for text in texts if isinstance(text, str)]


def _usage(usage: object) -> Usage | None:
    """Return the tokens a message reports, or None when the two that are always there are not counts."""
    reported = _mapping(usage)
    given, written = _count(reported.get("input_tokens")), _count(reported.get("output_tokens"))
    if given is None or written is None:
        return None
    return Usage(
        input_tokens=given,
        output_tokens=written,
        cache_read_tokens=_count(reported.get("cache_read_input_tokens")) or 0,
        cache_write_tokens=_count(reported.get("cache_creation_input_tokens")) or 0,
    )


def _count(value: object) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if is_count else None  # type: ignore[return-value]


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    """Return a short text as every column can hold it; None when it is no text or empty."""
    return clean(value[:_MOST_CHARACTERS]).strip() or None if isinstance(value, str) else None


def _unreadable(why: str, body: bytes) -> AnswerUnreadable:
    return AnswerUnreadable(
        f"The answer ({len(body):,} bytes) {why}.",
        remedy=f"It is kept as it came. {_PROXY}",
    )
