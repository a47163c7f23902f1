"""What conversations are held against: the named rules, and the weights and thresholds in use."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.rules import RULES
from brightrun.domain.standard import STANDARD
from brightrun.ui.text import words


def draw_standard(app: App) -> None:
    """Show every rule with its reason, and every line that is drawn with the setting that moves it."""
    lines, usual = app.settings.quality.lines(), dict(STANDARD.lines())
    moved = sum(value != usual[name] for name, value in lines)
    st.caption(
        f"{len(RULES)} named rules, {len(lines)} weights and thresholds, "
        f"{moved or 'none'} of them set here. A blocker keeps a conversation from being approved."
    )
    with st.expander("Rules"):
        rows = [{"Rule": r.code, "Severity": r.severity.value, "Why": r.reason} for r in RULES.values()]
        st.dataframe(pd.DataFrame(rows), hide_index=True, height="content")
    with st.expander("Weights and thresholds"):
        table = [
            {
                "Line": words(name.replace("__", ": ")),
                "In use": value,
                "Usual": usual[name],
                "Set by": f"BRIGHTRUN_QUALITY__{name.upper()}",
            }
            for name, value in lines
        ]
        st.dataframe(pd.DataFrame(table), hide_index=True, height="content")
        st.caption("What was written before keeps its score until `brightrun reparse` reads it again.")
