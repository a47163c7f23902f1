"""The frame of the insight page: what its figures are about, the whole in four numbers, and which part is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from enum import StrEnum
from typing import Any

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.ids import JobId
from brightrun.domain.insight import Decisions, Dimension, Scope
from brightrun.domain.text import shortened
from brightrun.ui.filters import ANY, WRITERS, draw_job_chip
from brightrun.ui.frame import Place, empty_state
from brightrun.ui.session import desk, place
from brightrun.ui.text import label_safe, plain

JOB = "insight-job"
JOBS_OFFERED = 100
LABEL = 60


class View(StrEnum):
    """The parts of the page, as its address names them."""

    APPROVAL = "approval"
    REJECTIONS = "rejections"
    SCORE = "score"
    COST = "cost"
    REVIEWERS = "reviewers"
    COVERAGE = "coverage"
    VARIETY = "variety"
    JUDGE = "judge"


VIEWS: Mapping[str, str] = {
    View.APPROVAL: "Approval",
    View.REJECTIONS: "Rejections",
    View.SCORE: "Score",
    View.COST: "Cost",
    View.REVIEWERS: "Reviewers",
    View.COVERAGE: "Coverage",
    View.VARIETY: "Variety",
    View.JUDGE: "Judge",
}
DIMENSIONS: Mapping[str, str] = {
    Dimension.TEMPLATE: "Template version",
    Dimension.PERSONA: "Persona",
    Dimension.ARC: "Emotional arc",
    Dimension.TOPIC: "Topic",
    Dimension.MODEL: "Model",
    Dimension.WRITER: "Writer",
}


def draw_scope(app: App) -> Scope:
    """Let a person choose the batch, the writer and the days; the choice is in the address."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="insight-scope"):
        if place("job") is None:
            _offer_jobs(app)
        writer = st.selectbox(
            "Writer",
            [ANY, *WRITERS],
            format_func=lambda value: WRITERS.get(value, "Any"),
            key="writer",
            bind="query-params",
            width=132,
        )
        since = _day("Written from", "since")
        until = _day("Written until", "until")
    job = draw_job_chip(app)
    return Scope(job, None if writer in (None, ANY) else str(writer), since, until)


def draw_head(decisions: Decisions) -> None:
    """Draw the whole in four numbers."""
    whole = decisions.total
    rate = whole.rate
    figures = (
        ("Written", f"{whole.written:,}", "Conversations these figures are about."),
        ("Decided", f"{whole.decided:,}", "Approved, rejected or sent back for revision."),
        ("Approved of decided", f"{rate.share:.0%}" if rate else "–", "Those still waiting do not count."),
        (
            "Likely between",
            f"{rate.low:.0%} – {rate.high:.0%}" if rate else "–",
            "If you went on deciding like this, the rate would settle in this range, 95 times of 100.",
        ),
    )
    for column, (label, value, note) in zip(st.columns(4), figures, strict=True):
        column.metric(label, value, help=note)


def draw_view_choice() -> View:
    """Draw which part is shown; only that part is counted."""
    chosen = st.segmented_control(
        "Part",
        list(VIEWS),
        default=View.APPROVAL.value,
        required=True,
        format_func=VIEWS.__getitem__,
        key="show",
        bind="query-params",
        label_visibility="collapsed",
    )
    return View(str(chosen))


def draw_dimension(*, key: str) -> Dimension:
    """Let a person choose by what decisions are told apart."""
    chosen = st.segmented_control(
        "By",
        list(DIMENSIONS),
        default=Dimension.TEMPLATE.value,
        required=True,
        format_func=DIMENSIONS.__getitem__,
        key=key,
        bind="query-params",
        label_visibility="collapsed",
    )
    return Dimension(str(chosen))


def draw_nothing(app: App, scope: Scope) -> None:
    """Say why there is nothing to count and what to do next."""
    if scope == Scope() or not app.batches.count():
        empty_state(
            "Nothing has been written yet",
            "Write a batch, or import conversations you have, and decide on some: then this page says what works and what "
            "does not.",
            link=Place.GENERATE,
            label="Make the first batch",
        )
        return
    empty_state(
        "Nothing matches", "No conversation was written by this writer, in this batch, on these days."
    )
    st.button("Show everything", key="insight-any", on_click=_show_everything)


def draw_undecided() -> None:
    """Say that decisions are missing and where they are made."""
    empty_state(
        "Nothing has been decided on",
        "Approve or reject a few conversations: ten of each already say something.",
        link=Place.REVIEW,
        label="Review what waits",
    )


def draw_sentence(*sentences: str) -> None:
    """Draw what a chart shows in words; they may quote names that people chose."""
    for sentence in sentences:
        st.markdown(label_safe(sentence, limit=1000))


def draw_table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, Any] | None = None) -> None:
    """Draw the figures behind a chart, on demand."""
    with st.expander("The figures as a table"):
        st.dataframe(pd.DataFrame(rows), column_config=dict(columns or {}), hide_index=True)


def _day(label: str, key: str) -> date | None:
    chosen = st.date_input(
        label, value=None, format="YYYY-MM-DD", key=key, bind="query-params", width=140, help="Days of UTC."
    )
    return chosen if isinstance(chosen, date) else None


def _offer_jobs(app: App) -> None:
    names = {job.id: job.name for job in app.batches.page(limit=JOBS_OFFERED)}
    st.selectbox(
        "Batch",
        list(names),
        index=None,
        placeholder="All batches",
        format_func=lambda job: shortened(plain(names[job]), LABEL),
        key=JOB,
        on_change=_choose_job,
        width=210,  # with the others one row of 700 px
    )


def _show_everything() -> None:
    # Set, not forgotten: what is only forgotten comes back from the address.
    st.session_state.update({"writer": ANY, "since": None, "until": None})
    desk().moves["job"] = None


def _choose_job() -> None:
    chosen: JobId | None = st.session_state.get(JOB)
    desk().moves["job"] = chosen
