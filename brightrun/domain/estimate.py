"""What a batch is expected to cost before it starts, and what that rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brightrun.domain.template import Prompt

TOKENS_PER_WORD = 1.4
"""A stated approximation for English prose inside JSON."""
TOKENS_PER_TURN = 60
"""What the JSON around one turn takes, by the same approximation."""
USER_TURN_WORDS = (40, 60)
"""What a user's turn is expected to have, and what a long one has."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a batch is expected to cost, what it costs when it turns out long, and the most it can cost."""

    items: int
    input_tokens: int
    output_tokens: int
    expected_usd: float
    high_usd: float
    """Every answer as long as the longest tenth of them."""
    worst_usd: float
    """Every answer at its token limit, one call each: what a budget reserves."""
    saved_usd: float = 0.0
    """What prompt caching is expected to spare; the expected cost is after it."""
    basis: Sequence[str] = ()
    """Sentences that say what the figures rest on."""

    @property
    def method(self) -> str:
        return " ".join(self.basis)


@dataclass(frozen=True, slots=True)
class OutputHistory:
    """Tokens that earlier answers took for each of their turns."""

    answers: int
    p50: float
    p90: float


@dataclass(frozen=True, slots=True)
class Terms:
    """What the prompts of one template version in one job keep to."""

    input_bound: int
    """Tokens that none of them exceeds: what is reserved for each call rests on it."""
    standing: int | None = None
    """Characters of the message that, after the system prompt, all of them share; None: not worth caching."""


def approximate_output(prompt: Prompt) -> tuple[int, int]:
    """Return the tokens of an expected and of a long answer, from the words the template asks for."""
    pairs = prompt.turns / 2
    assistant = ((prompt.words_min + prompt.words_max) / 2, prompt.words_max)
    expected, long = (
        round(pairs * (words + user) * TOKENS_PER_WORD + prompt.turns * TOKENS_PER_TURN)
        for words, user in zip(assistant, USER_TURN_WORDS, strict=True)
    )
    return expected, long
