"""The price table: what each model costs from which day on."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from brightrun import saol
from brightrun.domain.errors import Conflict, InvalidInput, NotAllowed, NotFound
from brightrun.domain.person import Action
from brightrun.domain.price import Price, PriceChange, dearer_by, price_for, priced_as
from brightrun.domain.text import counted
from brightrun.services.rights import needs
from brightrun.stores import prices as store

MODEL = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:@/-]{0,119}$")
MAX_USD = 10_000
"""Dollars per million tokens above which a price is a slip of the hand."""
MAX_FACTOR = 10
TRIES = 5
HISTORY = 100


class Prices:
    """What a past call cost stays as it was counted, whatever becomes of the price of its day."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db

    def all(self) -> list[Price]:
        """Return every price by model, oldest first."""
        return store.all_prices(self._db)

    def today(self) -> date:
        """Return the day prices are looked up for, by the database's clock."""
        return store.today(self._db)

    def in_force(self) -> list[Price]:
        """Return today's prices of every model that has one, by model and size of prompt."""
        known, day = self.all(), self.today()
        sizes = sorted({(p.model, p.above_input_tokens) for p in known if p.effective_from <= day})
        priced = {p.model for p in known if p.effective_from <= day and not p.above_input_tokens}
        return [
            price_for(known, model, on=day, input_tokens=above + 1)
            for model, above in sizes
            if model in priced
        ]

    def has(self, model: str) -> bool:
        """Whether a model has a price today, by its own name or its alias."""
        return priced_as(self.all(), model, on=self.today()) is not None

    def history(self, *, model: str | None = None) -> list[PriceChange]:
        """Return what was added and corrected, newest first."""
        return store.changes(self._db, model=model, limit=HISTORY)

    @needs(Action.SET_PRICE)
    def save(self, price: Price, *, actor: str) -> None:
        """Add a price, or correct that of the same model, day and size; raises InvalidInput.

        Where it makes calls dearer, what waiting items reserve grows with it, so that no budget rests on
        an old price.
        """
        _check(price)
        price = replace(price, source=" ".join(price.source.split())[:300])
        for _ in range(TRIES):
            seen = store.mark(self._db)
            before = self.all()
            after = [*_without(before, price), price]
            factor = _factor(before, after, price, self.today())
            if store.set_price(self._db, price, factor=factor, seen=seen, actor=actor):
                return
        raise _contended()

    @needs(Action.SET_PRICE)
    def remove(self, price: Price, *, actor: str) -> None:
        """Remove a price that is a slip of the hand; raises NotFound, NotAllowed while an open batch has no other.

        An older price of the model is in force again, and where that is dearer what waiting items reserve grows.
        """
        for _ in range(TRIES):
            seen = store.mark(self._db)
            before = self.all()
            factor = _factor(before, _without(before, price), price, self.today())
            outcome, jobs = store.remove_price(self._db, price, factor=factor, seen=seen, actor=actor)
            if outcome == "ok":
                return
            if outcome == "missing":
                raise NotFound(
                    f"There is no price of {price.model} from {price.effective_from} any more.",
                    remedy="Look at the table again: somebody else has removed it.",
                )
            if outcome == "in_use":
                raise NotAllowed(
                    f"{price.model} has no other price, and {counted(jobs, 'open batch', 'open batches')} "
                    f"{'needs' if jobs == 1 else 'need'} one.",
                    remedy="Correct it instead, or end what is open first.",
                )
        raise _contended()


def _contended() -> Conflict:
    return Conflict("The price table is being changed by somebody else.", remedy="Look and try again.")


def _without(prices: Sequence[Price], price: Price) -> list[Price]:
    """Return all but the price of the same model, day and size."""
    key = (price.model, price.effective_from, price.above_input_tokens)
    return [p for p in prices if (p.model, p.effective_from, p.above_input_tokens) != key]


def _factor(before: Sequence[Price], after: Sequence[Price], price: Price, today: date) -> float:
    """Return by how much what is reserved must grow: by the changed price's own name, and by its alias."""
    day = max(today, price.effective_from)
    names = {price.model, re.sub(r"[-@][0-9]{8}$", "", price.model)}
    factors = []
    for name in names:
        try:
            factors += [dearer_by(before, after, name, on=today), dearer_by(before, after, name, on=day)]
        except InvalidInput:
            continue  # not priced under that name
    most = max(factors, default=1.0)
    return 1.0 if most <= 1 else most * (1 + 1e-9)


def _check(price: Price) -> None:
    if not MODEL.match(price.model):
        raise InvalidInput(
            f"{price.model!r} is no model id.", remedy="Give it as the API names it, without spaces."
        )
    figures = (price.input_usd, price.output_usd, price.cache_read_usd)
    if not all(math.isfinite(usd) and 0 <= usd <= MAX_USD for usd in figures):
        raise InvalidInput(
            f"A price lies between $0 and ${MAX_USD:,} per million tokens.", remedy="Correct the figures."
        )
    if min(figures) < 1e-6:
        raise InvalidInput(
            "A model that costs nothing would make every budget useless.",
            remedy="Give the price per million tokens, for input, for output and for what is read from the cache.",
        )
    if price.cache_read_usd > price.input_usd:
        raise InvalidInput(
            f"Reading from the cache (${price.cache_read_usd:g}) cannot cost more than input (${price.input_usd:g}).",
            remedy="Correct the figures: the three may have been given in another order.",
        )
    factors = (price.cache_write_factor, price.cache_write_hour_factor)
    if not all(1 <= factor <= MAX_FACTOR for factor in factors) or not 0 < price.batch_factor <= 1:
        raise InvalidInput(
            f"Writing to the cache costs 1 to {MAX_FACTOR} times the input price, a batch more than nothing and at most the whole price.",
            remedy="Correct the factors.",
        )
    if price.above_input_tokens < 0 or price.cache_min_tokens < 1:
        raise InvalidInput("A number of tokens cannot be negative.", remedy="Correct it.")
