"""The documents of all conversations of a batch: in what state they are, and making them again."""

from __future__ import annotations

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobKind
from brightrun.domain.conversation import EnrichmentStatus
from brightrun.domain.errors import BrightRunError
from brightrun.domain.person import Action
from brightrun.ui.frame import show_error, told
from brightrun.ui.session import begin
from brightrun.ui.text import counted, label_safe, words

SHOWN_EVERY = 20
"""Conversations between two movements of the bar: each of them costs a message to the browser."""


def draw_enrichment(app: App, job: Job) -> None:
    """Draw how many conversations have their documents, and let a person have all made again."""
    if job.kind is JobKind.JUDGE or not job.counts.completed:
        return
    with st.expander("Final and enriched documents"), told():
        states = app.enrichment.states(job.id)
        st.text(" · ".join(f"{number:,} {words(s.value).lower()}" for s, number in states.items() if number))
        if st.button(
            f"Make {counted(sum(states.values()), 'pair')} again",
            key="enrichment-again",
            help="From what is stored, by today's scaffolding and rules; costs nothing. What fails is told.",
            disabled=not app.may(Action.ENRICH),
        ):
            _enrich(app, job, sum(states.values()))


def _enrich(app: App, job: Job, total: int) -> None:
    """Make every document again; a run that is cut off has done what it has, and can be begun anew."""
    own = begin()
    bar = st.progress(0.0, text="Making documents…")
    failed = []
    try:
        for number, done in enumerate(app.enrichment.enrich_job(job.id), start=1):
            if done.error:
                failed.append(f"{done.id[:8]}: {done.error}")
            if number % SHOWN_EVERY == 0:
                bar.progress(min(1.0, number / max(1, total)), text=f"{number:,} of {total:,} made")
    except BrightRunError as fault:
        show_error(fault)
        return
    bar.empty()
    if failed:
        st.error(
            f"**{counted(len(failed), 'conversation')} could not be enriched.** Nothing else is touched."
        )
        st.text("\n".join(label_safe(line, limit=300) for line in failed[:10]))
        return
    own.notify(
        f"{EnrichmentStatus.COMPLETED.value.capitalize()}: {counted(total, 'pair')} of documents made again."
    )
    st.rerun()
