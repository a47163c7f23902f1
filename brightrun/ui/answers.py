"""Reading a batch's stored answers again: what it would do, and how far it is."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job
from brightrun.domain.errors import BrightRunError
from brightrun.domain.ids import ItemId
from brightrun.services.reparsing import Found, summary
from brightrun.ui.frame import show_error
from brightrun.ui.session import begin, close_question, person
from brightrun.ui.text import counted, label_safe

SAID = {
    Found.COMPLETED: "It is a conversation now.",
    Found.RESCORED: "Its conversation was scored anew.",
    Found.SAME: "Its conversation is as it would be written today.",
    Found.DECIDED: "A person has decided on it: it is left as it is.",
    Found.USELESS: "Its answer is still of no use.",
    Found.CHANGED: "Somebody retries it just now.",
    Found.MISSING: "The bytes of its answer are not in the store.",
}
SHOWN_EVERY = 20
"""Items between two movements of the bar: each of them costs a message to the browser."""


@st.dialog("Read the stored answers again?", on_dismiss=close_question)
def confirm_reparse(app: App, job: Job) -> None:
    """Say what reading again does and costs, and do it while the dialog shows how far it is."""
    counts = app.batches.get(job.id).counts
    st.markdown(f"**{label_safe(job.name)}**")
    st.markdown(
        f"- {counted(counts.failed, 'failed item')}: **completed** where the stored answer can be read now\n"
        f"- {counted(counts.completed, 'conversation')}: checked and scored by today's rules\n"
        "- What a person has decided on: **left as it is**"
    )
    st.caption("Free: nothing is called. Useful after Bright Run or a rule has changed.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        keep = st.button("Leave it", key="reparse-keep")
        go = st.button("Read them again", type="primary", key="reparse-go")
    if go:
        _reparse(app, job, counts.failed + counts.completed)
    if keep or go:
        close_question()
        st.rerun()


def reparse_one(app: App, item_id: ItemId) -> None:
    """Read one item's stored answers again and tell what came of it."""
    own, actor = begin(), person()
    try:
        done = app.reparsing.reparse_item(item_id, actor=actor)
    except BrightRunError as fault:
        own.complain(fault)
    else:
        own.notify(f"{SAID[done.found]} {label_safe(done.message)}".strip())


def _reparse(app: App, job: Job, total: int) -> None:
    """Read every answer again; a run that is cut off has done what it has, and the rest can follow."""
    own, actor = begin(), person()
    bar = st.progress(0.0, text="Reading…")
    counts: Counter[Found] = Counter()
    try:
        for number, done in enumerate(app.reparsing.reparse_job(job.id, actor=actor), start=1):
            counts[done.found] += 1
            if number % SHOWN_EVERY == 0:
                bar.progress(min(1.0, number / max(1, total)), text=f"{number:,} of {total:,} read")
    except BrightRunError as fault:
        show_error(fault)
        own.complain(fault)
    else:
        own.notify(f"Answers read again: {summary(counts)}.")
