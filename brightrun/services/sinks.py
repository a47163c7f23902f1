"""Files that rows are poured into, one row after another; each knows its size, its rows and its SHA-256."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any, Protocol

import orjson

from brightrun.domain.dataset import Row
from brightrun.domain.formats import SHAPES, Format, one_line, sidecar_line
from brightrun.domain.spreadsheet import csv_head, csv_turns
from brightrun.domain.training import conversation, file_metadata

PARQUET_ROWS = 1000
"""Rows in a group of a Parquet file, which is what is held in memory."""
BUFFER = 1 << 18


@dataclass(frozen=True, slots=True)
class Written:
    """One finished file, its path relative to what it was written into."""

    path: str
    rows: int
    bytes: int
    sha256: str


class Sink(Protocol):
    """Takes rows and ends as a whole file."""

    def add(self, row: Row) -> int:
        """Write what a row becomes in this file; returns how many rows of it that are."""
        ...

    def finish(self) -> Written:
        """Write what is left, wait for the disk, and say what the file is."""
        ...

    def drop(self) -> None:
        """Let go of the file, whatever state it is in."""
        ...


class HashedFile:
    """A file that is only appended to, hashed on its way to the disk."""

    def __init__(self, root: Path, path: str) -> None:
        self._path = path
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        self._file = target.open("wb", buffering=BUFFER)
        self._hash = hashlib.sha256()
        self._bytes = 0
        self.closed = False  # pyarrow asks

    def write(self, data: Any) -> int:
        """Append bytes, or anything with a buffer."""
        self._hash.update(data)
        size = len(data) if isinstance(data, bytes) else memoryview(data).nbytes
        self._bytes += size
        self._file.write(data)
        return size

    def tell(self) -> int:
        return self._bytes

    def flush(self) -> None:
        self._file.flush()

    def finish(self, rows: int) -> Written:
        self._file.flush()
        os.fsync(self._file.fileno())
        self.close()
        return Written(self._path, rows, self._bytes, self._hash.hexdigest())

    def close(self) -> None:
        self.closed = True
        self._file.close()


class Lines:
    """JSONL: a row becomes none, one or several lines."""

    def __init__(self, root: Path, path: str, chosen: Format) -> None:
        self._file = HashedFile(root, path)
        self._shape = SHAPES[chosen]
        self._rows = 0

    def add(self, row: Row) -> int:
        before = self._rows
        for line in self._shape.encode(row):
            self._file.write(line)
            self._rows += 1
        return self._rows - before

    def finish(self) -> Written:
        return self._file.finish(self._rows)

    def drop(self) -> None:
        self._file.close()


class Plain:
    """A head, something for each approved row, and an end."""

    def __init__(
        self,
        root: Path,
        path: str,
        each: Callable[[Row], bytes],
        *,
        head: bytes = b"",
        separator: bytes = b"",
        tail: bytes = b"",
        decisions: frozenset[str] = frozenset({"approved"}),
    ) -> None:
        self._file = HashedFile(root, path)
        self._file.write(head)
        self._each, self._separator, self._tail = each, separator, tail
        self._decisions = decisions
        self._rows = 0

    def add(self, row: Row) -> int:
        if row.decision not in self._decisions:
            return 0
        if self._rows and self._separator:
            self._file.write(self._separator)
        self._file.write(self._each(row))
        self._rows += 1
        return 1

    def finish(self) -> Written:
        self._file.write(self._tail)
        return self._file.finish(self._rows)

    def drop(self) -> None:
        self._file.close()


class Parquet:
    """`id`, `writer` and `messages` as a Parquet file, written a group at a time."""

    def __init__(self, root: Path, path: str) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        message = pa.struct([("role", pa.string()), ("content", pa.string())])
        self._schema = pa.schema(
            [("id", pa.string()), ("writer", pa.string()), ("messages", pa.list_(message))]
        )
        self._arrow = pa
        self._file = HashedFile(root, path)
        self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")
        self._group: list[Row] = []
        self._rows = 0

    def add(self, row: Row) -> int:
        if row.decision != "approved":
            return 0
        self._group.append(row.without_tail())
        self._rows += 1
        if len(self._group) == PARQUET_ROWS:
            self._flush()
        return 1

    def finish(self) -> Written:
        if self._group or not self._rows:
            self._flush()
        self._writer.close()
        return self._file.finish(self._rows)

    def drop(self) -> None:
        self._file.close()

    def _flush(self) -> None:
        """Write the group column by column: from whole rows, pyarrow takes several times as long."""
        pa, group = self._arrow, self._group
        messages = [message for row in group for message in row.messages]
        parts = [
            pa.array([message[name] for message in messages], pa.string()) for name in ("role", "content")
        ]
        ends = [0, *accumulate(len(row.messages) for row in group)]
        message = self._schema.field("messages").type.value_type
        columns = [
            pa.array([row.id for row in group], pa.string()),
            pa.array([row.writer for row in group], pa.string()),
            pa.ListArray.from_arrays(ends, pa.StructArray.from_arrays(parts, fields=list(message))),
        ]
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))
        group.clear()


def sink_for(chosen: Format, root: Path, path: str, manifest: Callable[[], Mapping[str, Any]]) -> Sink:
    """Return an open sink of a single-file format."""
    if chosen in SHAPES:
        return Lines(root, path, chosen)
    if chosen is Format.PARQUET:
        return Parquet(root, path)
    if chosen is Format.CSV:
        return Plain(root, path, csv_turns, head=csv_head())
    head = orjson.dumps(file_metadata(manifest(), Path(path).name), option=orjson.OPT_INDENT_2)
    return Plain(
        root,
        path,
        lambda row: one_line(conversation(row)).rstrip(b"\n"),
        head=b'{"training_file_metadata": ' + head + b',\n"conversations": [\n',
        separator=b",\n",
        tail=b"\n]}\n",
    )


def sidecar(root: Path, path: str) -> Sink:
    """Return an open sink of metadata, for approved and rejected rows alike."""
    return Plain(root, path, sidecar_line, decisions=frozenset({"approved", "rejected"}))
