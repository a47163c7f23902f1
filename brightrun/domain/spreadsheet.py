"""CSV for people: one turn a row, safe to open in a spreadsheet, and every text comes back exactly."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping

from brightrun.domain.dataset import Row

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Excel reads UTF-8 only where a file begins with it."""
COLUMNS = (
    "conversation_id",
    "turn_number",
    "role",
    "content",
    "writer",
    "model",
    "persona",
    "emotional_arc",
    "topic",
    "tier",
    "quality_score",
    "status",
    "reviewer",
    "reviewed_at",
    "template",
    "created_at",
    "split",
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")


def csv_head() -> bytes:
    """Return the first line, with the mark Excel needs."""
    return BYTE_ORDER_MARK + _csv([COLUMNS])


def csv_turns(row: Row) -> bytes:
    """Return the lines of one conversation.

    A cell that begins with = + - @ tab, return or an apostrophe gets an apostrophe before it; taking
    one leading apostrophe off gives every cell back exactly.
    """
    about = tuple(
        _guarded(cell)
        for cell in (
            row.writer,
            row.model,
            row.persona_key or "",
            row.arc_key or "",
            row.topic_key or "",
            row.tier,
            row.quality_score,
            row.decision,
            row.reviewer or "",
            row.reviewed_at or "",
            row.template,
            row.created_at,
            row.split,
        )
    )
    return _csv(_turn(row.id, number, message, about) for number, message in enumerate(row.messages, 1))


def _turn(key: str, number: int, message: Mapping[str, str], about: tuple[str, ...]) -> tuple[str, ...]:
    return (key, str(number), message["role"], _guarded(message["content"]), *about)


def _csv(lines: Iterable[Iterable[str]]) -> bytes:
    page = io.StringIO(newline="")
    csv.writer(page, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(lines)
    return page.getvalue().encode("utf-8")


def _guarded(cell: object) -> str:
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
