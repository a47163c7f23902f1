"""Personas, emotional arcs and topics in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from brightrun import saol
from brightrun.domain.scaffolding import Kind
from brightrun.domain.scenario import EmotionalArc, Persona, Tier, Topic

T = TypeVar("T", Persona, EmotionalArc, Topic)


def personas(db: saol.Database) -> list[Persona]:
    return [_read(Persona, row) for row in _all(db, "personas", "persona_key")]


def emotional_arcs(db: saol.Database) -> list[EmotionalArc]:
    rows = _all(db, "emotional_arcs", "arc_key")
    return [_read(EmotionalArc, {**row, "tier": Tier(row["tier"])}) for row in rows]


def training_topics(db: saol.Database) -> list[Topic]:
    return [_read(Topic, row) for row in _all(db, "training_topics", "topic_key")]


def save(
    db: saol.Database,
    kind: Kind,
    rows: Sequence[Mapping[str, object]],
    seen: Sequence[Mapping[str, object]],
) -> dict[str, Any]:
    """Write rows by their keys, all or none, where they are as `seen` and the others new; `outcome` says which."""
    params = {"p_kind": kind.value, "p_rows": list(rows), "p_seen": list(seen)}
    value: dict[str, Any] = saol.agent_execute_rpc(db, "save_scaffolding_as_seen", params).value()
    return value


def uses(db: saol.Database, kind: Kind) -> dict[str, int]:
    """Return how often each key is used."""
    found = saol.agent_execute_rpc(db, "scaffolding_uses", {"p_kind": kind.value}).value()
    return {str(key): int(number) for key, number in found.items()}


def remove(db: saol.Database, kind: Kind, key: str) -> dict[str, Any]:
    """Delete one, or stop offering it while it is used; `outcome` says which, or missing."""
    params = {"p_kind": kind.value, "p_key": key}
    value: dict[str, Any] = saol.agent_execute_rpc(db, "remove_scaffolding", params).value()
    return value


def _all(db: saol.Database, table: str, key: str) -> list[dict[str, Any]]:
    return saol.agent_query(db, table, order_by=[saol.Order(key)]).rows()


def _read(kind: type[T], row: Mapping[str, Any]) -> T:
    """Return a row as its noun: the columns are named as the fields, lists become tuples."""
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(kind)}
    listed: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    return kind(**listed)
