"""Which conversations were ordered again because of another one."""

from __future__ import annotations

from datetime import datetime

from brightrun import saol
from brightrun.domain.ids import ConversationId, ItemId, JobId
from brightrun.domain.revision import Again


def of_parent(db: saol.Database, conversation_id: ConversationId) -> list[Again]:
    """Return what was ordered again because of a conversation, newest first."""
    rows = saol.agent_query(
        db,
        "revision_rows",
        where=[("parent_id", "eq", conversation_id)],
        order_by=[saol.Order("created_at", descending=True)],
    ).rows()
    return [
        Again(
            note=str(row["note"]),
            item_id=ItemId(row["item_id"]) if row["item_id"] else None,
            job_id=JobId(row["job_id"]),
            item_status=str(row["item_status"]),
            conversation_id=ConversationId(row["conversation_id"]) if row["conversation_id"] else None,
            status=row["status"],
            quality_score=float(row["quality_score"]) if row["quality_score"] is not None else None,
            created_at=datetime.fromisoformat(row["created_at"]),
        )
        for row in rows
    ]
