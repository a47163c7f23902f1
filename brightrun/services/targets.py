"""Where an export goes: what its files are called, and whether a folder takes them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

from brightrun.domain.dataset import Dataset, Split
from brightrun.domain.errors import NotAllowed, SetupFault
from brightrun.domain.formats import Format
from brightrun.domain.review import ConversationFilter
from brightrun.services.datasets import Datasets, slug

SIDECAR_SUFFIX = ".sidecar.ndjson"
SUFFIXES = {Format.JSON: ".json", Format.CSV: ".csv", Format.PARQUET: ".parquet", Format.ZIP: ".zip"}
PREFIX = ".brightrun-"
"""How unfinished exports begin; a listing does not show them."""


def file_name(dataset: Dataset, chosen: Format, side: Split | None = None) -> str:
    """Return a file name that says what it is, demo included."""
    return _file_name(slug(dataset), chosen, side)


def _file_name(beginning: str, chosen: Format, side: Split | None) -> str:
    kind = "" if chosen in (Format.MESSAGES, *SUFFIXES) else f".{chosen.value}"
    only = f".{side.value}" if side else ""
    return f"{beginning}{kind}{only}{SUFFIXES.get(chosen, '.jsonl')}"


def check_folder(folder: Path) -> None:
    """Raise SetupFault when a folder cannot be made or written to, before anything is frozen; none is made."""
    there = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    if not there.is_dir():
        raise SetupFault(
            f"{there} is a file, and a dataset is written into a folder.",
            remedy="Give a folder with --out; nothing was frozen.",
        )
    try:
        with hidden(there):
            pass
    except OSError as fault:
        raise SetupFault(
            f"The folder {folder} cannot be written to: {fault.strerror or fault}.",
            remedy="Choose another folder; nothing was frozen.",
        ) from fault


def require_free(
    datasets: Datasets,
    wanted: ConversationFilter,
    *,
    name: str,
    chosen: Format,
    folder: Path,
    side: Split | None = None,
) -> None:
    """Raise NotAllowed where what would be frozen under a name has no place in a folder, before it is frozen."""
    beginning = datasets.next_slug(wanted, name=name)
    for taken in _names(beginning, chosen, side):
        if os.path.lexists(folder / taken):
            raise NotAllowed(
                f"{folder / taken} exists already; nothing was frozen or written.",
                remedy="Move it away, write to another --out, or freeze under another --name.",
            )


def _names(beginning: str, chosen: Format, side: Split | None) -> list[str]:
    """Return what is made in the folder that an export is written to."""
    if chosen is Format.FOLDER:
        return [beginning]
    name = _file_name(beginning, chosen, side)
    if chosen in (Format.ZIP, Format.JSON, Format.CSV):
        return [name]
    return [name, sidecar_name(name)]


def sidecar_name(name: str) -> str:
    """Return what stands beside a file with what its format has no place for."""
    return Path(name).with_suffix(SIDECAR_SUFFIX).name


@contextmanager
def hidden(folder: Path) -> Iterator[Path]:
    """A folder under a hidden name, gone afterwards unless it was given another name."""
    part = Path(mkdtemp(dir=folder, prefix=PREFIX))
    part.chmod(0o755)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
