"""What is sent to the Messages API for an order: what stands still first, marked where it is to be cached."""

from __future__ import annotations

from typing import Any

from brightrun.domain.template import Prompt
from brightrun.domain.writing import Order, Shape
from brightrun.writers.envelope import SCHEMAS

_MARK = {"type": "ephemeral"}
"""Five minutes, renewed by each read: items of a job follow one another faster than that."""


def message_request(order: Order) -> dict[str, Any]:
    """Return the arguments of a call that writes an order."""
    return {"max_tokens": order.max_tokens, **_prompt(order.prompt, order.model, order.standing, order.shape)}


def count_request(prompt: Prompt, model: str) -> dict[str, Any]:
    """Return the arguments of a call that counts a prompt, as it would be sent."""
    return _prompt(prompt, model, None, Shape.TURNS)


def _prompt(prompt: Prompt, model: str, standing: int | None, shape: Shape) -> dict[str, Any]:
    system, user = sendable(prompt.system), sendable(prompt.user)
    request: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": user}],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMAS[shape]}},
    }
    if system:
        request["system"] = system
    if standing is None:
        return request
    first, rest = sendable(prompt.user[:standing]), sendable(prompt.user[standing:])
    if first.strip() and rest.strip():
        request["messages"] = [{"role": "user", "content": [_text(first, marked=True), _text(rest)]}]
    elif system.strip():
        request["system"] = [_text(system, marked=True)]
    return request


def sendable(text: str) -> str:
    """Replace halves of characters, which cannot be sent, by the mark for an unknown one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _text(text: str, *, marked: bool = False) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"cache_control": _MARK} if marked else {})}
