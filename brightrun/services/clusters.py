"""Finds the conversations that nearly repeat each other, in memory that grows by a kilobyte a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from brightrun.domain.standard import STANDARD
from brightrun.domain.text import words

if TYPE_CHECKING:
    from rensa import RMinHash

SHINGLE = 5
"""Words of a shingle."""
LIKENESS = STANDARD.likeness
"""A split keeps together what the usual line calls near-duplicates, whatever is set: rows placed once never move."""
PLACES = 256
BAND = 4
ESTIMATE = LIKENESS - 0.1
"""Sketches that agree in this share of their places count: four standard errors below, so that of near-duplicates
practically none is missed. Of what lies between, some counts too, which only keeps more together than must be."""
MOST = 500
"""Earlier rows of one band that a row is held against: only where hundreds repeat each other are there more."""
SEED = 42

Places = NDArray[np.intp]


def shingles(text: str) -> set[str]:
    """Return the runs of five words a text is made of."""
    tokens = words(text)
    if len(tokens) <= SHINGLE:
        return {" ".join(tokens)}
    return set(map(" ".join, zip(*(tokens[first:] for first in range(SHINGLE)), strict=False)))


def min_hash(runs: AbstractSet[str], places: int) -> RMinHash:
    """Return the MinHash of a text's shingles (Broder 1997), of so many places."""
    from rensa import RMinHash

    made = RMinHash(num_perm=places, seed=SEED)
    made.update(list(runs))
    return made


class Sketches:
    """MinHash sketches of texts, found again by bands of their places."""

    def __init__(self, texts: Iterable[str], count: int) -> None:
        """Sketch `count` texts, one at a time."""
        self._sketches = np.zeros((count, PLACES), dtype=np.uint32)
        for row, text in enumerate(texts):
            self._sketches[row] = min_hash(shingles(text), PLACES).digest()
        self._earlier = self._banded()

    def near(self, row: int, kept: AbstractSet[int]) -> Sequence[int]:
        """Return the kept ones of the texts before a text that it nearly repeats, in their order."""
        bands = self._earlier.get(row)
        if bands is None:
            return ()
        places = [int(place) for place in np.unique(np.concatenate(bands)) if int(place) in kept]
        alike = (self._sketches[places] == self._sketches[row]).mean(axis=1)
        return [place for place, share in zip(places, alike, strict=True) if share >= ESTIMATE]

    def _banded(self) -> dict[int, list[Places]]:
        """Return, for each text that shares a band with earlier ones, those by band."""
        earlier: dict[int, list[Places]] = {}
        for row, found in self._shared():
            earlier.setdefault(row, []).append(found)
        return earlier

    def _shared(self) -> Iterator[tuple[int, Places]]:
        for start in range(0, PLACES, BAND):
            band = np.ascontiguousarray(self._sketches[:, start : start + BAND])
            keys = band.view(np.dtype((np.void, band.dtype.itemsize * BAND))).ravel()
            _, which, counts = np.unique(keys, return_inverse=True, return_counts=True)
            order = np.argsort(which, kind="stable")
            ends = np.cumsum(counts)
            for number in np.flatnonzero(counts > 1):
                members = order[ends[number] - counts[number] : ends[number]]
                for at in range(1, len(members)):
                    yield int(members[at]), members[max(0, at - MOST) : at]
