"""What a persona, an arc and a topic give a speaker to say, made fit for the middle of a sentence."""

from __future__ import annotations

import re

from brightrun.domain.scenario import Cast
from brightrun.writers.demo.phrases import bank
from brightrun.writers.demo.wording import clean, lowered, noun_phrase, sentence, with_article, words

_QUESTION = re.compile(
    r"(?:how|what|why|when|where|who|which|should|can|could|is|are|am|do|does|will|would|if)\b", re.IGNORECASE
)
_SPOKEN = re.compile(r"(?:I|I'm|I've|My|This|What|Is|Am|How|Can|Do|Honestly|Maybe|Sorry|We|It|There|If)\b")


def slots(cast: Cast) -> dict[str, list[str]]:
    """Return the values that lines may be filled with, by slot; no entry where there is none."""
    persona, topic = cast.persona, cast.topic
    values: dict[str, list[str]] = {"topic": [topic_name(cast)]}
    if persona:
        values["name"] = clean(persona.name).split()[:1]
        values["occupation"] = _occupation(persona.occupation)
        values["concern"] = [c for text in persona.common_concerns if (c := noun_phrase(text))]
    if topic:
        concepts = [lowered(clean(text).strip(".,;: ")) for text in topic.key_concepts]
        values["concept"] = [concept for concept in concepts if 0 < words(concept) <= 6]
    return values


def _occupation(text: str) -> list[str]:
    noun = lowered(re.split(r"[,;(/]| - ", clean(text))[0].strip(" .")) if clean(text) else ""
    named = with_article(noun) if noun else ""
    return [named] if named.startswith(("a ", "an ", "the ")) else []


def topic_name(cast: Cast) -> str:
    """Return how a client calls the topic in the middle of a sentence."""
    if not cast.topic:
        return "all of this"
    names = bank("names")
    known = names["topics"].get(cast.topic.topic_key) or names["categories"].get(category(cast))
    return known[0] if known else f"the subject of {lowered(clean(cast.topic.name)) or 'money'}"


def category(cast: Cast) -> str:
    """Return the section of the topics that fits; `general` where there is no topic."""
    return re.sub(r"[^a-z]+", "_", cast.topic.category.lower()).strip("_") if cast.topic else "general"


def questions(cast: Cast) -> list[str]:
    """Return the questions a client typically begins with."""
    given = list(cast.topic.typical_question_examples) if cast.topic else []
    given += cast.persona.typical_questions if cast.persona and not given else ()
    found = []
    for text in map(clean, given):
        if 4 <= words(text) <= 28:
            ends = text[-1] in ".?!"
            found.append(sentence(text if ends or not _QUESTION.match(text) else f"{text}?"))
    return found


def phrases_of_arc(cast: Cast) -> list[str]:
    """Return the arc's own phrases that are whole sentences."""
    given = cast.arc.characteristic_phrases if cast.arc else ()
    whole = [clean(text) for text in given if not re.search(r"[\[\]{}…]|\.\.\.", text)]
    return [
        sentence(text)
        for text in whole
        if 4 <= words(text) <= 30 and text[0].isupper() and text[-1] not in ":,"
    ]


def patterns_of_persona(cast: Cast) -> list[str]:
    """Return the persona's own expressions that are whole sentences."""
    given = cast.persona.language_patterns if cast.persona else ()
    whole = [clean(text).strip("\"'“”") for text in given if not re.search(r"[\[\]{}…]|\.\.\.", text)]
    fits = [
        text for text in whole if 4 <= words(text) <= 18 and _SPOKEN.match(text) and text[-1] not in ",:;-"
    ]
    return [sentence(text) for text in fits if not text.endswith((" but", " and"))]
