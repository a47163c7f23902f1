"""Imports in the database: opened, taken in by the chunk, accounted for line by line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from brightrun import saol
from brightrun.domain.ids import ConversationId, ImportId
from brightrun.domain.imports import Import, ImportLine, Outcome


@dataclass(frozen=True, slots=True)
class Taken:
    """The import after a chunk; `conversations` holds business keys, None where somebody else was first."""

    found: Import
    conversations: frozenset[str] | None


def open_import(db: saol.Database, *, name: str, file_name: str, digest: str, actor: str) -> Import:
    """Open an import, or return the one of this file and name that was broken off."""
    data = saol.agent_execute_rpc(
        db,
        "open_import",
        {"p_name": name, "p_file_name": file_name, "p_digest": digest, "p_actor": actor},
    ).value()
    return _import(data)


def known(db: saol.Database, digests: Sequence[str]) -> set[str]:
    """Return those of some messages' digests that are here already."""
    return set(saol.agent_execute_rpc(db, "known_contents", {"p_digests": list(digests)}).value())


def take(db: saol.Database, import_id: ImportId, after: int, entries: Sequence[Mapping[str, Any]]) -> Taken:
    """Take the next entries, all or none."""
    data = saol.agent_execute_rpc(
        db,
        "take_import_entries",
        {"p_import": import_id, "p_after": after, "p_entries": list(entries)},
    ).value()
    taken = frozenset(data["conversations"]) if data["outcome"] == "taken" else None
    return Taken(_import(data["import"]), taken)


def complete(db: saol.Database, import_id: ImportId) -> Import:
    """End an import whose last entry was taken."""
    return _import(saol.agent_execute_rpc(db, "complete_import", {"p_import": import_id}).value())


def withdraw(db: saol.Database, import_id: ImportId) -> dict[str, Any]:
    """Delete an import and its conversations where none is used; tells the outcome, and which files are left over."""
    told: dict[str, Any] = saol.agent_execute_rpc(db, "withdraw_import", {"p_import": import_id}).value()
    return told


def page(db: saol.Database, *, limit: int, offset: int = 0) -> list[Import]:
    """Return imports, newest first."""
    found = saol.agent_query(
        db,
        "imports",
        order_by=[saol.Order("created_at", descending=True), saol.Order("id")],
        limit=limit,
        offset=offset,
    )
    return [_import(row) for row in found.rows()]


def get(db: saol.Database, import_id: ImportId) -> Import | None:
    """Return one import, or None."""
    rows = saol.agent_query(db, "imports", where=[("id", "eq", import_id)], limit=1).rows()
    return _import(rows[0]) if rows else None


def ids_named(db: saol.Database, name: str, *, limit: int) -> list[ImportId]:
    """Return imports of a name, newest first."""
    return _ids(db, [("name", "eq", name)], limit)


def ids_between(db: saol.Database, low: str, high: str, *, limit: int) -> list[ImportId]:
    """Return imports whose ids lie between two, both included, newest first."""
    return _ids(db, [("id", "gte", low), ("id", "lte", high)], limit)


def _ids(db: saol.Database, where: Sequence[tuple[str, str, object]], limit: int) -> list[ImportId]:
    newest = saol.Order("created_at", descending=True)
    found = saol.agent_query(db, "imports", select=["id"], where=where, order_by=[newest], limit=limit)
    return [ImportId(row["id"]) for row in found.rows()]


def lines(
    db: saol.Database, import_id: ImportId, outcome: Outcome, *, limit: int, noted: bool = False
) -> list[ImportLine]:
    """Return the entries that became this, in the file's order; `noted` leaves out what nothing is said of."""
    # Every text is like this one, and no text is not.
    said: list[tuple[str, str, object]] = [("reason", "like", "%")] if noted else []
    found = saol.agent_query(
        db,
        "import_lines",
        where=[("import_id", "eq", import_id), ("outcome", "eq", outcome.value), *said],
        order_by=[saol.Order("entry")],
        limit=limit,
    )
    return [
        ImportLine(
            int(row["line"]),
            Outcome(row["outcome"]),
            row["reason"],
            ConversationId(row["conversation_id"]) if row["conversation_id"] else None,
        )
        for row in found.rows()
    ]


def _import(row: Mapping[str, Any]) -> Import:
    return Import(
        id=ImportId(row["id"]),
        name=str(row["name"]),
        file_name=str(row["file_name"]),
        status=str(row["status"]),
        entries=int(row["entries"]),
        imported=int(row["imported"]),
        refused=int(row["refused"]),
        duplicates=int(row["duplicates"]),
        blank=int(row["blank"]),
        created_by=str(row["created_by"]),
        created_at=datetime.fromisoformat(row["created_at"]),
        completed_at=datetime.fromisoformat(row["completed_at"]) if row["completed_at"] else None,
    )
