"""Whether a conversation is of the persona and the arc that were ordered, as far as that can be computed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from brightrun.domain.conversation import Role, Turn
from brightrun.domain.rules import Finding, found
from brightrun.domain.scenario import Cast, EmotionalArc, Persona
from brightrun.domain.standard import Standard

_ENDING = re.compile(
    r"(?:iousness|iously|ness|ful|ation|ated|ating|ieved|ief|ied|ious|iety|ety|ance|ence|ent|ing|ment|ity|ion"
    r"|ed|y|e|s)$"
)
_NAME = r"(?-i:([A-Z][a-z]{2,20}))\b(?!['’]s\b)"
_OWN_NAME = re.compile(rf"\b(?:my name is|my name['’]s|call me)\s+{_NAME}", re.IGNORECASE)
_CALLED = re.compile(
    rf"^(?:hi|hello|hey|dear|thank you|thanks|welcome)[,]?\s+{_NAME}\s*[,.!—-]", re.IGNORECASE
)
_NO_NAMES = frozenset(
    [
        "all",
        "and",
        "again",
        "back",
        "but",
        "dear",
        "everyone",
        "everybody",
        "folks",
        "friend",
        "for",
        "good",
        "goodbye",
        "hello",
        "maam",
        "madam",
        "mister",
        "miss",
        "nice",
        "sir",
        "still",
        "sorry",
        "thanks",
        "that",
        "the",
        "there",
        "this",
        "today",
        "welcome",
        "what",
        "yes",
        "you",
        "your",
    ]
)
_NOT = re.compile(r"n['’]t\b")
_WORDS = re.compile(r"[\w']+")
_PART = re.compile(r"\w+")
_NUMBER = re.compile(r"\d+")
_AGE = re.compile(r"\bI(?:'m|’m| am)(?: now| only| already)? (\d{2})(?:[- ]years?[- ]old|,| and\b|\.(?!\d))")
_QUOTED = re.compile(r"[“\"‘]([^”\"’]{4,80})[”\"’]")
_SAYING = re.compile(r"^saying (.{4,80})$", re.IGNORECASE)


def cast_findings(turns: Sequence[Turn], cast: Cast, standard: Standard) -> Iterator[Finding]:
    """Return where a conversation leaves its persona or its arc."""
    if cast.persona:
        yield from _persona(turns, cast.persona, standard)
    if cast.arc:
        yield from _intensity(turns, cast.arc, standard)
        yield from _feeling(turns, cast.arc)
        yield from _forbidden(turns, cast.arc)


def _persona(turns: Sequence[Turn], persona: Persona, standard: Standard) -> Iterator[Finding]:
    names = {part.lower() for part in _PART.findall(persona.name)}
    ages = [int(age) for age in _NUMBER.findall(persona.age_range)]
    for number, turn in enumerate(turns, 1):
        called = _own_name(turn.content) if turn.role is Role.USER else _CALLED.match(turn.content)
        name = called.group(1) if called else ""
        if name and names and name.lower() not in names | _NO_NAMES:
            yield found("WRONG_NAME", f"It says {name}; the persona is {persona.name}.", number)
        if turn.role is not Role.USER or not ages:
            continue
        said = _AGE.search(turn.content) if "I" in turn.content else None
        low, high = min(ages) - standard.age_slack, max(ages) + standard.age_slack
        if said and not low <= int(said.group(1)) <= high:
            yield found("WRONG_AGE", f"It says {said.group(1)}; the persona is {persona.age_range}.", number)


def _own_name(text: str) -> re.Match[str] | None:
    """Look for the two words first, which is many times faster than looking for the pattern."""
    lower = text.lower()
    return _OWN_NAME.search(text) if "my name" in lower or "call me" in lower else None


def _intensity(turns: Sequence[Turn], arc: EmotionalArc, standard: Standard) -> Iterator[Finding]:
    felt = [(n, t.emotion) for n, t in enumerate(turns, 1) if t.role is Role.USER and t.emotion]
    if not felt:
        return
    slack = standard.intensity_slack + 1e-9
    number, first = felt[0]
    low, high = arc.starting_intensity_min, arc.starting_intensity_max
    if first.intensity is not None and not low - slack <= first.intensity <= high + slack:
        said = f"It starts at intensity {first.intensity:.2f}; the arc starts at {low:.2f} to {high:.2f}."
        yield found("START_INTENSITY", said, number)
    number, last = felt[-1]
    low, high = arc.ending_intensity_min, arc.ending_intensity_max
    if len(felt) < 2 or last.intensity is None or not same_feeling(last.primary, arc.ending_emotion):
        return  # how strong another feeling is says nothing of the arc's end
    if not low - slack <= last.intensity <= high + slack:
        said = f"It ends at intensity {last.intensity:.2f}; the arc ends at {low:.2f} to {high:.2f}."
        yield found("END_INTENSITY", said, number)


def _feeling(turns: Sequence[Turn], arc: EmotionalArc) -> Iterator[Finding]:
    felt = [(n, t.emotion.primary) for n, t in enumerate(turns, 1) if t.role is Role.USER and t.emotion]
    if not felt:
        return
    (first_number, first), (last_number, last) = felt[0], felt[-1]
    if not same_feeling(first, arc.starting_emotion):
        said = f"It starts with {first}; the arc starts with {arc.starting_emotion}."
        yield found("START_EMOTION", said, first_number)
    if len(felt) < 2:
        return
    if same_feeling(first, last) and same_feeling(last, arc.starting_emotion):
        yield found("ARC_STANDS_STILL", f"The feeling stays {last} to the end.", last_number)
    elif not same_feeling(last, arc.ending_emotion):
        said = f"It ends with {last}; the arc ends with {arc.ending_emotion}."
        yield found("END_EMOTION", said, last_number)


def _forbidden(turns: Sequence[Turn], arc: EmotionalArc) -> Iterator[Finding]:
    """Look for phrases that the arc quotes among its tactics to avoid, or names as a saying."""
    phrases = [phrase for tactic in arc.avoid_tactics for phrase in _phrases(tactic)]
    if not phrases:
        return
    for number, turn in enumerate(turns, 1):
        text = _plain(turn.content) if turn.role is Role.ASSISTANT else ""
        said = next((phrase for phrase, plain in phrases if plain in text), None)
        if said:
            yield found("FORBIDDEN_PHRASE", f"The assistant says “{said}”, which the arc avoids.", number)


@lru_cache(maxsize=256)
def _phrases(tactic: str) -> list[tuple[str, str]]:
    """Return the phrases a tactic names, each with the words that are looked for."""
    saying = _SAYING.match(tactic.strip())
    phrases = _QUOTED.findall(tactic) or ([saying.group(1)] if saying else [])
    return [(phrase, _plain(phrase)) for phrase in phrases]


def _plain(text: str) -> str:
    """Return the words of a text between single spaces, contractions of “not” spelled out."""
    spelled = _NOT.sub(" not", text.lower())
    return f" {' '.join(_WORDS.findall(spelled))} "


def same_feeling(one: str, other: str) -> bool:
    """Return whether two names of a feeling are of one stem, as “confused” and “confusion” are."""
    one, other = one.strip().lower(), other.strip().lower()
    return one == other or _ENDING.sub("", one) == _ENDING.sub("", other)
