"""Datasets: approved conversations frozen as a list, and written as files that trainers load."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from tempfile import NamedTemporaryFile

from brightrun import __version__, saol
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.dataset import (
    Dataset,
    Row,
    check_row,
    csv_lines,
    json_document,
    messages_line,
    sidecar_line,
)
from brightrun.domain.errors import InvalidInput, NotAllowed, SetupFault
from brightrun.domain.ids import DatasetId
from brightrun.domain.review import ConversationFilter
from brightrun.stores import conversations
from brightrun.stores import datasets as store


class Format(StrEnum):
    """The files a dataset can be written as."""

    MESSAGES = "messages"
    """JSONL, one conversation a line: what TRL, Axolotl and LLaMA-Factory load."""
    JSON = "json"
    """One document with every field of every conversation."""
    CSV = "csv"
    """One turn a row, for people and spreadsheets."""


SIDECAR_SUFFIX = ".sidecar.ndjson"
SUFFIXES = {Format.MESSAGES: ".jsonl", Format.JSON: ".json", Format.CSV: ".csv"}
MEDIA_TYPES = {
    Format.MESSAGES: "application/jsonl",
    Format.JSON: "application/json",
    Format.CSV: "text/csv",
}


@dataclass(frozen=True, slots=True)
class Export:
    """Files written from one dataset."""

    dataset: Dataset
    rows: int
    files: tuple[Path, ...]


class Datasets:
    """Only approved conversations enter; what left once can be written again."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db

    def matching(self, chosen: ConversationFilter) -> int:
        """Return how many approved conversations a filter names."""
        return conversations.count(self._db, _approved(chosen))

    def freeze(self, chosen: ConversationFilter, *, name: str, actor: str) -> Dataset:
        """Freeze what is approved and matches; raises NotAllowed when that is nothing."""
        name = " ".join(name.split())
        if not 1 <= len(name) <= 120:
            raise InvalidInput("A dataset needs a name of 1 to 120 characters.")
        dataset = store.freeze(self._db, name, _approved(chosen), actor)
        if dataset is None:
            raise NotAllowed(
                "No approved conversation matches, so nothing was exported.",
                remedy="Approve some in the review first, or widen the filter.",
            )
        return dataset

    def all(self, *, limit: int = 50, offset: int = 0) -> list[Dataset]:
        """Return datasets, newest first."""
        return store.page(self._db, limit=limit, offset=offset)

    def get(self, dataset_id: DatasetId) -> Dataset:
        return store.get(self._db, dataset_id)

    def stream(self, dataset: Dataset, chosen: Format) -> Iterator[bytes]:
        """Yield the file of a format piece by piece; raises NotAllowed at a row trainers would ruin."""
        rows = self._rows(dataset)
        if chosen is Format.MESSAGES:
            return (messages_line(row) for row in rows)
        if chosen is Format.CSV:
            return csv_lines(rows)
        return json_document(rows, manifest(dataset))

    def sidecar(self, dataset: Dataset) -> Iterator[bytes]:
        """Yield one line of metadata a row, keyed by the row's id: who decided, score, provenance."""
        return (sidecar_line(row) for row in self._rows(dataset))

    def write(self, dataset: Dataset, chosen: Format, folder: Path) -> Export:
        """Write a format and its sidecar into a folder, each file whole or not at all."""
        path = folder / file_name(dataset, chosen)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            files = [_publish(path, self.stream(dataset, chosen))]
            if chosen is Format.MESSAGES:
                files.append(_publish(path.with_suffix(SIDECAR_SUFFIX), self.sidecar(dataset)))
        except OSError as fault:
            raise SetupFault(
                f"The export could not be written to {folder}: {fault.strerror or fault}.",
                remedy="Choose a folder you may write to, with enough space; nothing partial was left.",
            ) from fault
        return Export(dataset, dataset.row_count, tuple(files))

    def _rows(self, dataset: Dataset) -> Iterator[Row]:
        for row in store.rows(self._db, dataset.id):
            problems = check_row(row)
            if problems:
                raise NotAllowed(
                    f"Conversation {row.key} would ruin a training run: {', '.join(problems)}.",
                    remedy="Reject it and freeze the dataset again.",
                )
            yield row


def check_folder(folder: Path) -> None:
    """Raise SetupFault when a folder cannot be written to, before anything is frozen."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(dir=folder, prefix=".", suffix=".part"):
            pass
    except OSError as fault:
        raise SetupFault(
            f"The folder {folder} cannot be written to: {fault.strerror or fault}.",
            remedy="Choose another folder; nothing was frozen.",
        ) from fault


def file_name(dataset: Dataset, chosen: Format) -> str:
    """Return a file name that says what it is, demo included."""
    slug = re.sub(r"[^a-z0-9]+", "-", dataset.name.lower()).strip("-") or "dataset"
    demo = "-demo" if dataset.demo_count else ""
    return f"{slug}-v{dataset.version}{demo}{SUFFIXES[chosen]}"


def manifest(dataset: Dataset) -> dict[str, object]:
    """Return what a reader of the full document must know about the whole of it."""
    return {
        "name": dataset.name,
        "version": dataset.version,
        "created_at": dataset.created_at.isoformat(),
        "created_by": dataset.created_by,
        "filter": dict(dataset.filter),
        "rows": dataset.row_count,
        "demo_rows": dataset.demo_count,
        "generator": f"brightrun {__version__}",
    }


def _approved(chosen: ConversationFilter) -> ConversationFilter:
    if chosen.status not in (None, ConversationStatus.APPROVED):
        raise InvalidInput(
            f"Conversations that are {chosen.status.value.replace('_', ' ')} cannot be exported.",
            remedy="Only approved ones leave Bright Run; review them first.",
        )
    return chosen.narrowed(status=ConversationStatus.APPROVED)


def _publish(path: Path, pieces: Iterator[bytes]) -> Path:
    """Write to a hidden neighbour, wait for the disk, then give it its name."""
    with NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as part:
        temporary = Path(part.name)
        try:
            part.writelines(pieces)
            part.flush()
            os.fsync(part.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    return path
