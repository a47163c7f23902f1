"""A job's budget: what is left of it, and what going on needs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from brightrun.domain.amount import amount_of
from brightrun.domain.errors import InvalidInput
from brightrun.domain.ids import JobId
from brightrun.domain.price import dollars

MIN_BUDGET = 0.000001
"""Dollars as finely as they are stored: less than this would be kept as nothing."""
MAX_BUDGET = 10_000_000
"""Dollars above which a budget is a slip of the hand."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a job may still spend, and what going on needs."""

    budget_usd: float | None
    spent_usd: float
    possible_usd: float
    reserved_usd: float
    waiting: int
    """Items that are queued."""
    answered: int
    """Those of them whose answer is stored already: they cost nothing."""
    processing: int
    ended: int
    next_usd: float
    """The most the next call can cost."""
    worst_usd: float
    """The most that all waiting items can cost, one call each."""

    @property
    def bound_usd(self) -> float:
        """What is spent, may be, or is reserved: no budget can be below it."""
        return self.spent_usd + self.possible_usd + self.reserved_usd

    @property
    def left_usd(self) -> float | None:
        return None if self.budget_usd is None else self.budget_usd - self.bound_usd

    @property
    def is_stuck(self) -> bool:
        """Whether nothing goes on: the next call does not fit, none is out to be settled, and no answer waits."""
        left = self.left_usd
        is_idle = self.waiting > 0 and not self.processing and not self.answered
        return left is not None and is_idle and self.next_usd > left + 1e-9

    @property
    def needed_for_next(self) -> float:
        return self.bound_usd + self.next_usd

    @property
    def needed_for_all(self) -> float:
        """The budget with which the job cannot be stopped by it again, one call an item."""
        return self.bound_usd + self.worst_usd

    @property
    def expected_for_all(self) -> float | None:
        """The budget that is enough if items go on costing what they did; None before any was paid."""
        if not self.ended or not self.spent_usd:
            return None
        calls = self.waiting - self.answered
        likely = self.bound_usd + max(calls - 1, 0) * self.spent_usd / self.ended + self.next_usd
        return min(likely, self.needed_for_all)

    def story(self) -> str:
        """Say what is left and what raising the budget needs; empty for a job without one."""
        left = self.left_usd
        if left is None:
            return ""
        story = f"Of the budget of {dollars(self.budget_usd or 0)}, {dollars(max(left, 0))} is left"
        if self.possible_usd:
            story += f" ({dollars(self.possible_usd)} may have gone to calls that did not say what they cost)"
        if not self.waiting:
            return f"{story}."
        calls = self.waiting - self.answered
        if self.answered:
            story += f"; {self.answered:,} that wait have their answer already and cost nothing more"
        if not calls:
            return f"{story}."
        story += f"; the next call may cost {dollars(self.next_usd)}"
        if calls == 1:
            return f"{story}. With {at_least(self.needed_for_next)} it can be made, whatever it costs."
        one, whole = at_least(self.needed_for_next), at_least(self.needed_for_all)
        if one == whole:
            return f"{story}. With {whole} all {calls:,} that wait for one can be made, whatever they cost."
        return (
            f"{story}. With {one} one more can be made, with {whole} all {calls:,} that wait for one, "
            "whatever they cost."
        )

    def require_for_next(self, budget: float) -> None:
        """Raise InvalidInput where the budget is what keeps a job from going on, and would be with another one too."""
        if self.is_stuck and budget >= self.bound_usd and replace(self, budget_usd=budget).is_stuck:
            raise InvalidInput(
                f"With {dollars(budget)} no further call can be made: the next may cost {dollars(self.next_usd)}.",
                remedy=f"With {at_least(self.needed_for_next)} one more can be made. Nothing was changed.",
            )

    def command(self, job_id: JobId) -> str:
        """Return the command that goes on with a budget that is enough."""
        amount = at_least(self.needed_for_all).lstrip("$").replace(",", "")
        return f"brightrun resume {job_id[:8]} --budget {amount}"


def check_budget(usd: float) -> None:
    """Raise InvalidInput for a budget that no job may have: nothing, less, too much, or no number."""
    # Put this way round, so that "not a number" is refused too.
    if not MIN_BUDGET <= usd <= MAX_BUDGET:
        raise InvalidInput(
            f"A budget is ${MIN_BUDGET:f} at least, and ${MAX_BUDGET:,} at most.",
            remedy="Give an amount of dollars in between.",
        )


def budget_of(text: str) -> float | None:
    """Return the dollars that somebody has typed, None for an empty text; raises InvalidInput for what is no amount."""
    if not text.strip().removeprefix("$").strip():
        return None
    usd = amount_of(text)
    check_budget(usd)
    return usd


def at_least(usd: float) -> str:
    """Return dollars rounded up to the cent, so that what is typed from it is enough."""
    return f"${math.ceil(usd * 100 - 1e-6) / 100:,.2f}"
