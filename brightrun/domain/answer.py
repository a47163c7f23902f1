"""From an answer's text to turns: tolerant of wrapping, strict about the shape, never evaluating anything."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from brightrun.domain.conversation import MAX_ANSWER_BYTES, MAX_TURNS, Emotion, Role, Turn
from brightrun.domain.errors import AnswerCut, AnswerRefused, AnswerUnreadable
from brightrun.domain.text import clean
from brightrun.domain.writing import Answer

FINISHED = frozenset({"end_turn", "stop_sequence"})
CUT = frozenset({"max_tokens", "model_context_window_exceeded"})
_FENCE = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)
_MAX_DIGITS = 300


def accept(answer: Answer) -> list[Turn]:
    """Return the turns of a finished answer.

    Raises AnswerCut, AnswerRefused or AnswerUnreadable, and nothing else, whatever the answer holds.
    """
    if answer.stop_reason in CUT:
        raise AnswerCut(
            f"The answer was cut at {answer.usage.output_tokens} output tokens ({answer.stop_reason}).",
            remedy="Raise the token limit, or ask for fewer turns.",
        )
    if answer.stop_reason == "refusal":
        why = f": {answer.refusal_explanation}" if answer.refusal_explanation else ""
        category = answer.refusal_category or "no category given"
        raise AnswerRefused(
            clean(f"The model declined to write it ({category}){why}.")[:500],
            remedy="Change the scenario or the template; it is not asked again by itself.",
            category=answer.refusal_category,
        )
    if answer.stop_reason not in FINISHED:
        raise AnswerUnreadable(f"The answer is incomplete: its stop reason is {answer.stop_reason!r}.")
    return parse_turns(answer.text)


def parse_turns(text: str) -> list[Turn]:
    """Return the turns in a text: plain JSON, else in a code fence, else the first whole object in prose."""
    if len(text) > MAX_ANSWER_BYTES:
        raise AnswerUnreadable(f"The answer has {len(text):,} characters; {MAX_ANSWER_BYTES:,} are allowed.")
    if not text.strip():
        raise AnswerUnreadable("The answer is empty.")
    return _turns(_extract(text))


def _extract(text: str) -> Any:
    try:
        return _load(text)
    except ValueError as fault:
        first = fault
    fenced = _FENCE.search(text)
    for part in ([fenced.group(1)] if fenced else []) + _balanced(text):
        try:
            return _load(part)
        except ValueError:
            continue  # the next, wider way of looking is tried; the first fault is the one reported
    where = (
        f" at line {first.lineno}, column {first.colno}" if isinstance(first, json.JSONDecodeError) else ""
    )
    raise AnswerUnreadable(f"The answer is not JSON{where}: {str(first)[:120]}.") from first


def _load(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, parse_int=_integer, parse_float=_float)
    except RecursionError as fault:
        raise ValueError("it is nested too deeply") from fault


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("a number is out of range")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is out of range")
    return value


def _balanced(text: str) -> list[str]:
    """Return the first balanced object in prose, if there is one; braces inside strings do not count."""
    start = text.find("{")
    if start < 0:
        return []
    depth, in_string, escaped = 0, False, False
    for place in range(start, len(text)):
        character = text[place]
        if in_string:
            in_string, escaped = (escaped or character != '"'), (character == "\\" and not escaped)
            continue
        if character == '"':
            in_string = True
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return [text[start : place + 1]]
    return []


def _turns(data: Any) -> list[Turn]:
    listed = data
    if isinstance(data, Mapping):
        listed = data.get("turns", data.get("messages"))
    if not isinstance(listed, list):
        raise AnswerUnreadable("The answer has no list of turns.")
    if not listed:
        raise AnswerUnreadable("The answer's list of turns is empty.")
    if len(listed) > MAX_TURNS:
        raise AnswerUnreadable(f"The answer has {len(listed)} turns; {MAX_TURNS} are allowed.")
    return [_turn(number, entry) for number, entry in enumerate(listed, start=1)]


def _turn(number: int, entry: Any) -> Turn:
    if not isinstance(entry, Mapping):
        raise AnswerUnreadable(f"Turn {number} is no object.")
    role, content = entry.get("role"), entry.get("content")
    if role not in ("user", "assistant"):
        raise AnswerUnreadable(
            f"Turn {number} has the role {str(role)[:40]!r}; user or assistant was asked for."
        )
    if not isinstance(content, str):
        raise AnswerUnreadable(f"Turn {number} has no text.")
    return Turn(Role(role), clean(content).strip(), _emotion(entry.get("emotional_context")))


def _emotion(context: Any) -> Emotion | None:
    """Return what the writer said it felt; an intensity that is no number from 0 to 1 is left out."""
    if not isinstance(context, Mapping) or not isinstance(context.get("primary_emotion"), str):
        return None
    secondary, intensity = context.get("secondary_emotion"), context.get("intensity")
    is_number = isinstance(intensity, int | float) and not isinstance(intensity, bool)
    return Emotion(
        clean(context["primary_emotion"]).strip()[:80],
        clean(secondary).strip()[:80] or None if isinstance(secondary, str) else None,
        float(intensity) if is_number and 0 <= intensity <= 1 else None,  # type: ignore[arg-type, operator]
    )
