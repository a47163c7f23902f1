"""Stored answers of items that have ended, and what they are found to be when they are read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from brightrun import saol
from brightrun.domain.ids import ConversationId, ItemId, JobId, TemplateVersionId
from brightrun.domain.scenario import Scenario


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """One answer that is stored, or may be, with the item it was for and what came of it."""

    item_id: ItemId
    job_id: JobId
    position: int
    attempts: int
    """Attempts the item had made; a later one makes this row old."""
    number: int
    raw_path: str | None
    """None where the worker vanished before it could say so."""
    started_at: datetime
    scenario: Scenario
    template_version_id: TemplateVersionId
    conversation_id: ConversationId | None
    """None for a failed item."""
    row_version: int | None
    created_at: datetime | None


def of_job(db: saol.Database, job_id: JobId, *, after: int, limit: int) -> list[StoredAnswer]:
    """Return answers in the order of their items, those of one item newest first, behind a position."""
    return _answers(db, [("job_id", "eq", job_id), ("position", "gt", after)], limit)


def of_item(db: saol.Database, item_id: ItemId) -> list[StoredAnswer]:
    """Return an item's answers, newest first."""
    return _answers(db, [("item_id", "eq", item_id)], None)


def reparse(
    db: saol.Database, answer: StoredAnswer, attempt: Mapping[str, object], conversation: Mapping[str, object]
) -> tuple[str, ConversationId | None]:
    """Complete a failed item; the outcome is completed, changed or missing."""
    data = saol.agent_execute_rpc(
        db,
        "reparse_item",
        {
            "p_item": answer.item_id,
            "p_attempts": answer.attempts,
            "p_attempt": dict(attempt),
            "p_conversation": dict(conversation),
        },
    ).value()
    key = data.get("conversation_id")
    return str(data["outcome"]), ConversationId(key) if key else None


def rescore(db: saol.Database, answer: StoredAnswer, conversation: Mapping[str, object]) -> str:
    """Bring a conversation up to date; the outcome is rescored, same, decided, corrected, changed or missing."""
    params = {
        "p_id": answer.conversation_id,
        "p_row_version": answer.row_version,
        "p_conversation": dict(conversation),
    }
    return str(saol.agent_execute_rpc(db, "rescore_conversation", params).value())


def note(db: saol.Database, job_id: JobId, message: str) -> None:
    """Write a line into the log of a job."""
    params = {"p_job": job_id, "p_item": None, "p_level": "info", "p_message": message}
    saol.agent_execute_rpc(db, "log_job", params).require()


def _answers(
    db: saol.Database, where: Sequence[tuple[str, str, object]], limit: int | None
) -> list[StoredAnswer]:
    rows = saol.agent_query(
        db,
        "answer_rows",
        where=where,
        order_by=[saol.Order("position"), saol.Order("number", descending=True)],
        limit=limit,
    ).rows()
    return [_answer(row) for row in rows]


def _answer(row: Mapping[str, Any]) -> StoredAnswer:
    return StoredAnswer(
        item_id=ItemId(row["item_id"]),
        job_id=JobId(row["job_id"]),
        position=int(row["position"]),
        attempts=int(row["attempts"]),
        number=int(row["number"]),
        raw_path=row["raw_path"],
        started_at=datetime.fromisoformat(row["started_at"]),
        scenario=Scenario.from_json(row["parameters"]),
        template_version_id=TemplateVersionId(row["template_version_id"]),
        conversation_id=ConversationId(row["conversation_id"]) if row["conversation_id"] else None,
        row_version=row["row_version"],
        created_at=datetime.fromisoformat(row["created_at"]) if row["created_at"] else None,
    )
