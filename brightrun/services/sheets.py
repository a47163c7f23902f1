"""Uploaded CSV files: checked before they are parsed, with a sentence for everything that is wrong."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from brightrun.domain.errors import InvalidInput
from brightrun.services.tables import (
    REMEDY,
    Make,
    make_of,
    names_of,
    reason,
    require_fields,
    require_once,
    table,
)

MAX_BYTES = 10_000_000
MAX_ROWS = 50_000
MAX_COLUMNS = 200
MAX_CELL = 32_000


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file as text: its columns, its rows and what was noticed while reading."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    lines: tuple[int, ...] = ()
    """The line of the file where each begins: names and blank rows count, and line breaks within cells."""


def read_sheet(data: bytes, name: str) -> Sheet:
    """Return a CSV file's content; raises InvalidInput saying what is wrong, where, and what to do."""
    if len(data) > MAX_BYTES:
        raise InvalidInput(
            f"{name} has {len(data) / 1e6:.1f} MB; {MAX_BYTES / 1e6:.0f} MB are allowed.",
            remedy="Split it into several files, or leave out columns no template uses.",
        )
    make = make_of(data, name, whole=True)
    text, notes = _decoded(data, make, name)
    if not text.strip():
        raise InvalidInput(
            f"{name} is empty.", remedy="Give a CSV with a line of column names and a row below."
        )
    header, rows, lines, blank = _parsed(text, make, name)
    if blank:
        notes.append(f"{blank:,} blank rows were left out." if blank > 1 else "1 blank row was left out.")
    return Sheet(name, header, rows, tuple(notes), lines)


def _decoded(data: bytes, make: Make, name: str) -> tuple[str, list[str]]:
    if make.encoding == "cp1252":
        return data.decode("cp1252", "replace"), [
            "It is not UTF-8; read as Windows-1252. Check accented letters."
        ]
    try:
        text = data.decode(make.encoding)
    except UnicodeDecodeError as fault:
        raise InvalidInput(f"{name} is cut or damaged UTF-16.", remedy=REMEDY) from fault
    return text, ["Read as UTF-16."] if make.encoding == "utf-16" else []


def _parsed(
    text: str, make: Make, name: str
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], tuple[int, ...], int]:
    reader = table(io.StringIO(text, newline=""), make)
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    header: tuple[str, ...] | None = None
    width = blank = 0
    begins = reader.line_num + 1
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                blank += 1
            elif header is None:
                header, width = _header(cells, name), len(cells)
            else:
                rows.append(_row(cells, header, width, f"{name}, line {begins}"))
                lines.append(begins)
                if len(rows) > MAX_ROWS:
                    raise InvalidInput(
                        f"{name} has more than {MAX_ROWS:,} rows.", remedy="Split it into several files."
                    )
            begins = reader.line_num + 1
    except csv.Error as fault:
        raise InvalidInput(
            f"{name}, line {begins}: {reason(fault)}.", remedy="Check the quotation marks there."
        ) from fault
    if header is None or not rows:
        raise InvalidInput(f"{name} has column names but no rows.", remedy="Add rows below them.")
    return header, tuple(rows), tuple(lines), blank


def _header(cells: Sequence[str], name: str) -> tuple[str, ...]:
    """Return the columns' names; raises InvalidInput for too many, a nameless one among them, or one twice."""
    columns = names_of(cells)
    if len(columns) > MAX_COLUMNS:
        raise InvalidInput(
            f"{name} has {len(columns):,} columns; {MAX_COLUMNS} are allowed.",
            remedy="Keep what a template uses.",
        )
    if "" in columns:
        raise InvalidInput(
            f"{name}: column {columns.index('') + 1} has no name.",
            remedy="Name every column in the first line.",
        )
    require_once(columns, f"{name}: ")
    return columns


def _row(cells: Sequence[str], header: Sequence[str], width: int, place: str) -> tuple[str, ...]:
    """Return a row's fields that have a name; `width` is how many the first line has, nameless ones behind it too."""
    require_fields(cells, header, width, f"{place}: ")
    cells = cells[: len(header)]
    long = next((n for n, cell in enumerate(cells) if len(cell) > MAX_CELL), None)
    if long is not None:
        raise InvalidInput(
            f"{place}: the field {header[long]!r} has {len(cells[long]):,} characters; "
            f"{MAX_CELL:,} are allowed.",
            remedy="Shorten it.",
        )
    return tuple(cells)


def variable_name(column: str) -> str:
    """Return a column's name as a variable: lower case, words joined by underscores."""
    name = re.sub(r"[^0-9a-z]+", "_", column.lower()).strip("_")
    return f"_{name}" if name[:1].isdigit() else name
