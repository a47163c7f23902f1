"""The buttons of one batch: each writes to the database at once, whatever is being written meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobKind, JobStatus
from brightrun.domain.budget import Outlook
from brightrun.domain.errors import BrightRunError
from brightrun.domain.person import Action
from brightrun.ui.answers import confirm_reparse
from brightrun.ui.downloads import draw_download
from brightrun.ui.filters import ANY
from brightrun.ui.frame import Place
from brightrun.ui.notice import draw_notice
from brightrun.ui.progress import is_live
from brightrun.ui.session import begin, close_question, desk, person
from brightrun.ui.text import counted, label_safe, words

TICK = 1.0
ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


class Question(StrEnum):
    """What is asked before it is done; its dialog stays although the batch goes on beneath it."""

    CANCEL = "cancel"
    REPARSE = "reparse"


def draw_actions(app: App, job: Job, outlook: Outlook | None = None) -> None:
    """Draw what can be done with a job now; what cannot is disabled and says why.

    outlook: what its budget still allows, where a budget may keep it from going on.
    """
    has_ended = job.status in ENDED
    with st.container(horizontal=True, vertical_alignment="center", key="batch-actions"):
        if app.may(Action.RUN_BATCH):
            _draw_changes(app, job, outlook)
        else:
            st.caption("It takes the role author to change a batch.", width="content")
        draw_download(
            "Download log",
            lambda: app.batches.log_text(job.id),
            file_name=f"batch-{job.id[:8]}.log.txt",
            mime="text/plain",
            key="batch-log",
        )
        _review(job)
        draw_notice(job)
    asked = desk().asked()
    if asked == (Question.CANCEL, job.id) and not has_ended:
        confirm_cancel(app, job)
    elif asked == (Question.REPARSE, job.id):
        confirm_reparse(app, job)


def _draw_changes(app: App, job: Job, outlook: Outlook | None) -> None:
    has_ended = job.status in ENDED
    if job.status is not JobStatus.PAUSED:
        _pause(app, job)
    elif not job.awaits_start:  # its rest is started below the preview
        _resume(app, job, _why_not(outlook))
    st.button(
        "Cancel…",
        key="batch-cancel",
        disabled=has_ended,
        help=f"It is {job.status.value} already." if has_ended else None,
        on_click=_ask,
        args=(Question.CANCEL, job),
    )
    _retry(app, job)
    if job.kind is JobKind.WRITE:
        _reparse(app, job)


@st.dialog("Cancel this batch?", on_dismiss=close_question)
def confirm_cancel(app: App, job: Job) -> None:
    """Name what would be kept and what would not before a job ends for good."""
    st.markdown(f"**{label_safe(job.name)}**")
    st.fragment(_draw_fate, run_every=TICK)(app, job)
    st.caption("A cancelled batch cannot be resumed. To stop for a while, pause it instead.")
    with st.container(horizontal=True, horizontal_alignment="right"):
        keep = st.button("Keep it", key="batch-keep", on_click=close_question)
        gone = st.button(
            "Cancel the batch",
            type="primary",
            key="batch-cancel-confirmed",
            on_click=_act,
            args=(job, lambda: app.batches.cancel(job.id, actor=person()), "The batch is cancelled."),
        )
    if keep or gone:
        st.rerun()


def _draw_fate(app: App, job: Job) -> None:
    found = app.batches.get(job.id)
    counts = found.counts
    if found.parts_out:
        fate = "at Claude overnight: **called off**; what Claude has written before is kept"
    else:
        fate = "being written now: finished and **kept**"
    st.markdown(
        f"- {counted(counts.completed, 'conversation')} already written: **kept**\n"
        f"- {counted(counts.processing, 'item')} {fate}\n"
        f"- {counted(counts.queued, 'item')} still waiting: **never started**"
    )


def _why_not(outlook: Outlook | None) -> str | None:
    """Return why a paused job cannot simply be resumed; None where it can."""
    if outlook is not None and outlook.is_stuck:
        return "Its budget allows no further call: raise the budget to go on."
    return None


def _resume(app: App, job: Job, why_not: str | None) -> None:
    st.button(
        "Resume",
        type="secondary" if why_not else "primary",
        key="batch-resume",
        disabled=why_not is not None,
        help=why_not,
        on_click=_act,
        args=(job, lambda: app.batches.resume(job.id, actor=person()), "The batch goes on."),
    )


def _pause(app: App, job: Job) -> None:
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
    # The figures beside it go on while it runs; the button is drawn again when that is over.
    st.button(
        f"Retry {failed:,} failed" if failed and not is_live(job) else "Retry failed",
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
    st.button(
        "Read answers again…",
        key="batch-reparse",
        disabled=not has_answers,
        help="Free: after a rule or the reading has improved." if has_answers else "No answer is stored yet.",
        on_click=_ask,
        args=(Question.REPARSE, job),
    )


def _review(job: Job) -> None:
    wrote = job.kind is JobKind.WRITE
    st.page_link(
        Place.REVIEW.value,
        label="Review what it wrote" if wrote else "Review what it marked",
        query_params={"job": job.id} if wrote else {"status": words(ANY), "flag": words("JUDGED_LOW")},
        disabled=not job.counts.completed,
        help=None if job.counts.completed else f"Nothing is {'written' if wrote else 'judged'} yet.",
    )


def _ask(question: Question, job: Job) -> None:
    desk().ask((question, job.id))


def _act(job: Job, action: Callable[[], object], done: str) -> None:
    own = begin()
    own.put_away()
    try:
        action()
    except BrightRunError as fault:
        own.complain(fault)
    else:
        own.watched.discard(job.id)  # whoever did it need not be told that it has ended
        own.notify(done)
