"""The reasons a conversation may be rejected for: one list for everybody, open to change."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.errors import BrightRunError
from brightrun.domain.person import Action
from brightrun.ui.session import begin
from brightrun.ui.text import counted

TEXT = "reasons-text"


def draw_reasons(app: App) -> None:
    """Draw the list as lines to edit; what was decided for a reason that goes keeps it."""
    reasons = app.reviews.reasons()
    locked = not app.may(Action.SET_REASONS)
    st.text_area(
        "Reasons for rejecting, one a line",
        "\n".join(reasons),
        key=TEXT,
        height=240,
        help="Reviewers pick one of these; a note may say anything. Decisions keep the reason they were given.",
        disabled=locked,
    )
    st.button(
        "Save the reasons",
        key="reasons-save",
        on_click=_save,
        args=(app, reasons),
        disabled=locked,
    )


def _save(app: App, before: Sequence[str]) -> None:
    own = begin()
    try:
        kept = app.reviews.set_reasons(before, str(st.session_state.get(TEXT) or ""))
    except BrightRunError as fault:
        own.complain(fault)
    else:
        own.notify(f"Saved: {counted(len(kept), 'reason')}")
