"""One conversation's memory and dice: which line is said next, and that none is said twice."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from brightrun.writers.demo.wording import sentence, words

T = TypeVar("T")

_CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
_NUMBER = re.compile(r"\{int:(\d+)-(\d+)\}")
_DOLLARS = re.compile(r"\{usd:(\d+)-(\d+):(\d+)\}")
_SLOT = re.compile(r"\{(\w+)\}")


class Voice:
    """Chooses lines by a seed alone, so that one order always gives the same conversation."""

    def __init__(self, seed: str, slots: Mapping[str, Sequence[str]], once: Sequence[str] = ()) -> None:
        # only random() is used: the standard library promises its sequence for every version
        self._dice = random.Random(int.from_bytes(hashlib.sha256(seed.encode("utf-8", "replace")).digest()))
        self._slots = {name: list(values) for name, values in slots.items()}
        self._once = once
        self._said: set[str] = set()

    def share(self, low: float, high: float) -> float:
        return low + (high - low) * self._dice.random()

    def chance(self, share: float) -> bool:
        return self._dice.random() < share

    def one_of(self, options: Sequence[T]) -> T:
        return options[int(self._dice.random() * len(options))]

    def shuffled(self, items: Iterable[T]) -> list[T]:
        return [
            item for _, item in sorted(((self._dice.random(), item) for item in items), key=lambda p: p[0])
        ]

    def line(self, lines: Sequence[str], *, room: int = 1000, again: bool = False) -> str:
        """Say one of the lines not said yet that has at most `room` words; empty when there is none."""
        for line in self.shuffled(lines):
            if (again or line not in self._said) and self._can_fill(line):
                text = self.say(line)
                if words(text) <= room:
                    self._said.add(line)
                    self._use_up(text)
                    return text
        return ""

    def say(self, line: str) -> str:
        """Fill a line's choices, numbers and slots."""
        line = _CHOICE.sub(lambda m: self.one_of(m[1].split("|")), line)
        line = _NUMBER.sub(lambda m: str(self._number(int(m[1]), int(m[2]), 1)), line)
        line = _DOLLARS.sub(lambda m: f"${self._number(int(m[1]), int(m[2]), int(m[3])):,}", line)
        line = _SLOT.sub(lambda m: self.one_of(self._slots[m[1]]), line)
        return sentence(_ordinal(line))

    def _can_fill(self, line: str) -> bool:
        return all(self._slots.get(name) for name in _SLOT.findall(line))

    def _use_up(self, text: str) -> None:
        """Forget values that must not come twice in one conversation."""
        for slot in self._once:
            self._slots[slot] = [value for value in self._slots.get(slot, []) if value not in text]

    def _number(self, low: int, high: int, step: int) -> int:
        return low + step * int(self._dice.random() * ((high - low) // step + 1))


def _ordinal(text: str) -> str:
    endings = {"1": "st", "2": "nd", "3": "rd"}

    def fixed(match: re.Match[str]) -> str:
        number = match[1]
        return number + ("th" if number[-2:] in {"11", "12", "13"} else endings.get(number[-1], "th"))

    return re.sub(r"\b(\d+)th\b", fixed, text)
