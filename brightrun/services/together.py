"""Calls that come while one is out are made as one: one commit for all of them, and one wait for what they all change."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from brightrun.domain.errors import DatabaseFault

MOST = 16
"""Calls that are made as one at most."""

A = TypeVar("A")
R = TypeVar("R")


@dataclass(slots=True, eq=False)
class _Call(Generic[A, R]):
    """What one thread asks, and what came of it."""

    given: A
    answers: list[R] = field(default_factory=list)
    fault: BaseException | None = None
    turn: threading.Event = field(default_factory=threading.Event)
    """Set when it is answered, or else when it is first in line."""


class Together(Generic[A, R]):
    """Safe between threads; who is alone makes its own call at once."""

    def __init__(self, alone: Callable[[A], R], together: Callable[[Sequence[A]], Sequence[R]]) -> None:
        """`together` does what `alone` does for each, all or nothing, and answers in their order."""
        self._alone = alone
        self._together = together
        self._line: deque[_Call[A, R]] = deque()
        self._lock = threading.Lock()
        self._is_out = False

    def __call__(self, given: A) -> R:
        """Return what `alone` returns and raise what it raises."""
        mine: _Call[A, R] | None = None
        with self._lock:
            if self._is_out:
                mine = _Call(given)
                self._line.append(mine)
            self._is_out = True
        if mine is None:
            try:
                return self._alone(given)
            finally:
                with self._lock:
                    self._hand_over()
        try:
            mine.turn.wait()
        except BaseException:
            self._leave(mine)
            raise
        if not mine.answers and mine.fault is None:
            self._make_first()
        if mine.fault is not None:
            raise mine.fault
        return mine.answers[0]

    def _leave(self, mine: _Call[A, R]) -> None:
        """Get out of the line, and let the next one make the calls where that was to be this one's."""
        with self._lock:
            if mine not in self._line:
                return  # it is being made: nobody hears what comes of it
            self._line.remove(mine)
            if mine.turn.is_set():
                self._hand_over()

    def _make_first(self) -> None:
        """Make the calls that wait; the first of those that came meanwhile makes the next ones."""
        with self._lock:
            calls = [self._line.popleft() for _ in range(min(MOST, len(self._line)))]
        self._make(calls)
        with self._lock:
            self._hand_over()
        for call in calls:
            call.turn.set()

    def _hand_over(self) -> None:
        self._is_out = bool(self._line)
        if self._line:
            self._line[0].turn.set()

    def _make(self, calls: Sequence[_Call[A, R]]) -> None:
        if len(calls) == 1:
            self._make_alone(calls)
            return
        try:
            for call, answer in zip(calls, self._together([call.given for call in calls]), strict=True):
                call.answers.append(answer)
        except DatabaseFault as fault:
            if not fault.is_transient:  # one of them is to blame, and not the others
                self._make_alone(calls)
                return
            for call in calls:
                call.fault = fault
        except BaseException as fault:  # noqa: BLE001 - raised again by those whose call it was
            for call in calls:
                call.fault = fault

    def _make_alone(self, calls: Sequence[_Call[A, R]]) -> None:
        for call in calls:
            try:
                call.answers.append(self._alone(call.given))
            except BaseException as fault:  # noqa: BLE001 - raised again by the one whose call it was
                call.fault = fault
