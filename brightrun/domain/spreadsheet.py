"""CSV for people: one turn a row, safe to open in a spreadsheet, and every text comes back exactly."""

from __future__ import annotations

from functools import lru_cache

from brightrun.domain.dataset import Row

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""Excel reads UTF-8 only where a file begins with it."""
COLUMNS = (
    "conversation_id",
    "turn_number",
    "role",
    "content",
    "skipped",
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
_QUOTE, _QUOTES, _END = '"', '""', "\r\n"
_YES, _NO = '"yes"', '""'


def csv_head() -> bytes:
    """Return the first line, with the mark Excel needs."""
    return BYTE_ORDER_MARK + (",".join(map(cell, COLUMNS)) + _END).encode()


def csv_turns(row: Row) -> bytes:
    """Return the lines of one conversation, every cell in quotes; `skipped` is yes for an answer kept out of training.

    A cell that begins with = + - @ tab, return or an apostrophe gets an apostrophe before it; taking
    one leading apostrophe off gives every cell back exactly.
    """
    about = (
        row.writer,
        row.model,
        row.persona_key or "",
        row.arc_key or "",
        row.topic_key or "",
        row.tier,
        str(row.quality_score),
        row.decision,
        row.reviewer or "",
        row.reviewed_at or "",
        row.template,
        row.created_at,
        row.split,
    )
    tail = ",".join(map(_common_cell, about)) + _END  # the same for every turn, so made once
    name, skipped = cell(row.id), row.skipped_messages
    return "".join(
        f'{name},"{place + 1}",{_common_cell(message["role"])},{cell(message["content"])},'
        f"{_YES if place in skipped else _NO},{tail}"
        for place, message in enumerate(row.messages)
    ).encode()


def cell(text: str) -> str:
    """Return a cell in quotes that no spreadsheet takes for a formula."""
    guard = "'" if text.startswith(_FORMULA) else ""
    return f'"{guard}{text.replace(_QUOTE, _QUOTES)}"'


def unguarded(text: str) -> str:
    """Return a cell as it was before `cell` kept it from being a formula."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


@lru_cache(maxsize=1024)
def _common_cell(text: str) -> str:
    """The same cell, for what many rows have in common."""
    return cell(text)
