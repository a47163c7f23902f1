"""Prices: found under the right name, never guessed, and a worst case that nothing exceeds."""

from __future__ import annotations

import unicodedata
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.domain.budget import at_least
from brightrun.domain.errors import InvalidInput
from brightrun.domain.price import (
    FRAME_TOKENS,
    Price,
    Tariff,
    cost_of,
    dearer_by,
    dollars,
    price_for,
    priced_as,
    round_up,
    saving_of,
    token_bound,
)
from brightrun.domain.writing import Usage

DAY = date(2026, 11, 24)
MODEL = "claude-sonnet-5-5"


def price(model: str = MODEL, days: int = -30, above: int = 0, usd: float = 2.0, **more: float) -> Price:
    figures = {"input_usd": usd, "output_usd": 5 * usd, "cache_read_usd": usd / 20} | more
    return Price(model, DAY + timedelta(days), above_input_tokens=above, **figures)


@pytest.mark.parametrize(
    ("asked", "table", "found"),
    [
        (MODEL, [MODEL], MODEL),
        (f"{MODEL}-20260915", [MODEL], MODEL),
        (f"{MODEL}@20260915", [MODEL], MODEL),
        (f"{MODEL}-latest", [MODEL], MODEL),
        (f"{MODEL}-20260915", [MODEL, f"{MODEL}-20260915"], f"{MODEL}-20260915"),
        (MODEL, [f"{MODEL}-20260101", f"{MODEL}-20260915"], f"{MODEL}-20260915"),
        (f"{MODEL}-latest", [f"{MODEL}-20260101", f"{MODEL}-20260915"], f"{MODEL}-20260915"),
        (f"{MODEL}-20251231", [f"{MODEL}-20260915"], None),
        ("claude-sonnet-5", [MODEL], None),
        ("claude-sonnet-5-6", [MODEL], None),
        ("claude-sonnet-5-5-fast", [MODEL], None),
        (f"anthropic/{MODEL}", [MODEL], None),
        ("", [MODEL], None),
        (MODEL, [], None),
    ],
)
def test_a_model_is_priced_under_its_own_name_or_its_alias_and_no_other(
    asked: str, table: list[str], found: str | None
) -> None:
    """A snapshot and an alias find each other's price; another model's price is never taken for theirs."""
    prices = [price(name) for name in table]
    assert priced_as(prices, asked, on=DAY) == found
    if found is None:
        with pytest.raises(InvalidInput, match="no price") as caught:
            price_for(prices, asked, on=DAY)
        assert "brightrun prices set" in caught.value.remedy
        assert "`" not in caught.value.remedy, "a page shows a message as it is"
    else:
        assert price_for(prices, asked, on=DAY).model == found


def test_a_price_counts_from_its_day_on_and_for_its_size_of_prompt() -> None:
    """What counts is the newest price in force for a prompt of that size: at the border the cheaper one."""
    prices = [
        price(days=-30, usd=1),
        price(days=-5, usd=2),
        price(days=5, usd=3),
        price(days=-30, above=100_000, usd=4),
    ]
    assert [price_for(prices, MODEL, on=DAY, input_tokens=n).input_usd for n in (0, 100_000, 100_001)] == [
        2,
        2,
        4,
    ]
    assert price_for(prices, MODEL, on=DAY - timedelta(10)).input_usd == 1
    assert price_for(prices, MODEL, on=DAY + timedelta(5)).input_usd == 3
    with pytest.raises(InvalidInput):
        price_for(prices, MODEL, on=DAY - timedelta(31))


def test_a_price_that_begins_later_is_not_the_models_price_yet() -> None:
    """A snapshot whose own price begins tomorrow is priced as its alias today."""
    snapshot = f"{MODEL}-20261201"
    prices = [price(), price(snapshot, days=1, usd=9)]
    assert price_for(prices, snapshot, on=DAY).input_usd == 2
    assert price_for(prices, snapshot, on=DAY + timedelta(1)).input_usd == 9


def test_every_kind_of_token_has_its_price() -> None:
    """Reading from the cache costs the read price, writing to it a quarter more than input; that is what it saves."""
    usage = Usage(1_000_000, 1_000_000, 1_000_000, 1_000_000)
    assert cost_of(usage, price(usd=2)) == pytest.approx(2 + 10 + 0.1 + 2.5)
    assert saving_of(usage, price(usd=2)) == pytest.approx(1.9 - 0.5)


@given(text=st.text(st.characters(), max_size=200))
def test_no_text_has_more_tokens_than_its_bound(text: str) -> None:
    """A token is at least one byte of what the model reads, in whatever form it reads it."""
    readable = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    forms = [readable, *(unicodedata.normalize(form, readable) for form in ("NFC", "NFD", "NFKC", "NFKD"))]
    assert token_bound(text) >= FRAME_TOKENS + max(len(form.encode()) for form in forms)


def test_a_character_that_grows_when_it_is_read_counts_as_long_as_it_gets() -> None:
    """One sign of three bytes is read as eighteen letters by a model that reads compatibility forms."""
    assert token_bound("\ufdfa") == FRAME_TOKENS + len(unicodedata.normalize("NFKD", "\ufdfa").encode()) > 30


amounts = st.floats(0.01, 1000)
tables = st.lists(
    st.builds(
        price,
        days=st.integers(-3, 3),
        above=st.sampled_from([0, 1000, 50_000]),
        usd=amounts,
        output_usd=amounts,
        cache_read_usd=amounts,
        cache_write_factor=st.floats(1, 4),
    ),
    max_size=6,
    unique_by=lambda p: (p.effective_from, p.above_input_tokens),
).map(lambda prices: [price(days=-9), *prices])


@given(
    prices=tables,
    bound=st.integers(1, 200_000),
    shares=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    used=st.floats(0, 1),
    later=st.integers(0, 5),
)
def test_no_call_costs_more_than_the_ceiling(
    prices: list[Price], bound: int, shares: list[float], used: float, later: int
) -> None:
    """Whatever of a prompt is read from the cache or written to it, now or on a later day, it costs no more."""
    most = 16_000
    fresh = int(bound * used * shares[0] / 3)
    read, written = int(bound * used * shares[1] / 3), int(bound * used * shares[2] / 3)
    usage = Usage(fresh, int(most * used), read, written)
    paid_at = price_for(prices, MODEL, on=DAY + timedelta(later), input_tokens=fresh + read + written)
    ceiling = Tariff(prices, MODEL, on=DAY).ceiling(bound, most)
    assert round(cost_of(usage, paid_at), 6) <= round(ceiling, 6)


@given(prices=tables, new=tables.map(lambda prices: prices[-1]), bound=st.integers(1, 200_000))
def test_what_is_reserved_follows_a_dearer_price(prices: list[Price], new: Price, bound: int) -> None:
    """A reserve made at the old prices and raised by the factor of a change covers a call at the new ones."""
    key = (new.effective_from, new.above_input_tokens)
    after = [*(p for p in prices if (p.effective_from, p.above_input_tokens) != key), new]
    factor = dearer_by(prices, after, MODEL, on=DAY)
    reserved = Tariff(prices, MODEL, on=DAY).ceiling(bound, 16_000)
    assert factor >= 1
    assert reserved * factor * (1 + 1e-9) + 1e-6 >= Tariff(after, MODEL, on=DAY).ceiling(bound, 16_000)


@given(usd=st.floats(0, 1e6))
def test_money_is_rounded_up_where_somebody_relies_on_it(usd: float) -> None:
    """What is reserved, and what a person is told to type, is never below what is needed."""
    assert round_up(usd) >= usd - 1e-12 * max(1, usd)
    assert float(at_least(usd).lstrip("$").replace(",", "")) >= usd - 1e-6


@pytest.mark.parametrize(
    ("usd", "text"),
    [(0, "$0"), (0.00001, "<$0.0001"), (0.1234567, "$0.1235"), (1234.5, "$1,234.50"), (-0.5, "-$0.5000")],
)
def test_money_is_written_as_a_person_reads_it(usd: float, text: str) -> None:
    """Cents from a dollar on, more digits below, and never nothing for something."""
    assert dollars(usd) == text
