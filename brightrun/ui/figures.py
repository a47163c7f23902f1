"""The figures of one batch: how far, how fast, at what cost, and what went wrong how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from brightrun.domain.batch import Job, JobStatus, WriterName
from brightrun.domain.progress import ErrorClass, Progress
from brightrun.ui.charts import HEIGHT, job_course
from brightrun.ui.jobs import rest_of, state_of
from brightrun.ui.text import counted, dollars, duration, label_safe, words

ERRORS_SHOWN = 12
FIGURE_PIXELS = 140
"""The same for each, so that none moves while their numbers grow."""
MEANING = {
    "Spent": "What answers that arrived have cost.",
    "Reserved": "The most that the calls in flight can cost.",
    "Possibly paid": "Calls that may have been paid for, without an answer or without one that says what it "
    "used: the most they can have cost. The Claude Console knows.",
    "Per minute": "Of the latest items; waits in between are left out.",
    "Took": "From the first call to the last ending, with all it waited in between.",
    "Left of it": "The budget, less what is spent, reserved, or possibly paid.",
}


def draw_figures(job: Job, progress: Progress, *, is_live: bool, draw_state: Callable[[], None]) -> None:
    """Draw everything in places that do not move while the job runs; its state stands under the bar."""
    counts = job.counts
    done = (
        f"{counts.completed + counts.failed:,} of {counts.total:,} ended · {counts.share:.0%}{rest_of(job)}"
    )
    if counts.cancelled:
        done += f" · {counts.cancelled:,} cancelled"
    st.progress(counts.share, text=f"**{state_of(job)}** · {done}")
    draw_state()
    _metrics(
        {
            "Completed": f"{counts.completed:,}",
            "Failed": f"{counts.failed:,}",
            **_rest(job),
            "Tried again": f"{progress.retries:,}",
            **_pace(job, is_live=is_live),
        }
    )
    has_money = job.options.writer is WriterName.CLAUDE
    if has_money:
        _metrics(_money(job))
    course, errors = st.columns([3, 2], gap="medium")
    with course:
        chart = job_course(progress.points, counts.total, has_money=has_money)
        st.altair_chart(chart, key="batch-chart")
    with errors, st.container(height=HEIGHT, border=False, key="batch-errors"):
        _errors(progress.errors, counts.failed)


def _metrics(figures: dict[str, str]) -> None:
    with st.container(horizontal=True):  # they go on in the next line where the page is narrow
        for label, value in figures.items():
            st.metric(label, value, help=MEANING.get(label), width=FIGURE_PIXELS)


def _rest(job: Job) -> dict[str, str]:
    """Return what has no end yet, by what becomes of it."""
    counts = job.now
    if job.awaits_start:
        return {"Wait to be started": f"{job.waiting:,}"}
    if job.status is JobStatus.CANCELLED and counts.processing:
        return {"Being called off" if job.parts_out else "In flight": f"{counts.processing:,}"}
    return {"Still to do": f"{counts.queued + counts.processing:,}"}


def _pace(job: Job, *, is_live: bool) -> dict[str, str]:
    """Return how fast the latest items went, and how long it still takes, or took with every wait in between."""
    if is_live:
        return {"Per minute": _rate(job.rate_per_minute), "Time left": duration(job.seconds_left)}
    if job.started_at is None or job.completed_at is None:
        return {"Per minute": "–", "Time left": "–"}
    took = (job.completed_at - job.started_at).total_seconds()
    return {"Per minute": _rate(job.rate_per_minute), "Took": duration(took)}


def _rate(per_minute: float | None) -> str:
    if not per_minute:
        return "–"
    return f"{per_minute:,.0f}" if per_minute >= 100 else f"{per_minute:.1f}"


def _money(job: Job) -> dict[str, str]:
    """Return what is spent, what calls in flight may cost, and what is left of the budget."""
    money = job.money
    figures = {
        "Spent": dollars(money.spent),
        "Reserved": dollars(money.reserved),
        "Possibly paid": dollars(money.possible),
    }
    if money.budget is not None:
        left = max(0.0, money.budget - money.spent - money.possible - money.reserved)
        figures |= {"Budget": dollars(money.budget), "Left of it": dollars(left)}
    return figures


def _errors(errors: Sequence[ErrorClass], failed: int) -> None:
    """List the classes of errors, of which so many items are `failed` now; their messages and categories may quote a model."""
    if not errors:
        st.caption("**What went wrong:** nothing so far.")
        return
    st.caption("**What went wrong**, and how often")
    ended = sum(error.ended_items for error in errors)
    if failed < ended:
        st.caption(f"Items were tried again since; still failed: {failed:,}.")
    for error in errors[:ERRORS_SHOWN]:
        name = words(error.code) + (f", {error.category}" if error.category else "")
        met = f"ended {counted(error.ended_items, 'item')}" if error.ended_items else "ended no item"
        st.markdown(f"**{label_safe(name)}** · {error.times:,} × · {met}", help=label_safe(error.message))
    if len(errors) > ERRORS_SHOWN:
        st.caption(f"and {counted(len(errors) - ERRORS_SHOWN, 'rarer kind')}")
