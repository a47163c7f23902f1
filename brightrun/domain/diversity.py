"""How varied a set of conversations is: figures with their limits, and one verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

FEWEST = 20
"""Of fewer conversations no figure says anything."""


class Figure(StrEnum):
    """What is measured of a set."""

    DISTINCT_2 = "distinct_2"
    DISTINCT_3 = "distinct_3"
    VENDI = "vendi"
    NEIGHBOUR_P95 = "neighbour_p95"
    GZIP = "gzip_ratio"
    SELF_BLEU = "self_bleu"
    OPENER = "opener_share"
    REPEATED = "repeated_turns"
    NEAR_DUPLICATES = "near_duplicates"
    COVERAGE = "coverage_entropy"


LABELS = {
    Figure.DISTINCT_2: "Different word pairs",
    Figure.DISTINCT_3: "Different word triples",
    Figure.VENDI: "Really different conversations",
    Figure.NEIGHBOUR_P95: "Likeness to the nearest other",
    Figure.GZIP: "How far the text packs",
    Figure.SELF_BLEU: "Likeness of the answers",
    Figure.OPENER: "Answers that begin alike",
    Figure.REPEATED: "Answers said more than once",
    Figure.NEAR_DUPLICATES: "Near-duplicates",
    Figure.COVERAGE: "Evenness of combinations",
}
"""What a figure is called by people; its value is its name in files and for programs."""


@dataclass(frozen=True, slots=True)
class Limit:
    """From where on a figure warns; `is_least` where smaller is worse."""

    value: float
    is_least: bool
    meaning: str
    source: str
    counts: bool = True
    """Whether it takes part in the verdict."""


_TABLE = "proposed from measurements on six public sets of people's, models' and templated dialogues"
LIMITS = {
    Figure.DISTINCT_2: Limit(0.2, True, "share of pairs of words that differ, among 10,000", _TABLE),
    Figure.DISTINCT_3: Limit(
        0.25, True, "share of triples of words that differ, among 10,000", _TABLE, counts=False
    ),
    Figure.VENDI: Limit(
        0.5,
        True,
        "how many conversations it is worth, of each that was written",
        "Vendi score, arXiv 2210.02410",
    ),
    Figure.NEIGHBOUR_P95: Limit(
        0.7,
        False,
        "likeness to the nearest other, of the 5% most alike: 0 nothing shared, 1 the same",
        _TABLE,
    ),
    Figure.GZIP: Limit(
        6.0,
        False,
        "how many times smaller the text gets when packed: what repeats packs well",
        "Shaib et al., arXiv 2403.00553; limit " + _TABLE,
    ),
    Figure.SELF_BLEU: Limit(
        0.6,
        False,
        "likeness of an answer to the others: 0 nothing shared, 1 the same",
        "Self-BLEU, arXiv 1802.01886; limit " + _TABLE,
    ),
    Figure.OPENER: Limit(0.1, False, "share of answers that begin with the same four words", _TABLE),
    Figure.REPEATED: Limit(0.2, False, "share of answers that stand there more than once", _TABLE),
    Figure.NEAR_DUPLICATES: Limit(
        0.0,
        False,
        "share of conversations with a near-duplicate in the set",
        "Jaccard 0.8 of word 5-shingles",
        counts=False,
    ),
    Figure.COVERAGE: Limit(
        0.9,
        True,
        "how evenly the combinations of persona, arc and topic that occur are used: 1 all alike",
        "proposed; Shannon's entropy by the logarithm of how many there are",
        counts=False,
    ),
}
TEMPLATED = 2
"""So many warnings make a set templated. One alone comes of a narrow task: people in a call centre say the
same sentences, and their conversations still differ."""


@dataclass(frozen=True, slots=True)
class Tell:
    """One figure of a set beside its limit."""

    figure: Figure
    value: float

    @property
    def limit(self) -> Limit:
        return LIMITS[self.figure]

    @property
    def label(self) -> str:
        return LABELS[self.figure]

    @property
    def warns(self) -> bool:
        return self.value < self.limit.value if self.limit.is_least else self.value > self.limit.value


@dataclass(frozen=True, slots=True)
class Diversity:
    """The figures of a set; none where it is too small to say anything."""

    total: int
    """Conversations in the set."""
    measured: int
    """Conversations that were looked at."""
    tells: Sequence[Tell] = ()
    duplicates: Sequence[tuple[str, str, float]] = ()
    """Pairs of near-duplicates by id, with their likeness, the most alike first."""

    @property
    def warnings(self) -> int:
        return sum(tell.warns for tell in self.tells if tell.limit.counts)

    @property
    def is_templated(self) -> bool:
        return self.warnings >= TEMPLATED

    def story(self) -> str:
        """Say in one sentence what the figures come to."""
        if not self.tells:
            return f"Fewer than {FEWEST} conversations: too few to say how varied they are."
        counted = sum(tell.limit.counts for tell in self.tells)
        warned = (
            f"{self.warnings} of the {counted} figures that count {'warns' if self.warnings == 1 else 'warn'}"
        )
        if self.is_templated:
            return f"These conversations sound alike: {warned}. A model trained on them learns the pattern."
        return f"These conversations are varied enough: {warned}."
