"""Exports: a dataset as files, folder or zip, in the bucket or on a hub; each whole or not there at all."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from brightrun.domain.bucket import Bucket
from brightrun.domain.card import HUB_CONFIGS, card
from brightrun.domain.dataset import Dataset, Row, Split
from brightrun.domain.errors import BrightRunError, InvalidInput, NotAllowed, SetupFault
from brightrun.domain.formats import SHAPES, Format
from brightrun.domain.person import Action
from brightrun.domain.recipes import recipes
from brightrun.domain.report import offers
from brightrun.services.datasets import Datasets, Progress, slug
from brightrun.services.rights import needs
from brightrun.services.sinks import HashedFile, Sink, Written, sidecar, sink_for
from brightrun.services.targets import PREFIX, SUFFIXES, file_name, hidden, sidecar_name

STALE_SECONDS = 86_400.0
"""A hidden unfinished export older than this was left by a process that was killed."""
MANIFEST = "manifest.json"
WHOLE = {Format.JSON: "full/training.json", Format.CSV: "csv/conversations.csv"}
"""Formats that stand in the folder as one file; every other one has a file for each split."""
SPREAD = (*SHAPES, Format.PARQUET, Format.JSON, Format.CSV)
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The time every entry of a zip carries, so that the same rows make the same bytes."""


@dataclass(frozen=True, slots=True)
class Export:
    """Files written from one dataset; `rows` are the file's own, of `json`, `csv`, folder and zip the conversations'."""

    dataset: Dataset
    rows: int
    left_out: int
    splits: Mapping[str, int]
    """Rows of each split, also of one without any."""
    files: tuple[Path, ...]


class Exports:
    """Writes under a hidden name beside the target and publishes by one rename."""

    def __init__(self, datasets: Datasets, bucket: Bucket, workshop: Path) -> None:
        """`workshop` is a folder of our own, for what a page offers and what is uploaded."""
        self._db = datasets.db
        self._datasets = datasets
        self._bucket = bucket
        self._workshop = workshop

    def write(
        self,
        dataset: Dataset,
        chosen: Format,
        folder: Path,
        progress: Progress | None = None,
        side: Split | None = None,
    ) -> Export:
        """Write one format into a folder, all of it or one side of the split.

        Raises NotAllowed for nothing to write, SetupFault with nothing partial left.
        """
        require_sides(chosen, side)
        report = self._datasets.report(dataset, progress)
        _require_any(dataset, report, chosen)
        with _told(folder), _made(folder):
            _sweep(folder)
            counts: Mapping[str, int] = report["splits"]
            if chosen is Format.FOLDER:
                files = self._write_folder(dataset, folder, progress)
            elif chosen is Format.ZIP:
                files = [self._write_zip(dataset, folder, progress)]
            else:
                files, counts = self._write_one(dataset, chosen, folder, progress, side)
        splits = {split.value: int(counts[split.value]) for split in Split}
        return Export(dataset, sum(splits.values()), int(report["left_out"]), splits, tuple(files))

    def ready(self, dataset: Dataset, chosen: Format, side: Split | None = None) -> Path | None:
        """Return the file of our own with this format, where it has been written already."""
        path = self._workshop / str(dataset.id) / file_name(dataset, chosen, side)
        return path if path.is_file() else None

    def kept(
        self,
        dataset: Dataset,
        chosen: Format,
        progress: Progress | None = None,
        side: Split | None = None,
    ) -> Path:
        """Return a file of our own with this format, written at the first call."""
        there = self.ready(dataset, chosen, side)
        if there:
            return there
        return self.write(dataset, chosen, self._workshop / str(dataset.id), progress, side).files[0]

    @needs(Action.PUSH_DATASET)
    def upload(self, dataset: Dataset, progress: Progress | None = None) -> list[str]:
        """Put the folder into the bucket `datasets` under the dataset's id; returns the keys."""
        with self._built(dataset, progress) as (root, _):
            names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())
            # The manifest goes last: where it stands, everything it names stands too.
            names.sort(key=lambda name: name == MANIFEST)
            keys = [f"{dataset.id}/{name}" for name in names]
            for name, key in zip(names, keys, strict=True):
                self._bucket.put_file(key, root / name, overwrite=True)
        return keys

    @needs(Action.PUSH_DATASET)
    def push(
        self,
        dataset: Dataset,
        repository: str,
        *,
        token: str,
        private: bool,
        progress: Progress | None = None,
    ) -> str:
        """Push the folder to the Hugging Face hub as a dataset; returns its address."""
        try:
            from huggingface_hub import HfApi
        except ImportError as fault:
            raise SetupFault(
                "huggingface_hub is not installed.", remedy="pip install 'brightrun[hub]', then push again."
            ) from fault
        hub = HfApi(token=token)
        try:
            hub.create_repo(repository, repo_type="dataset", private=private, exist_ok=True)
            with self._built(dataset, progress) as (root, _):
                hub.upload_folder(
                    repo_id=repository,
                    repo_type="dataset",
                    folder_path=root,
                    commit_message=f"{dataset.name}, version {dataset.version}",
                )
        except BrightRunError:
            raise
        except Exception as fault:  # its client lets the errors of whichever HTTP library it speaks through
            raise SetupFault(
                f"The hub did not take it: {(str(fault) or type(fault).__name__).splitlines()[0]}",
                remedy="Check the repository's name, the token's right to write, and the connection; then push again.",
            ) from fault
        return f"{hub.endpoint}/datasets/{repository}"

    def _write_one(
        self, dataset: Dataset, chosen: Format, folder: Path, progress: Progress | None, side: Split | None
    ) -> tuple[list[Path], Counter[str]]:
        """Return what was written, and how many rows of each split the file has."""
        name = file_name(dataset, chosen, side)
        with hidden(folder) as part:
            sinks = [sink_for(chosen, part, name, lambda: self._datasets.manifest(dataset))]
            if chosen not in (Format.JSON, Format.CSV):
                sinks.append(sidecar(part, sidecar_name(name)))
            rows = self._datasets.rows(dataset, progress)
            written, counts = _pour((row for row in rows if side in (None, row.split)), sinks)
            if side and not counts.total():
                raise NotAllowed(
                    f"{dataset.name}@{dataset.version} has no {chosen.value} row on the side {side.value}, "
                    "so nothing was written.",
                    remedy="Take another side, or all of them.",
                )
            self._require_free(dataset, folder, {entry.path: entry.sha256 for entry in written})
            for entry in reversed(written):  # the sidecar first: where the file stands, it stands too
                (part / entry.path).replace(folder / entry.path)
        _sync(folder)
        return [folder / entry.path for entry in written], counts

    def _write_folder(self, dataset: Dataset, folder: Path, progress: Progress | None) -> list[Path]:
        target = folder / slug(dataset)
        with self._built(dataset, progress, beside=folder) as (root, written):
            if target.exists():
                _require_same(root, target)
            else:
                root.rename(target)
        _sync(folder)
        return [target, *(target / entry.path for entry in written), target / MANIFEST]

    def _write_zip(self, dataset: Dataset, folder: Path, progress: Progress | None) -> Path:
        target = folder / file_name(dataset, Format.ZIP)
        with self._built(dataset, progress, beside=folder) as (root, _), hidden(folder) as part:
            packed = part / target.name
            _zip(root, packed, slug(dataset))
            self._require_free(dataset, folder, {target.name: _sha256(packed)})
            packed.replace(target)
        _sync(folder)
        return target

    def _require_free(self, dataset: Dataset, folder: Path, made: Mapping[str, str]) -> None:
        """Raise NotAllowed where a file of that name holds anything but what was made.

        A dataset leaves as the same bytes for ever, so these tell its own files from everybody else's.
        """
        if folder == self._workshop / str(dataset.id):  # holds nobody else's
            return
        for name, digest in made.items():
            target = folder / name
            if os.path.lexists(target) and _sha256(target) != digest:
                raise NotAllowed(
                    f"{target} exists already, and is not what {dataset.name}@{dataset.version} is written as; "
                    "nothing was written.",
                    remedy=f"Move it away, or write to another --out with --dataset {dataset.id}; "
                    "or freeze under another --name.",
                )

    @contextmanager
    def _built(
        self, dataset: Dataset, progress: Progress | None, *, beside: Path | None = None
    ) -> Iterator[tuple[Path, list[Written]]]:
        """Build the whole folder under a hidden name, for as long as the caller needs it."""
        beside = beside or self._workshop
        beside.mkdir(parents=True, exist_ok=True)
        manifest = self._datasets.manifest(dataset, progress)
        with hidden(beside) as root:
            written = _spread(self._datasets.rows(dataset, progress), root, manifest)
            small = recipes(manifest) | {"README.md": card(manifest, _splits(written))}
            written += [_text(root, path, text) for path, text in small.items()]
            written.sort(key=lambda entry: entry.path)
            files = [asdict(entry) for entry in written]
            data = orjson.dumps({**manifest, "files": files}, option=orjson.OPT_INDENT_2).decode() + "\n"
            _text(root, MANIFEST, data)  # last: where it stands, everything it names stands too
            yield root, written


def require_sides(chosen: Format, side: Split | None) -> None:
    """Raise InvalidInput where one side of the split is asked of a format that holds all of them."""
    if side and (chosen in WHOLE or chosen in (Format.FOLDER, Format.ZIP)):
        raise InvalidInput(
            f"{chosen.value} holds every side of the split, each told apart.",
            remedy="Leave the side out, or choose a format of one file a side.",
        )


def _require_any(dataset: Dataset, report: Mapping[str, Any], chosen: Format) -> None:
    """Raise NotAllowed where a file would be empty, which no trainer can load."""
    if not report["rows"]:
        raise NotAllowed(
            f"None of the {dataset.row_count} conversations passed the checks, so nothing was written.",
            remedy="See the dataset's report for the rules, mend or reject them, and freeze again.",
        )
    if not offers(report, chosen):
        raise NotAllowed(
            f"No conversation of {dataset.name}@{dataset.version} was corrected where its answers may be trained on, "
            "so there is no pair to prefer one answer over another; nothing was written.",
            remedy="Correct turns in the review, approve them and freeze again; or choose another format "
            f"with --dataset {dataset.id}.",
        )


def _pour(rows: Iterable[Row], sinks: list[Sink]) -> tuple[list[Written], Counter[str]]:
    """Write every row into every sink, and count the first one's by split; whatever happens, no file stays open."""
    counts: Counter[str] = Counter()
    first, *beside = sinks
    try:
        for row in rows:
            counts[row.split] += first.add(row)
            for sink in beside:
                sink.add(row)
        return [sink.finish() for sink in sinks], counts
    finally:
        for sink in sinks:
            sink.drop()


def _spread(rows: Iterable[Row], root: Path, manifest: dict[str, Any]) -> list[Written]:
    """Write the files of a folder in one pass over the rows; a file that would be empty is not there."""
    side = sidecar(root, "sidecar.ndjson")
    opened: dict[tuple[Format, str], Sink] = {}
    try:
        for row in rows:
            side.add(row)
            for chosen in SPREAD if row.decision == "approved" else (Format.KTO,):
                key = (chosen, "" if chosen in WHOLE else row.split)
                if key not in opened:
                    path = WHOLE.get(chosen, f"{chosen.value}/{row.split}{SUFFIXES.get(chosen, '.jsonl')}")
                    opened[key] = sink_for(chosen, root, path, lambda: manifest)
                opened[key].add(row)
        written = [sink.finish() for sink in (side, *opened.values())]
    finally:
        for sink in (side, *opened.values()):
            sink.drop()
    for entry in written:
        if not entry.rows:
            _remove(root / entry.path)
    return [entry for entry in written if entry.rows]


def _remove(path: Path) -> None:
    """Remove a file, and its folder where that was all it held."""
    path.unlink()
    if not any(path.parent.iterdir()):
        path.parent.rmdir()


def _splits(written: Iterable[Written]) -> dict[str, list[str]]:
    there = {entry.path for entry in written}
    return {
        config: [split.value for split in Split if f"{config}/{split.value}.jsonl" in there]
        for config in HUB_CONFIGS
    }


def _text(root: Path, path: str, text: str) -> Written:
    file = HashedFile(root, path)
    file.write(text.encode())
    return file.finish(0)


def _zip(root: Path, target: Path, top: str) -> None:
    """Pack a folder so that the same files make the same bytes."""
    with target.open("wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as packed:
            for path in sorted(path for path in root.rglob("*") if path.is_file()):
                entry = zipfile.ZipInfo(f"{top}/{path.relative_to(root).as_posix()}", EPOCH)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                with path.open("rb") as source, packed.open(entry, "w", force_zip64=True) as goal:
                    shutil.copyfileobj(source, goal, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def _require_same(built: Path, target: Path) -> None:
    """Leave a folder that is there alone: raises NotAllowed unless it is what would have been written."""
    manifest = built / MANIFEST
    there = target / MANIFEST
    if there.is_file() and there.read_bytes() == manifest.read_bytes():
        files = orjson.loads(manifest.read_bytes())["files"]
        if all(_sha256(target / entry["path"]) == entry["sha256"] for entry in files):
            return
    raise NotAllowed(
        f"{target} exists already, and is not this dataset as it was frozen.",
        remedy="Move it away or choose another folder; it was not touched.",
    )


def _sha256(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sweep(folder: Path) -> None:
    """Remove what processes that were killed left behind long ago."""
    for part in folder.glob(f"{PREFIX}*"):
        if time.time() - part.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(part, ignore_errors=True)


def _sync(folder: Path) -> None:
    if os.name == "nt":  # Windows has no handle on a folder
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """Make a folder; what had to be made of it is removed again where nothing came of that."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        with suppress(OSError):  # never made, or somebody else has put something into it
            for path in missing:
                path.rmdir()
        raise


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise SetupFault(
            f"The export could not be written to {folder}: {fault.strerror or fault}.",
            remedy="Choose a folder you may write to, with enough space; nothing partial was left.",
        ) from fault
