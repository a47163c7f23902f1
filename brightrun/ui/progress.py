"""One batch, live: drawn from the database first, then asked to advance by at most one item."""

from __future__ import annotations

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobStatus
from brightrun.ui.charts import status_bar
from brightrun.ui.desk import Desk
from brightrun.ui.frame import show_error, told
from brightrun.ui.runner import Runner, current_runner
from brightrun.ui.session import desk
from brightrun.ui.text import counted, dollars, duration, label_safe, words

QUICK_TICK = 0.3
TICK = 1.0
PAUSED_TICK = 5.0
"""A paused batch may be resumed elsewhere; looking now and then costs one query."""


def is_live(job: Job) -> bool:
    """Whether anything of a job can still change without a person's help."""
    return job.is_open or job.counts.processing > 0


def tick_seconds(job: Job, runner: Runner) -> float | None:
    """Return how often the page should look; None when there is nothing to wait for."""
    if is_live(job):
        return QUICK_TICK if runner.is_quick(job.id) else TICK
    return PAUSED_TICK if job.status is JobStatus.PAUSED else None


def draw_progress(app: App, job: Job) -> None:
    """Draw how far a job is, and let it advance while the page is open."""
    runner = current_runner()
    every = tick_seconds(job, runner)
    drawn = _frame_of(job, every)

    def tick() -> None:
        was_busy = runner.is_busy(job.id)
        now = job
        with told():
            now = app.batches.get(job.id)
        _draw(now, is_ours=was_busy or runner.is_busy(job.id))
        _tell_error(runner, now)
        if _frame_of(now, tick_seconds(now, runner)) != drawn:
            own = desk()  # a link clicked meanwhile is followed here; asking for a rerun would forget it
            _tell_end(own, job, now)
            st.rerun(scope="app")
        if now.is_open:
            runner.advance(now.id)

    st.fragment(tick, run_every=every)()


def _frame_of(job: Job, every: float | None) -> tuple[object, ...]:
    """Return what the parts outside the fragment show: when it changes, they are drawn again, once."""
    phase = "open" if job.is_open else job.status.value
    return (phase, bool(job.counts.failed), bool(job.counts.completed), every)


def _draw(job: Job, *, is_ours: bool) -> None:
    counts = job.counts
    done = f"{counts.ended:,} of {counts.total:,} ended · {counts.share:.0%}"
    st.progress(counts.share, text=f"**{words(job.status.value)}** · {done}")
    first, *rest = st.columns(6)
    first.metric("Completed", f"{counts.completed:,}")
    figures = [
        ("Failed", f"{counts.failed:,}"),
        ("Still to do", f"{counts.queued + counts.processing:,}"),
        ("Per minute", f"{job.rate_per_minute:.1f}" if job.rate_per_minute and is_live(job) else "–"),
        ("Time left", duration(job.seconds_left) if is_live(job) else "–"),
        ("Spent", dollars(job.money.spent)),
    ]
    for column, (label, value) in zip(rest, figures, strict=True):
        column.metric(label, value)
    st.altair_chart(status_bar(counts), key="batch-chart")
    _draw_money(job)
    _draw_state(job, is_ours=is_ours)


def _draw_money(job: Job) -> None:
    money = job.money
    parts = []
    if money.budget is not None:
        parts.append(f"Budget {label_safe(dollars(money.budget))}")
    if money.reserved:
        parts.append(f"reserved for calls in flight {label_safe(dollars(money.reserved))}")
    if money.possible:
        parts.append(f"possibly paid, answer unknown {label_safe(dollars(money.possible))}")
    if parts:
        st.caption(" · ".join(parts))


def _draw_state(job: Job, *, is_ours: bool) -> None:
    """Say in one line what is going on and what that depends on."""
    elsewhere = job.counts.processing - (1 if is_ours else 0)
    if job.status is JobStatus.PAUSED:
        st.warning(f"**Paused.** {label_safe(job.pause_reason or '')}")
    elif job.is_open:
        other = (
            f" {counted(elsewhere, 'item is', 'items are')} being written by another window or shell."
            if elsewhere > 0
            else ""
        )
        st.info(
            "Keep this page open: closing every tab pauses the batch after the item in flight. "
            f"`brightrun process {job.id[:8]}` in a shell keeps it running without a browser.{other}"
        )
    elif job.counts.processing:
        st.info(f"{counted(job.counts.processing, 'item')} in flight will still be finished and kept.")


def _tell_error(runner: Runner, job: Job) -> None:
    fault = runner.last_error(job.id)
    if fault is not None and job.is_open:
        show_error(fault)
        st.caption("It is tried again by itself, a little later each time.")


def _tell_end(own: Desk, before: Job, now: Job) -> None:
    if not before.is_open or now.is_open:
        return
    counts = now.counts
    text = f"{words(now.status.value)}: {counts.completed:,} written, {counts.failed:,} failed."
    own.notify(text)
