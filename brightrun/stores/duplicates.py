"""The texts that may be the same, and the marks of those that nearly are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brightrun import saol
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.ids import ConversationId
from brightrun.stores import conversations

PORTION = 1_000
"""Rows that are marked at once."""


@dataclass(frozen=True, slots=True)
class Told:
    """One conversation: what it says, and where it stands."""

    id: ConversationId
    version: int
    status: ConversationStatus
    created_at: str
    text: str
    is_marked: bool
    """Whether a look through what was written has marked it, for whatever reason."""


def told(db: saol.Database, where: Sequence[tuple[str, str, object]]) -> list[Told]:
    """Return what matches, oldest first."""
    rows = conversations.every(db, where, ["id", "version", "status", "created_at", "turns", "marks"])
    return sorted(map(_told, rows), key=lambda one: (one.created_at, one.id))


def number(db: saol.Database, where: Sequence[tuple[str, str, object]]) -> int:
    """Return how many match."""
    return saol.agent_count(db, "conversations", where=where).total()


def mark(
    db: saol.Database,
    codes: Sequence[str],
    rows: Sequence[Mapping[str, object]],
) -> int:
    """Set the marks of some codes on conversations, each with its id, version and marks; returns how many have any."""
    marked = 0
    for start in range(0, len(rows), PORTION):
        params = {"p_codes": list(codes), "p_rows": list(rows[start : start + PORTION])}
        marked += int(saol.agent_execute_rpc(db, "mark_conversations", params).value())
    return marked


def _told(row: Mapping[str, Any]) -> Told:
    return Told(
        id=ConversationId(row["id"]),
        version=int(row["version"]),
        status=ConversationStatus(row["status"]),
        created_at=str(row["created_at"]),
        text="\n".join(turn["content"] for turn in row["turns"]),
        is_marked=bool(row["marks"]),
    )
