"""Views and columns in the database: what each list shows, by name and by person."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from brightrun import saol
from brightrun.domain.view import SavedView


def saved(db: saol.Database) -> list[SavedView]:
    """Return every view, by name."""
    rows = saol.agent_query(db, "saved_views", order_by=[saol.Order("name")]).rows()
    return [
        SavedView(row["name"], row["query"], row["saved_by"], datetime.fromisoformat(row["saved_at"]))
        for row in rows
    ]


def save(db: saol.Database, view: SavedView) -> None:
    """Keep a view; one of the same name is replaced."""
    row = {"name": view.name, "query": dict(view.query), "saved_by": view.saved_by}
    saol.agent_upsert(db, "saved_views", row, on_conflict=["name"], returning=False).require()


def forget(db: saol.Database, name: str) -> None:
    """Remove a view; one that is gone already is no fault."""
    saol.agent_delete(db, "saved_views", where=[("name", "eq", name)], confirm=True).require()


def columns(db: saol.Database, *, person: str, listed: str) -> list[str] | None:
    """Return the columns a person chose for a list; None where they never did."""
    rows = saol.agent_query(
        db, "list_columns", select=["columns"], where=[("person", "eq", person), ("list", "eq", listed)]
    ).rows()
    return list(rows[0]["columns"]) if rows else None


def set_columns(db: saol.Database, names: Sequence[str], *, person: str, listed: str) -> None:
    """Keep the columns a person chose."""
    row = {"person": person, "list": listed, "columns": list(names)}
    saol.agent_upsert(db, "list_columns", row, on_conflict=["person", "list"], returning=False).require()
