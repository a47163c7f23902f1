"""Text for the screen: foreign words made harmless, and figures as a person reads them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from brightrun.domain.price import dollars
from brightrun.domain.text import STRAY_JOINER, counted, shortened

__all__ = ["ago", "counted", "distinct", "dollars", "duration", "label_safe", "named", "plain", "words"]

PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")
SHORTCODE = re.compile(r"\\:(?=[A-Za-z_+\\/])")
WORD_JOINER = "\u2060"
CONTROL = re.compile(
    r"(?:[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b\u200c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]"
    rf"|{STRAY_JOINER})+"
)


def label_safe(text: object, *, limit: int = 300) -> str:
    """Return foreign text as one line that no markdown place reads as markup.

    For labels, toasts, errors, captions and progress text. Longer text, and everything a model, a user or
    a template wrote, goes through st.text or st.code instead.
    """
    line = shortened(plain(text), limit)
    escaped = PUNCTUATION.sub(r"\\\1", line)
    # Emoji and icon shortcodes are looked up after escapes are gone, so the name is cut off its colon.
    return SHORTCODE.sub(rf"\\:{WORD_JOINER}", escaped)


def plain(text: object) -> str:
    """Return text as one line without control or direction characters, for places that show it as it is."""
    return " ".join(CONTROL.sub(" ", str(text)).split())


def distinct(labels: Sequence[tuple[str, str | None]], *, limit: int = 60) -> list[str]:
    """Return a short name for each (label, key) that no other has: equal ones share a place in a chart or a list."""
    short = [shortened(plain(label), limit) or "(no name)" for label, _ in labels]
    keyed = [
        name if short.count(name) == 1 else f"{name} ({shortened(plain(key or 'none'), limit)})"
        for name, (_, key) in zip(short, labels, strict=True)
    ]
    return [name if keyed.count(name) == 1 else f"{name} #{at + 1}" for at, name in enumerate(keyed)]


def named(labels: Mapping[str, str], *, limit: int = 60) -> dict[str, str]:
    """Return labels by their keys, each short and unlike every other."""
    pairs = [(label, key) for key, label in labels.items()]
    return dict(zip(labels, distinct(pairs, limit=limit), strict=True))


def words(value: str) -> str:
    """Return a key or status as words: `pending_review` as `Pending review`."""
    text = value.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def duration(seconds: float | None) -> str:
    """Return a stretch of time as a person says it; a dash where it is not known."""
    if seconds is None:
        return "–"
    if 0 < seconds < 1:
        return "under 1 s"
    if seconds < 60:
        return f"{max(seconds, 0):.0f} s"
    if seconds < 3600:
        return (
            f"{seconds // 60:.0f} min {seconds % 60:02.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"
        )
    return f"{seconds / 3600:.1f} h"


def ago(moment: datetime | None, *, now: datetime | None = None) -> str:
    """Return how long ago something was: `just now`, `5 min ago`, `3 h ago`, then the date."""
    if moment is None:
        return "–"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    if seconds < 45:
        return "just now"
    if seconds < 3600:
        return f"{max(1, round(seconds / 60))} min ago"
    if seconds < 86_400:
        return f"{round(seconds / 3600)} h ago"
    return f"{moment:%d %b %Y}"
