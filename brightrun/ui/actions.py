"""The buttons of one batch: each writes to the database at once, whatever is being written meanwhile."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobStatus
from brightrun.domain.errors import BrightRunError
from brightrun.ui.answers import confirm_reparse
from brightrun.ui.downloads import draw_download
from brightrun.ui.frame import Place
from brightrun.ui.notice import draw_notice
from brightrun.ui.session import begin, person
from brightrun.ui.text import counted, label_safe

ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


def draw_actions(app: App, job: Job) -> None:
    """Draw what can be done with a job now; what cannot is disabled and says why."""
    has_ended = job.status in ENDED
    with st.container(horizontal=True, vertical_alignment="center", key="batch-actions"):
        _pause_or_resume(app, job)
        if st.button(
            "Cancel…",
            key="batch-cancel",
            disabled=has_ended,
            help=f"It is {job.status.value} already." if has_ended else None,
        ):
            confirm_cancel(app, job)
        _retry(app, job)
        _reparse(app, job)
        draw_download(
            "Download log",
            lambda: app.batches.log_text(job.id),
            file_name=f"batch-{job.id[:8]}.log.txt",
            mime="text/plain",
            key="batch-log",
        )
        st.page_link(
            Place.REVIEW.value,
            label="Review what it wrote",
            query_params={"job": job.id},
            disabled=not job.counts.completed,
            help=None if job.counts.completed else "Nothing is written yet.",
        )
        draw_notice(job)


@st.dialog("Cancel this batch?")
def confirm_cancel(app: App, job: Job) -> None:
    """Name what would be kept and what would not before a job ends for good."""
    counts = app.batches.get(job.id).counts
    st.markdown(f"**{label_safe(job.name)}**")
    st.markdown(
        f"- {counted(counts.completed, 'conversation')} already written: **kept**\n"
        f"- {counted(counts.processing, 'item')} being written now: finished and **kept**\n"
        f"- {counted(counts.queued, 'item')} still waiting: **never started**"
    )
    st.caption("A cancelled batch cannot be resumed. To stop for a while, pause it instead.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        keep = st.button("Keep it", key="batch-keep")
        gone = st.button(
            "Cancel the batch",
            type="primary",
            key="batch-cancel-confirmed",
            on_click=_act,
            args=(job, lambda: app.batches.cancel(job.id, actor=person()), "The batch is cancelled."),
        )
    if keep or gone:
        st.rerun()


def _pause_or_resume(app: App, job: Job) -> None:
    if job.status is JobStatus.PAUSED:
        st.button(
            "Resume",
            type="primary",
            key="batch-resume",
            on_click=_act,
            args=(job, lambda: app.batches.resume(job.id, actor=person()), "The batch goes on."),
        )
        return
    st.button(
        "Pause",
        key="batch-pause",
        disabled=not job.is_open,
        help=None if job.is_open else f"It is {job.status.value} already.",
        on_click=_act,
        args=(job, lambda: app.batches.pause(job.id, actor=person()), "Paused; what is in flight is kept."),
    )


def _retry(app: App, job: Job) -> None:
    failed = job.counts.failed
    is_cancelled = job.status is JobStatus.CANCELLED
    reason = "A cancelled batch stays as it is." if is_cancelled else "Nothing has failed."
    st.button(
        f"Retry {failed:,} failed" if failed else "Retry failed",
        key="batch-retry",
        disabled=not failed or is_cancelled,
        help=reason if not failed or is_cancelled else None,
        on_click=_act,
        args=(
            job,
            lambda: app.batches.retry_failed(job.id, actor=person()),
            "The failed items are queued again.",
        ),
    )


def _reparse(app: App, job: Job) -> None:
    has_answers = job.counts.completed or job.counts.failed
    if st.button(
        "Read answers again…",
        key="batch-reparse",
        disabled=not has_answers,
        help="Free: after a rule or the reading has improved." if has_answers else "No answer is stored yet.",
    ):
        confirm_reparse(app, job)


def _act(job: Job, action: Callable[[], object], done: str) -> None:
    own = begin()
    try:
        action()
    except BrightRunError as fault:
        own.complain(fault)
    else:
        own.watched.discard(job.id)  # whoever did it need not be told that it has ended
        own.notify(done)
