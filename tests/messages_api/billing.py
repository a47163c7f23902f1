"""What the server bills: the tokens of a request, written to a cache or read from it where it is asked to."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from tests.messages_api.replies import prompt_of, tokens_of

FIVE_MINUTES = 300.0
SHORTEST = {"claude-opus-5-5": 512, "claude-sonnet-5-5": 1024}
SHORTEST_OF_OTHERS = 4096
MOST_MARKS = 4

Usage = dict[str, int]
Bill = Callable[[dict[str, Any], Usage], Usage]
"""From a request and the usage of its answer to the usage that is reported."""


class PromptCache:
    """Remembers marked beginnings for five minutes; one that is too short is billed as if it had no mark."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str], float] = {}
        self._lock = threading.Lock()

    def bill(self, request: dict[str, Any], usage: Usage) -> Usage:
        """Return the usage with the marked beginning taken out of the input tokens."""
        beginning = marked_beginning(request)
        tokens = tokens_of(beginning)
        if tokens < SHORTEST.get(request["model"], SHORTEST_OF_OTHERS):
            return usage
        key, now = (request["model"], beginning), time.monotonic()
        with self._lock:
            known = self._until.get(key, 0.0) > now
            self._until[key] = now + FIVE_MINUTES
        kind = "cache_read_input_tokens" if known else "cache_creation_input_tokens"
        return {**usage, "input_tokens": max(0, usage["input_tokens"] - tokens), kind: tokens}


def every_token(request: dict[str, Any], usage: Usage) -> Usage:
    """Bill the worst that a request can cost: a token a byte, all written to the cache, every answer full."""
    written = len(prompt_of(request).encode()) + 500
    return {
        "input_tokens": 0,
        "output_tokens": request["max_tokens"],
        "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": written,
    }


def marked_beginning(request: dict[str, Any]) -> str:
    """Return the text up to the last mark, in the order the API reads it; empty without one."""
    texts, end = [], 0
    for block in _blocks(request):
        texts.append(str(block.get("text", "")))
        if "cache_control" in block:
            end = len(texts)
    return "\n".join(texts[:end])


def mark_complaint(request: dict[str, Any]) -> str | None:
    """Return what the real API would refuse a request's marks for, or None."""
    marked = [block for block in _blocks(request) if "cache_control" in block]
    if len(marked) > MOST_MARKS:
        return f"A maximum of {MOST_MARKS} blocks with cache_control may be provided. Found {len(marked)}."
    for block in marked:
        mark = block["cache_control"]
        if not isinstance(mark, dict) or mark.get("type") != "ephemeral" or mark.keys() - {"type", "ttl"}:
            return "cache_control: must be of the type ephemeral"
        if not str(block.get("text", "")).strip():
            return "cache_control cannot be set for empty text blocks"
    return None


def _blocks(request: dict[str, Any]) -> list[dict[str, Any]]:
    pieces = [request.get("system") or [], *(message["content"] for message in request["messages"])]
    listed = [[{"text": piece}] if isinstance(piece, str) else piece for piece in pieces]
    return [block for blocks in listed for block in blocks]
