"""The price table: what each model costs from which day on."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime

from brightrun import saol
from brightrun.domain.errors import InvalidInput
from brightrun.domain.price import Price, price_for
from brightrun.stores import prices as store

MODEL = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,119}$")
MAX_USD = 10_000
"""Dollars per million tokens above which a price is a slip of the hand."""


class Prices:
    """Every price stays: what a past call cost is counted with the price of its day."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db

    def all(self) -> list[Price]:
        """Return every price by model, oldest first."""
        return store.all_prices(self._db)

    def in_force(self) -> list[Price]:
        """Return today's price of every model that has one, by model."""
        known = self.all()
        today = datetime.now(UTC).date()
        models = sorted({p.model for p in known if p.effective_from <= today and not p.above_input_tokens})
        return [price_for(known, model, on=today) for model in models]

    def save(self, price: Price, *, source: str) -> None:
        """Add a price, or correct that of the same model and day; raises InvalidInput."""
        if not MODEL.match(price.model):
            raise InvalidInput(
                f"{price.model!r} is no model id.", remedy="Give it as the API names it, without spaces."
            )
        figures = (price.input_usd, price.output_usd, price.cache_read_usd)
        if not all(math.isfinite(usd) and 0 <= usd <= MAX_USD for usd in figures):
            raise InvalidInput(
                "A price lies between $0 and $10,000 per million tokens.", remedy="Correct the figures."
            )
        if not price.input_usd or not price.output_usd:
            raise InvalidInput(
                "A model that costs nothing would make every budget useless.",
                remedy="Give the price per million tokens, for input and for output.",
            )
        if price.above_input_tokens < 0:
            raise InvalidInput("The prompt size a price starts at cannot be negative.")
        store.save_price(self._db, price, source=" ".join(source.split())[:300])
