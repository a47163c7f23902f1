"""The dated price table and its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from brightrun import saol
from brightrun.domain.price import Price, PriceChange


def all_prices(db: saol.Database) -> list[Price]:
    """Return every price, oldest first."""
    order = [saol.Order("model"), saol.Order("effective_from"), saol.Order("above_input_tokens")]
    return [_price(row) for row in saol.agent_query(db, "prices", order_by=order).rows()]


def today(db: saol.Database) -> date:
    """Return the day prices are looked up for: the database's, in UTC."""
    return date.fromisoformat(str(saol.agent_execute_rpc(db, "today").value()))


def mark(db: saol.Database) -> int:
    """Return a number that grows with every change of the table."""
    return int(saol.agent_execute_rpc(db, "price_mark").value())


def set_price(db: saol.Database, price: Price, *, factor: float, seen: int, actor: str) -> bool:
    """Add or correct a price and raise open reserves by a factor; False when the table was not as `seen`."""
    row = asdict(price) | {"effective_from": price.effective_from.isoformat()}
    data = saol.agent_execute_rpc(
        db, "set_price", {"p_price": row, "p_factor": factor, "p_mark": seen, "p_actor": actor}
    ).value()
    return bool(data["outcome"] == "ok")


def remove_price(db: saol.Database, price: Price, *, factor: float, seen: int, actor: str) -> tuple[str, int]:
    """Remove a price and raise open reserves by a factor; returns what came of it, and how many open jobs keep it."""
    data = saol.agent_execute_rpc(
        db,
        "remove_price",
        {
            "p_model": price.model,
            "p_from": price.effective_from.isoformat(),
            "p_above": price.above_input_tokens,
            "p_factor": factor,
            "p_mark": seen,
            "p_actor": actor,
        },
    ).value()
    return str(data["outcome"]), int(data.get("jobs", 0))


def changes(db: saol.Database, *, model: str | None, limit: int) -> list[PriceChange]:
    """Return what was added and corrected, newest first."""
    rows = saol.agent_query(
        db,
        "price_changes",
        where=[("model", "eq", model)] if model else [],
        order_by=[saol.Order("id", descending=True)],
        limit=limit,
    ).rows()
    return [
        PriceChange(
            at=datetime.fromisoformat(row["changed_at"]),
            by=str(row["changed_by"]),
            before=_price(row["before"]) if row["before"] else None,
            after=_price(row["after"]) if row["after"] else None,
        )
        for row in rows
    ]


def _price(row: Mapping[str, Any]) -> Price:
    return Price(
        model=str(row["model"]),
        effective_from=date.fromisoformat(row["effective_from"]),
        input_usd=float(row["input_usd"]),
        output_usd=float(row["output_usd"]),
        cache_read_usd=float(row["cache_read_usd"]),
        above_input_tokens=int(row["above_input_tokens"]),
        cache_write_factor=float(row["cache_write_factor"]),
        cache_write_hour_factor=float(row["cache_write_hour_factor"]),
        batch_factor=float(row["batch_factor"]),
        cache_min_tokens=int(row["cache_min_tokens"]),
        source=str(row["source"]),
    )
