"""Many rows into a table: in batches, tried again where that is safe, with a report on every row refused."""

from __future__ import annotations

import os
import time
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import orjson

from brightrun.saol import advice
from brightrun.saol.database import Database
from brightrun.saol.failures import Refused, explain
from brightrun.saol.files import Format, format_of, read
from brightrun.saol.operations import agent_insert, agent_query, agent_upsert
from brightrun.saol.outcome import Outcome, outcome
from brightrun.saol.preflight import require_ready
from brightrun.saol.result import Failure, Result
from brightrun.saol.schema import Table

BATCH_ROWS = 200
MOST_ROWS = 1000
BATCH_BYTES = 4_000_000
KEYS = 100
"""Keys that are asked for at once after a broken connection."""

OF_A_ROW = {
    "ERR_DB_UNIQUE_VIOLATION",
    "ERR_DB_FK_VIOLATION",
    "ERR_DB_NOT_NULL_VIOLATION",
    "ERR_DB_CHECK_VIOLATION",
    "ERR_CAST_INVALID_INPUT",
    "ERR_CHAR_INVALID_UTF8",
}
"""Failures that some rows of a batch cause: the batch is cut until they stand alone."""

Row = Mapping[str, Any]
Numbered = tuple[int, Row]
Normal = Literal["NFC", "NFKC"]


class Mode(StrEnum):
    INSERT = "insert"
    UPSERT = "upsert"


@dataclass
class Report:
    """What became of the rows: each was written, refused or not tried."""

    total: int = 0
    written: int = 0
    failed: int = 0
    not_tried: int = 0
    retries: int = 0
    found_after_break: int = 0
    """Rows of `written` whose batch was found in place after the connection had broken."""
    errors: list[dict[str, Any]] = field(default_factory=list)

    def refuse(self, rows: Sequence[Numbered], failure: Failure) -> None:
        self.failed += len(rows)
        self.errors += [
            {
                "row": number,
                "code": failure.code,
                "message": failure.message,
                "details": failure.details,
                "remediation": failure.remediation,
            }
            for number, _ in rows
        ]

    def as_json(self) -> dict[str, Any]:
        return {
            "totals": {
                "total": self.total,
                "written": self.written,
                "failed": self.failed,
                "not_tried": self.not_tried,
                "retries": self.retries,
                "found_after_break": self.found_after_break,
            },
            "by_code": dict(Counter(error["code"] for error in self.errors)),
            "errors": self.errors,
        }


@dataclass(frozen=True)
class _Target:
    db: Database
    table: Table
    mode: Mode
    on_conflict: tuple[str, ...]
    retries: int
    pause_seconds: float


def agent_import(
    db: Database,
    table: str,
    source: str | os.PathLike[str] | Iterable[Row],
    *,
    mode: Mode | str = Mode.INSERT,
    on_conflict: Sequence[str] = (),
    format: Format | str | None = None,
    batch_rows: int = BATCH_ROWS,
    retries: int = 2,
    pause_seconds: float = 0.3,
    sanitize: bool = False,
    normalize: Normal | None = None,
    dry_run: bool = False,
    report_to: str | os.PathLike[str] | None = None,
) -> Result:
    """Import rows, or a JSON, JSON lines or CSV file; count is how many were written, data the report.

    Success means every row. Text goes in as it is unless `sanitize` (takes out characters no database holds, and
    control characters but tab and line ends) or `normalize` is said. Rows are numbered from 1.
    """
    report = Report()

    def run() -> Outcome:
        found = db.table(table)
        way, key = _way(mode, on_conflict, found)
        if not 1 <= batch_rows <= MOST_ROWS or retries < 0:
            raise Refused(
                "ERR_VALIDATION_SCHEMA", f"A batch has 1 to {MOST_ROWS} rows; retries are 0 or more."
            )
        target = _Target(db, found, way, key, retries, pause_seconds)
        rows = (_cleaned(row, sanitize, normalize) for row in _rows(source, format, found))
        _import(target, rows, batch_rows, report, dry_run=dry_run)
        if report_to is not None:
            _write_report(Path(report_to), report)
        done = "would be written" if dry_run else f"{report.written} written, {report.failed} refused"
        return report.as_json(), report.written, f"{report.total} rows for {table}: {done}"

    result = outcome("import", run, lambda _: advice.after_rehearsal(dry_run=dry_run))
    if result.success and (report.failed or report.not_tried):
        return _partial(result, report)
    return result


def _way(mode: Mode | str, on_conflict: Sequence[str], table: Table) -> tuple[Mode, tuple[str, ...]]:
    try:
        way = Mode(mode)
    except ValueError as fault:
        raise Refused("ERR_VALIDATION_SCHEMA", f"{mode!r} is no mode; use insert or upsert.") from fault
    key = tuple(on_conflict) or table.primary_key
    table.check(key)
    if way is Mode.UPSERT and not key:
        raise Refused("ERR_VALIDATION_REQUIRED", "An upsert needs the columns of a key.")
    return way, key


def _rows(
    source: str | os.PathLike[str] | Iterable[Row], format: Format | str | None, table: Table
) -> Iterator[Row]:
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return read(path, format_of(path, format), table.columns)
    return iter(source)


def _import(target: _Target, rows: Iterator[Row], batch_rows: int, report: Report, *, dry_run: bool) -> None:
    is_over = False
    entry = target.db.describe().entry(target.table.name)
    for batch in _batches(rows, batch_rows):
        report.total += len(batch)
        names = list(batch[0][1])
        target.table.check(names)
        require_ready(entry, names, _conflict(target))
        if is_over:
            report.not_tried += len(batch)
        elif not dry_run:
            is_over = not _write(target, batch, report)


def _conflict(target: _Target) -> tuple[str, ...]:
    return target.on_conflict if target.mode is Mode.UPSERT else ()


def _batches(rows: Iterator[Row], size: int) -> Iterator[list[Numbered]]:
    """Yield rows that stand together and have the same columns: a column left out keeps its default."""
    batch: list[Numbered] = []
    columns: set[str] = set()
    weight = 0
    for number, row in enumerate(rows, 1):
        try:
            bytes_here = len(orjson.dumps(dict(row), default=str))
        except orjson.JSONEncodeError:  # half a character; the database's refusal of it is the report's
            bytes_here = 1000
        if batch and (set(row) != columns or len(batch) == size or weight + bytes_here > BATCH_BYTES):
            yield batch
            batch, weight = [], 0
        columns = set(row)
        batch.append((number, row))
        weight += bytes_here
    if batch:
        yield batch


def _write(target: _Target, batch: list[Numbered], report: Report) -> bool:
    """Write a batch or find out which of its rows cannot be; False when going on makes no sense."""
    result = _tried(target, batch, report)
    if result.error is None:
        report.written += len(batch)
        return True
    if result.error.code not in OF_A_ROW:
        report.refuse(batch, result.error)
        return False
    if len(batch) == 1:
        report.refuse(batch, result.error)
        return True
    middle = len(batch) // 2
    return _write(target, batch[:middle], report) and _write(target, batch[middle:], report)


def _tried(target: _Target, batch: list[Numbered], report: Report) -> Result:
    """Send a batch, again after a fault that passes; an insert that may have arrived is looked for first."""
    for attempt in range(target.retries + 1):
        result = _send(target, [row for _, row in batch])
        if result.error is None or not result.error.is_transient or attempt == target.retries:
            return result
        report.retries += 1
        time.sleep(target.pause_seconds * 2**attempt)
        if target.mode is Mode.INSERT and result.error.code == "ERR_DB_UNREACHABLE":
            arrived = _arrived(target, batch)
            if arrived is None:
                return _uncertain(result)
            if arrived:
                report.found_after_break += len(batch)
                return replace(result, success=True, error=None)
    return result


def _send(target: _Target, rows: list[Row]) -> Result:
    if target.mode is Mode.INSERT:
        return agent_insert(target.db, target.table.name, rows, returning=False)
    return agent_upsert(target.db, target.table.name, rows, on_conflict=target.on_conflict, returning=False)


def _arrived(target: _Target, batch: list[Numbered]) -> bool | None:
    """Say whether a batch, which is written whole or not at all, is there; None where its rows have no key."""
    if len(target.table.primary_key) != 1:
        return None
    (key,) = target.table.primary_key
    if any(key not in row for _, row in batch):
        return None
    values = [row[key] for _, row in batch]
    found = 0
    for at in range(0, len(values), KEYS):
        part = values[at : at + KEYS]
        result = agent_query(target.db, target.table.name, select=[key], where=[(key, "in", part)])
        if result.error is not None:
            return False  # the next attempt meets the same fault and reports it
        found += len(result.data)
    return found == len(set(map(str, values)))


def _uncertain(result: Result) -> Result:
    assert result.error is not None
    message = "The connection broke and the rows have no key of one column: they may be there or not."
    remedy = "Look which rows arrived, or give rows a key and import them by mode='upsert'."
    return replace(result, error=replace(result.error, message=message, remediation=remedy))


def _cleaned(row: Row, sanitize: bool, normalize: Normal | None) -> Row:
    if not sanitize and not normalize:
        return row
    return {name: _clean(value, sanitize, normalize) for name, value in row.items()}


def _clean(value: Any, sanitize: bool, normalize: Normal | None) -> Any:
    if isinstance(value, str):
        text = "".join(filter(_is_kept, value)) if sanitize else value
        return unicodedata.normalize(normalize, text) if normalize else text
    if isinstance(value, list | tuple):
        return [_clean(entry, sanitize, normalize) for entry in value]
    if isinstance(value, Mapping):
        return {name: _clean(entry, sanitize, normalize) for name, entry in value.items()}
    return value


def _is_kept(character: str) -> bool:
    return character in "\t\n\r" or unicodedata.category(character) not in ("Cc", "Cs")


def _partial(result: Result, report: Report) -> Result:
    failure = explain(
        Refused(
            "ERR_IMPORT_ROWS",
            f"{report.failed} of {report.total} rows were refused, {report.not_tried} were not tried.",
        )
    )
    return replace(
        result,
        success=False,
        summary=f"{failure.code}: {failure.message}",
        error=failure,
        next_actions=advice.after_import(report.as_json()["by_code"], report.total),
    )


def _write_report(path: Path, report: Report) -> None:
    try:
        path.write_bytes(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as fault:
        raise Refused("ERR_FILE", f"The report cannot be written to {path}: {fault.strerror}.") from fault
