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

MONEY_SHADE = "#6366f1"
"""Money over time: beside the shades of items it reads as another kind of thing."""


def is_dark() -> bool:
    """Whether the browser shows the dark theme."""
    return bool(st.context.theme.type == "dark")


def draw_identity() -> None:
    """Draw the name above the navigation."""
    name = IMAGES / ("name-dark.svg" if is_dark() else "name-light.svg")
    st.logo(str(name), size="large", icon_image=str(MARK))
