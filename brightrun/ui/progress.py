"""One batch, live: drawn from the database first, then asked to advance by at most one item."""

from __future__ import annotations

from datetime import UTC, datetime

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobStatus
from brightrun.domain.person import Action
from brightrun.domain.progress import Progress
from brightrun.ui.figures import draw_figures
from brightrun.ui.frame import show_error, told
from brightrun.ui.notice import tell_end
from brightrun.ui.runner import Runner, current_runner
from brightrun.ui.session import desk
from brightrun.ui.slots import draw_slots
from brightrun.ui.text import counted, label_safe

QUICK_TICK = 0.3
TICK = 1.0
PAUSED_TICK = 5.0
"""A paused batch may be resumed elsewhere; looking now and then costs one query."""


def is_live(job: Job) -> bool:
    """Whether anything of a job can still change without a person's help."""
    return job.is_out or job.counts.processing > 0


def tick_seconds(job: Job, runner: Runner) -> float | None:
    """Return how often the page should look; None when there is nothing to wait for."""
    if is_live(job):
        return QUICK_TICK if runner.is_quick(job.id) else TICK
    return PAUSED_TICK if job.status is JobStatus.PAUSED else None


def draw_progress(app: App, job: Job) -> None:
    """Draw how far a job is, and let it advance while the page is open."""
    if tell_end(desk(), job):
        st.rerun()
    runner = current_runner()
    every = tick_seconds(job, runner)
    drawn = _frame_of(job, every)
    slots = draw_slots(job)

    def tick() -> None:
        ours = runner.busy(job.id)
        now, so_far = job, Progress()
        with told():
            now = app.batches.get(job.id)
            so_far = app.batches.progress(job.id)
        ours = max(ours, runner.busy(job.id))
        draw_figures(now, so_far, is_live=is_live(now), draw_state=lambda: _draw_state(now, ours=ours))
        _tell_error(runner, now)
        if _frame_of(now, tick_seconds(now, runner)) != drawn:
            own = desk()  # a link clicked meanwhile is followed here; asking for a rerun would forget it
            tell_end(own, now)
            st.rerun(scope="app")
        if now.is_out and app.may(Action.RUN_BATCH):
            runner.advance(now.id, slots)

    st.fragment(tick, run_every=every)()


def _frame_of(job: Job, every: float | None) -> tuple[object, ...]:
    """Return what the parts outside the fragment show: when it changes, they are drawn again, once."""
    phase = "open" if job.is_open else job.status.value
    return (phase, bool(job.parts_out), bool(job.counts.failed), bool(job.counts.completed), every)


def _draw_state(job: Job, *, ours: int) -> None:
    """Say in one line what is going on and what that depends on, or how it ended."""
    elsewhere = job.counts.processing - ours
    if job.parts_out:
        _draw_out(job)
    elif job.status is JobStatus.PAUSED:
        st.warning(f"**Paused.** {label_safe(job.pause_reason or '')}")
    elif job.is_open:
        other = (
            f" {counted(elsewhere, 'item is', 'items are')} being written by another window or shell."
            if elsewhere > 0
            else ""
        )
        waits = (
            f" The writer asked to slow down: the next call leaves at {job.next_attempt_at.astimezone():%H:%M:%S}."
            if job.next_attempt_at and job.next_attempt_at > datetime.now(UTC)
            else ""
        )
        st.info(
            "Keep this page open: closing every tab pauses the batch after what is in flight. "
            f"`brightrun work {job.id[:8]}` in a shell keeps it running without a browser.{other}{waits}"
        )
    elif job.counts.processing:
        st.info(f"{counted(job.counts.processing, 'item')} in flight will still be finished and kept.")
    else:
        _draw_end(job)


def _draw_out(job: Job) -> None:
    """Say what is at Claude, and what becomes of it in this state of the job."""
    out = counted(job.counts.processing, "item is", "items are")
    if job.status is JobStatus.PAUSED:
        st.warning(
            f"**Paused.** {label_safe(job.pause_reason or '')} {out} at Claude and will still be collected."
        )
    elif job.status is JobStatus.CANCELLED:
        st.info(f"**Cancelled.** {out} called off; what Claude has written before is kept.")
    else:
        st.info(
            f"{out} at Claude overnight. You may close this page: look again later, or leave it to "
            f"`brightrun work {job.id[:8]}` in a shell."
        )


def _draw_end(job: Job) -> None:
    counts = job.counts
    if job.status is JobStatus.FAILED:
        st.error("**Failed.** No conversation was written. What went wrong stands below.")
    elif job.status is JobStatus.CANCELLED:
        kept = counted(counts.completed, "conversation")
        st.info(f"**Cancelled.** {kept} kept; {counted(counts.cancelled, 'item')} never started.")
    elif counts.failed:
        st.success(
            f"**Completed.** {counted(counts.completed, 'conversation')} written, {counts.failed:,} failed."
        )
    else:
        st.success(f"**Completed.** {counted(counts.completed, 'conversation')} written.")


def _tell_error(runner: Runner, job: Job) -> None:
    fault = runner.last_error(job.id)
    if fault is not None and job.is_open:
        show_error(fault)
        st.caption("It is tried again by itself, a little later each time.")
