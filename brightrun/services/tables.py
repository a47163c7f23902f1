"""CSV of any make: its encoding and its delimiter, found in the beginning of the file and of its letters."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

from brightrun.domain.errors import InvalidInput

HEAD = 1 << 16
"""Bytes in which the make of a file is looked for that is not held as a whole."""
DELIMITERS = ",;\t|"
ALONE = "\x1f"
"""What separates the columns of a table that has one: a letter that no text has, so no cell is cut."""
REMEDY = "Save the sheet as CSV (comma separated, UTF-8) and try again."
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MAX_FIELD = 1 << 24
_QUOTED = re.compile(r'(?<![^,;\t|\r\n])"[^"]*(?:""[^"]*)*"')
_NAMED = re.compile(r'(")?sep=([^\w\s"\0]|\t)(?(1)")(?:\r|\n|$)', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Make:
    """How a table is written."""

    encoding: str
    delimiter: str
    is_named: bool = False
    """Whether the first line is Excel's `sep=;`, which names the delimiter and is no header."""


class Reader(Protocol):
    """What `csv.reader` returns: rows, and how many lines they took."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


def make_of(head: bytes, name: str, *, whole: bool) -> Make:
    """Return how a table is written, by its beginning or all of it; raises InvalidInput where that cannot be told."""
    encoding = _encoding(head, name, whole=whole)
    text = head[: 4 * HEAD].decode(encoding, "replace")[:HEAD]  # no letter has more than four bytes
    named = _NAMED.match(text)
    if named:
        return Make(encoding, named.group(2), is_named=True)
    return Make(encoding, _delimiter(text))


def later_encoding(text: bytes, *, whole: bool) -> str:
    """Return the encoding of a table that begins in plain ASCII, by what stands from its first other letter on.

    What is no text, or UTF-8 with broken letters, stays UTF-8: it is told where the rows before it end.
    """
    if is_utf_8(text, whole=whole) or _is_binary(text) or _is_damaged(text):
        return "utf-8-sig"
    return "cp1252"


def table(lines: Iterable[str], make: Make) -> Reader:
    """Return a reader of the rows, the header first."""
    # The limit is one for the whole process: all who read here set the same, above what any of them
    # allows, so that a field which is too long is refused by its own rule and with its own words.
    csv.field_size_limit(_MAX_FIELD)
    reader = csv.reader(lines, delimiter=make.delimiter, strict=True)
    if make.is_named:
        next(reader)
    return reader


def names_of(cells: Sequence[str]) -> tuple[str, ...]:
    """Return the columns' names, up to the last that has one: Excel writes delimiters behind it."""
    columns = tuple(" ".join(cell.split()) for cell in cells)
    return columns[: max((place for place, column in enumerate(columns, start=1) if column), default=0)]


def require_once(columns: Sequence[str], place: str = "") -> None:
    """Raise InvalidInput where columns share a name."""
    twice = {column for column in columns if column and columns.count(column) > 1}
    if twice:
        raise InvalidInput(
            f"{place}more than one column is called {', '.join(sorted(twice))}.",
            remedy="Give each its own name.",
        )


def require_fields(cells: Sequence[str], header: Sequence[str], width: int, place: str = "") -> None:
    """Raise InvalidInput where a row has not a field for each name, or something in a column without one.

    `width` is how many the first line has, nameless ones behind its names too.
    """
    named = len(header)
    expected = width if len(cells) > width else named
    if not named <= len(cells) <= width:
        raise InvalidInput(
            f"{place}{_fields(len(cells))} where the first line has {expected}.",
            remedy="Put quotation marks around texts that hold the delimiter."
            if len(cells) > width
            else f"Give it all {named}, empty ones too; a line break may have cut it in two.",
        )
    names = zip_longest(cells, header, fillvalue="")
    nameless = next((n for n, (cell, column) in enumerate(names) if cell.strip() and not column), None)
    if nameless is not None:
        raise InvalidInput(
            f"{place}column {nameless + 1} has no name, but a value.",
            remedy="Name the column in the first line, or empty it.",
        )


def _fields(number: int) -> str:
    return "1 field" if number == 1 else f"{number} fields"


def reason(fault: csv.Error) -> str:
    """Return why a table cannot be read on."""
    if "expected after" in str(fault):
        return "a cell goes on behind its closing quotation mark"
    return str(fault)


def _encoding(head: bytes, name: str, *, whole: bool) -> str:
    if head.startswith(UTF_16):
        return "utf-16"
    if b"\0" in head:
        raise InvalidInput(f"{name} is no CSV: it holds binary data.", remedy=REMEDY)
    if is_utf_8(head, whole=whole):
        return "utf-8-sig"
    if _is_binary(head):
        raise InvalidInput(f"{name} is no CSV: it holds binary data.", remedy=REMEDY)
    if _is_damaged(head):
        raise InvalidInput(f"{name} is damaged UTF-8.", remedy=REMEDY)
    return "cp1252"


def is_utf_8(text: bytes, *, whole: bool) -> bool:
    """Whether these bytes are UTF-8; of a part, up to a letter that it may end within."""
    try:
        # A part may end within a letter; a whole file, and its end, may not.
        codecs.getincrementaldecoder("utf-8-sig")().decode(text, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def _is_binary(text: bytes) -> bool:
    return any(byte < 9 for byte in text[:1000])


def _is_damaged(head: bytes) -> bool:
    """Whether this is UTF-8 with a few broken letters: as Windows-1252 all its other letters would be garbled."""
    text = head.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    return sum(letter > "\x7f" for letter in text) - bad > bad


def _delimiter(text: str) -> str:
    """Return the delimiter that the names use most outside quotation marks, a comma for a tie; `ALONE` for none."""
    lines = re.split(r"[\r\n]+", _QUOTED.sub('"', text))
    names = next(filter(str.strip, lines), "")
    most = max(DELIMITERS, key=lambda mark: (names.count(mark), mark == ","))
    return most if most in names else ALONE
