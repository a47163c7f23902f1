"""Amounts and counts as a person types them: read in one way only, or refused."""

from __future__ import annotations

import re

from brightrun.domain.errors import InvalidInput

_AMOUNT = re.compile(r"(?P<whole>[0-9]{1,12})(?:(?P<mark>[.,])(?P<parts>[0-9]{1,12}))?")
_COUNT = re.compile(r"[0-9]{1,12}|[0-9]{1,3}(?:(?P<mark>[ ,._'])[0-9]{3})(?:(?P=mark)[0-9]{3})*")


def amount_of(text: str, *, name: str = "", is_fine: bool = False) -> float:
    """Return what was typed with a point or a comma before its parts; raises InvalidInput for what is none.

    Three parts may be thousands (1,250): a point before them is taken for one only where amounts are so `fine`.
    """
    typed = text.strip()
    read = _AMOUNT.fullmatch(typed.removeprefix("$").strip())
    if not read or (_may_be_thousands(read) and not (is_fine and read["mark"] == ".")):
        raise InvalidInput(
            f"{_subject(name, typed)} is no amount that can be read in one way only.",
            remedy="Write it without a mark between thousands, such as 1250 or 0.50.",
        )
    return float(f"{read['whole']}.{read['parts'] or 0}")


def count_of(text: str, *, name: str = "") -> int:
    """Return the whole number that was typed, thousands marked or not; raises InvalidInput for what is none."""
    typed = text.strip()
    if not _COUNT.fullmatch(typed):
        raise InvalidInput(
            f"{_subject(name, typed)} is no whole number.", remedy="Write it in digits, such as 200000."
        )
    return int(re.sub(r"[^0-9]", "", typed))


def _may_be_thousands(read: re.Match[str]) -> bool:
    return len(read["parts"] or "") == 3 and bool(read["whole"].strip("0"))


def _subject(name: str, typed: str) -> str:
    given = repr(typed) if typed else "An empty field"
    return f"{name}: {given}" if name else given
