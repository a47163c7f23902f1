"""The entries of a file of conversations, one after the other: memory does not grow with the file."""

from __future__ import annotations

import codecs
import csv
import gzip
import hashlib
import io
import json
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import ijson

from brightrun.domain.errors import InvalidInput
from brightrun.services.tables import (
    HEAD,
    UTF_16,
    Make,
    is_utf_8,
    later_encoding,
    make_of,
    names_of,
    reason,
    require_fields,
    require_once,
    table,
)

MAX_ENTRY = 8_000_000
"""Bytes of one entry; a longer line is refused without being held, a longer member of a JSON list once read."""
KINDS = (".jsonl", ".ndjson", ".json", ".csv")
MOST_BEHIND = 2 * MAX_ENTRY
"""Bytes, unpacked, that are read for one entry of a JSON list or a table before it is given up: escapes and blanks count."""
MAX_DEPTH = 100
"""How deep lists and objects of a JSON list may stand in each other."""
REMEDY = "Give a .jsonl, .json or .csv file, also compressed as .gz."
_READ = 1 << 20
_BUFFER = 1 << 16
_PIECE = 1 << 12
_ASCII = bytes(range(128))
_JSON_BEGINS = (b"{", b"[", b'"', b" ", b"\n", b"\r", b"\t")
_TAB = 9
"""Below it no letter of a text file stands."""
_BROKEN = (OSError, EOFError, zlib.error)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it stands in the file: its text, or why it cannot be read. An empty text is a blank line."""

    line: int
    """Where it begins; in a JSON list its place."""
    raw: bytes
    value: Any = None
    """The parsed value; None for a line of JSONL that nobody has parsed yet."""
    fault: str | None = None

    def read(self) -> Any:
        """Return the entry's value; raises InvalidInput where it is no JSON."""
        if self.fault:
            raise InvalidInput(self.fault)
        if self.value is not None:
            return self.value
        try:
            return json.loads(self.raw.decode("utf-8-sig"))
        except UnicodeDecodeError as broken:
            raise InvalidInput(f"It is not UTF-8 at byte {broken.start + 1}.") from broken
        except json.JSONDecodeError as broken:
            raise InvalidInput(
                f"It is no JSON: {broken.msg.removesuffix(' at')} at character {broken.pos + 1}."
            ) from broken
        except (ValueError, RecursionError) as broken:
            raise InvalidInput(
                "It is no JSON that can be read: nested or numbered beyond measure."
            ) from broken


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file; raises InvalidInput where it cannot be read or is of no kind we read."""
    kind_of(path.name)
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_READ):
                found.update(block)
    except OSError as fault:
        raise InvalidInput(
            f"{path.name} cannot be read: {fault.strerror}.", remedy="Check its path and rights."
        ) from fault
    return found.hexdigest()


def kind_of(name: str) -> str:
    """Return `.jsonl`, `.json` or `.csv`; raises InvalidInput for another name."""
    plain = name.lower().removesuffix(".gz")
    kind = next((kind for kind in KINDS if plain.endswith(kind)), None)
    if kind is None:
        raise InvalidInput(f"{name} has a name of no kind that is read.", remedy=REMEDY)
    return ".jsonl" if kind == ".ndjson" else kind


def entries(path: Path) -> Iterator[Entry]:
    """Yield every entry in the file's order; what breaks the file off is the last one, with its reason."""
    readers = {".jsonl": _lines, ".json": _items, ".csv": _rows}
    kind = kind_of(path.name)
    with _opened(path) as file:
        last, any_said = 0, False
        try:
            fault = None if kind == ".csv" else _unreadable(file)
            for entry in [Entry(1, b"", fault=fault)] if fault else readers[kind](file):
                last, any_said = entry.line, any_said or bool(entry.raw or entry.fault)
                yield entry
            if not any_said:
                yield Entry(last + 1, b"", fault="Below the line that names the columns there is no row.")
        except _BROKEN as fault:
            yield Entry(last + 1, b"", fault=f"The file breaks off here: {str(fault)[:200]}.")


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        if path.name.lower().endswith(".gz"):
            with gzip.open(file, "rb") as unpacked:
                yield unpacked  # type: ignore[misc]
        else:
            yield file


def require_content(path: Path, name: str) -> None:
    """Raise InvalidInput where a file holds nothing, or nothing but blanks."""
    # One that cannot be unpacked is told so where its entries are read.
    with suppress(*_BROKEN), _opened(path) as file:
        first = file.read(_READ)
        block = first.removeprefix(codecs.BOM_UTF8)
        while block and not block.strip():
            block = file.read(_READ)
        if not block:
            what = "nothing but blanks" if first else "nothing"
            raise InvalidInput(
                f"{name} is empty: it holds {what}.", remedy="Check that it is the right file."
            )


def _unreadable(file: IO[bytes]) -> str | None:
    """Say why this is no text that JSON could stand in; None where it may be."""
    head = file.read(_PIECE)
    file.seek(0)
    # Marked as UTF-16 or not: where JSON begins, its first letter has a zero beside it.
    if head[:2] in UTF_16 or (head[:2].count(0) == 1 and head[:2].strip(b"\0") in _JSON_BEGINS):
        return "The file is UTF-16. Save it as UTF-8 and try again."
    if any(byte < _TAB for byte in head) and not is_utf_8(head, whole=False):
        return f"The file holds binary data, no text. {REMEDY}"
    return None


def _lines(file: IO[bytes]) -> Iterator[Entry]:
    number = 0
    while line := file.readline(MAX_ENTRY + 1):
        number += 1
        if len(line) > MAX_ENTRY:
            while line and not line.endswith(b"\n"):
                line = file.readline(_READ)
            yield Entry(number, b"", fault=f"It is longer than {MAX_ENTRY:,} bytes.")
            continue
        yield Entry(number, line.removeprefix(b"\xef\xbb\xbf").strip())


def _items(file: IO[bytes]) -> Iterator[Entry]:
    """The members of one JSON list; what follows a fault cannot be told apart any more."""
    number = 0
    bounded = _Bounded(file)
    try:
        for value in ijson.items(bounded, "item", use_float=True, buf_size=_BUFFER):
            number += 1
            bounded.behind = 0
            raw = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
            if len(raw) > MAX_ENTRY:
                yield Entry(number, b"", fault=f"It is longer than {MAX_ENTRY:,} bytes.")
            else:
                yield Entry(number, raw, value if value is not None else "null")
    except (_Endless, _TooDeep) as fault:
        said = _ENDLESS if isinstance(fault, _Endless) else _TOO_DEEP
        yield Entry(number + 1, b"", fault=f"{said} What follows it is not read.")
        return
    except (ijson.JSONError, ijson.IncompleteJSONError, UnicodeDecodeError, ValueError) as fault:
        said = " ".join(str(fault).split())[:120]
        yield Entry(number + 1, b"", fault=f"From here on the file is no JSON list of entries: {said}.")
        return
    if not number:
        yield Entry(1, b"", fault="The file holds no JSON list with entries.")


class _Endless(Exception):
    """More was read for one entry than any may have."""


_ENDLESS = f"It is longer than {MOST_BEHIND:,} bytes as it stands in the file."


class _TooDeep(Exception):
    """An entry holds lists in lists in lists."""


_TOO_DEEP = f"Its lists and objects stand in each other more than {MAX_DEPTH} deep."
_MARKS = re.compile(rb'\\.|["\[\]{}]', re.DOTALL)
"""What nesting is told by, and what is escaped: a quotation mark among it ends no text."""


class _Bounded:
    """JSON that is read no further than an entry may be long, nor deeper: ijson's memory grows with the square of that."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.behind = 0
        """Bytes since the entry before: set back by whoever has it."""
        self._depth = 0
        self._in_text = False
        self._escape = b""
        """The backslash at the end of what was read last, where it belongs to what comes next."""

    def read(self, size: int = -1) -> bytes:
        if self._depth > MAX_DEPTH:
            raise _TooDeep
        if self.behind > MOST_BEHIND:
            raise _Endless
        data = self._file.read(size)
        self.behind += len(data)
        begins = len(self._escape)
        marked = self._escape + data
        reach = self._reach(marked) - begins
        if data and reach <= 0:
            raise _TooDeep
        self._escape = b"\\" * ((len(marked) - len(marked.rstrip(b"\\"))) % 2)
        return data[:reach]

    def _reach(self, data: bytes) -> int:
        """Follow the nesting; returns how many bytes are not too deep."""
        for mark in _MARKS.finditer(data):
            sign = mark[0]
            if sign == b'"':
                self._in_text = not self._in_text
            elif len(sign) == 1 and not self._in_text:
                self._depth += 1 if sign in b"[{" else -1
                if self._depth > MAX_DEPTH:
                    return mark.start()
        return len(data)


class _BoundedLines:
    """The lines of a table, no more and no longer ones for one row than a row may be long."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.behind = 0

    def __iter__(self) -> _BoundedLines:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MOST_BEHIND + 1)
        self.behind += len(line)
        if self.behind > MOST_BEHIND:
            raise _Endless
        if not line:
            raise StopIteration
        return line


def _rows(file: IO[bytes]) -> Iterator[Entry]:
    try:
        make = _make(file)
    except InvalidInput as fault:
        yield Entry(1, b"", fault=str(fault))
        return
    text = io.TextIOWrapper(file, encoding=make.encoding, errors="strict", newline="")
    lines = _BoundedLines(text)
    header: tuple[str, ...] | None = None
    width, begins = 0, 1
    try:
        reader = table(lines, make)
        begins = reader.line_num + 1
        for cells in reader:
            lines.behind = 0
            if not any(cell.strip() for cell in cells):
                yield Entry(begins, b"")
            elif header is None:
                header, width = names_of(cells), len(cells)
                require_once(header)
            else:
                yield _row(begins, header, width, cells)
            begins = reader.line_num + 1
    except InvalidInput as fault:
        yield Entry(begins, b"", fault=_sentence(fault))
        return
    except _Endless:
        yield Entry(begins, b"", fault=f"{_ENDLESS} What follows it is not read.")
        return
    except UnicodeDecodeError:
        yield Entry(begins, b"", fault=_NOT_TEXT.format(_ENCODINGS[make.encoding]))
        return
    except csv.Error as fault:
        yield Entry(
            begins, b"", fault=f"From here on the file is no table that can be read: {reason(fault)}."
        )
        return
    finally:
        text.detach()
    if header is None:
        yield Entry(1, b"", fault="The file is empty.")


_ENCODINGS = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "cp1252": "Windows-1252"}
_NOT_TEXT = (
    "The file begins as {}, but here or a little further on it is not. What follows is not read. "
    "Save it as UTF-8, comma separated, and try again."
)


def _make(file: IO[bytes]) -> Make:
    """Return how the table is written, and go back to its beginning."""
    head, whole = _read_on(file, _PIECE)
    make = make_of(head, "The file", whole=whole)
    if head.isascii() and not whole:  # the first letter that is not plain ASCII comes later
        letters, whole = _read_on(file, HEAD, _ASCII)
        make = replace(make, encoding=later_encoding(letters, whole=whole))
    file.seek(0)
    return make


def _read_on(file: IO[bytes], size: int, skipped: bytes = b"") -> tuple[bytes, bool]:
    """Read on, a piece of `size` at a time, until there is enough behind what is skipped; and whether the file ends there."""
    found = b""
    # A packed file that breaks off here is told so where its rows end, behind those that can be read.
    with suppress(*_BROKEN):
        while len(found) < HEAD:
            piece = file.read(size)
            if not piece:
                return found, True
            found += piece if found else piece.lstrip(skipped)
    return found, False


def _row(begins: int, header: Sequence[str], width: int, cells: Sequence[str]) -> Entry:
    try:
        require_fields(cells, header, width)
    except InvalidInput as fault:
        return Entry(begins, b"", fault=_sentence(fault))
    value = {name: cell for name, cell in zip(header, cells, strict=False) if cell}
    raw = json.dumps(value, ensure_ascii=False).encode()
    if len(raw) > MAX_ENTRY:
        return Entry(begins, b"", fault=f"It is longer than {MAX_ENTRY:,} bytes.")
    return Entry(begins, raw, value)


def _sentence(fault: InvalidInput) -> str:
    told = str(fault)
    return told[:1].upper() + told[1:]
