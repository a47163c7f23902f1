"""Holding a conversation against every rule: structure, length and repetition here, words and cast beside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, starmap

from brightrun.domain.casting import cast_findings
from brightrun.domain.conversation import Role, Turn
from brightrun.domain.rules import Finding, Severity, found
from brightrun.domain.scenario import Cast
from brightrun.domain.standard import STANDARD, Standard
from brightrun.domain.template import Prompt
from brightrun.domain.text import word_count
from brightrun.domain.wording import wording_findings

OPENING_WORDS = 4

_RANKS = {severity: rank for rank, severity in enumerate(Severity)}
_SENTENCE = re.compile(r"[^.!?…\n]+")
_LINES = bytes.maketrans(b".!?", b"\n\n\n")


def examine(
    turns: Sequence[Turn], *, cast: Cast, prompt: Prompt | None, standard: Standard = STANDARD
) -> list[Finding]:
    """Return every finding, blockers first, in the order of the turns."""
    seen = [
        *_shape(turns, prompt),
        *chain.from_iterable(starmap(wording_findings, enumerate(turns, 1))),
        *_length(turns, prompt, standard),
        *_repetition(turns, standard),
        *cast_findings(turns, cast, standard),
    ]
    return sorted(seen, key=lambda finding: (_RANKS[finding.severity], finding.turn or 0))


def _shape(turns: Sequence[Turn], prompt: Prompt | None) -> Iterator[Finding]:
    if len(turns) < 2:
        yield found(
            "INSUFFICIENT_TURNS", f"It has {'one turn' if turns else 'no turn'}; a conversation needs two."
        )
        return
    if turns[0].role is not Role.USER:
        yield found("STARTS_WITH_ASSISTANT", "The assistant speaks first; trainers expect the user.", 1)
    if turns[-1].role is not Role.ASSISTANT:
        yield found("ENDS_WITH_USER", "The user has the last word, so nothing answers it.", len(turns))
    for number in range(1, len(turns)):
        if turns[number].role is turns[number - 1].role:
            role = turns[number].role.value
            yield found("ROLE_NOT_ALTERNATING", f"Two {role} turns follow each other.", number + 1)
    answers = [turn for turn in turns if turn.role is Role.ASSISTANT]
    if answers and not any(turn.train for turn in answers):
        yield found(
            "NOTHING_TRAINED",
            "Every answer is skipped, so a model would learn nothing from it.",
            suggestion="Train on an answer, or reject it.",
        )
    if prompt and len(turns) != prompt.turns:
        yield found("TURN_COUNT", f"It has {len(turns)} turns; {prompt.turns} were asked for.")


def _length(turns: Sequence[Turn], prompt: Prompt | None, standard: Standard) -> Iterator[Finding]:
    counts = [word_count(turn.content) for turn in turns]
    if sum(counts) > standard.most_words:
        yield found(
            "LONG_CONVERSATION",
            f"It has {sum(counts):,} words; {standard.most_words:,} are the most trained on.",
        )
    if prompt is None:
        return
    low, high = prompt.words_min * standard.min_words_share, prompt.words_max * standard.max_words_share
    asked = f"{prompt.words_min} to {prompt.words_max} were asked for"
    for number, (turn, count) in enumerate(zip(turns, counts, strict=True), 1):
        if turn.role is Role.ASSISTANT and not low <= count <= high:
            code = "SHORT_TURN" if count < low else "LONG_TURN"
            yield found(code, f"The assistant says {count} words; {asked}.", number)


def _repetition(turns: Sequence[Turn], standard: Standard) -> Iterator[Finding]:
    yield from _repeated_turns(turns, standard)
    yield from _repeated_sentences(turns, standard)
    said = dict.fromkeys(turn.content.lower() for turn in turns if turn.role is Role.ASSISTANT)
    answers = [text.split() for text in said]  # what is said twice word for word is a repeated turn
    openers = Counter(tuple(words[:OPENING_WORDS]) for words in answers if len(words) >= OPENING_WORDS)
    for opener, count in openers.items():
        if count > 1:
            yield found("SAME_OPENING", f"{count} assistant turns begin with “{' '.join(opener)}”.")


def _repeated_turns(turns: Sequence[Turn], standard: Standard) -> Iterator[Finding]:
    """A short turn may well be said twice: “Thank you and goodbye.”"""
    seen: dict[str, int] = {}
    for number, turn in enumerate(turns, 1):
        text = turn.content.lower()
        if text in seen and word_count(text) >= standard.sentence_words:
            yield found("REPEATED_TURN", f"The turn repeats turn {seen[text]}.", number)
        seen.setdefault(text, number)


def _repeated_sentences(turns: Sequence[Turn], standard: Standard) -> Iterator[Finding]:
    """Sentences within a turn, and across the answers; a turn that is the same as a whole is told once."""
    seen: dict[str, int] = {}
    whole: set[str] = set()
    for number, turn in enumerate(turns, 1):
        text = turn.content.lower()
        sentences = _sentences(text)
        times = Counter(sentences) if len(set(sentences)) < len(sentences) else {}
        looped = [s for s, count in times.items() if count > standard.most_repeats and " " in s]
        if looped:
            yield found("LOOPING", f"It says {times[looped[0]]} times “{_short(looped[0])}”.", number)
        if turn.role is not Role.ASSISTANT or text in whole:
            continue
        whole.add(text)
        long = [s for s in sentences if s.count(" ") + 1 >= standard.sentence_words]
        again = next((s for s in long if s in seen), None)
        if again:
            yield found("REPEATED_SENTENCE", f"“{_short(again)}” is said in turn {seen[again]} too.", number)
        for sentence in long:
            seen.setdefault(sentence, number)


def _sentences(text: str) -> list[str]:
    """Return the sentences of a text with single spaces between their words."""
    if text.isascii():  # what most text is, and many times as fast as the expression
        pieces = [piece for piece in text.encode().translate(_LINES).decode().split("\n") if piece]
    else:
        pieces = _SENTENCE.findall(text)
    if "  " not in text and text.replace("\n", "").isprintable():  # then no other white space is in it
        return [piece.strip(" ") for piece in pieces]
    return [" ".join(piece.split()) for piece in pieces]


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:59]}…"
