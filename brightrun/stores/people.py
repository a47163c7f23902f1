"""People in the database: who is on the list, with which role, and how that came about."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from brightrun import saol
from brightrun.domain.person import Person, Role, RoleChange
from brightrun.saol import Order


def listed(db: saol.Database) -> list[Person]:
    """Return everybody on the list, by address."""
    return [_person(row) for row in saol.agent_query(db, "people", order_by=[Order("email")]).rows()]


def find(db: saol.Database, email: str) -> Person | None:
    """Return who has this address; None where nobody does."""
    rows = saol.agent_query(db, "people", where=[("email", "eq", email)]).rows()
    return _person(rows[0]) if rows else None


def set_role(db: saol.Database, email: str, name: str, role: Role | None, *, actor: str) -> str:
    """Give a role, or take the last one; returns ok, missing or last_admin."""
    params = {"p_email": email, "p_name": name, "p_role": role, "p_actor": actor}
    return str(saol.agent_execute_rpc(db, "set_person", params).require().data)


def history(db: saol.Database, *, limit: int) -> list[RoleChange]:
    """Return the newest changes first."""
    rows = saol.agent_query(
        db, "role_changes", order_by=[Order("changed_at", descending=True)], limit=limit
    ).rows()
    return [
        RoleChange(
            row["email"],
            Role(row["before"]) if row["before"] else None,
            Role(row["after"]) if row["after"] else None,
            row["changed_by"],
            datetime.fromisoformat(row["changed_at"]),
        )
        for row in rows
    ]


def _person(row: Mapping[str, Any]) -> Person:
    return Person(
        row["email"],
        row["display_name"],
        Role(row["role"]),
        row["granted_by"],
        datetime.fromisoformat(row["granted_at"]),
    )
