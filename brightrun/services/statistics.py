"""How sure a figure is: intervals, exact tests and agreement, each by a library that is kept.

The libraries are imported where they are used: a shell that asks for nothing of this does not wait for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from brightrun.domain.insight import FEW, Band, Rate

CONFIDENCE = 0.95
FALSE_DISCOVERIES = 0.05
"""Among the pairs that are shown as standing out, the share that may do so by chance."""
LEAST_REJECTED = 5


def rate(hits: int, total: int) -> Rate | None:
    """Return a share with its 95 % interval by Wilson (1927), which holds for few cases too; None of nothing."""
    from scipy.stats import binomtest

    if not total:
        return None
    found = binomtest(hits, total).proportion_ci(CONFIDENCE, method="wilson")
    return Rate(hits, total, float(found.low), float(found.high))


def area(bands: Sequence[Band]) -> float | None:
    """Return the area under the ROC curve of scores, approved against rejected; None with few of either."""
    from sklearn.metrics import roc_auc_score

    used = [b for b in bands if b.decision in ("approved", "rejected")]
    approved = sum(b.times for b in used if b.decision == "approved")
    rejected = sum(b.times for b in used if b.decision == "rejected")
    if min(approved, rejected) < FEW:
        return None
    return float(
        roc_auc_score(
            [b.decision == "approved" for b in used],
            [b.score for b in used],
            sample_weight=[b.times for b in used],
        )
    )


def kappa(said: Mapping[tuple[str, str], int]) -> float | None:
    """Return Cohen's kappa of how often two people said what; None where both only ever said one thing."""
    from sklearn.metrics import cohen_kappa_score

    pairs = [pair for pair, times in said.items() if times]
    if len({word for pair in pairs for word in pair}) < 2:
        return None
    first, second = zip(*pairs, strict=True)
    times = [said[pair] for pair in pairs]
    return float(cohen_kappa_score(list(first), list(second), sample_weight=times))


@dataclass(frozen=True, slots=True)
class Ratio:
    """A rejection rate as a multiple of the rest's, with its 95 % interval."""

    times: float
    low: float
    high: float


def standing_out(pairs: Sequence[tuple[int, int]], rejected: int, decided: int) -> dict[int, Ratio]:
    """Return, by place, which pairs (rejected, decided) are rejected more often than the rest of the whole.

    Fisher's exact test, one-sided, with the false discoveries of all pairs together held at 5 % after
    Benjamini and Hochberg. Where the rest has no rejection there is no multiple, and the pair is left out.
    """
    from scipy.stats import false_discovery_control, hypergeom
    from scipy.stats.contingency import relative_risk

    if not pairs:
        return {}
    # The one-sided exact test of a two-by-two table is this tail of the hypergeometric distribution.
    chances = hypergeom.sf([bad - 1 for bad, _ in pairs], decided, rejected, [seen for _, seen in pairs])
    found = {}
    for place, chance in enumerate(false_discovery_control(chances.clip(0, 1))):
        bad, seen = pairs[place]
        if chance > FALSE_DISCOVERIES or bad < LEAST_REJECTED or bad == rejected:
            continue
        ratio = relative_risk(bad, seen, rejected - bad, decided - seen)
        limits = ratio.confidence_interval(CONFIDENCE)
        found[place] = Ratio(float(ratio.relative_risk), float(limits.low), float(limits.high))
    return found
