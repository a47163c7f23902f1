"""The dated price table."""

from __future__ import annotations

from datetime import date

from brightrun import saol
from brightrun.domain.price import Price


def all_prices(db: saol.Database) -> list[Price]:
    """Return every price, oldest first."""
    rows = saol.agent_query(db, "prices", order_by=[saol.Order("model"), saol.Order("effective_from")]).rows()
    return [
        Price(
            model=str(row["model"]),
            effective_from=date.fromisoformat(row["effective_from"]),
            input_usd=float(row["input_usd"]),
            output_usd=float(row["output_usd"]),
            cache_read_usd=float(row["cache_read_usd"]),
            above_input_tokens=int(row["above_input_tokens"]),
        )
        for row in rows
    ]


def save_price(db: saol.Database, price: Price, *, source: str) -> None:
    """Add a price, or correct the one of the same model, day and size."""
    saol.agent_upsert(
        db,
        "prices",
        {
            "model": price.model,
            "effective_from": price.effective_from.isoformat(),
            "above_input_tokens": price.above_input_tokens,
            "input_usd": price.input_usd,
            "output_usd": price.output_usd,
            "cache_read_usd": price.cache_read_usd,
            "source": source,
        },
        on_conflict=["model", "effective_from", "above_input_tokens"],
        returning=False,
    ).require()
