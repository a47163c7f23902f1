"""One batch, live: drawn from the database first, then asked to advance by at most one item."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobStatus
from brightrun.domain.part import Delivery, PartStatus
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


@dataclass
class _State:
    """Who brings a job on, beside what the job itself says."""

    may_write: bool
    ours: int = 0
    """Items in the hands of this server's pages."""
    workers: int = 0
    """Workers of the fleet that are alive."""
    handing_over: int = 0
    """Items of parts that are not at Claude yet."""


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
        now, so_far, state = job, Progress(), _State(may_write=app.may(Action.RUN_BATCH))
        with told():
            now = app.batches.get(job.id)
            so_far = app.batches.progress(job.id)
            state = _look(app, now)
        state.ours = max(ours, runner.busy(job.id))
        draw_figures(now, so_far, is_live=is_live(now), draw_state=lambda: _draw_state(now, state))
        _tell_error(runner, now)
        if _frame_of(now, tick_seconds(now, runner)) != drawn:
            own = desk()  # a link clicked meanwhile is followed here; asking for a rerun would forget it
            tell_end(own, now)
            st.rerun(scope="app")
        if now.is_out and state.may_write:
            runner.advance(now.id, slots)

    st.fragment(tick, run_every=every)()


def _frame_of(job: Job, every: float | None) -> tuple[object, ...]:
    """Return what the parts outside the fragment show: when it changes, they are drawn again, once."""
    phase = "open" if job.is_open else job.status.value
    return (phase, bool(job.parts_out), bool(job.counts.failed), bool(job.counts.completed), every)


def _look(app: App, job: Job) -> _State:
    """Find out who brings a job on, as far as its state asks for it."""
    state = _State(may_write=app.may(Action.RUN_BATCH))
    if job.is_open and not job.parts_out:
        state.workers = len(app.fleet.alive())
    if job.parts_out:
        parts = app.parts.of_job(job.id)
        state.handing_over = sum(part.size for part in parts if part.status is PartStatus.PREPARING)
    return state


def _draw_state(job: Job, state: _State) -> None:
    """Say in one line what is going on and what that depends on, or how it ended."""
    if job.parts_out:
        _draw_out(job, state)
    elif job.awaits_start:
        st.info(label_safe(job.pause_reason or ""))
    elif job.status is JobStatus.PAUSED:
        st.warning(f"**Paused.** {label_safe(job.pause_reason or '')}")
    elif job.is_open:
        st.info(_who_writes(job, state) + _waits(job))
    elif job.counts.processing:
        st.info(f"{counted(job.counts.processing, 'item')} in flight will still be finished and kept.")
    else:
        _draw_end(job)


def _who_writes(job: Job, state: _State) -> str:
    """Say who brings an open job on, and whether that takes this page."""
    if state.workers:
        writing = counted(state.workers, "worker of the fleet writes", "workers of the fleet write")
        return f"{writing} it: this page need not stay open."
    if not state.may_write:
        if job.is_idle(datetime.now(UTC)):
            return (
                f"Nobody is writing it. An author goes on by opening it, or by `brightrun work {job.id[:8]}`."
            )
        return "It is being written by another window or shell."
    if job.options.delivery is Delivery.OVERNIGHT and not job.preview:
        return "It is about to be handed over to Claude: keep this page open until it is there."
    elsewhere = job.counts.processing - state.ours
    other = (
        f" {counted(elsewhere, 'item is', 'items are')} in the hands of another window or shell; of one that was cut off, "
        "they are taken back after a few minutes."
    )
    return (
        "Keep this page open: closing every tab pauses the batch after what is in flight. "
        f"`brightrun work {job.id[:8]}` in a shell keeps it running without a browser."
        + other
        * (elsewhere > 0)
    )


def _waits(job: Job) -> str:
    if job.next_attempt_at is None or job.next_attempt_at <= datetime.now(UTC):
        return ""
    return f" The writer asked to slow down: the next call leaves at {job.next_attempt_at.astimezone():%H:%M:%S}."


def _draw_out(job: Job, state: _State) -> None:
    """Say what is at Claude, and what becomes of it in this state of the job."""
    out = counted(job.counts.processing, "item is", "items are")
    at_claude = job.counts.processing - state.handing_over
    if job.status is JobStatus.PAUSED:
        st.warning(f"**Paused.** {label_safe(job.pause_reason or '')} {out} out and will still be collected.")
    elif job.status is JobStatus.CANCELLED:
        st.info(f"**Cancelled.** {out} being called off; what Claude has written before is kept.")
    elif state.handing_over:
        there = f" {counted(at_claude, 'is', 'are')} there." if at_claude > 0 else ""
        handed = counted(state.handing_over, "item is", "items are")
        st.info(f"{handed} being handed over to Claude: keep this page open until that is done.{there}")
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
