"""Batch jobs as a list shows them, and the head of one."""

from __future__ import annotations

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobKind, JobStatus, WriterName
from brightrun.domain.ids import CHOOSE_FOR_ME
from brightrun.domain.part import Delivery
from brightrun.ui.frame import Place, empty_state, told
from brightrun.ui.notice import tell_end
from brightrun.ui.session import desk, page_at
from brightrun.ui.text import ago, counted, dollars, duration, label_safe, words
from brightrun.ui.theme import JOB_COLOURS

PAGE = 12
TICK = 3.0
AT = "batches-page"
"""No other list's: what one is at would be taken for another's when a reader goes from page to page."""


def draw_jobs(app: App) -> None:
    """Draw the list, newest first; it renews itself while a job on it is open."""
    total = app.batches.count()
    if not total:
        empty_state(
            "No batch yet",
            "A batch writes one conversation for each scenario. The demo writer is free and needs no key.",
            link=Place.GENERATE,
            label="Make the first batch",
        )
        return
    pages = -(-total // PAGE)
    at = page_at(AT, pages)
    jobs = app.batches.page(limit=PAGE, offset=(at - 1) * PAGE)
    is_open = any(job.is_out for job in jobs)
    st.fragment(_cards, run_every=TICK if is_open else None)(app, (at - 1) * PAGE)
    if pages > 1:
        st.pagination(pages, key=AT, bind="query-params")
    st.caption(f"{counted(total, 'batch', 'batches')} in all, newest first.")


def draw_card(job: Job, *, is_unattended: bool = False) -> None:
    """Draw one job as a row that leads to its page."""
    with st.container(border=True, key=f"job-{job.id}"):
        name, bar, figures = st.columns([5, 4, 3], vertical_alignment="center")
        with name:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.page_link(
                    Place.BATCH.value,
                    label=f"**{label_safe(job.name, limit=70)}**",
                    query_params={"job": job.id},
                )
                draw_status(job)
            st.caption(f"{_writer(job)} · started by {label_safe(job.created_by)} · {ago(job.created_at)}")
        with bar:
            st.progress(job.counts.share, text=_share(job))
        with figures:
            st.markdown(f"{label_safe(dollars(job.money.spent))} spent")
            st.caption(_tail(job, is_unattended=is_unattended))


def draw_status(job: Job) -> None:
    """Draw a job's state as a badge."""
    st.badge(state_of(job), color="violet" if job.awaits_start else JOB_COLOURS[job.status])


def state_of(job: Job) -> str:
    """Return a job's status in words; a pause that only waits for somebody to read is called by what is to be read."""
    return "Preview to read" if job.awaits_start else words(job.status.value)


def draw_job_head(job: Job) -> None:
    """Draw what a job is: its name, who writes, by which template, for whom, since when."""
    st.title(label_safe(job.name), anchor=False)
    st.caption(
        f"{_writer(job)} · {_manner(job)} · started by {label_safe(job.created_by)} "
        f"{ago(job.created_at)} · id {job.id[:8]}"
    )


def rest_of(job: Job) -> str:
    """Return how many items wait behind a preview, as the end of a line on how far a job is; nothing for none."""
    return f" · {counted(job.waiting, 'waits', 'wait')} to be started" if job.waiting else ""


def _cards(app: App, offset: int) -> None:
    """Draw one page of the list, and tell of a job that has ended since this session last looked."""
    own = desk()
    has_ended = False
    with told():
        jobs = app.batches.page(limit=PAGE, offset=offset)
        unattended = app.fleet.unattended(jobs)
        for job in jobs:
            draw_card(job, is_unattended=job.id in unattended)
            has_ended |= tell_end(own, job)
    if has_ended:
        st.rerun(scope="app")


def _manner(job: Job) -> str:
    if job.kind is JobKind.JUDGE:
        return "verdicts by the rubric"
    template = "template chosen for each item" if job.template_id == CHOOSE_FOR_ME else "one template for all"
    turns = f"{job.options.turns} messages each" if job.options.turns else "length by emotional arc"
    night = " · overnight" if job.options.delivery is Delivery.OVERNIGHT else ""
    stop = " · pauses at the first failure" if job.options.stop_on_error else ""
    return f"{template} · {turns}{night}{stop}"


def _writer(job: Job) -> str:
    if job.options.writer is WriterName.DEMO:
        return "Demo writer"
    return f"Claude, {label_safe(job.options.model)}"


def _share(job: Job) -> str:
    counts = job.counts
    failed = f" · {counts.failed:,} failed" if counts.failed else ""
    cancelled = f" · {counts.cancelled:,} cancelled" if counts.cancelled else ""
    done = "judged" if job.kind is JobKind.JUDGE else "written"
    return f"{counts.completed:,} of {counts.total:,} {done}{failed}{cancelled}{rest_of(job)}"


def _tail(job: Job, *, is_unattended: bool) -> str:
    if job.parts_out:
        doing = "being called off" if job.status is JobStatus.CANCELLED else "out overnight"
        return f"{counted(job.counts.processing, 'item')} {doing}"
    if job.awaits_start:
        return "Read its preview, then start the rest"
    if job.status is JobStatus.PAUSED:
        return f"{label_safe(job.pause_reason or 'Paused.')} Open it to go on."
    if job.is_open:
        if is_unattended:
            return f"Nobody is writing it: open it, or `brightrun work {job.id[:8]}`"
        if job.seconds_left:
            return f"{duration(job.seconds_left)} left"
        return "Being written" if job.counts.processing else "Waits for its turn"
    return f"Ended {ago(job.completed_at)}" if job.completed_at else ""
