"""Datasets: approved conversations frozen as a list, checked, compared, and read row by row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

from brightrun import __version__, saol
from brightrun.domain.batch import WriterName
from brightrun.domain.canonical import Prepared, prepare
from brightrun.domain.cluster import NAMED, place, told
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.correction import leaves_pair
from brightrun.domain.dataset import Comparison, Dataset, DatasetOptions, Row
from brightrun.domain.diversity import Figure
from brightrun.domain.errors import DatabaseFault, InvalidInput, NotAllowed, NotFound
from brightrun.domain.formats import Format, verdicts_by_format
from brightrun.domain.ids import ConversationId, DatasetId, parse_uuid
from brightrun.domain.person import Action, may
from brightrun.domain.report import Survey
from brightrun.domain.review import ConversationFilter
from brightrun.domain.text import file_stem
from brightrun.services.clusters import LIKENESS, Sketches
from brightrun.services.diversity import SAMPLE, measure
from brightrun.services.rights import needs, role_of
from brightrun.stores import conversations, corrections
from brightrun.stores import datasets as store
from brightrun.stores.diversity import Said

Progress = Callable[[int, int], None]
"""Told now and then how many rows of how many are done."""

T = TypeVar("T")
PROGRESS_ROWS = 200
LONGEST_NAME = 120
DIFFERENCES = 50
PAGE = 100
"""Datasets that are asked for at a time where all are wanted."""
ATTEMPTS = 3
PLACED_MEANWHILE = "40001"
"""What the database says where another dataset placed the same scenarios while this one was looked at."""


class Datasets:
    """Only approved conversations enter; what left once can be written again, byte for byte."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db

    @property
    def db(self) -> saol.Database:
        """Whom this acts for."""
        return self._db

    def matching(self, chosen: ConversationFilter) -> int:
        """Return how many approved conversations a filter names."""
        return conversations.count(self._db, _approved(chosen))

    @needs(Action.FREEZE_DATASET)
    def freeze(
        self,
        chosen: ConversationFilter,
        *,
        name: str,
        actor: str,
        options: DatasetOptions | None = None,
        purpose: Format | None = None,
        progress: Progress | None = None,
    ) -> Dataset:
        """Freeze what is approved and matches, near-duplicates on one side.

        Raises NotAllowed when that is nothing, or nothing that the format it is meant for could be made of.
        """
        name, options = _title(name), options or DatasetOptions()
        _require_training(options)
        dataset = self._freeze(name, _approved(chosen), options, actor, purpose, progress)
        if dataset is None:
            raise NotAllowed(
                "No approved conversation matches, so nothing was exported.",
                remedy="Approve some in the review first, or widen the filter.",
            )
        return dataset

    def _freeze(
        self,
        name: str,
        chosen: ConversationFilter,
        options: DatasetOptions,
        actor: str,
        purpose: Format | None,
        progress: Progress | None,
    ) -> Dataset | None:
        for attempt in range(1, ATTEMPTS + 1):
            plan = self._plan(chosen, options, purpose, progress)
            try:
                return store.freeze(self._db, name, chosen, options, actor, plan)
            except DatabaseFault as fault:
                if fault.sqlstate != PLACED_MEANWHILE or attempt == ATTEMPTS:
                    raise
        return None

    def _plan(
        self,
        chosen: ConversationFilter,
        options: DatasetOptions,
        purpose: Format | None,
        progress: Progress | None,
    ) -> dict[str, object]:
        """Look for near-duplicates in what would be frozen, and settle what stands where."""
        rows, duplicates = store.candidates(self._db, chosen, options)
        sketches = Sketches(_counted(store.texts(self._db, rows), len(rows), progress), len(rows))
        placement = place(rows, sketches.near)
        apart = {each.id for each in placement.apart}
        if purpose is Format.DPO:
            self._require_pair({row.id for row in rows if row.is_approved and row.id not in apart})
        named = placement.apart[:NAMED]
        keys = store.keys(self._db, list({key for each in named for key in (each.id, each.near)}))
        return {
            "versions": {row.id: row.version for row in rows if row.id not in apart},
            "anchors": placement.anchors,
            "duplicates": duplicates,
            "near_duplicates": told(placement, keys, LIKENESS),
        }

    def _require_pair(self, kept: Set[ConversationId]) -> None:
        """Raise NotAllowed where pairs are wanted and no answer that would be frozen was corrected."""
        corrected = corrections.by_conversation(self._db)
        if kept and not any(each in kept and leaves_pair(made) for each, made in corrected):
            raise NotAllowed(
                f"No answer of the {len(kept)} approved conversations was corrected, so there is no pair to prefer "
                "one answer over another; nothing was frozen or written.",
                remedy="Correct turns in the review and approve them; or choose another format.",
            )

    def all(self, *, limit: int = 50, offset: int = 0) -> list[Dataset]:
        """Return datasets, newest first."""
        return store.page(self._db, limit=limit, offset=offset)

    def count(self) -> int:
        return store.count(self._db)

    def newest(self, name: str) -> Dataset | None:
        """Return the newest version of a name; None where there is none."""
        return next(iter(store.named(self._db, _single(name))), None)

    def every(self) -> Iterator[Dataset]:
        """Yield every dataset once, newest first, a page at a time."""
        known: set[DatasetId] = set()
        for offset in count(0, PAGE):
            found = self.all(limit=PAGE, offset=offset)
            # Where one is frozen meanwhile, the last of a page comes again as the first of the next.
            yield from (dataset for dataset in found if dataset.id not in known)
            known.update(dataset.id for dataset in found)
            if len(found) < PAGE:
                return

    def before(self, dataset: Dataset) -> list[Dataset]:
        """Return every earlier dataset, those of the same name first, newest first."""
        found = [other for other in self.every() if other.created_at < dataset.created_at]
        return sorted(found, key=lambda other: other.name != dataset.name)

    def get(self, dataset_id: DatasetId) -> Dataset:
        return store.get(self._db, dataset_id)

    def find(self, text: str) -> Dataset:
        """Return a dataset by its id, its name (the newest version) or `name@version`; raises NotFound."""
        name, _, version = text.rpartition("@") if re.search(r"@[0-9]+$", text) else ("", "", "")
        whole = store.named(self._db, text)  # a name may end so itself
        versions = store.named(self._db, name) if name and not whole else []
        for dataset in [*whole, *(one for one in versions if one.version == int(version))]:
            return dataset
        try:
            return self.get(DatasetId(parse_uuid(text, "dataset")))
        except InvalidInput as fault:
            raise NotFound(
                f"There is no dataset {text!r}.", remedy="`brightrun datasets` lists them."
            ) from fault

    def next_slug(self, chosen: ConversationFilter, *, name: str) -> str:
        """Return what the files will begin with of what is frozen next under a name."""
        name = _title(name)
        newest = self.newest(name)
        may_be_demo = chosen.writer in (None, WriterName.DEMO)
        has_demo = may_be_demo and self.matching(replace(chosen, writer=WriterName.DEMO.value)) > 0
        return _slug(name, newest.version + 1 if newest else 1, has_demo=has_demo)

    def report(self, dataset: Dataset, progress: Progress | None = None) -> Mapping[str, Any]:
        """Return what the checks found; counted at the first call and kept with the dataset."""
        if dataset.report is not None:
            return dataset.report
        survey, sample = Survey(), _Sample()
        for row, prepared in self.prepared(dataset, progress):
            survey.add(row, prepared)
            sample.add(row, prepared)
        found = survey.to_json() | {"variety": sample.to_json(), "generator": f"brightrun {__version__}"}
        if not may(role_of(self._db), Action.FREEZE_DATASET):
            return found
        return store.keep_report(self._db, dataset.id, found)

    def manifest(self, dataset: Dataset, progress: Progress | None = None) -> dict[str, Any]:
        """Return what must be known of the whole; the same for ever."""
        report = dict(self.report(dataset, progress))
        return {
            "schema": 1,
            "name": dataset.name,
            "version": dataset.version,
            "id": dataset.id,
            "created_at": dataset.created_at.isoformat(),
            "created_by": dataset.created_by,
            "generator": report.pop("generator"),
            "filter": dict(dataset.filter) | {"status": "approved"},
            "options": dataset.options.to_json(),
            "frozen_rows": dataset.row_count,
            "duplicates": dataset.duplicate_count,
            "demo_rows": dataset.demo_count,
            "prices": list(dataset.prices),
            "report": report,
            **_near_duplicates(dataset),
            **_verdicts(report),
        }

    def compare(self, older: Dataset, newer: Dataset) -> Comparison:
        """Return what was added, removed, changed or moved to another split from one to the other."""
        return store.compare(self._db, older.id, newer.id, limit=DIFFERENCES)

    def repeated(self, dataset: Dataset) -> Dataset | None:
        """Return the version before of the same name, where this one says nothing else."""
        earlier = [each for each in store.named(self._db, dataset.name) if each.version < dataset.version]
        if not earlier or _made(earlier[0]) != _made(dataset):
            return None
        return None if self.compare(earlier[0], dataset).differs else earlier[0]

    def prepared(self, dataset: Dataset, progress: Progress | None = None) -> Iterator[tuple[Row, Prepared]]:
        """Yield every frozen conversation with what the rules make of it, in the order of the dataset."""
        total = dataset.row_count + dataset.rejected_count
        for row in _counted(store.rows(self._db, dataset), total, progress):
            yield row, prepare(row, dataset.options)

    def rows(self, dataset: Dataset, progress: Progress | None = None) -> Iterator[Row]:
        """Yield the rows that may leave, rejected ones at the end."""
        for _, prepared in self.prepared(dataset, progress):
            yield from prepared.rows


class _Sample:
    """The conversations with the first ids, which are random: what the figures of the whole set are taken from."""

    def __init__(self) -> None:
        self._said: list[Said] = []

    def add(self, row: Row, prepared: Prepared) -> None:
        if row.decision != "approved" or not prepared.rows:
            return
        text = "\n".join(message["content"] for message in row.spoken)
        answers = [message["content"] for message in row.spoken if message["role"] == "assistant"]
        keys = (row.persona_key, row.arc_key, row.topic_key)
        cell = " ".join(map(str, keys)) if any(keys) else ""
        self._said.append(Said(str(row.key), text, answers, cell))
        if len(self._said) >= 2 * SAMPLE:
            self._cut()

    def to_json(self) -> dict[str, Any]:
        """Return each figure beside its limit, and the verdict; near-duplicates are told of the whole set elsewhere."""
        self._cut()
        found = measure(self._said)
        return {
            "sample_rows": found.measured,
            "verdict": found.story(),
            "figures": {
                tell.figure.value: {
                    "value": round(tell.value, 3),
                    "at_least" if tell.limit.is_least else "at_most": tell.limit.value,
                }
                for tell in found.tells
                if tell.figure is not Figure.NEAR_DUPLICATES
            },
        }

    def _cut(self) -> None:
        self._said = sorted(self._said, key=lambda said: said.id)[:SAMPLE]


def _counted(entries: Iterator[T], total: int, progress: Progress | None) -> Iterator[T]:
    """Pass everything on, and tell how far that is."""
    for number, entry in enumerate(entries, 1):
        yield entry
        if progress and (number % PROGRESS_ROWS == 0 or number == total):
            progress(number, total)


def _made(dataset: Dataset) -> tuple[object, ...]:
    """What two datasets share that may be the same, seen without looking at their rows."""
    return dataset.options, dataset.row_count, dataset.rejected_count


def slug(dataset: Dataset) -> str:
    """Return the beginning of every file name: name, version, and whether demo text is in it."""
    return _slug(dataset.name, dataset.version, has_demo=dataset.demo_count > 0)


def _slug(name: str, version: int, *, has_demo: bool) -> str:
    short = file_stem(name) or "dataset"
    return f"{short}-v{version}{'-demo' if has_demo else ''}"


def _near_duplicates(dataset: Dataset) -> dict[str, Any]:
    """Say what nearly repeats something; nothing in a dataset from before anybody looked."""
    return {} if dataset.near_duplicates is None else {"near_duplicates": dict(dataset.near_duplicates)}


def _verdicts(report: Mapping[str, Any]) -> dict[str, Any]:
    """Say what each format makes of answers kept out of training; nothing where there are none."""
    if not report.get("skipped_turns"):
        return {}
    formats = verdicts_by_format(report["skipped_within"])
    return {"skipped_turns": {"answers": report["skipped_turns"], "formats": formats}}


def _single(name: str) -> str:
    """Return a name with single spaces between its words."""
    return " ".join(name.split())


def _title(name: str) -> str:
    """Return a name that a dataset may have; raises InvalidInput for one that is empty or too long."""
    title = _single(name)
    if not 1 <= len(title) <= LONGEST_NAME:
        raise InvalidInput(
            f"A dataset's name has 1 to {LONGEST_NAME} characters; this one has {len(title)}.",
            remedy="Give it another name; nothing was frozen.",
        )
    return title


def _require_training(options: DatasetOptions) -> None:
    if options.validation + options.test >= 1:
        raise InvalidInput(
            f"{options.validation:.0%} to validate and {options.test:.0%} to test leave nothing to train on.",
            remedy="Leave at least half of the rows for training; nothing was frozen.",
        )


def _approved(chosen: ConversationFilter) -> ConversationFilter:
    if chosen.status not in (None, ConversationStatus.APPROVED):
        raise InvalidInput(
            f"Conversations that are {chosen.status.value.replace('_', ' ')} cannot be exported.",
            remedy="Only approved ones leave Bright Run; review them first.",
        )
    return chosen.narrowed(status=ConversationStatus.APPROVED)
