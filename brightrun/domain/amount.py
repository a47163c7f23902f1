"""Amounts and counts as a person types them: read in one way only, or refused."""

from __future__ import annotations

import re

from brightrun.domain.errors import InvalidInput
from brightrun.domain.text import shortened

_AMOUNT = re.compile(r"(?P<whole>[0-9]{1,12}|(?=[.,]))(?:(?P<mark>[.,])(?P<parts>[0-9]{1,12}))?")
_NEGATIVE = re.compile(r"[-\N{MINUS SIGN}\N{EN DASH}]\s*\$?\s*[0-9.,]+")
_DIGITS = re.compile(r"[0-9]+(?:[.,][0-9]+)?")
_MARKED = re.compile(r"[0-9]{1,3}(?:[ ,._'][0-9]{3})+(?:[.,][0-9]+)?")
_COUNT = re.compile(r"[0-9]{1,12}|[0-9]{1,3}(?:(?P<mark>[ ,._'])[0-9]{3})(?:(?P=mark)[0-9]{3})*")


def amount_of(text: str, *, name: str = "", is_fine: bool = False) -> float:
    """Return what was typed with a point or a comma before its parts; raises InvalidInput for what is none.

    Three parts may be thousands (1,250): a point before them is taken for one only where amounts are so `fine`.
    """
    typed = text.strip()
    bare = typed.removeprefix("$").strip()
    read = _AMOUNT.fullmatch(bare)
    if not read or (_may_be_thousands(read) and not (is_fine and read["mark"] == ".")):
        raise _no_amount(bare, typed, name)
    return float(f"{read['whole'] or 0}.{read['parts'] or 0}")


def count_of(text: str, *, name: str = "") -> int:
    """Return the whole number that was typed, thousands marked or not; raises InvalidInput for what is none."""
    typed = text.strip()
    if not _COUNT.fullmatch(typed):
        raise InvalidInput(
            f"{_subject(name, typed)} is no whole number.", remedy="Write it in digits, such as 200000."
        )
    return int(re.sub(r"[^0-9]", "", typed))


def count_within(text: str, least: int, most: int, *, name: str, remedy: str = "") -> int:
    """Return the whole number that was typed, of those from least to most; raises InvalidInput naming the field."""
    count: int | None
    try:
        count = count_of(text)
    except InvalidInput:  # it may as well be whole and far too large
        count = None
    if count is None or not least <= count <= most:
        raise InvalidInput(
            f"{_subject(name, shortened(text.strip(), 30))} is no whole number from {least:,} to {most:,}.",
            remedy=remedy,
        )
    return count


def _may_be_thousands(read: re.Match[str]) -> bool:
    return len(read["parts"] or "") == 3 and bool(read["whole"].strip("0"))


def _no_amount(bare: str, typed: str, name: str) -> InvalidInput:
    """Return why it is none: each cause has a remedy of its own."""
    given = _subject(name, shortened(typed, 30))
    if not bare:
        return InvalidInput(f"{given} is no amount.", remedy="Write it in digits, such as 12.50.")
    if _NEGATIVE.fullmatch(bare):
        return InvalidInput(f"{given} is negative.", remedy="Write an amount of $0 or more.")
    if _MARKED.fullmatch(bare):
        return InvalidInput(
            f"{given} is no amount that can be read in one way only.",
            remedy="Write it without a mark between thousands, such as 1250 or 0.50.",
        )
    if _DIGITS.fullmatch(bare):
        return InvalidInput(
            f"{given} has more digits than an amount has.",
            remedy="Write at most twelve before and after the point.",
        )
    return InvalidInput(f"{given} is not a number.", remedy="Write it in digits, such as 12.50.")


def _subject(name: str, typed: str) -> str:
    given = repr(typed) if typed else "An empty field"
    return f"{name}: {given}" if name else given
