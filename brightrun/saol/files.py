"""Rows as files: JSON, JSON lines and CSV, written and read so that every value comes back as it was."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import IO, Any

import orjson

from brightrun.saol.failures import Refused


class Format(StrEnum):
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


ENDINGS = {".json": Format.JSON, ".jsonl": Format.JSONL, ".ndjson": Format.JSONL, ".csv": Format.CSV}


def format_of(path: Path, given: Format | str | None = None) -> Format:
    """Return the format that is asked for, or that a file's name says; raises Refused."""
    try:
        return Format(given) if given else ENDINGS[path.suffix.lower()]
    except (ValueError, KeyError) as fault:
        raise Refused("ERR_FILE", f"{given or path.name} is no format; use json, jsonl or csv.") from fault


def write(file: IO[bytes], kind: Format, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """Write rows with their columns in this order and return how many there were."""
    if kind is Format.CSV:
        return _write_csv(file, columns, rows)
    opening, between, closing = (b"[\n", b",\n", b"\n]\n") if kind is Format.JSON else (b"", b"\n", b"\n")
    file.write(opening)
    number = 0
    for number, row in enumerate(rows, 1):
        file.write((between if number > 1 else b"") + orjson.dumps({name: row[name] for name in columns}))
    if number or kind is Format.JSON:
        file.write(closing)
    return number


def read(path: Path, kind: Format, types: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield a file's rows; raises Refused naming the line. `types` says which CSV cells hold JSON."""
    try:
        data = path.read_bytes()
    except OSError as fault:
        raise Refused("ERR_FILE", f"{path} cannot be read: {fault.strerror}.") from fault
    if kind is Format.CSV:
        yield from _read_csv(data, path.name, types)
    elif kind is Format.JSON:
        yield from _read_json(data, path.name)
    else:
        yield from _read_lines(data, path.name)


def _write_csv(file: IO[bytes], columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> int:
    """A value stands in quotes and nothing stands bare, so that an empty text and no text differ."""
    file.write(_line(columns))
    number = 0
    for row in rows:
        file.write(_line([row[name] for name in columns]))
        number += 1
    return number


def _line(values: Sequence[Any]) -> bytes:
    return (",".join(map(_cell, values)) + "\r\n").encode()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    return '"' + text.replace('"', '""') + '"'


def _read_csv(data: bytes, name: str, types: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    from pyarrow import ArrowInvalid, csv, string

    if not data.strip():
        return
    try:
        head = csv.open_csv(io.BytesIO(data), parse_options=csv.ParseOptions(newlines_in_values=True))
        columns = head.schema.names
        table = csv.read_csv(
            io.BytesIO(data),
            read_options=csv.ReadOptions(block_size=max(len(data), 1)),
            parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(columns, string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except ArrowInvalid as fault:
        raise Refused("ERR_FILE", f"{name} is no CSV: {fault}.") from fault
    for number, row in enumerate(table.to_pylist(), 2):
        yield {column: _value(row[column], types.get(column, ""), name, number) for column in row}


def _value(cell: str | None, kind: str, name: str, number: int) -> Any:
    if cell is None or not (kind in ("json", "jsonb") or kind.endswith("[]")):
        return cell
    try:
        return orjson.loads(cell)
    except orjson.JSONDecodeError as fault:
        raise Refused("ERR_FILE", f"{name}, row {number}: a cell that should hold JSON does not.") from fault


def _read_json(data: bytes, name: str) -> Iterator[dict[str, Any]]:
    try:
        found = orjson.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as fault:
        raise Refused("ERR_FILE", f"{name} is no JSON: {fault}.") from fault
    if isinstance(found, dict):
        found = found.get("data")
    if not isinstance(found, list):
        raise Refused("ERR_FILE", f"{name} holds no list of rows.")
    for number, row in enumerate(found, 1):
        yield _object(row, name, f"entry {number}")


def _read_lines(data: bytes, name: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as fault:
            raise Refused("ERR_FILE", f"{name}, line {number} is no JSON: {fault}.") from fault
        yield _object(row, name, f"line {number}")


def _object(row: Any, name: str, place: str) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise Refused("ERR_FILE", f"{name}, {place} is no row: it must be an object of columns.")
    return row
