"""What Bright Run looks like beyond .streamlit/config.toml: the mark, and one colour a status."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import streamlit as st

from brightrun.domain.batch import ItemStatus, JobStatus
from brightrun.domain.conversation import ConversationStatus

IMAGES = Path(__file__).parent / "images"
MARK = IMAGES / "mark.svg"
"""A file of our own: an icon by name would make the browser call out for it."""

Colour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray", "primary"]

JOB_COLOURS: dict[JobStatus, Colour] = {
    JobStatus.QUEUED: "gray",
    JobStatus.PROCESSING: "blue",
    JobStatus.PAUSED: "orange",
    JobStatus.COMPLETED: "green",
    JobStatus.FAILED: "red",
    JobStatus.CANCELLED: "gray",
}

REVIEW_COLOURS: dict[ConversationStatus, Colour] = {
    ConversationStatus.PENDING_REVIEW: "blue",
    ConversationStatus.APPROVED: "green",
    ConversationStatus.REJECTED: "red",
    ConversationStatus.NEEDS_REVISION: "orange",
    ConversationStatus.ARCHIVED: "gray",
}

ITEM_SHADES: dict[ItemStatus, str] = {
    ItemStatus.COMPLETED: "#0d9488",
    ItemStatus.FAILED: "#dc2626",
    ItemStatus.CANCELLED: "#94a3b8",
    ItemStatus.PROCESSING: "#f59e0b",
    ItemStatus.QUEUED: "#cbd5e1",
}
"""Each stands out on both grounds and beside its neighbour; the legend names it, colour is never alone."""

DECISION_SHADES: dict[str, str] = {
    ConversationStatus.APPROVED: "#0d9488",
    ConversationStatus.NEEDS_REVISION: "#f59e0b",
    ConversationStatus.REJECTED: "#dc2626",
}
"""What was decided, in charts; the legend and the order name it too."""

MONEY_SHADE = "#6366f1"
"""Money over time: beside the shades of items it reads as another kind of thing."""


def is_dark() -> bool:
    """Whether the browser shows the dark theme."""
    return bool(st.context.theme.type == "dark")


def ink() -> str:
    """Return the colour of text within a chart."""
    return "#e4eceb" if is_dark() else "#17262b"


def quiet() -> str:
    """Return the colour of what stands back within a chart."""
    return "#9db0b0" if is_dark() else "#56696d"


def heat() -> tuple[list[str], str]:
    """Return the two ends of a scale from little to much, and the text colour that is read on much."""
    return (["#16302f", "#2dd4bf"], "#0f1719") if is_dark() else (["#e3f3f1", "#0f766e"], "#ffffff")


# One colour of the theme is both the ground of a button under white words and the words of a chosen tab or a slider: no
# shade of it has enough contrast for both on a dark ground.
_CHOSEN = """<style>
[role="tab"][aria-selected="true"] p, [role="radio"][aria-checked="true"] p,
[data-testid="stSliderThumbValue"] p { color: #2dd4bf; }
</style>"""

# A shortcut's name on a filled button is paler than can be read on it.
_SHORTCUT = """<style>
[data-testid^="stBaseButton-primary"] kbd { color: #ffffff; opacity: 1; }
</style>"""

# Streamlit leaves as much room around a page in a narrow window as in a wide one, and more above it than its own bar
# takes; a list needs it more.
_ROOM = """<style>
[data-testid="stMainBlockContainer"] { padding-top: 4rem; }
@media (min-width: 768px) and (max-width: 1300px) {
  [data-testid="stMainBlockContainer"] { padding: 4rem 2rem 3rem; }
}
</style>"""


def draw_identity() -> None:
    """Draw the name above the navigation, and mend what the theme cannot say."""
    st.html(_ROOM)
    st.html(_SHORTCUT)
    if is_dark():
        st.html(_CHOSEN)
    name = IMAGES / ("name-dark.svg" if is_dark() else "name-light.svg")
    st.logo(str(name), size="large", icon_image=str(MARK))
