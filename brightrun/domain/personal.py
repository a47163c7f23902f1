"""What looks like the data of somebody real: by its form, and by its check digits where it has some."""

from __future__ import annotations

import re
from collections.abc import Iterator

_EMAIL = re.compile(r"[A-Za-z0-9][\w.+-]{0,63}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.[A-Za-z]{2,24}\b")
_NOBODYS_DOMAIN = re.compile(
    r"@(?:[\w-]+\.)*(?:example(?:\.(?:com|org|net))?|invalid|test|localhost)$", re.IGNORECASE
)
"""Reserved by RFC 2606: they belong to nobody."""
_DIGITS = re.compile(r"\d(?:[ .()-]{0,2}\d){6}")
_PHONE = re.compile(
    r"(?<![\w.-])(?<!\d )(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\d{2,4}[ .-])\d{3,4}[ .-]\d{4}(?![\w-]| \d)"
    r"|(?<![\w.-])\+\d{8,14}(?!\w)"
)
_NOBODYS_PHONE = re.compile(r"555[ .-]01\d\d$")
"""555-0100 to 555-0199 are kept for fiction."""
_SSN = re.compile(r"(?<![\d-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\d-])")
_CARD = re.compile(r"(?<![\d+-])\d(?:[ -]?\d){12,18}(?![\d-])")
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})$|(?:5[1-5]|2[2-7]|35|60|65)\d{14}$|3[47]\d{13}$|3[068]\d{12}$"
)
"""How the numbers of issuers begin, and how long they are: other numbers pass the check digit one time in ten."""
_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")


def personal_data(text: str) -> Iterator[tuple[str, str]]:
    """Yield what kind of personal data a text seems to hold, with the text of each."""
    if "@" in text:
        for mail in _EMAIL.finditer(text):
            if not _NOBODYS_DOMAIN.search(mail.group()):
                yield "an e-mail address", mail.group()
    if not _DIGITS.search(text):
        return
    taken: list[tuple[int, int]] = []
    for kind, pattern, is_real in (
        ("a social security number", _SSN, _any),
        ("an account number (IBAN)", _IBAN, _iban),
        ("a card number", _CARD, _card),
        ("a telephone number", _PHONE, _phone),
    ):
        for hit in pattern.finditer(text):
            if is_real(hit.group()) and not any(a < hit.end() and hit.start() < b for a, b in taken):
                taken.append(hit.span())
                yield kind, hit.group()


def _any(_: str) -> bool:
    return True


def _phone(text: str) -> bool:
    return not _NOBODYS_PHONE.search(text)


def _card(text: str) -> bool:
    """Return whether it begins as cards do and its check digit (Luhn) is right."""
    plain = "".join(c for c in text if c.isdigit())
    if not _ISSUED.match(plain):
        return False
    digits = [int(c) for c in reversed(plain)]
    doubled = (2 * d - 9 * (d > 4) for d in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def _iban(text: str) -> bool:
    """Return whether the two check digits of an account are right (ISO 13616)."""
    plain = text.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1
