"""Figures as a person reads them."""

from __future__ import annotations

import pytest

from brightrun.ui.text import duration


@pytest.mark.parametrize(
    ("seconds", "said"), [(None, "–"), (0.4, "under 1 s"), (1.2, "1 s"), (61, "1 min 01 s")]
)
def test_what_took_less_than_a_second_took_no_nothing(seconds: float | None, said: str) -> None:
    """A batch of one that was quick took some time, and the page does not say none."""
    assert duration(seconds) == said
