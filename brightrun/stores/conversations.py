"""Conversations in the database: pages for the grid, one for the reader, decisions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from brightrun import saol
from brightrun.domain.conversation import (
    Conversation,
    ConversationStatus,
    Emotion,
    EnrichmentStatus,
    Role,
    Turn,
)
from brightrun.domain.errors import NotFound
from brightrun.domain.ids import (
    ConversationId,
    ConversationKey,
    ImportId,
    ItemId,
    JobId,
    TemplateVersionId,
)
from brightrun.domain.review import ConversationFilter
from brightrun.domain.scenario import Scenario

PORTION = 1_000
"""Rows that `every` asks for at once."""
SORTS = ("newest", "oldest", "best", "worst", "longest", "shortest")
"""Orders a list may ask for; the database breaks ties by id."""


def page(
    db: saol.Database, chosen: ConversationFilter, *, sort: str, limit: int, offset: int, total: int
) -> list[dict[str, Any]]:
    """Return display rows of `conversation_rows`, without the texts; `total` is how many match."""
    return saol.agent_execute_rpc(
        db,
        "page_conversations",
        {
            "p_filter": chosen.to_json(),
            "p_sort": sort,
            "p_limit": limit,
            "p_offset": offset,
            "p_total": total,
        },
    ).rows()


def every(
    db: saol.Database, where: Sequence[tuple[str, str, object]], select: list[str]
) -> Iterator[dict[str, Any]]:
    """Yield these columns of whatever matches, by id, a portion at a time; `select` holds the id."""
    last: list[tuple[str, str, object]] = []
    while True:
        rows = saol.agent_query(
            db,
            "conversations",
            select=select,
            where=[*where, *last],
            order_by=[saol.Order("id")],
            limit=PORTION,
        ).rows()
        yield from rows
        if len(rows) < PORTION:
            return
        last = [("id", "gt", rows[-1]["id"])]


def count(db: saol.Database, chosen: ConversationFilter) -> int:
    """Return how many match."""
    return int(saol.agent_execute_rpc(db, "count_conversations", {"p_filter": chosen.to_json()}).value())


def count_statuses(db: saol.Database, chosen: ConversationFilter) -> dict[ConversationStatus, int]:
    """Return how many match in each status that has any."""
    found = saol.agent_execute_rpc(db, "count_conversation_statuses", {"p_filter": chosen.to_json()}).value()
    return {ConversationStatus(status): int(number) for status, number in found.items()}


def facets(db: saol.Database) -> dict[str, Any]:
    """Return what conversations can be filtered by: models, writers, flags, template versions."""
    found: dict[str, Any] = saol.agent_execute_rpc(db, "conversation_facets").value()
    return found


def index_texts(db: saol.Database, limit: int) -> int:
    """Take apart some of the texts that no search has seen yet; returns how many."""
    return int(saol.agent_execute_rpc(db, "index_conversation_texts", {"p_limit": limit}).value())


def get(db: saol.Database, conversation_id: ConversationId) -> Conversation:
    """Return one conversation by its primary key; raises NotFound."""
    rows = saol.agent_query(db, "conversations", where=[("id", "eq", conversation_id)], limit=1).rows()
    if not rows:
        raise NotFound(f"There is no conversation {conversation_id}.", remedy="Go back to the list.")
    names = saol.agent_query(
        db,
        "conversation_rows",
        select=["template_name", "template_version"],
        where=[("id", "eq", conversation_id)],
        limit=1,
    ).rows()
    return _conversation({**rows[0], **names[0]})


def ids_between(db: saol.Database, low: str, high: str, *, limit: int) -> list[ConversationId]:
    """Return the conversations whose id or business key lies in a range, for prefixes."""
    found: list[ConversationId] = []
    for column in ("id", "conversation_id"):
        rows = saol.agent_query(
            db,
            "conversations",
            select=["id"],
            where=[(column, "gte", low), (column, "lte", high)],
            order_by=[saol.Order("id")],
            limit=limit,
        ).rows()
        found += [ConversationId(row["id"]) for row in rows]
    return list(dict.fromkeys(found))[:limit]


def row_version(db: saol.Database, conversation_id: ConversationId) -> int | None:
    """Return how often a row has been changed; None where there is no such conversation."""
    where = [("id", "eq", conversation_id)]
    rows = saol.agent_query(db, "conversations", select=["row_version"], where=where, limit=1).rows()
    return int(rows[0]["row_version"]) if rows else None


def of_job(db: saol.Database, job_id: JobId) -> list[ConversationId]:
    """Return the ids of a job's conversations, oldest first."""
    rows = saol.agent_query(
        db,
        "conversations",
        select=["id"],
        where=[("job_id", "eq", job_id)],
        order_by=[saol.Order("created_at"), saol.Order("id")],
    ).rows()
    return [ConversationId(row["id"]) for row in rows]


def count_enriched(db: saol.Database, job_id: JobId) -> dict[EnrichmentStatus, int]:
    """Return how many conversations of a job are in each state of enrichment."""
    return {
        status: saol.agent_count(
            db, "conversations", where=[("job_id", "eq", job_id), ("enrichment_status", "eq", status.value)]
        ).total()
        for status in EnrichmentStatus
    }


def set_enrichment(
    db: saol.Database,
    conversation_id: ConversationId,
    status: EnrichmentStatus,
    *,
    path: str | None = None,
    error: str | None = None,
) -> None:
    """Record what an enrichment led to; a failure keeps the earlier file's path."""
    values: dict[str, object] = {"enrichment_status": status.value, "enrichment_error": error}
    if path:
        values["enriched_path"] = path
    saol.agent_update(
        db, "conversations", values, where=[("id", "eq", conversation_id)], returning=False
    ).require()


def _conversation(row: Mapping[str, Any]) -> Conversation:
    template = f"{row['template_name']} v{row['template_version']}" if row["template_name"] else ""
    return Conversation(
        id=ConversationId(row["id"]),
        key=ConversationKey(row["conversation_id"]),
        item_id=ItemId(row["item_id"]) if row["item_id"] else None,
        job_id=JobId(row["job_id"]) if row["job_id"] else None,
        name=str(row["name"]),
        writer=str(row["writer"]),
        model=str(row["model"]),
        scenario=Scenario.from_json(row["parameters"]),
        system=str(row["system_text"]),
        turns=turns_from(row["turns"]),
        status=ConversationStatus(row["status"]),
        version=int(row["version"]),
        row_version=int(row["row_version"]),
        quality_score=float(row["quality_score"]),
        quality=row["quality"],
        validation=row["validation"],
        marks=row["marks"],
        enrichment_status=EnrichmentStatus(row["enrichment_status"]),
        template_version_id=TemplateVersionId(row["template_version_id"])
        if row["template_version_id"]
        else None,
        template_name=template,
        cost=float(row["cost_usd"]),
        raw_path=row["raw_path"],
        final_path=row["final_path"],
        enriched_path=row["enriched_path"],
        reviewed_by=row["reviewed_by"],
        reviewed_at=datetime.fromisoformat(row["reviewed_at"]) if row["reviewed_at"] else None,
        review_reason=row["review_reason"],
        created_at=datetime.fromisoformat(row["created_at"]),
        import_id=ImportId(row["import_id"]) if row["import_id"] else None,
        import_line=row["import_line"],
    )


def turns_from(data: Sequence[Mapping[str, Any]]) -> tuple[Turn, ...]:
    """Return turns as `Turn.to_json` wrote them."""
    return tuple(turn_from(entry) for entry in data)


def turn_from(entry: Mapping[str, Any]) -> Turn:
    """Return one turn as `Turn.to_json` wrote it."""
    context = entry.get("emotional_context")
    emotion = None
    if context:
        emotion = Emotion(context["primary_emotion"], context["secondary_emotion"], context["intensity"])
    return Turn(Role(entry["role"]), str(entry["content"]), emotion, train=entry.get("train") is not False)
