"""A deadline holds whatever the call does, and changes nothing where the call is in time."""

from __future__ import annotations

import threading
import time

import pytest

from brightrun.writers.deadline import DeadlinePassed, within


def test_what_is_in_time_is_returned_or_raised() -> None:
    """A call's value or its error arrives as if it had been made directly."""

    def fail(_: threading.Event) -> None:
        raise KeyError("why")

    assert within(5, lambda _: 7) == 7
    with pytest.raises(KeyError, match="why"):
        within(5, fail)


def test_what_is_late_is_not_waited_for() -> None:
    """Whoever waits goes on at the deadline."""
    told: list[bool] = []
    started = time.monotonic()
    with pytest.raises(DeadlinePassed):
        within(0.05, lambda abandoned: told.append(abandoned.wait(10)))
    assert time.monotonic() - started < 2
    while not told:
        time.sleep(0.01)
    assert told == [True], "the call was not told that nobody waits"
