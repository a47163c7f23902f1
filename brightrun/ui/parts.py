"""An overnight batch: which of its parts are at Claude, since when, and until when at most."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job
from brightrun.domain.part import Delivery, Part, PartEnd, PartStatus
from brightrun.ui.frame import told
from brightrun.ui.text import duration, label_safe, plain, words

TICK = 5.0
SHOWN = 20

_STATES = {
    PartStatus.PREPARING: "Is being handed over",
    PartStatus.LOST: "May be at Claude: looked for",
    PartStatus.SENT: "At Claude",
}


def draw_parts(app: App, job: Job) -> None:
    """Draw the parts of an overnight batch; it renews itself while one is out."""
    if job.options.delivery is not Delivery.OVERNIGHT:
        return
    st.fragment(_draw, run_every=TICK if job.is_out else None)(app, job)


def _draw(app: App, job: Job) -> None:
    with told():
        parts = app.parts.of_job(job.id, limit=SHOWN)
        if not parts:
            return
        with st.container(border=True, key="parts"):
            st.subheader("Overnight", anchor=False)
            st.caption(
                "Claude writes each part within a day, most within an hour. Nothing here has to stay open for that: "
                "what is written is fetched when this page or a shell looks again, for some weeks."
            )
            st.dataframe(pd.DataFrame([_row(part) for part in parts]), hide_index=True, height="content")
            for part in parts:
                if part.fault:
                    mark = "" if part.end is PartEnd.NOT_HANDED_OVER else "⚠ "
                    st.caption(f"{mark}Part {part.number}: {label_safe(part.fault, limit=300)}")


def _row(part: Part) -> dict[str, object]:
    state = words(part.end.value) if part.end else _STATES[part.status]
    if part.cancel_asked and part.status is PartStatus.SENT:
        state = "Called off"
    is_out = part.end is None
    return {
        "Part": part.number,
        "Items": part.size,
        "State": state,
        "Handed over": _day(part.sent_at),
        "There at the latest": _day(part.ends_by if is_out else None),
        "Next look": f"in {duration(part.look_seconds)}" if is_out and part.look_seconds is not None else "",
        "Ended": _day(part.closed_at),
        "Claude's id": plain(part.remote_id or ""),
    }


def _day(at: datetime | None) -> str:
    return f"{at.astimezone():%d %b %H:%M}" if at else ""
