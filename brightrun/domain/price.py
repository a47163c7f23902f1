"""Prices and what a call costs, in US dollars."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from brightrun.domain.errors import InvalidInput
from brightrun.domain.writing import Usage

MILLION = 1_000_000
CACHE_WRITE_FACTOR = 1.25
"""Five-minute cache writes cost 1.25 times the input price (platform.claude.com, prompt caching)."""
CHARACTERS_PER_TOKEN = 4
"""A stated approximation for English text; the API's own count replaces it where there is one."""


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens of one model from one day on, for prompts above a size."""

    model: str
    effective_from: date
    input_usd: float
    output_usd: float
    cache_read_usd: float
    above_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a batch is expected to cost, and the most it can cost."""

    items: int
    input_tokens: int
    output_tokens: int
    expected_usd: float
    worst_usd: float
    method: str


def price_for(prices: Iterable[Price], model: str, *, on: date, input_tokens: int = 0) -> Price:
    """Return the newest price in force; raises InvalidInput for an unpriced model, never guesses."""
    fitting = [
        p
        for p in prices
        if p.model == model and p.effective_from <= on and p.above_input_tokens <= input_tokens
    ]
    if not fitting:
        raise InvalidInput(
            f"There is no price for the model {model!r}.",
            remedy="Add it to the price table, or choose a model that is in it.",
        )
    return max(fitting, key=lambda p: (p.above_input_tokens, p.effective_from))


def cost_of(usage: Usage, price: Price) -> float:
    """Return the dollars `usage` costs."""
    return (
        usage.input_tokens * price.input_usd
        + usage.output_tokens * price.output_usd
        + usage.cache_read_tokens * price.cache_read_usd
        + usage.cache_write_tokens * price.input_usd * CACHE_WRITE_FACTOR
    ) / MILLION


def approximate_tokens(text: str) -> int:
    """Return the number of tokens by the characters-per-token approximation, rounded up."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)
