"""Budgets as people type them."""

from __future__ import annotations

import pytest

from brightrun.domain.budget import Outlook, budget_of
from brightrun.domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("typed", "usd"),
    [
        ("", None),
        ("  ", None),
        ("0,5", 0.5),
        ("0.005", 0.005),
        ("0,005", 0.005),
        ("$ 12", 12.0),
        ("1250", 1250.0),
    ],
)
def test_an_amount_is_what_whoever_typed_it_meant(typed: str, usd: float | None) -> None:
    """A decimal comma is one; an empty field is no limit."""
    assert budget_of(typed) == usd


@pytest.mark.parametrize(
    "typed", ["1,000", "1.000", "-1", "0", "nan", "inf", "1e3", "five", "1,2,3", "0.0000001", "99999999"]
)
def test_what_may_mean_two_amounts_or_none_is_refused(typed: str) -> None:
    """Nothing is guessed where a thousand may be one, and no batch has such a budget."""
    with pytest.raises(InvalidInput) as refused:
        budget_of(typed)
    assert refused.value.remedy


@pytest.mark.parametrize("typed", ["0", "0.0000001", "99999999"])
def test_a_budget_out_of_range_is_told_the_range(typed: str) -> None:
    """Whoever types less than can be kept reads what the smallest budget is, and not that it be more than nothing."""
    with pytest.raises(InvalidInput, match=r"\$0\.000001 at least, and \$10,000,000 at most"):
        budget_of(typed)
    assert budget_of("0.000001") == 0.000001


def outlook(waiting: int, worst_usd: float) -> Outlook:
    return Outlook(
        budget_usd=0.4,
        spent_usd=0.395,
        possible_usd=0,
        reserved_usd=0,
        waiting=waiting,
        answered=0,
        processing=0,
        ended=9,
        next_usd=0.02,
        worst_usd=worst_usd,
    )


@pytest.mark.parametrize(
    ("waiting", "worst_usd", "told"),
    [
        (1, 0.02, "With $0.42 it can be made, whatever it costs."),
        (2, 0.024, "With $0.42 all 2 that wait for one can be made, whatever they cost."),
        (3, 0.06, "With $0.42 one more can be made, with $0.46 all 3 that wait for one, whatever they cost."),
    ],
)
def test_what_going_on_takes_is_said_once(waiting: int, worst_usd: float, told: str) -> None:
    """Where one amount is enough for the next call and for all, it is named once."""
    assert outlook(waiting, worst_usd).story().endswith(told)
