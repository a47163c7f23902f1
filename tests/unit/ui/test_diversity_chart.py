"""The picture of variety: which side of its limit a figure stands on, and how far from it."""

from __future__ import annotations

import pytest

from brightrun.domain.diversity import Figure, Tell
from brightrun.ui.diversity_chart import limits


def distance(figure: Figure, value: float) -> float:
    """Where the bar of one figure ends."""
    (rows,) = [
        rows for rows in limits([Tell(figure, value)]).to_dict()["datasets"].values() if "name" in rows[0]
    ]
    return float(rows[0]["distance"])


@pytest.mark.parametrize(
    ("figure", "better", "limit", "worse"),
    [(Figure.SELF_BLEU, 0.4, 0.6, 0.8), (Figure.VENDI, 0.7, 0.5, 0.3), (Figure.GZIP, 4.0, 6.0, 8.0)],
)
def test_a_worse_figure_stands_farther_to_the_right(
    figure: Figure, better: float, limit: float, worse: float
) -> None:
    """A reader sees what is wrong by one side alone, whether a figure should be small or large."""
    assert distance(figure, better) < 0 == distance(figure, limit) < distance(figure, worse)


def test_no_figure_leaves_the_picture() -> None:
    """Nothing at all, and far too much, end at the border."""
    assert distance(Figure.REPEATED, 0.0) == distance(Figure.VENDI, 900.0) == -1
    assert distance(Figure.GZIP, 900.0) == distance(Figure.VENDI, 0.0) == 1
    assert (distance(Figure.NEAR_DUPLICATES, 0.0), distance(Figure.NEAR_DUPLICATES, 0.1)) == (-1, 1)
