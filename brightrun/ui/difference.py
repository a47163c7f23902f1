"""A difference word by word: what went struck out, what came underlined, all of it as text."""

from __future__ import annotations

import html
import re

import streamlit as st

from brightrun.domain.correction import Fate, difference
from brightrun.domain.text import STRAY_JOINER
from brightrun.ui.theme import is_dark

_HIDDEN = re.compile(
    f"[\x00-\x08\x0b-\x1f\x7f\u00ad\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]|{STRAY_JOINER}"
)
"""Characters that show nothing or turn the writing round: a difference made of them must be seen too."""


def draw_difference(before: str, after: str) -> None:
    """Draw two texts as one, escaped: nothing in them is markup, and no direction mark reaches beyond its stretch."""
    gone, new = ("#fca5a5", "#86efac") if is_dark() else ("#a11212", "#0b5d2a")
    styles = {
        Fate.SAME: "",
        Fate.GONE: f"color:{gone};text-decoration:line-through;background:{gone}1f;",
        Fate.NEW: f"color:{new};text-decoration:underline;background:{new}1f;",
    }
    tags = {Fate.SAME: "span", Fate.GONE: "del", Fate.NEW: "ins"}
    parts = [
        f'<{tags[s.fate]} dir="auto" style="unicode-bidi:isolate;{styles[s.fate]}">{shown(s.text)}</{tags[s.fate]}>'
        for s in difference(before, after)
    ]
    st.html(
        f'<div style="white-space:pre-wrap;overflow-wrap:anywhere;line-height:1.6">{"".join(parts)}</div>'
    )


def shown(text: str) -> str:
    """Return text as HTML that shows each character of it, hidden ones by their code."""
    return _HIDDEN.sub(lambda found: f"⟨U+{ord(found.group()):04X}⟩", html.escape(text))
