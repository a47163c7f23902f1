"""Who writes beside this page: the workers that are alive, and what each is at."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.ui.frame import told
from brightrun.ui.text import plain

TICK = 3.0


def draw_workers(app: App) -> None:
    """Draw who is alive; it renews itself."""
    st.fragment(_table, run_every=TICK)(app)


def _table(app: App) -> None:
    with told():
        found = app.fleet.alive()
        if not found:
            st.caption("No worker is alive: open pages and `brightrun work` write. Start one on any machine:")
            st.code("brightrun worker --slots 8", language=None)
            return
        rows = [
            {
                "Worker": plain(one.name),
                "Slots": one.slots,
                "Works at": ", ".join(job[:8] for job in one.jobs) or "waits",
                "Written": one.written,
                "Since": f"{one.started_at.astimezone():%d %b %H:%M}",
                "Heard of, s ago": round(one.seen_seconds),
            }
            for one in found
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, height="content")
