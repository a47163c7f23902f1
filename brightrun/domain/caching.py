"""Prompt caching: which beginnings of a job's prompts stand still, and whether marking them pays."""

from __future__ import annotations

from collections.abc import Sequence

from brightrun.domain.price import Price
from brightrun.domain.template import Prompt


def standing_characters(prompts: Sequence[Prompt]) -> int | None:
    """Return how much of the message all prompts share, in whole lines; None when their systems differ.

    The system prompt comes first in what is sent, so a message can only stand still where it does.
    """
    if len({prompt.system for prompt in prompts}) != 1:
        return None
    shared = _shared([prompt.user for prompt in prompts])
    if len(shared) < min(len(prompt.user) for prompt in prompts):
        return shared.rfind("\n") + 1
    return 0  # one message is the whole beginning of another: something has to be left after the mark


def standing_text(prompt: Prompt, characters: int) -> str:
    """Return what would be cached of a prompt."""
    return prompt.system + prompt.user[:characters]


def pays(price: Price, *, uses: int, tokens: int) -> bool:
    """Whether one write and the reads after it cost less than sending the beginning as often."""
    if tokens < price.cache_min_tokens:
        return False
    cached = price.cache_write_factor + (uses - 1) * price.cache_read_usd / price.input_usd
    return cached < uses


def saving(price: Price, *, uses: int, tokens: int) -> float:
    """Return the dollars that one write and the reads after it spare."""
    spared = (uses - 1) * (price.input_usd - price.cache_read_usd)
    return tokens * (spared - price.input_usd * (price.cache_write_factor - 1)) / 1_000_000


def _shared(texts: Sequence[str]) -> str:
    """Return the beginning all texts share: that of the first and the last in the order of text."""
    first, last = min(texts), max(texts)
    length = next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length]
