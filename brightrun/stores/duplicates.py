"""The texts that may be the same, and the marks of those that nearly are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brightrun import saol
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.ids import ConversationId

PORTION = 1_000


@dataclass(frozen=True, slots=True)
class Told:
    """One conversation: what it says, and where it stands."""

    id: ConversationId
    version: int
    status: ConversationStatus
    created_at: str
    text: str


def told(db: saol.Database, where: Sequence[tuple[str, str, object]]) -> list[Told]:
    """Return what matches, oldest first."""
    found: list[Told] = []
    last: list[tuple[str, str, object]] = []
    while True:
        rows = saol.agent_query(
            db,
            "conversations",
            select=["id", "version", "status", "created_at", "turns"],
            where=[*where, *last],
            order_by=[saol.Order("id")],
            limit=PORTION,
        ).rows()
        found += [_told(row) for row in rows]
        if len(rows) < PORTION:
            return sorted(found, key=lambda one: (one.created_at, one.id))
        last = [("id", "gt", rows[-1]["id"])]


def mark(
    db: saol.Database,
    codes: Sequence[str],
    rows: Sequence[Mapping[str, object]],
) -> int:
    """Set the marks of some codes on conversations, each with its id, version and marks; returns how many have any."""
    marked = 0
    for portion in _portions(rows):
        params = {"p_codes": list(codes), "p_rows": list(portion)}
        marked += int(saol.agent_execute_rpc(db, "mark_conversations", params).value())
    return marked


def _portions(rows: Sequence[Mapping[str, object]]) -> Iterator[Sequence[Mapping[str, object]]]:
    for start in range(0, len(rows), PORTION):
        yield rows[start : start + PORTION]


def _told(row: Mapping[str, Any]) -> Told:
    return Told(
        id=ConversationId(row["id"]),
        version=int(row["version"]),
        status=ConversationStatus(row["status"]),
        created_at=str(row["created_at"]),
        text="\n".join(turn["content"] for turn in row["turns"]),
    )
