"""Who writes beside this page: the workers that are alive, and what each is at."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job
from brightrun.ui.frame import told
from brightrun.ui.text import counted, plain

TICK = 3.0


def draw_workers(app: App) -> None:
    """Draw who is alive; it renews itself."""
    st.fragment(_table, run_every=TICK)(app)


def draw_helpers(app: App, job: Job) -> None:
    """Say that workers write this batch, so that the page need not stay open."""
    if not job.is_open:
        return
    with told():
        number = len(app.fleet.alive())
        if number:
            st.caption(f"{counted(number, 'worker')} of the fleet writes too: this page need not stay open.")


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
                "Since": one.started_at.astimezone(),
                "Heard of, s ago": round(one.seen_seconds),
            }
            for one in found
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, height="content")
