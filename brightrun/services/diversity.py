"""Measures how varied conversations are, and finds those that are nearly the same."""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import numpy as np

from brightrun import saol
from brightrun.domain.diversity import FEWEST, Diversity, Figure, Tell
from brightrun.domain.ids import JobId, TemplateVersionId
from brightrun.domain.insight import Scope
from brightrun.domain.standard import STANDARD, Standard
from brightrun.domain.text import words
from brightrun.services.duplicates import near_duplicates
from brightrun.stores import diversity as store
from brightrun.stores.diversity import Said

SAMPLE = 300
"""Conversations whose figures are worked out: enough, and comparable between sets."""
TOKENS = 10_000
"""Words that lexical figures look at: they shrink as a text grows, so all sets get the same number."""
BLEU_TURNS = 60
OPENER_WORDS = 4
EVERYTHING = Scope()

Gram = tuple[str, ...]


class Diversities:
    """Looks at what is written; changes nothing and calls nobody."""

    def __init__(self, db: saol.Database, standard: Standard = STANDARD) -> None:
        self._db = db
        self._likeness = standard.likeness

    def of_job(self, job_id: JobId) -> Diversity:
        """Return how varied the conversations of a batch are."""
        return self._measure(store.said(self._db, [("job_id", "eq", job_id)]))

    def of_version(self, version_id: TemplateVersionId, scope: Scope = EVERYTHING) -> Diversity:
        """Return how varied what a template version wrote is, of a scope."""
        return self._measure(
            store.said(self._db, [("template_version_id", "eq", version_id), *_within(scope)])
        )

    def of_approved(self, scope: Scope = EVERYTHING) -> Diversity:
        """Return how varied everything approved of a scope is: of all, what the next dataset would hold."""
        return self._measure(store.said(self._db, [("status", "eq", "approved"), *_within(scope)]))

    def _measure(self, said: Sequence[Said]) -> Diversity:
        return measure(said, likeness=self._likeness)


def measure(said: Sequence[Said], *, likeness: float = STANDARD.likeness) -> Diversity:
    """Return the figures of conversations; their keys decide which of many are sampled, and whose words come first.

    They are the same here and in a dataset, so that one set has one measure wherever it is asked for.
    """
    if len(said) < FEWEST:
        return Diversity(len(said), len(said))
    pairs = near_duplicates([(one.id, one.text) for one in said], likeness=likeness)
    sample = sorted(said, key=lambda one: one.key or one.id)[:SAMPLE]
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
    evenness = _evenness(one.cell for one in said)
    if evenness is not None:
        tells.append(Tell(Figure.COVERAGE, evenness))
    return Diversity(len(said), len(sample), tells, pairs)


def _within(scope: Scope) -> list[tuple[str, str, object]]:
    """Return the conditions of a scope; its days are of UTC, both included, as the other figures count them."""
    found: list[tuple[str, str, object]] = []
    if scope.job_id:
        found.append(("job_id", "eq", scope.job_id))
    if scope.writer:
        found.append(("writer", "eq", scope.writer))
    if scope.since:
        found.append(("created_at", "gte", f"{scope.since}T00:00:00Z"))
    if scope.until:
        found.append(("created_at", "lt", f"{scope.until + timedelta(days=1)}T00:00:00Z"))
    return found


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
    """Return the mean BLEU of answers against all others, evenly taken from the set (arXiv 1802.01886).

    Each is what sacrebleu's `sentence_score` says of it, which would count the words of each answer again for all others.
    """
    from sacrebleu.metrics.bleu import BLEU, MAX_NGRAM_ORDER
    from sacrebleu.metrics.helpers import extract_all_word_ngrams

    step = max(1, len(answers) // BLEU_TURNS)
    tokens = BLEU().tokenizer
    taken = [
        extract_all_word_ngrams(tokens(answer.rstrip()), 1, MAX_NGRAM_ORDER)
        for answer in answers[::step][:BLEU_TURNS]
    ]
    if len(taken) < 2:
        return 0.0
    most = _most([grams for grams, _ in taken])
    scores: list[float] = []
    for place, (grams, length) in enumerate(taken):
        correct, total = [0] * MAX_NGRAM_ORDER, [0] * MAX_NGRAM_ORDER
        for gram, count in grams.items():
            highest, second = most[gram]
            total[len(gram) - 1] += count
            correct[len(gram) - 1] += min(count, second if count == highest else highest)
        others = [other for at, (_, other) in enumerate(taken) if at != place]
        closest = min(others, key=lambda other: (abs(other - length), other))
        score = BLEU.compute_bleu(
            correct, total, length, closest, smooth_method="exp", effective_order=True
        ).score
        scores.append(score)
    return float(np.mean(scores)) / 100


def _most(counted: Iterable[Mapping[Gram, int]]) -> dict[Gram, tuple[int, int]]:
    """Return the two highest counts of each n-gram in one text: whoever has the one is measured by the other."""
    most: dict[Gram, tuple[int, int]] = {}
    for grams in counted:
        for gram, count in grams.items():
            highest, second = most.get(gram, (0, 0))
            if count > second:
                most[gram] = (count, highest) if count > highest else (highest, count)
    return most


def _opener_share(answers: Sequence[str]) -> float:
    openers = Counter(" ".join(words(answer)[:OPENER_WORDS]) for answer in answers)
    return openers.most_common(1)[0][1] / len(answers) if answers else 0.0


def _repeated(answers: Sequence[str]) -> float:
    counts = Counter(re.sub(r"\s+", " ", answer).strip().lower() for answer in answers)
    return sum(times for times in counts.values() if times > 1) / len(answers) if answers else 0.0


def _evenness(cells: Iterable[str]) -> float | None:
    """Return the entropy of combinations by the most it could be; None where there are not two."""
    counts = np.array(list(Counter(cell for cell in cells if cell).values()), dtype=float)
    if len(counts) < 2:
        return None
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum() / np.log(len(counts)))
