"""Text as the database, JSON and trainers can hold it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import TypeVar

T = TypeVar("T")

STEM_BYTES = 120
"""Half of what file systems take (255 bytes), so that a version, a format and a suffix fit behind it."""
UNSTORABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_CONTROLS = bytes(code for code in range(128) if UNSTORABLE.match(chr(code)))
CONTROL_TOKEN = re.compile(
    r"<\|[^|>\n]{1,40}\|>|\[/?INST\]|<</?SYS>>|</?s>|<(?:start|end)_of_turn>|<(?:bos|eos|pad|image)>"
    r"|</?(?:think|tool_call|tool_response)>|\[(?:BOS|EOS|TOOL_CALLS|TOOL_RESULTS|AVAILABLE_TOOLS)\]",
    re.IGNORECASE,
)
"""What chat templates act on: in a text it would become a real control token at training time."""
ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]"
)
"""What a terminal obeys instead of showing it: escapes, carriage returns, changes of direction."""
_PICTURE = "\u2190-\u2bff\u3030\u303d\u3297\u3299\U0001f000-\U0001faff"
STRAY_JOINER = f"(?<![{_PICTURE}\ufe0f])\u200d|\u200d(?![{_PICTURE}])"
"""A zero-width joiner, as a part of an expression, that joins no two emoji: one that does is no hidden character."""
_JOINED = re.compile(
    f"[{_PICTURE}][\ufe0f\U0001f3fb-\U0001f3ff]?(?:\u200d[{_PICTURE}][\ufe0f\U0001f3fb-\U0001f3ff]?)+"
)
_MARKS = '.,;:!?…()[]{}<>"“”„–—/\\|*_#=+'
_PLAIN = bytes(ord(" ") if chr(code) in _MARKS else ord(chr(code).lower()) for code in range(128)) + bytes(
    128
)
"""Every ASCII character in lower case, marks as spaces: one look-up a byte, many times as fast as text's own."""
_WORD = re.compile(rf"[^\s{re.escape(_MARKS)}]+")


def is_storable(text: str) -> bool:
    """Whether a text holds no control character and no half character."""
    if text.isascii():  # what most text is, and twenty times as fast as the expression
        data = text.encode()
        return len(data.translate(None, _CONTROLS)) == len(data)
    return not UNSTORABLE.search(text)


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: white space, and characters that are there for their neighbours alone."""
    return all(sign.isspace() or unicodedata.category(sign) == "Cf" for sign in text)


def without_nul(value: T) -> T:
    """Return a text, or a list of texts, as it is; raises ValueError where the database could not hold it."""
    texts = value if isinstance(value, tuple) else (value,)
    if any(isinstance(text, str) and "\0" in text for text in texts):
        raise ValueError("it holds a NUL character (\\u0000), which the database cannot hold")
    return value


def clean(text: str) -> str:
    """Return text without control characters; lone surrogates become the replacement character."""
    if is_storable(text):
        return text
    return UNSTORABLE.sub(lambda found: "�" if found.group() >= "\ud800" else "", text)


def terminal_safe(text: str) -> str:
    """Return text that a terminal only shows: what it would obey becomes the replacement character."""
    return ACTING.sub("�", text) if ACTING.search(text) else text


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Return `1 conversation` or `1,200 conversations`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def shortened(text: str, limit: int) -> str:
    """Return text of at most so many characters: an ellipsis stands where it was cut, never within a joined emoji."""
    if len(text) <= limit:
        return text
    end = limit - 1
    for joined in _JOINED.finditer(text):
        if joined.start() < end < joined.end():
            end = joined.start()
    return text[:end].rstrip() + "…"


def file_stem(name: str) -> str:
    """Return a name as a file can have it, in its own script: letters, digits, marks and hyphens, at most 120 bytes."""
    signs = unicodedata.normalize("NFC", name.lower())
    kept = (sign if sign.isalnum() or unicodedata.category(sign)[0] == "M" else "-" for sign in signs)
    return re.sub("-+", "-", "".join(kept)).encode()[:STEM_BYTES].decode(errors="ignore").strip("-")


def for_example(text: str, known: Iterable[str], others: Iterable[str] | None = None) -> str:
    """Return a sentence that names what may be meant by a text: the likest, or else some of `others`, of those `known`."""
    every = list(known)
    named = get_close_matches(text, every, n=3) or list(every if others is None else others)[:5]
    return f"For example: {', '.join(named)}." if named else ""


def words(text: str) -> list[str]:
    """Return the words of a text, in lower case."""
    if text.isascii():
        return text.encode().translate(_PLAIN).decode().split()
    return _WORD.findall(text.lower())


@lru_cache(maxsize=32)  # a conversation's turns are counted by several rules, and for the row
def word_count(text: str) -> int:
    return len(text.split())
