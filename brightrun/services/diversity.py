"""Measures how varied conversations are, and finds those that are nearly the same."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from brightrun import saol
from brightrun.domain.diversity import FEWEST, Diversity, Figure, Tell
from brightrun.domain.ids import JobId, TemplateVersionId
from brightrun.domain.text import words
from brightrun.services.clusters import LIKENESS, shingles
from brightrun.stores import diversity as store
from brightrun.stores.diversity import Said

SAMPLE = 300
"""Conversations whose figures are worked out: enough, and comparable between sets."""
TOKENS = 10_000
"""Words that lexical figures look at: they shrink as a text grows, so all sets get the same number."""
BLEU_TURNS = 60
OPENER_WORDS = 4
PERMUTATIONS = 128
BANDS = 32
SEED = 42
MOST_PAIRS = 2_000


class Diversities:
    """Looks at what is written; changes nothing and calls nobody."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db

    def of_job(self, job_id: JobId) -> Diversity:
        """Return how varied the conversations of a batch are."""
        return measure(store.said(self._db, [("job_id", "eq", job_id)]))

    def of_version(self, version_id: TemplateVersionId) -> Diversity:
        """Return how varied what a template version wrote is."""
        return measure(store.said(self._db, [("template_version_id", "eq", version_id)]))

    def of_approved(self) -> Diversity:
        """Return how varied everything approved is: what the next dataset would hold."""
        return measure(store.said(self._db, [("status", "eq", "approved")]))


def measure(said: Sequence[Said]) -> Diversity:
    """Return the figures of conversations; the ids decide which of many are sampled."""
    if len(said) < FEWEST:
        return Diversity(len(said), len(said))
    pairs = near_duplicates([(one.id, one.text) for one in said])
    sample = sorted(said, key=lambda one: one.id)[:SAMPLE]
    answers = _budgeted(answer for one in sample for answer in one.answers)
    vendi, neighbour = _likeness([one.text for one in sample])
    doubled = {key for pair in pairs for key in pair[:2]}
    tells = [
        Tell(Figure.DISTINCT_2, _distinct(answers, 2)),
        Tell(Figure.DISTINCT_3, _distinct(answers, 3)),
        Tell(Figure.VENDI, vendi),
        Tell(Figure.NEIGHBOUR_P95, neighbour),
        Tell(Figure.GZIP, _packing(_budgeted(one.text for one in sample))),
        Tell(Figure.SELF_BLEU, _self_bleu(answers)),
        Tell(Figure.OPENER, _opener_share(answers)),
        Tell(Figure.REPEATED, _repeated(answers)),
        Tell(Figure.NEAR_DUPLICATES, len(doubled) / len(said)),
    ]
    return Diversity(len(said), len(sample), tells, pairs)


def near_duplicates(
    texts: Sequence[tuple[str, str]], *, likeness: float = LIKENESS
) -> list[tuple[str, str, float]]:
    """Return pairs of ids whose word shingles overlap by at least `likeness` (Jaccard), the most alike first.

    Candidates come from MinHash LSH, each pair is then counted exactly.
    """
    from rensa import RMinHash, RMinHashLSH

    sets = [shingles(text) for _, text in texts]
    index = RMinHashLSH(threshold=likeness, num_perm=PERMUTATIONS, num_bands=BANDS)
    hashes = []
    for place, held in enumerate(sets):
        made = RMinHash(num_perm=PERMUTATIONS, seed=SEED)
        made.update(list(held))
        hashes.append(made)
        index.insert(place, made)
    found: dict[tuple[int, int], float] = {}
    for place, made in enumerate(hashes):
        for other in index.query(made):
            pair = (min(place, other), max(place, other))
            if place != other and pair not in found and len(found) < MOST_PAIRS:
                found[pair] = _jaccard(sets[pair[0]], sets[pair[1]])
    alike = [(texts[a][0], texts[b][0], value) for (a, b), value in found.items() if value >= likeness]
    return sorted(alike, key=lambda pair: (-pair[2], pair[0], pair[1]))


def _jaccard(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)


def _budgeted(texts: Iterable[str]) -> list[str]:
    """Return the first texts, up to the number of words that every set gets."""
    taken: list[str] = []
    left = TOKENS
    for text in texts:
        if left <= 0:
            break
        taken.append(text)
        left -= len(words(text))
    return taken


def _distinct(answers: Iterable[str], size: int) -> float:
    """Return different n-grams by n-grams (Li et al., arXiv 1510.03055)."""
    tokens = [word for answer in answers for word in words(answer)]
    grams = [tuple(tokens[place : place + size]) for place in range(len(tokens) - size + 1)]
    return len(set(grams)) / len(grams) if grams else 0.0


def _likeness(texts: Sequence[str]) -> tuple[float, float]:
    """Return the Vendi score by the number of texts, and the 95th percentile of the nearest neighbour's cosine."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit_transform(texts)
    kernel = (vectors @ vectors.T).toarray()
    values = np.linalg.eigvalsh(kernel / len(texts))
    values = values[values > 1e-12]
    vendi = float(np.exp(-np.sum(values * np.log(values)))) / len(texts)
    np.fill_diagonal(kernel, 0.0)
    return vendi, float(np.percentile(kernel.max(axis=1), 95))


def _packing(texts: Sequence[str]) -> float:
    """Return the size of texts by their size when packed."""
    data = "\n".join(texts).encode("utf-8", "replace")
    return len(data) / len(gzip.compress(data, 9, mtime=0)) if data else 0.0


def _self_bleu(answers: Sequence[str]) -> float:
    """Return the mean BLEU of answers against all others, evenly taken from the set (arXiv 1802.01886)."""
    from sacrebleu.metrics.bleu import BLEU

    step = max(1, len(answers) // BLEU_TURNS)
    taken = list(answers[::step])[:BLEU_TURNS]
    bleu = BLEU(effective_order=True)
    scores = [
        bleu.sentence_score(answer, taken[:place] + taken[place + 1 :]).score
        for place, answer in enumerate(taken)
    ]
    return float(np.mean(scores)) / 100 if scores else 0.0


def _opener_share(answers: Sequence[str]) -> float:
    openers = Counter(" ".join(words(answer)[:OPENER_WORDS]) for answer in answers)
    return openers.most_common(1)[0][1] / len(answers) if answers else 0.0


def _repeated(answers: Sequence[str]) -> float:
    counts = Counter(re.sub(r"\s+", " ", answer).strip().lower() for answer in answers)
    return sum(times for times in counts.values() if times > 1) / len(answers) if answers else 0.0
