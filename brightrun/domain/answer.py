"""From an answer's text to turns: tolerant of wrapping, strict about the shape, never evaluating anything."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

from brightrun.domain.conversation import MAX_ANSWER_BYTES, MAX_TURNS, Emotion, Role, Turn
from brightrun.domain.errors import AnswerCut, AnswerIncomplete, AnswerRefused, AnswerUnreadable
from brightrun.domain.text import clean
from brightrun.domain.writing import Answer

FINISHED = frozenset({"end_turn", "stop_sequence"})
CUT = frozenset({"max_tokens", "model_context_window_exceeded"})
_MAX_DIGITS = 300
_STARTS_TRIED = 50
"""How many brackets in prose are tried; each costs at most one reading of the text."""

_ROLES = {role.value: role for role in Role}
_OPEN = re.compile(r"[{\[]")
_NEXT_OPEN = re.compile(r"[ \t\r\n]*+[{\[]")
_FENCE = re.compile(r"```[a-zA-Z]{0,20}")
_STRING = r'"(?:[^"\\]|\\.)*+"?'  # the last quote may be missing, so that no text is read twice
_LOOSE_COMMA = re.compile(rf"{_STRING}|,(?=[ \t\r\n]*+[}}\]])", re.DOTALL)
_AT_LOOSE_COMMA = re.compile(
    r",?[ \t\r\n]*+[}\]]"
)  # parsers differ in whether the comma or the bracket is named
_LITERAL = re.compile(rf"{_STRING}|-?+(?:NaN|Infinity|\d[0-9.eE+-]*+)", re.DOTALL)


def accept(answer: Answer) -> list[Turn]:
    """Return the turns of a finished answer.

    Raises AnswerCut, AnswerRefused, AnswerIncomplete or AnswerUnreadable, and nothing else, whatever
    the answer holds.
    """
    require_finished(answer)
    return parse_turns(answer.text)


def require_finished(answer: Answer) -> None:
    """Raise AnswerCut, AnswerRefused or AnswerIncomplete for an answer that did not come to its end."""
    if answer.stop_reason in CUT:
        tokens = f" at {answer.usage.output_tokens:,} output tokens" if answer.usage else ""
        raise AnswerCut(
            f"The answer was cut{tokens} ({answer.stop_reason}).",
            remedy="Raise the token limit, or ask for fewer turns.",
        )
    if answer.stop_reason == "refusal":
        why = f": {answer.refusal_explanation.rstrip('. ')}" if answer.refusal_explanation else ""
        category = answer.refusal_category or "no category given"
        raise AnswerRefused(
            f"The model declined to write it ({category}){why}."[:500],
            remedy="Change the scenario or the template; it is not asked again by itself.",
            category=answer.refusal_category,
            explanation=answer.refusal_explanation,
        )
    if answer.stop_reason not in FINISHED:
        reason = "it has no stop reason"
        if answer.stop_reason is not None:
            reason = f"its stop reason is {answer.stop_reason!r}"
        raise AnswerIncomplete(
            f"The answer is incomplete: {reason}.",
            remedy="It is kept as it came, and not bought again by itself. Retry the item to ask once more.",
        )


def parse_turns(text: str) -> list[Turn]:
    """Return the turns in a text: plain JSON, else in a code fence, else the first object of turns in prose."""
    return _turns(extract(text, _lists_turns))


def extract(text: str, is_wanted: Callable[[Any], bool]) -> Any:
    """Return the first value that is wanted; else whatever reached furthest. Raises AnswerUnreadable for no JSON.

    What lies inside a place that was tried is not tried again: a piece of a broken answer is no answer.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_ANSWER_BYTES:
        raise AnswerUnreadable(f"The answer has {size:,} bytes; {MAX_ANSWER_BYTES:,} are allowed.")
    if not text.strip():
        raise AnswerUnreadable("The answer is empty.")
    tried: list[tuple[int, int]] = []
    furthest: tuple[int, Any] = (-1, None)
    for start in _starts(text):
        if any(low <= start < high for low, high in tried):
            continue
        value, end = _load(text, start)
        if is_wanted(value):
            return value
        tried.append((start, end))
        if end - start > furthest[0]:
            furthest = (end - start, value)
    value = furthest[1]
    if isinstance(value, _Fault):
        raise AnswerUnreadable(f"The answer is not JSON {value.where(text)}: {value}.")
    if furthest[0] < 0:
        raise AnswerUnreadable("The answer is not JSON: it holds neither an object nor a list.")
    return value


def _starts(text: str) -> Iterator[int]:
    """Yield where JSON may begin, the likeliest first: at the start, in the first code fence, anywhere."""
    yield from _bracket(text, 1 if text.startswith("\ufeff") else 0)
    fence = _FENCE.search(text)
    if fence:
        yield from _bracket(text, fence.end())
    yield from (found.start() for found in islice(_OPEN.finditer(text), _STARTS_TRIED))


def _bracket(text: str, place: int) -> Iterator[int]:
    """Yield the place of a bracket that comes next, spaces apart."""
    found = _NEXT_OPEN.match(text, place)
    if found:
        yield found.end() - 1


def _lists_turns(value: Any) -> bool:
    listed = value.get("turns", value.get("messages")) if isinstance(value, Mapping) else value
    return isinstance(listed, list) and any(isinstance(each, Mapping) for each in listed)


class _Fault(ValueError):
    """What is wrong with a text as JSON, and at which of its characters."""

    def __init__(self, what: str, place: int) -> None:
        super().__init__(what)
        self.place = place

    def where(self, text: str) -> str:
        line = text.count("\n", 0, self.place) + 1
        return f"at line {line}, column {self.place - text.rfind(chr(10), 0, self.place)}"


class _OutOfRange(ValueError):
    """A number that JSON or the database cannot hold; `literal` is how it stands in the text."""

    def __init__(self, literal: str, what: str) -> None:
        super().__init__(what)
        self.literal = literal


def _load(text: str, start: int) -> tuple[Any, int]:
    """Return the value that begins at `start`, or its fault, and how far it was read.

    A comma before a closing bracket is the one mistake that is mended: it can mean nothing else.
    """
    try:
        return _decode(text, start)
    except _Fault as fault:
        first = fault
    if _AT_LOOSE_COMMA.match(text, first.place):
        with suppress(_Fault):
            return _decode(text[:start] + _LOOSE_COMMA.sub(_blank, text[start:]), start)
    return first, max(first.place, start + 1)


def _decode(text: str, start: int) -> tuple[Any, int]:
    try:
        value, end = _DECODER.raw_decode(text, start)
    except json.JSONDecodeError as fault:
        what = fault.msg[:1].lower() + fault.msg[1:].removesuffix(" at").removesuffix(" starting")
        raise _Fault(what, fault.pos) from fault
    except _OutOfRange as fault:
        literals = _LITERAL.finditer(text, start)
        places = (found.start() for found in literals if found.group() == fault.literal)
        raise _Fault(str(fault), next(places, start)) from fault
    except RecursionError as fault:
        raise _Fault("it is nested too deeply", start) from fault
    return value, end


def _blank(found: re.Match[str]) -> str:
    return " " if found.group() == "," else found.group()


def _constant(name: str) -> float:
    raise _OutOfRange(name, f"{name} is no JSON number")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise _OutOfRange(digits, "a number is out of range")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise _OutOfRange(digits, "a number is out of range")
    return value


_DECODER = json.JSONDecoder(
    parse_constant=_constant,
    parse_int=_integer,
    parse_float=_float,
    strict=False,  # a raw line break inside a string is clear enough
)


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
    spoken_by = _ROLES.get(role) if isinstance(role, str) else None
    if spoken_by is None:
        given = repr(role[:40]) if isinstance(role, str) else "none"
        raise AnswerUnreadable(f"Turn {number} has the role {given}; user or assistant was asked for.")
    if not isinstance(content, str):
        raise AnswerUnreadable(f"Turn {number} has no text.")
    return Turn(spoken_by, clean(content).strip(), _emotion(entry.get("emotional_context")))


def _emotion(context: Any) -> Emotion | None:
    """Return what the writer said it felt; an intensity that is no number from 0 to 1 is left out."""
    primary = context.get("primary_emotion") if isinstance(context, Mapping) else None
    primary = clean(primary).strip()[:80] if isinstance(primary, str) else ""
    if not primary:
        return None
    secondary, intensity = context.get("secondary_emotion"), context.get("intensity")
    is_number = isinstance(intensity, int | float) and not isinstance(intensity, bool)
    return Emotion(
        primary,
        clean(secondary).strip()[:80] or None if isinstance(secondary, str) else None,
        float(intensity) if is_number and 0 <= intensity <= 1 else None,
    )
