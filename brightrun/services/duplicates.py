"""Near-duplicates: found within a batch or an import and against everything approved, and marked on the row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from brightrun import saol
from brightrun.domain.batch import Job, JobKind
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.ids import ImportId, JobId
from brightrun.domain.imports import Import
from brightrun.domain.person import Action
from brightrun.domain.rules import found
from brightrun.domain.standard import STANDARD, Standard
from brightrun.services.clusters import Bands, Places, Sketch, shingles, sketches_of
from brightrun.services.rights import needs
from brightrun.stores import duplicates as store
from brightrun.stores.duplicates import Told

PERMUTATIONS = 120
"""Places of a sketch; many numbers divide it, so that its bands can follow the likeness that is looked for."""
SURE = 0.99
"""How probably two that are as alike as is looked for, and no more, share a band."""
DEVIATIONS = 3.5
"""Sketches that agree in fewer places than this many standard deviations below are not counted out."""
MOST_PEERS = 20
"""Of a set in which everything is the same, each conversation is told of so many of the others."""
HELD = 2_000
"""Texts whose shingles are kept at once; a thousand words of them take a hundred kilobytes."""
AT_ONCE = 5_000
"""Conversations that are looked through in about two seconds; where there are more, a person asks for it."""
CODE = "NEAR_DUPLICATE"
_LEFT_OUT = (ConversationStatus.REJECTED, ConversationStatus.ARCHIVED)

Pair = tuple[str, str, float]


@dataclass(frozen=True, slots=True)
class Marked:
    """What a look for near-duplicates led to."""

    looked_at: int
    """Conversations of the batch or the import."""
    approved: int
    """Approved ones from elsewhere that they were held against."""
    marked: int

    def story(self) -> str:
        return (
            f"{self.marked:,} of {self.looked_at:,} conversations are nearly the same as an earlier one or as one of "
            f"{self.approved:,} approved elsewhere, and are flagged."
        )


class Duplicates:
    """Of two that are nearly the same the later one is marked, so that rejecting what is marked keeps one of each."""

    def __init__(self, db: saol.Database, standard: Standard = STANDARD) -> None:
        self._db = db
        self._standard = standard

    @needs(Action.REVIEW)
    def mark_job(self, job_id: JobId) -> Marked:
        """Mark a batch's conversations that repeat an earlier or an approved one, and clear marks that are over."""
        return self._mark("job_id", job_id, "batch")

    @needs(Action.REVIEW)
    def mark_import(self, import_id: ImportId) -> Marked:
        """Do the same for what was imported from one file."""
        return self._mark("import_id", import_id, "import")

    def mark_ended(self, job: Job) -> Marked | None:
        """Mark a batch that has just ended, where that takes a moment; None where it waits to be asked for."""
        if job.kind is not JobKind.WRITE or not self._is_moment(job.counts.completed):
            return None
        return self.mark_job(job.id)

    def mark_taken(self, found: Import) -> Marked | None:
        """Do the same for an import."""
        return self.mark_import(found.id) if self._is_moment(found.imported) else None

    def _is_moment(self, number: int) -> bool:
        return number > 0 and number + store.number(self._db, [("status", "eq", "approved")]) <= AT_ONCE

    def _mark(self, column: str, origin: JobId | ImportId, what: str) -> Marked:
        own = store.told(self._db, [(column, "eq", origin)])
        own_ids = {one.id for one in own}
        approved = [
            one for one in store.told(self._db, [("status", "eq", "approved")]) if one.id not in own_ids
        ]
        marks = _marks(own, approved, self._standard.likeness, what)
        rows = [
            {"id": one.id, "version": one.version, "marks": [marks[one.id]] if one.id in marks else []}
            for one in own
            if one.is_marked or one.id in marks
        ]
        return Marked(len(own), len(approved), store.mark(self._db, [CODE], rows))


def _marks(
    own: Sequence[Told], approved: Sequence[Told], likeness: float, what: str
) -> dict[str, dict[str, object]]:
    """Return the mark of each that repeats one that stands before it: approved ones first, then by age."""
    kept = [one for one in own if one.status not in _LEFT_OUT]
    kept.sort(key=lambda one: one.status is not ConversationStatus.APPROVED)
    standing = [*approved, *kept]
    place: dict[str, int] = {one.id: number for number, one in enumerate(standing)}
    best: dict[str, tuple[float, Told]] = {}
    first = len(approved)
    texts = [(one.id, one.text) for one in standing]
    for earlier, later, alike in near_duplicates(texts, likeness=likeness, since=first):
        if later not in best:  # the most alike come first
            best[later] = (alike, standing[place[earlier]])
    own_kind = f"an earlier conversation of its {what}"
    return {
        key: _told(alike, other, "an approved conversation" if place[other.id] < first else own_kind)
        for key, (alike, other) in best.items()
    }


def _told(alike: float, other: Told, where: str) -> dict[str, object]:
    seen = found(CODE, f"{alike:.0%} the same as {where}.", suggestion="Keep one of the two.")
    return seen.to_json() | {"other": other.id}


def near_duplicates(
    texts: Sequence[tuple[str, str]], *, likeness: float = STANDARD.likeness, since: int = 0
) -> list[Pair]:
    """Return pairs of ids, the earlier first, whose word shingles overlap by at least `likeness` (Jaccard), the most alike first.

    Candidates come from MinHash LSH, each pair is then counted exactly. Of the texts before `since` no two are
    held against each other.
    """
    sketches = sketches_of((text for _, text in texts), len(texts), PERMUTATIONS)
    bands = Bands(sketches, rows_for(likeness))
    least = likeness - DEVIATIONS * (likeness * (1 - likeness) / PERMUTATIONS) ** 0.5
    shingles_of = _kept_shingles(texts)
    pairs: list[Pair] = []
    for place in range(since, len(texts)):
        key, text = texts[place]
        for other in _promising(sketches, place, bands.earlier(place), least):
            same = text == texts[other][1]
            alike = 1.0 if same else jaccard(shingles_of(place), shingles_of(other))
            if alike >= likeness:
                pairs.append((texts[other][0], key, alike))
    return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))


def rows_for(likeness: float) -> int:
    """Return how many places a band has: as many as still let practically no pair through that is alike."""
    fitting = [rows for rows in range(1, 13) if PERMUTATIONS % rows == 0]
    sure = [rows for rows in fitting if 1 - (1 - likeness**rows) ** (PERMUTATIONS // rows) >= SURE]
    return max(sure, default=1)


def _promising(sketches: Sketch, place: int, candidates: Places, least: float) -> Sequence[int]:
    """Return the candidates whose sketch says that they may be alike, the likeliest first."""
    if not len(candidates):
        return ()
    agree = (sketches[candidates] == sketches[place]).mean(axis=1)
    likely = np.flatnonzero(agree >= least)
    best = likely[np.argsort(-agree[likely], kind="stable")][:MOST_PEERS]
    return [int(other) for other in candidates[best]]


def _kept_shingles(texts: Sequence[tuple[str, str]]) -> Callable[[int], frozenset[str]]:
    @lru_cache(HELD)
    def of(place: int) -> frozenset[str]:
        return frozenset(shingles(texts[place][1]))

    return of


def jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    """Return what two sets share, of all they hold."""
    return len(one & other) / len(one | other)
