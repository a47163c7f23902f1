"""Prices and what a call costs, in US dollars."""

from __future__ import annotations

import difflib
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import lru_cache

from brightrun.domain.errors import InvalidInput
from brightrun.domain.writing import Usage

MILLION = 1_000_000
CACHE_WRITE_FACTOR = 1.25
"""Five-minute cache writes cost 1.25 times the input price (platform.claude.com, prompt caching)."""
CACHE_WRITE_HOUR_FACTOR = 2.0
BATCH_FACTOR = 0.5
CACHE_MIN_TOKENS = 4096
"""The longest of the shortest prefixes that models cache: safe for a model that nothing is known about."""
CHARACTERS_PER_TOKEN = 4
"""A stated approximation for English text; the API's own count replaces it where there is one."""
FRAME_TOKENS = 2_000
"""A generous allowance for what the API puts around a prompt: roles, and its own words about the schema."""

_SNAPSHOT = re.compile(r"[-@][0-9]{8}$")
_ALIAS_END = re.compile(r"(?:-latest|[-@][0-9]{8})$")
_SMALLEST = 1e-6
"""Money is kept to a millionth of a dollar."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens of one model from one day on, for prompts above a size."""

    model: str
    effective_from: date
    input_usd: float
    output_usd: float
    cache_read_usd: float
    above_input_tokens: int = 0
    cache_write_factor: float = CACHE_WRITE_FACTOR
    """What five minutes in the cache cost, as a multiple of the input price."""
    cache_write_hour_factor: float = CACHE_WRITE_HOUR_FACTOR
    batch_factor: float = BATCH_FACTOR
    """What Message Batches cost, as a share of every price."""
    cache_min_tokens: int = CACHE_MIN_TOKENS
    """The shortest prefix the model caches."""
    source: str = ""


_NAMES = {
    "input_usd": "in",
    "output_usd": "out",
    "cache_read_usd": "cache read",
    "cache_write_factor": "5 min write ×",
    "cache_write_hour_factor": "1 h write ×",
    "batch_factor": "batch ×",
    "cache_min_tokens": "cached from",
}


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One entry of the price table's history; `before` is None for a new price, `after` for a removed one."""

    at: datetime
    by: str
    before: Price | None
    after: Price | None

    def story(self) -> str:
        """Say what was added, removed, or which figures became which."""
        if self.after is None or self.before is None:
            price = self.after or self.before
            assert price
            verb = "added" if self.after else "removed"
            return f"{verb}: in {price.input_usd:g}, out {price.output_usd:g}, cache read {price.cache_read_usd:g}"
        before, after = asdict(self.before), asdict(self.after)
        changed = [
            f"{_NAMES[name]} {before[name]:g} → {after[name]:g}"
            for name in _NAMES
            if before[name] != after[name]
        ]
        return "corrected: " + (", ".join(changed) or "its source")


def priced_as(prices: Iterable[Price], model: str, *, on: date) -> str | None:
    """Return the name under which a model is priced on a day, or None.

    A snapshot is priced as its alias and an alias as its newest snapshot, unless the table names it
    itself; a model of another name is never taken for it. `priced_as` in SQL is the same rule.
    """
    known = {p.model for p in prices if p.effective_from <= on and not p.above_input_tokens}
    alias = _ALIAS_END.sub("", model)
    if model in known or alias in known:
        return model if model in known else alias
    snapshots = [m for m in known if _SNAPSHOT.sub("", m) == alias and not _SNAPSHOT.search(model)]
    return min(snapshots, key=lambda m: (-int(m[-8:]), m), default=None)


def price_for(prices: Sequence[Price], model: str, *, on: date, input_tokens: int = 0) -> Price:
    """Return the newest price in force; raises InvalidInput for an unpriced model, never guesses."""
    return Tariff(prices, model, on=on).price(input_tokens)


def cost_of(usage: Usage, price: Price) -> float:
    """Return the dollars `usage` costs."""
    return (
        usage.input_tokens * price.input_usd
        + usage.output_tokens * price.output_usd
        + usage.cache_read_tokens * price.cache_read_usd
        + usage.cache_write_tokens * price.input_usd * price.cache_write_factor
    ) / MILLION


def saving_of(usage: Usage, price: Price) -> float:
    """Return the dollars that caching spared a call; below zero where it only wrote."""
    return (
        usage.cache_read_tokens * (price.input_usd - price.cache_read_usd)
        - usage.cache_write_tokens * price.input_usd * (price.cache_write_factor - 1)
    ) / MILLION


class Tariff:
    """What calls to one model cost from a day on; raises InvalidInput for an unpriced one."""

    def __init__(self, prices: Sequence[Price], model: str, *, on: date) -> None:
        met = _met(prices, model, on=on)
        self._now = sorted((p for day, p in met if day == on), key=lambda p: p.above_input_tokens)
        self._met = [price for _, price in met]

    def price(self, input_tokens: int) -> Price:
        """Return the price of a call with a prompt of that size."""
        return next(p for p in reversed(self._now) if _reaches(input_tokens, p))

    def batch_share(self) -> float:
        """Return what Message Batches cost at most, as a share of the usual price, to four digits, rounded up."""
        share = max(price.batch_factor for price in self._met)
        return min(1.0, math.ceil(share * 10_000 - 1e-9) / 10_000)

    def ceiling(self, input_bound: int, max_tokens: int) -> float:
        """Return the most one call of at most so many tokens can cost, rounded up to what money is kept in.

        Every token is billed as the dearest kind there is, at the dearest of the prices that a prompt of
        up to that size may meet, one already known for a later day included.
        """
        reached = (price for price in self._met if _reaches(input_bound, price))
        return round_up(max(_dearest(price, input_bound, max_tokens) for price in reached))


def dearer_by(before: Sequence[Price], after: Sequence[Price], model: str, *, on: date) -> float:
    """Return by what factor the worst case of any call may grow when the table changes; at least 1."""
    factors = [1.0]
    for day, new in _met(after, model, on=on):
        try:
            old = price_for(before, model, on=day, input_tokens=new.above_input_tokens + 1)
        except InvalidInput:
            continue  # nothing was reserved at a price that was not there
        factors.append(new.output_usd / old.output_usd)
        factors.append(new.batch_factor / old.batch_factor)
        factors.append(new.input_usd * _input_factor(new) / (old.input_usd * _input_factor(old)))
    return max(factors)


def round_up(usd: float) -> float:
    """Return dollars rounded up to what money is kept in."""
    return math.ceil(usd / _SMALLEST - 1e-9) * _SMALLEST


def dollars(usd: float) -> str:
    """Return money as a person reads it: cents from a dollar on, more digits below."""
    if usd == 0:
        return "$0"
    sign, usd = ("-" if usd < 0 else ""), abs(usd)
    if usd < 0.0001:
        return f"{sign}<$0.0001"
    return f"{sign}${usd:,.2f}" if usd >= 1 else f"{sign}${usd:.4f}"


def approximate_tokens(text: str) -> int:
    """Return the number of tokens by the characters-per-token approximation, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def token_bound(*texts: str) -> int:
    """Return a number of tokens that texts, with what the API puts around them, cannot exceed.

    A token stands for at least one byte of what the model reads. That may be a compatibility form of the
    text, which for a few characters is longer than what was sent: of each the longest form counts.
    """
    return FRAME_TOKENS + sum(map(_most_bytes, texts))


def unpriced(model: str, known: Collection[str]) -> InvalidInput:
    """Return the refusal of a model without a price, with what can be done."""
    close = difflib.get_close_matches(model, known, n=3, cutoff=0.5) or sorted(known)
    return InvalidInput(
        f"There is no price for the model {model!r}, and unknown is never zero.",
        remedy="Add it on the System page or with brightrun prices set, or use a model that has one: "
        f"{', '.join(close)}.",
    )


def _most_bytes(text: str) -> int:
    if text.isascii():
        return len(text)
    return sum(number * _widest(character) for character, number in Counter(text).items())


@lru_cache(maxsize=10_000)
def _widest(character: str) -> int:
    forms = (character, unicodedata.normalize("NFD", character), unicodedata.normalize("NFKD", character))
    return max(len(form.encode("utf-8", "surrogatepass")) for form in forms)


def _met(prices: Sequence[Price], model: str, *, on: date) -> list[tuple[date, Price]]:
    """Return the prices a call made on that day or later may meet, each with a day on which it is met."""
    days = [on, *sorted({p.effective_from for p in prices if p.effective_from > on})]
    return [(day, price) for day in days for price in _in_force(prices, model, day)]


def _in_force(prices: Sequence[Price], model: str, day: date) -> Iterable[Price]:
    """Return a model's prices on a day, one for each size of prompt."""
    name = priced_as(prices, model, on=day)
    if name is None:
        raise unpriced(model, {p.model for p in prices})
    by_size: dict[int, Price] = {}
    for price in sorted(prices, key=lambda p: p.effective_from):
        if price.model == name and price.effective_from <= day:
            by_size[price.above_input_tokens] = price
    return by_size.values()


def _reaches(input_tokens: int, price: Price) -> bool:
    return price.above_input_tokens == 0 or price.above_input_tokens < input_tokens


def _dearest(price: Price, input_tokens: int, output_tokens: int) -> float:
    return (
        input_tokens * price.input_usd * _input_factor(price) + output_tokens * price.output_usd
    ) / MILLION


def _input_factor(price: Price) -> float:
    """A prompt's tokens are read, written to the cache or read from it; the dearest of these counts."""
    return max(1.0, price.cache_write_factor, price.cache_read_usd / price.input_usd)
