"""Putting sentences together into a turn of the asked length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from brightrun.writers.demo.voice import Voice
from brightrun.writers.demo.wording import words

USER_WORDS = (15, 60)

Filler = Callable[[int], Sequence[str]]
"""Given the words that still fit, returns sentences to add; none when it has run dry."""


@dataclass(slots=True)
class Speech:
    """A turn in the making: what comes first, what it is about, what it ends on."""

    head: list[str] = field(default_factory=list)
    body: list[str] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)

    def count(self) -> int:
        return sum(words(text) for text in self._all())

    def text(self) -> str:
        return " ".join(self._all())

    def shorten(self, most: int) -> None:
        """Leave sentences out, the least needed first, until at most `most` words remain."""
        while self.count() > most and len(self._all()) > 1:
            (self.body or self.head or self.tail).pop()

    def _all(self) -> list[str]:
        return [text for text in (*self.head, *self.body, *self.tail) if text]


def said_once(voice: Voice, lines: Sequence[str]) -> Filler:
    """Return a filler that says one line at a time, each of them once."""

    def fill(room: int) -> Sequence[str]:
        text = voice.line(lines, room=room)
        return [text] if text else []

    return fill


def assistant_turn(
    voice: Voice,
    speech: Speech,
    limits: tuple[int, int],
    early: Sequence[Filler],
    late: Sequence[Filler],
    spare: Sequence[str],
) -> str:
    """Bring a turn to a length within the limits.

    Fillers are asked in turn until the length is right: those of `early` add to what comes first,
    those of `late` to the matter. `spare` may be said again where nothing else is left.
    """
    low, high = limits
    speech.shorten(high)
    if speech.count() > high:
        speech.tail = [voice.line(spare, room=high) or voice.line(spare, room=high, again=True)]
    target = low + round(voice.share(0.2, 0.6) * (high - low))
    fillers = [(filler, speech.head) for filler in early] + [(filler, speech.body) for filler in late]
    while fillers and speech.count() < target:
        filler, place = fillers.pop(0)
        added = filler(high - speech.count())
        if added:
            place.extend(added)
            fillers.append((filler, place))
    _stretch(voice, speech, low, high, spare)
    return speech.text()


def user_turn(voice: Voice, parts: Sequence[str], extras: Sequence[Filler], last: str = "") -> str:
    """Join what a user says, leaving out what makes it too long, filling up what is too short."""
    low, high = USER_WORDS
    room = high - words(last)
    said: list[str] = []
    for part in parts:
        if part and words(part) <= room:
            said.append(part)
            room -= words(part)
    for extra in extras:
        if high - room >= low:
            break
        added = extra(room)
        said.extend(added)
        room -= sum(words(text) for text in added)
    return " ".join([*said, last] if last else said)


def _stretch(voice: Voice, speech: Speech, low: int, high: int, spare: Sequence[str]) -> None:
    """Reach the lower limit at last, with sentences said in an earlier turn if need be."""
    mine = {*speech.head, *speech.body, *speech.tail}
    for _ in range(60):
        if speech.count() >= low:
            return
        room = high - speech.count()
        text = voice.line(spare, room=room) or voice.line(spare, room=room, again=True)
        if not text:
            return
        if text not in mine:
            speech.body.append(text)
            mine.add(text)
