"""Turning other people's text into grammatical pieces of a sentence."""

from __future__ import annotations

import re
import unicodedata

from brightrun.domain.text import STRAY_JOINER

_TAGS = re.compile(r"<[^<>]{0,200}>|\{\{?|\}\}?|[*_`#|~^\\]+|\[|\]|https?://\S+")
_BULLET = re.compile(r"(?:^|\s)[-–—•]+\s+|\s*;\s+|\n+\s*")
_SENTENCE_END = re.compile(
    r"(?<!\b(?:Dr|Mr|Ms|St|No|vs)\.)(?<!\bMrs\.)(?<!\b[ei]\.[ge]\.)(?<=[.!?])\s+(?=[A-Z\"'(])"
)
_LABELLED = re.compile(r"(?:your )?([A-Za-z][A-Za-z ]{1,28}): ?(\S.*)", re.IGNORECASE)
_INSTRUCTION = re.compile(
    r"come up with|use your imagination|left panel|instruction|flow ?chart|ai assistant|tutorial"
    r"|your task|the user\b|this dialogue|^about you\b|the following|say hal+o|say hello|wizard|pretend|imagine",
    re.IGNORECASE,
)
_IMPERATIVE = re.compile(
    r"(?:please )?(search|find|book|schedule|reserve|check|ask|report|plan|order|cancel|get|make|call|play|help"
    r"|tell|explain|arrange|choose|pick|buy|request|inquire|try|organi[sz]e|rent|look|compare|change|add|remove"
    r"|return|track|update|describe|write|review|decide|prepare|set|start|discuss|negotiate|apply|convince|keep|use|go|take|give|show|bring|send|share|inform|confirm|notify|indicate"
    r"|complain|insist|enter|swap|open|close|fix|recover|move|meet|wait|respond|mention)\b",
    re.IGNORECASE,
)
_BEFORE_ME = (
    "for|to|with|of|by|from|help|helps|told|tell|tells|gave|gives|give|asks|asked|let|lets|near|around"
)
_AFTER_I = "are|were|can|could|will|would|have|want|need|should|must|do|did|like"
_FIRST_PERSON = (
    (r"\b(?:you are|you're|your are)\b", "I am"),
    (r"\bare you\b", "am I"),
    (r"\byou were\b", "I was"),
    (r"\byou've\b", "I have"),
    (r"\byou'd\b", "I would"),
    (r"\byou'll\b", "I will"),
    (r"\byourself\b", "myself"),
    (r"\byours\b", "mine"),
    (r"\byour\b", "my"),
    (rf"\b({_BEFORE_ME}) you\b(?! (?:{_AFTER_I})\b)", r"\1 me"),
    (r"\byou\b", "I"),
)
_SECOND_PERSON = (
    (r"\b(?:I am|I'm)\b", "you are"),
    (r"\b[Aa]m I\b", "are you"),
    (r"\bI was\b", "you were"),
    (r"\bI've\b", "you have"),
    (r"\bI'd\b", "you would"),
    (r"\bI'll\b", "you will"),
    (r"\b(?:I|me)\b", "you"),
    (r"\b[Mm]yself\b", "yourself"),
    (r"\b[Mm]ine\b", "yours"),
    (r"\b[Mm]y\b", "your"),
)
_PROPER = {
    "roth",
    "ira",
    "iras",
    "medicare",
    "medicaid",
    "social",
    "security",
    "irs",
    "esg",
    "hsa",
    "cpa",
    "hr",
    "it",
}
_STRAY_JOINER = re.compile(STRAY_JOINER)
_NO_ARTICLE = {"retired", "unemployed", "self-employed", "freelance", "freelancing", "studying", "disabled"}


def clean(text: str) -> str:
    """Return plain text on one line: no markup, no placeholders, no control characters."""
    text = "".join(" " if unicodedata.category(c)[0] == "C" and c != "\u200d" else c for c in text)
    text = _STRAY_JOINER.sub(" ", text)
    text = _TAGS.sub(" ", text)
    text = re.sub(r"\s+", " ", text).strip()
    return re.sub(r"\s+([,.;:!?])", r"\1", text)


def words(text: str) -> int:
    return len(text.split())


def sentence(text: str) -> str:
    """Begin with a capital and end with a full stop where no mark ends it."""
    text = re.sub(r"\s+", " ", text).strip().rstrip(",;: ")
    if not text:
        return ""
    text = re.sub(r"\.(?:\s*\.)+$", ".", text[0].upper() + text[1:])
    text = re.sub(r"[,;:]+(?=[.!?]$)", "", text)
    return text if text[-1] in ".!?" else f"{text}."


def with_article(noun: str) -> str:
    """Put `a` or `an` before a noun, by its sound."""
    first = noun.split()[0].lower()
    if first in {"a", "an", "the", "my"} or first in _NO_ARTICLE:
        return noun
    if re.match(r"(?:uni|use|usu|euro|one\b|u[bcdfgkpt]i)", first):
        return f"a {noun}"
    initials = noun.split()[0].isupper() and len(first) <= 4
    vowel = (
        noun[0] in "AEFHILMNORSX"
        if initials
        else first[0] in "aeiou" or first.startswith(("hour", "hono", "heir"))
    )
    return f"an {noun}" if vowel else f"a {noun}"


def lowered(phrase: str) -> str:
    """Lower the capitals of a title, keeping names and abbreviations."""
    return " ".join(_lowered_word(word) for word in phrase.split())


def noun_phrase(text: str, limit: int = 12) -> str | None:
    """Return text that can stand after `it is about`, or None when it cannot."""
    text = clean(text).rstrip(".;,: ")
    first = text.split()[0].lower() if text else ""
    if (
        not text
        or words(text) > limit
        or text[-1] in "?!"
        or first in {"i", "we", "how", "am", "is", "do", "can"}
    ):
        return None
    return _lowered_word(text.split()[0]) + text[len(text.split()[0]) :]


def statements(text: str, limit: int = 30) -> list[str]:
    """Return what a text says as sentences that its own person could speak, instructions left out."""
    found: list[str] = []
    for piece in _BULLET.split(_without_markup_lines(text)):
        for raw in _SENTENCE_END.split(clean(piece)):
            spoken = _spoken(raw, limit)
            if spoken and spoken not in found:
                found.append(_continued(spoken) if found else spoken)
    return found


def first_person(text: str) -> str:
    """Let a text that addresses somebody as `you` speak for them."""
    for pattern, spoken in _FIRST_PERSON:
        text = re.sub(pattern, spoken, text, flags=re.IGNORECASE)
    return re.sub(r"\ba (\w\S*)", lambda m: with_article(m[1]), text)


def second_person(text: str) -> str:
    """Turn what somebody says of themselves back to them."""
    for pattern, spoken in _SECOND_PERSON:
        text = re.sub(pattern, spoken, text)
    return text


def _without_markup_lines(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())


def _lowered_word(word: str) -> str:
    plain = word.strip("(),.'\"").lower()
    is_title = len(word) > 1 and word[0].isupper() and word[1:].islower()
    return word.lower() if is_title and plain not in _PROPER else word


def _spoken(raw: str, limit: int) -> str | None:
    raw = raw.strip(" -–—,")
    if words(raw) < 2 or raw.endswith(":") or _INSTRUCTION.search(raw):
        return None
    raw = _shortened(raw, limit)
    if not raw:
        return None
    labelled = _LABELLED.fullmatch(raw)
    if labelled:
        label = re.sub(r" (?:is|are)$", "", labelled[1].strip().lower())
        value = first_person(labelled[2])
        return sentence(f"My {label} is{':' if value.startswith(('I ', 'my ')) else ''} {value}")
    if _IMPERATIVE.match(raw):
        rest = re.sub(r"^please ", "", raw, flags=re.IGNORECASE)
        return sentence(f"I would like to {first_person(rest[0].lower() + rest[1:])}")
    if re.search(r"\b(?:you|your|you're|you've|you'd)\b", raw, re.IGNORECASE):
        return sentence(first_person(raw))
    if re.match(r"(?:I|I'm|I've|My|We|Our|Today|It|There)\b", raw):
        return sentence(raw)
    if re.match(r"\w+ing\b", raw) or words(raw) < 6:
        return sentence(f"I need help with {raw[0].lower() if not raw[:2].isupper() else raw[0]}{raw[1:]}")
    return sentence(f"The situation is this: {raw}")


def _continued(text: str) -> str:
    """Join a further sentence about the same situation to the first one."""
    rest = text.removeprefix("The situation is this: ")
    return text if rest == text else f"Also, {_lowered_word(rest.split()[0])}{rest[len(rest.split()[0]) :]}"


def _shortened(text: str, limit: int) -> str:
    """Cut a long sentence at the last clause that fits; empty when there is none."""
    parts = text.split()
    if len(parts) <= limit:
        return text
    for end in range(limit, 7, -1):
        if parts[end - 1].endswith((",", ";")) or parts[end] in {"and", "but", "because", "so"}:
            return " ".join(parts[:end]).rstrip(",;")
    return ""
