"""CSV for people: one turn a row, safe to open in a spreadsheet, and every text comes back exactly."""

from __future__ import annotations

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
_QUOTE, _QUOTES, _END = '"', '""', "\r\n"


def csv_head() -> bytes:
    """Return the first line, with the mark Excel needs."""
    return BYTE_ORDER_MARK + (",".join(map(cell, COLUMNS)) + _END).encode()


def csv_turns(row: Row) -> bytes:
    """Return the lines of one conversation, every cell in quotes.

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
    tail = ",".join(map(cell, about)) + _END  # the same for every turn, so made once
    return "".join(
        f'"{row.id}","{number}",{cell(message["role"])},{cell(message["content"])},{tail}'
        for number, message in enumerate(row.messages, 1)
    ).encode()


def cell(text: str) -> str:
    """Return a cell in quotes that no spreadsheet takes for a formula."""
    guard = "'" if text.startswith(_FORMULA) else ""
    return f'"{guard}{text.replace(_QUOTE, _QUOTES)}"'


def unguarded(text: str) -> str:
    """Return a cell as it was before `cell` kept it from being a formula."""
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text
