"""Which conversations a filter means."""

from __future__ import annotations

import pytest

from brightrun.domain.review import ConversationFilter


@pytest.mark.parametrize(
    ("own", "asked", "expected"),
    [
        ((None, None), (0.0, 10.0), (None, None)),
        ((None, None), (0.0, 6.5), (None, 6.5)),
        ((7.0, None), (0.0, 10.0), (7.0, None)),
        ((7.0, 9.0), (8.0, 10.0), (8.0, 9.0)),
        ((None, 5.0), (6.0, 10.0), (6.0, 5.0)),
    ],
)
def test_a_narrower_range_of_scores_never_widens_the_filter(
    own: tuple[float | None, float | None],
    asked: tuple[float, float],
    expected: tuple[float | None, float | None],
) -> None:
    """What is decided on in one go is never more than the list that was filtered for."""
    found = ConversationFilter(min_score=own[0], max_score=own[1]).scored(*asked)
    assert (found.min_score, found.max_score) == expected
