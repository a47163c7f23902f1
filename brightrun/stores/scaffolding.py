"""Personas, emotional arcs and topics in the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from brightrun import saol
from brightrun.domain.scenario import EmotionalArc, Persona, Tier, Topic

T = TypeVar("T", Persona, EmotionalArc, Topic)


def personas(db: saol.Database) -> list[Persona]:
    return [_read(Persona, row) for row in _all(db, "personas", "persona_key")]


def emotional_arcs(db: saol.Database) -> list[EmotionalArc]:
    rows = _all(db, "emotional_arcs", "arc_key")
    return [_read(EmotionalArc, {**row, "tier": Tier(row["tier"])}) for row in rows]


def training_topics(db: saol.Database) -> list[Topic]:
    return [_read(Topic, row) for row in _all(db, "training_topics", "topic_key")]


def _all(db: saol.Database, table: str, key: str) -> list[dict[str, Any]]:
    return saol.agent_query(db, table, order_by=[saol.Order(key)]).rows()


def _read(kind: type[T], row: Mapping[str, Any]) -> T:
    """Return a row as its noun: the columns are named as the fields, lists become tuples."""
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(kind)}
    listed: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    return kind(**listed)
