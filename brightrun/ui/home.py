"""The home page's body: what is waiting, and what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobStatus, WriterName
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.person import way_to
from brightrun.domain.review import ConversationFilter
from brightrun.ui.frame import USED_FOR, Place, may_open, told
from brightrun.ui.jobs import draw_card
from brightrun.ui.text import counted

LATEST = 20
SHOWN = 4


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a person can act on now."""

    jobs: int
    latest: Sequence[Job]
    to_review: int
    approved: int
    datasets: int

    @property
    def unfinished(self) -> list[Job]:
        """Those that a person or a window has to bring on, the ones that wait for a person first."""
        found = [job for job in self.latest if job.is_out or job.status is JobStatus.PAUSED]
        return sorted(found, key=lambda job: (not job.awaits_start, not job.is_out))

    @property
    def previews(self) -> int:
        return sum(job.awaits_start for job in self.latest)

    @property
    def failed_items(self) -> int:
        return sum(job.counts.failed for job in self.latest)


def draw_home(app: App) -> None:
    """Draw what waits for a person and the way from parameters to a dataset."""
    st.title("From parameters to a dataset", anchor=False)
    st.caption(
        "Choose who speaks, how the feeling moves and what it is about. Have each conversation written, "
        "read it, approve it, and take the approved ones away as training data."
    )
    with told():
        waiting = _look(app)
        _draw_figures(waiting)
        _draw_steps(app, waiting)
        _draw_latest(app, waiting)


def _look(app: App) -> Waiting:
    pending = ConversationFilter(status=ConversationStatus.PENDING_REVIEW)
    return Waiting(
        jobs=app.batches.count(),
        latest=app.batches.page(limit=LATEST),
        to_review=app.reviews.count(pending),
        approved=app.datasets.matching(ConversationFilter()),
        datasets=len(app.datasets.all(limit=LATEST)),
    )


def _draw_figures(waiting: Waiting) -> None:
    figures = (
        ("Waiting for review", waiting.to_review, "Conversations nobody has decided on."),
        ("Approved", waiting.approved, "Conversations that may enter a dataset."),
        (
            "Unfinished batches",
            len(waiting.unfinished),
            f"Being written, paused, or with a preview to read, among the latest {LATEST}.",
        ),
        ("Failed items", waiting.failed_items, f"In the latest {LATEST} batches; each names its reason."),
    )
    for column, (label, number, note) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(label, f"{number:,}", border=True, help=note)


def _draw_steps(app: App, waiting: Waiting) -> None:
    """Draw the four steps; the next one stands out."""
    demo = " The demo writer is free." if app.settings.default_writer is WriterName.DEMO else ""
    steps = (
        (
            "Write",
            counted(waiting.jobs, "batch", "batches") + " so far."
            if waiting.jobs
            else f"No batch yet.{demo}",
            Place.GENERATE,
            "New batch",
        ),
        (
            "Watch",
            _watched(waiting),
            Place.BATCHES,
            "Batches",
        ),
        (
            "Review",
            f"{counted(waiting.to_review, 'conversation')} to read."
            if waiting.to_review
            else "Nothing waits for you.",
            Place.REVIEW,
            "Review",
        ),
        (
            "Export",
            f"{waiting.approved:,} approved; {counted(waiting.datasets, 'dataset')} made."
            if waiting.approved
            else "Nothing is approved yet.",
            Place.DATASETS,
            "Datasets",
        ),
    )
    nearest = _next_step(app, waiting)
    st.subheader("What to do next", anchor=False)
    for number, (column, (name, state, place, label)) in enumerate(
        zip(st.columns(len(steps)), steps, strict=True)
    ):
        card = column.container(
            border=True, height="stretch", vertical_alignment="distribute", key=f"step-{name.lower()}"
        )
        with card:
            with st.container():
                with st.container(
                    horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
                ):
                    st.markdown(f"**{number + 1} · {name}**")
                    if number == nearest:
                        st.badge("Next", color="green")
                st.caption(state)
            is_open = may_open(app, place.address)
            if st.button(
                label,
                key=f"go-{name.lower()}",
                type="primary" if number == nearest else "secondary",
                width="stretch",
                disabled=not is_open,
                help=None if is_open else way_to(USED_FOR[place.address]),
            ):
                st.switch_page(place.value)


def _watched(waiting: Waiting) -> str:
    """Say what is under way, and first what waits for somebody to read it."""
    others = len(waiting.unfinished) - waiting.previews
    parts = [counted(waiting.previews, "preview") + " to read"] if waiting.previews else []
    if others:
        parts.append(counted(others, "batch", "batches") + " not finished")
    return ", ".join(parts) + "." if parts else "Nothing is being written."


def _next_step(app: App, waiting: Waiting) -> int | None:
    """Return which step helps most now: finish what is open, then read, then export, then write more."""
    if any(job.awaits_start or job.is_out for job in waiting.latest):
        return 1
    if waiting.to_review:
        return 2
    if waiting.approved and not waiting.datasets:
        return 3
    return 0 if may_open(app, Place.GENERATE.address) else None


def _draw_latest(app: App, waiting: Waiting) -> None:
    if not waiting.latest:
        return
    shown = (waiting.unfinished or list(waiting.latest))[:SHOWN]
    st.subheader("Unfinished batches" if waiting.unfinished else "Latest batches", anchor=False)
    unattended = app.fleet.unattended(shown)
    for job in shown:
        draw_card(job, is_unattended=job.id in unattended)
