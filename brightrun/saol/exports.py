"""A table as a file: whole or not at all, the same bytes over either transport."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from brightrun.saol import advice
from brightrun.saol.database import Database
from brightrun.saol.failures import Refused
from brightrun.saol.files import Format, format_of, write
from brightrun.saol.outcome import Outcome, outcome
from brightrun.saol.pages import pages
from brightrun.saol.result import Result
from brightrun.saol.where import Condition, Order, conditions, orders


def agent_export(
    db: Database,
    table: str,
    destination: str | os.PathLike[str],
    *,
    format: Format | str | None = None,
    select: str | list[str] = "*",
    where: Iterable[Condition] = (),
    order_by: Iterable[Order] = (),
) -> Result:
    """Write rows to a file, by the order of their key unless said otherwise, page by page.

    Data are path, format, bytes, sha256 and `matching`: how many rows matched afterwards, for comparison.
    """

    def run() -> Outcome:
        path = Path(destination)
        kind = format_of(path, format)
        found = db.table(table)
        columns = found.chosen(select)
        checked = conditions(where, found.columns)
        wanted = orders(order_by, found.columns, ())
        rows = (row for page in pages(db, found, columns, checked, wanted) for row in page)
        number = _publish(path, kind, columns, rows)
        data = {
            "path": str(path),
            "format": kind.value,
            "bytes": path.stat().st_size,
            "sha256": _digest(path),
            "matching": db.transport.count(found, checked),
        }
        return data, number, f"{number} rows of {table} written to {path}"

    return outcome("export", run, advice.after_export)


def _publish(path: Path, kind: Format, columns: list[str], rows: Iterable[dict[str, Any]]) -> int:
    """Write under a hidden name and rename: a reader sees the old file or the new one."""
    unfinished = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        with unfinished.open("wb") as file:
            number = write(file, kind, columns, rows)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as fault:
        raise Refused("ERR_FILE", f"{path} cannot be written: {fault.strerror}.") from fault
    finally:
        unfinished.unlink(missing_ok=True)
    return number


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
