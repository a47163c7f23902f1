"""Finds the conversations that nearly repeat each other, in memory that grows by a kilobyte a conversation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain, islice
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from brightrun.domain.standard import STANDARD
from brightrun.domain.text import words

SHINGLE = 5
"""Words of a shingle."""
LIKENESS = STANDARD.likeness
"""A split keeps together what the usual line calls near-duplicates, whatever is set: rows placed once stay."""
PLACES = 256
BAND = 4
ESTIMATE = LIKENESS - 0.1
"""Sketches that agree in this share of their places count: four standard errors below, so that of near-duplicates
practically none is missed. Of what lies between, some counts too, which only keeps more together than must be."""
MOST = 500
"""Earlier rows of one band that a row is held against: only where hundreds repeat each other are there more."""
SEED = 42
AT_ONCE = 1_000
"""Texts that are sketched together: their shingles take eight bytes each."""

Places = NDArray[np.intp]
Sketch = NDArray[np.uint32]


def shingles(text: str) -> set[str]:
    """Return the runs of five words a text is made of."""
    tokens = words(text)
    if len(tokens) <= SHINGLE:
        return {" ".join(tokens)}
    return set(map(" ".join, zip(*(tokens[first:] for first in range(SHINGLE)), strict=False)))


def sketches_of(texts: Iterable[str], count: int, places: int) -> Sketch:
    """Return the MinHash (Broder 1997) of the shingles of `count` texts, a row of so many places for each."""
    from rensa import RMinHash

    sketches = np.zeros((count, places), dtype=np.uint32)
    left, row = iter(texts), 0
    while some := list(islice(left, AT_ONCE)):
        numbers = _Numbers()  # of these texts alone: the words of all would take ever more room
        runs, ends = _runs([_numbered(text, numbers) for text in some])
        made = RMinHash.digest_matrix_from_flat_token_hashes(runs, ends, places, SEED)
        sketches[row : row + len(some)] = made.to_rows()
        row += len(some)
    return sketches


class Bands:
    """Which earlier rows of sketches agree with a row in a whole band of places."""

    def __init__(self, sketches: Sketch, band: int, *, most: int | None = None) -> None:
        """Of the rows that share a band, each is told of the `most` before it."""
        self._most = most
        self._earlier: dict[int, list[Places]] = {}
        for row, found in self._shared(sketches, band):
            self._earlier.setdefault(row, []).append(found)
        self._rows = len(sketches)

    def earlier(self, row: int) -> Places:
        """Return the rows before a row that share a band with it, in their order."""
        found = np.zeros(self._rows if row in self._earlier else 0, dtype=bool)
        for members in self._earlier.get(row, ()):
            found[members] = True
        return np.flatnonzero(found)

    def _shared(self, sketches: Sketch, band: int) -> Iterator[tuple[int, Places]]:
        for start in range(0, sketches.shape[1], band):
            # Rows whose places differ get the same number once in 2^64 times, which only adds one to look at.
            numbers = sketches[:, start : start + band].astype(np.uint64) @ _powers(band)
            _, which, counts = np.unique(numbers, return_inverse=True, return_counts=True)
            order = np.argsort(which, kind="stable")
            ends = np.cumsum(counts)
            for number in np.flatnonzero(counts > 1):
                members = order[ends[number] - counts[number] : ends[number]]
                for at in range(1, len(members)):
                    first = 0 if self._most is None else max(0, at - self._most)
                    yield int(members[at]), members[first:at]


class Sketches:
    """MinHash sketches of texts, found again by bands of their places."""

    def __init__(self, texts: Iterable[str], count: int) -> None:
        """Sketch `count` texts, some at a time."""
        self._sketches = sketches_of(texts, count, PLACES)
        self._bands = Bands(self._sketches, BAND, most=MOST)

    def near(self, row: int, kept: AbstractSet[int]) -> Sequence[int]:
        """Return the kept ones of the texts before a text that it nearly repeats, in their order."""
        places = [place for place in self._bands.earlier(row).tolist() if place in kept]
        if not places:
            return ()
        alike = (self._sketches[places] == self._sketches[row]).mean(axis=1)
        return [place for place, share in zip(places, alike, strict=True) if share >= ESTIMATE]


class _Numbers(dict[str, int]):
    """A number for every word, the same in every process."""

    def __missing__(self, word: str) -> int:
        self[word] = number = crc32(word.encode("utf-8", "surrogatepass"))
        return number


def _numbered(text: str, numbers: _Numbers) -> list[int]:
    """Return the numbers of a text's words, and as many as a shingle takes at least."""
    said = list(map(numbers.__getitem__, words(text)))
    return said if len(said) >= SHINGLE else said + [0] * (SHINGLE - len(said))


def _runs(said: Sequence[Sequence[int]]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return a number for every shingle of texts, one after the other, and where each text's begin, and the last one's end."""
    lengths = np.array([len(text) for text in said])
    row = np.fromiter(chain.from_iterable(said), dtype=np.uint64, count=int(lengths.sum()))
    mixed = np.zeros(len(row) - SHINGLE + 1, dtype=np.uint64)
    for first, power in enumerate(_powers(SHINGLE)):
        mixed += row[first : first + len(mixed)] * power
    for shift, factor in _MIXING:  # the finalizer of SplitMix64 (Steele, Lea and Flood 2014)
        mixed = (mixed ^ (mixed >> shift)) * factor
    mixed ^= mixed >> np.uint64(31)
    within = np.ones(len(mixed), dtype=bool)
    for before in range(1, SHINGLE):  # a run that begins there would reach into the next text
        within[np.cumsum(lengths)[:-1] - before] = False
    ends = np.concatenate(([0], np.cumsum(lengths - SHINGLE + 1)))
    return mixed[within], ends.astype(np.uint64)


_MIXING = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)


def _powers(count: int) -> NDArray[np.uint64]:
    """Return so many powers of an odd number, by which numbers are added up to one."""
    return np.cumprod(np.full(count, 0x9E3779B97F4A7C15, dtype=np.uint64), dtype=np.uint64)
