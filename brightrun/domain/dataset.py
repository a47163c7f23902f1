"""Datasets: frozen lists of approved conversations, and the exact bytes of the files they become."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import orjson

from brightrun.domain.ids import ConversationKey, DatasetId
from brightrun.domain.text import CONTROL_TOKEN

ROLES = ("system", "user", "assistant")
_BREAKS = {"\u2028": b"\\u2028", "\u2029": b"\\u2029", "\u0085": b"\\u0085"}
"""Line ends to Python's splitlines and to some readers, though not to JSON."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")

CSV_COLUMNS = (
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
)


@dataclass(frozen=True, slots=True)
class Dataset:
    """One frozen version of a named dataset."""

    id: DatasetId
    name: str
    version: int
    filter: Mapping[str, Any]
    row_count: int
    demo_count: int
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Row:
    """One approved conversation as it leaves."""

    key: ConversationKey
    version: int
    messages: Sequence[Mapping[str, str]]
    writer: str
    model: str
    persona_key: str | None
    arc_key: str | None
    topic_key: str | None
    tier: str
    variables: Mapping[str, str]
    quality_score: float
    flags: Sequence[str]
    decision: str
    reviewer: str | None
    reviewed_at: str | None
    reason: str | None
    template: str
    job_id: str | None
    split: str
    created_at: str


def messages_line(row: Row) -> bytes:
    """Return one line of training JSONL: training columns, its key and who wrote it; nothing else."""
    data = {"id": row.key, "writer": row.writer, "messages": [dict(m) for m in row.messages]}
    return _one_line(orjson.dumps(data))


def sidecar_line(row: Row) -> bytes:
    """Return one line of metadata, keyed by the row's id: decision, score, scaffolding, provenance."""
    data = {name: getattr(row, name) for name in _METADATA}
    return _one_line(orjson.dumps({"id": row.key, **data}, default=list))


def json_document(rows: Iterable[Row], manifest: Mapping[str, object]) -> Iterator[bytes]:
    """Yield one JSON document with everything, piece by piece."""
    yield b'{"manifest": ' + orjson.dumps(manifest) + b', "conversations": [\n'
    separator = b""
    for row in rows:
        data = {"id": row.key, **{name: getattr(row, name) for name in _METADATA}}
        data["messages"] = [dict(m) for m in row.messages]
        yield separator + orjson.dumps(data, default=list)
        separator = b",\n"
    yield b"\n]}\n"


def csv_lines(rows: Iterable[Row]) -> Iterator[bytes]:
    """Yield a spreadsheet's CSV: one turn a line, a byte order mark for Excel, no cell a formula.

    A cell that begins with = + - @ tab, return or an apostrophe gets an apostrophe before it; taking
    one leading apostrophe off gives every cell back exactly.
    """
    yield b"\xef\xbb\xbf" + _csv(CSV_COLUMNS)
    for row in rows:
        for number, message in enumerate(row.messages, 1):
            yield _csv(_cells(row, number, message))


def check_row(row: Row) -> list[str]:
    """Name what would break or silently ruin a training run; an empty list means that nothing would."""
    problems = []
    roles = [m.get("role") for m in row.messages]
    spoken = [role for role in roles if role != "system"]
    if any(role not in ROLES for role in roles):
        problems.append("a role that is none of system, user, assistant")
    if "system" in roles[1:]:
        problems.append("a system message that is not the first")
    if "assistant" not in roles:
        problems.append("no assistant turn")
    if spoken[:1] != ["user"]:
        problems.append("the user does not begin")
    if spoken[-1:] != ["assistant"]:
        problems.append("the assistant does not end")
    if any(one == other for one, other in pairwise(spoken)):
        problems.append("two turns of one role in a row")
    for number, message in enumerate(row.messages, 1):
        problems += [f"{problem} in message {number}" for problem in _content(message.get("content"))]
    return problems


_METADATA = (
    "version",
    "writer",
    "model",
    "persona_key",
    "arc_key",
    "topic_key",
    "tier",
    "variables",
    "quality_score",
    "flags",
    "decision",
    "reviewer",
    "reviewed_at",
    "reason",
    "template",
    "job_id",
    "split",
    "created_at",
)


def _content(content: object) -> list[str]:
    if not isinstance(content, str):
        return ["content that is no text"]
    if not content.strip():
        return ["empty content"]
    problems = []
    if CONTROL_TOKEN.search(content):
        problems.append("a chat template's control token")
    if "\0" in content or any("\ud800" <= c <= "\udfff" for c in content):
        problems.append("characters that no file can hold")
    return problems


def _one_line(data: bytes) -> bytes:
    for character, escaped in _BREAKS.items():
        data = data.replace(character.encode(), escaped)
    return data + b"\n"


def _cells(row: Row, number: int, message: Mapping[str, str]) -> tuple[object, ...]:
    return (
        row.key,
        number,
        message["role"],
        message["content"],
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
    )


def _csv(cells: Iterable[object]) -> bytes:
    line = io.StringIO(newline="")
    csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(
        [_guarded(cell) for cell in cells]
    )
    return line.getvalue().encode("utf-8")


def _guarded(cell: object) -> str:
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
