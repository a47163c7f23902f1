"""Figures as people type them."""

from __future__ import annotations

import pytest

from brightrun.domain.amount import amount_of, count_of, count_within
from brightrun.domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("typed", "usd"), [("1,5", 1.5), (".1", 0.1), ("1.5", 1.5), ("6.875", 6.875), ("0,375", 0.375)]
)
def test_a_price_may_have_three_decimals_after_a_point(typed: str, usd: float) -> None:
    """No price of a million tokens is in the thousands and marked so, while thirds of a cent are common."""
    assert amount_of(typed, is_fine=True) == usd


@pytest.mark.parametrize("typed", ["", "1,250", "1.5.0", "-1", "1e3", "nan", "½", "١"])
def test_what_is_no_amount_names_its_field(typed: str) -> None:
    """Whoever filled in nine fields is told which one."""
    with pytest.raises(InvalidInput, match="Output"):
        amount_of(typed, name="Output", is_fine=True)


@pytest.mark.parametrize(
    ("typed", "cause", "remedy"),
    [
        ("", "An empty field is no amount.", "in digits"),
        ("$ ", "'$' is no amount.", "in digits"),
        ("five", "'five' is not a number.", "in digits"),
        ("1.5.0", "'1.5.0' is not a number.", "in digits"),
        ("-1", "'-1' is negative.", "$0 or more"),
        ("\N{MINUS SIGN}$5", "'\N{MINUS SIGN}$5' is negative.", "$0 or more"),
        ("1,250", "'1,250' is no amount that can be read in one way only.", "mark between thousands"),
        ("1,250.00", "'1,250.00' is no amount that can be read in one way only.", "mark between thousands"),
        ("9" * 13, "has more digits than an amount has.", "at most twelve"),
    ],
)
def test_what_is_no_amount_is_told_with_its_own_cause(typed: str, cause: str, remedy: str) -> None:
    """Whoever left a field empty is not told of marks between thousands."""
    with pytest.raises(InvalidInput) as refused:
        amount_of(typed)
    assert cause in refused.value.message
    assert remedy in refused.value.remedy


@pytest.mark.parametrize(
    ("typed", "count"), [("0", 0), ("200000", 200_000), ("200,000", 200_000), ("1.000.000", 1_000_000)]
)
def test_thousands_of_a_count_may_be_marked(typed: str, count: int) -> None:
    """A whole number has no decimals, so that its marks can only be thousands."""
    assert count_of(typed) == count


@pytest.mark.parametrize("typed", ["", "1.5", "20,00", "1,000.000", "-4", "4k", "1e5", "1,0000"])
def test_what_is_no_whole_number_is_refused(typed: str) -> None:
    """A slip of the hand is told, not rounded."""
    with pytest.raises(InvalidInput, match="Tokens") as refused:
        count_of(typed, name="Tokens")
    assert refused.value.remedy


@pytest.mark.parametrize("typed", ["", "1", "201", "3.7", "-4", "9" * 20, "four"])
def test_a_number_out_of_its_range_is_refused_with_the_range(typed: str) -> None:
    """Whole or not, too large or too small: the field and what it may hold are told in one sentence."""
    with pytest.raises(InvalidInput, match=r"^Messages: .* is no whole number from 2 to 200\.") as refused:
        count_within(typed, 2, 200, name="Messages", remedy="Leave it empty.")
    assert refused.value.remedy == "Leave it empty."
    assert [count_within(kept, 2, 200, name="Messages") for kept in (" 2", "200")] == [2, 200]
