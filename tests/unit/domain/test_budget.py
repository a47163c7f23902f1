"""Budgets as people type them."""

from __future__ import annotations

import pytest

from brightrun.domain.budget import budget_of
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
