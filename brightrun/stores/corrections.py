"""Corrections in the database: one turn changed in one step, and what was changed before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any
from uuid import uuid4

from brightrun import saol
from brightrun.domain.correction import Correction
from brightrun.domain.ids import ConversationId
from brightrun.stores.conversations import turn_from


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the database made of a correction: corrected, same, changed or missing."""

    outcome: str
    version: int = 0
    previous_status: str = ""
    status: str = ""
    by: str | None = None
    at: datetime | None = None
    turn: int | None = None
    """The turn that whoever was first corrected, where they did that."""


def correct(
    db: saol.Database,
    conversation_id: ConversationId,
    row_version: int,
    turn: int,
    conversation: Mapping[str, object],
    *,
    reason: str,
    note: str | None,
    corrector: str,
) -> Outcome:
    """Change one turn of a conversation that is as its corrector saw it."""
    data = saol.agent_execute_rpc(
        db,
        "correct_turn",
        {
            "p_id": conversation_id,
            "p_row_version": row_version,
            "p_turn": turn,
            "p_conversation": dict(conversation),
            "p_reason": reason,
            "p_note": note,
            "p_actor": corrector,
            "p_operation": str(uuid4()),
        },
    ).value()
    return Outcome(
        data["outcome"],
        int(data.get("version") or 0),
        str(data.get("previous_status") or ""),
        str(data.get("status") or ""),
        data.get("by"),
        datetime.fromisoformat(data["at"]) if data.get("at") else None,
        data.get("turn"),
    )


def of_conversation(db: saol.Database, conversation_id: ConversationId) -> list[Correction]:
    """Return every correction of a conversation, oldest first."""
    rows = saol.agent_query(
        db,
        "corrections",
        where=[("conversation_id", "eq", conversation_id)],
        order_by=[saol.Order("version")],
    ).rows()
    return [_correction(row) for row in rows]


def by_conversation(db: saol.Database) -> Iterator[tuple[ConversationId, list[Correction]]]:
    """Yield every conversation that was corrected with its corrections, oldest first."""
    order = [saol.Order("conversation_id"), saol.Order("version")]
    rows = saol.agent_query(db, "corrections", order_by=order).rows()
    for conversation_id, group in groupby(rows, key=lambda row: str(row["conversation_id"])):
        yield ConversationId(conversation_id), [_correction(row) for row in group]


def _correction(row: Mapping[str, Any]) -> Correction:
    return Correction(
        version=int(row["version"]),
        turn=int(row["turn"]),
        before=turn_from(row["before"]),
        after=turn_from(row["after"]),
        corrector=str(row["corrector"]),
        note=row["note"],
        created_at=datetime.fromisoformat(row["created_at"]),
    )
