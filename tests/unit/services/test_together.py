"""Calls made as one: those that come while one is out share the next, and each gets its own answer or fault."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from brightrun.domain.errors import DatabaseFault
from brightrun.services.together import MOST, Together, _Call


class Doubling:
    """Doubles numbers, alone or several; while `gate` is closed a call is out."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.began = threading.Event()
        self.alone_calls: list[int] = []
        self.together_calls: list[list[int]] = []
        self.fault: DatabaseFault | None = None

    def alone(self, number: int) -> int:
        self.began.set()
        self.gate.wait(10)
        self.alone_calls.append(number)
        if number == 13:
            raise DatabaseFault("13 is refused", sqlstate="22023")
        return 2 * number

    def together(self, numbers: Sequence[int]) -> list[int]:
        self.together_calls.append(list(numbers))
        if self.fault:
            raise self.fault
        if 13 in numbers:
            raise DatabaseFault("one of them is refused", sqlstate="22023")
        return [2 * number for number in numbers]


def several(doubling: Doubling, numbers: Sequence[int]) -> list[int | str]:
    """Ask for each number from a thread of its own, while a call for 0 is out."""
    calls = Together(doubling.alone, doubling.together)

    def ask(number: int) -> int | str:
        try:
            return calls(number)
        except DatabaseFault as fault:
            return fault.message

    doubling.gate.clear()
    with ThreadPoolExecutor(len(numbers) + 1) as pool:
        first = pool.submit(ask, 0)
        assert doubling.began.wait(10)
        rest = []
        for number in numbers:
            rest.append(pool.submit(ask, number))
            while len(calls._line) < len(rest):
                pass
        doubling.gate.set()
        assert first.result(10) == 0
        return [one.result(10) for one in rest]


def test_who_is_alone_makes_its_own_call() -> None:
    """One slot after the other calls as ever, and nothing is put together."""
    doubling = Doubling()
    calls = Together(doubling.alone, doubling.together)
    assert [calls(1), calls(2)] == [2, 4]
    assert doubling.together_calls == []


def test_those_who_come_meanwhile_share_the_next_call() -> None:
    """Each gets its own answer, in the order in which they came, so many at once and no more."""
    doubling = Doubling()
    numbers = list(range(100, 100 + MOST + 3))
    assert several(doubling, numbers) == [2 * number for number in numbers]
    assert doubling.alone_calls == [0]
    assert doubling.together_calls == [numbers[:MOST], numbers[MOST:]]


def test_one_that_is_refused_spoils_it_for_nobody() -> None:
    """Where the database refuses the whole, each is asked alone, and only the one to blame hears of it."""
    doubling = Doubling()
    assert several(doubling, [1, 13, 2]) == [2, "13 is refused", 4]


def test_a_database_that_is_away_is_told_to_all() -> None:
    """A fault that passes is nobody's own: every slot hears of it once and tries again by itself."""
    doubling = Doubling()
    doubling.fault = DatabaseFault("restarting", sqlstate="57P01", is_transient=True)
    assert several(doubling, [1, 2]) == ["restarting", "restarting"]
    assert doubling.alone_calls == [0]
    doubling.fault = None
    assert several(doubling, [3]) == [6]


def test_any_other_fault_reaches_every_caller() -> None:
    """Nobody waits for ever for an answer that does not come."""

    class Broken(Doubling):
        def together(self, numbers: Sequence[int]) -> list[int]:
            raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        several(Broken(), [1, 2])


def test_who_leaves_the_line_holds_up_nobody() -> None:
    """A wait that is broken off, whoever's turn it was, leaves the others their answers."""
    doubling = Doubling()
    calls = Together(doubling.alone, doubling.together)
    doubling.gate.clear()
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(calls, 1)
        assert doubling.began.wait(10)
        leaver = _Call[int, int](2)
        calls._line.append(leaver)
        last = pool.submit(calls, 3)
        while len(calls._line) < 2:
            pass
        calls._leave(leaver)
        doubling.gate.set()
        assert [first.result(10), last.result(10)] == [2, 6]
        assert calls(4) == 8


def test_who_leaves_when_its_turn_has_come_lets_the_next_one_lead() -> None:
    """Nobody waits for one that was to make the calls and has gone."""
    doubling = Doubling()
    calls = Together(doubling.alone, doubling.together)
    leaver = _Call[int, int](2)
    leaver.turn.set()
    calls._line.append(leaver)
    calls._is_out = True
    with ThreadPoolExecutor(1) as pool:
        last = pool.submit(calls, 3)
        while len(calls._line) < 2:
            pass
        calls._leave(leaver)
        assert last.result(10) == 6
