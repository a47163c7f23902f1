"""Decisions on conversations: written through SQL functions only, so that none is lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4

from brightrun import saol
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.ids import ConversationId
from brightrun.domain.review import ConversationFilter, Decision, Last, Refusal, Review, Seen, Verdict


def decide(
    db: saol.Database,
    seen: Sequence[Seen],
    decision: Decision,
    *,
    reviewer: str,
    reason: str | None,
    note: str | None,
) -> Verdict:
    """Decide on the rows a reviewer saw; rows changed since are left alone and named."""
    data = saol.agent_execute_rpc(
        db,
        "decide_conversations",
        {
            "p_rows": [{"id": s.id, "row_version": s.row_version} for s in seen],
            "p_decision": decision.value,
            "p_reason": reason,
            "p_note": note,
            "p_reviewer": reviewer,
            "p_operation": str(uuid4()),
        },
    ).value()
    refused = tuple(
        Refusal(
            ConversationId(r["id"]),
            r["cause"],
            r["status"],
            r["by"],
            datetime.fromisoformat(r["at"]) if r["at"] else None,
        )
        for r in data["refused"]
    )
    return Verdict(data["operation_id"], len(data["decided"]), refused)


def decide_matching(
    db: saol.Database,
    chosen: ConversationFilter,
    decision: Decision,
    *,
    reviewer: str,
    reason: str | None,
    note: str | None,
) -> Verdict:
    """Decide on everything a filter matches, in one step."""
    data = saol.agent_execute_rpc(
        db,
        "decide_matching",
        {
            "p_filter": chosen.to_json(),
            "p_decision": decision.value,
            "p_reason": reason,
            "p_note": note,
            "p_reviewer": reviewer,
            "p_operation": str(uuid4()),
        },
    ).value()
    return Verdict(data["operation_id"], int(data["decided"]), blocked=int(data["blocked"]))


def undo(db: saol.Database, operation_id: str, *, reviewer: str) -> tuple[int, int]:
    """Take one operation back; returns how many rows were undone and how many stayed."""
    data = saol.agent_execute_rpc(
        db, "undo_decision", {"p_operation": operation_id, "p_reviewer": reviewer}
    ).value()
    return int(data["undone"]), int(data["kept"])


def last(db: saol.Database, *, reviewer: str) -> Last | None:
    """Return a reviewer's newest decision of the last hour that nothing has followed."""
    data = saol.agent_execute_rpc(db, "last_decision", {"p_reviewer": reviewer}).value()
    return data and Last(data["operation_id"], Decision(data["decision"]), int(data["number"]))


def history(db: saol.Database, conversation_id: ConversationId) -> list[Review]:
    """Return every decision on a conversation, newest first."""
    rows = saol.agent_query(
        db,
        "reviews",
        where=[("conversation_id", "eq", conversation_id)],
        order_by=[saol.Order("entry", descending=True)],
    ).rows()
    return [_review(row) for row in rows]


def reasons(db: saol.Database) -> list[str]:
    """Return the reasons a conversation may be rejected for, in their order."""
    rows = saol.agent_query(db, "reject_reasons", select=["reason"], order_by=[saol.Order("position")]).rows()
    return [str(row["reason"]) for row in rows]


def set_reasons(db: saol.Database, before: Sequence[str], after: Sequence[str]) -> bool:
    """Put a new list in the place of the one its editor saw; returns whether that was still the list."""
    data = saol.agent_execute_rpc(
        db, "set_reject_reasons", {"p_before": list(before), "p_reasons": list(after)}
    ).value()
    return bool(data["outcome"] == "ok")


def _review(row: dict[str, Any]) -> Review:
    return Review(
        version=int(row["version"]),
        decision=Decision(row["decision"]),
        previous_status=ConversationStatus(row["previous_status"]),
        reason=row["reason"],
        note=row["note"],
        reviewer=str(row["reviewer"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        undoes=row["undoes"],
    )
