"""Which conversations are meant: one row of choices, kept in the address of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import WriterName
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.errors import BrightRunError
from brightrun.domain.ids import JobId
from brightrun.domain.review import ConversationFilter
from brightrun.domain.scenario import Tier
from brightrun.ui.session import desk, place
from brightrun.ui.text import label_safe, plain, words

ANY = "any"
STATUS = "status"
AT = "page"
SORTS = {
    "newest": "Newest first",
    "oldest": "Oldest first",
    "best": "Best score first",
    "worst": "Worst score first",
}
WRITERS = {WriterName.DEMO.value: "Demo writer", WriterName.CLAUDE.value: "Claude"}
CHOICES = ("persona", "arc", "topic", "tier", "writer", "score")


def draw_filters(app: App) -> tuple[ConversationFilter, str]:
    """Draw the status, the order and the rest; returns the filter with the order's name."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        status = st.segmented_control(
            "Status",
            [ANY, *(s.value for s in ConversationStatus if s is not ConversationStatus.ARCHIVED)],
            default=ConversationStatus.PENDING_REVIEW.value,
            required=True,
            format_func=words,
            key=STATUS,
            bind="query-params",
            label_visibility="collapsed",
            on_change=first_page,
            width="stretch",
        )
        sort = st.selectbox(
            "Order",
            list(SORTS),
            format_func=SORTS.__getitem__,
            key="sort",
            bind="query-params",
            label_visibility="collapsed",
            on_change=first_page,
            width=190,
        )
        used = sum(st.session_state.get(name) not in (None, ANY, 0.0) for name in CHOICES)
        with st.popover(f"Filters · {used}" if used else "Filters", key="filters-more"):
            more = _more(app)
    chosen = replace(
        more,
        status=None if status == ANY else ConversationStatus(str(status)),
        job_id=draw_job_chip(app),
    )
    return chosen, str(sort)


def draw_job_chip(app: App) -> JobId | None:
    """Say when only one batch is shown, with a way back to all; returns its id.

    Where there is no such batch the run ends here: everything would be shown instead, and could be decided on.
    """
    wanted = place("job")
    if wanted is None:
        return None
    try:
        job = app.batches.get(app.batches.find(wanted))
    except BrightRunError as fault:
        st.warning(label_safe(fault.message))
        job = None
    with st.container(horizontal=True, vertical_alignment="center", key="job-chip"):
        name = label_safe(job.name, limit=60) if job else label_safe(wanted)
        st.badge(f"Only from the batch {name}", color="blue")
        st.button("Show all batches", key="job-any", type="tertiary", on_click=_show_all)
    if job is None:
        st.stop()
    return job.id


def first_page() -> None:
    """Go back to page one: another filter has other pages."""
    st.session_state.pop(AT, None)


def forget_filters() -> None:
    """Set every choice but the status back to any."""
    for name in CHOICES:
        st.session_state.pop(name, None)
    _show_all()
    first_page()


def _show_all() -> None:
    desk().moves["job"] = None


def _more(app: App) -> ConversationFilter:
    axes = app.scenarios.axes()
    persona = _one("Persona", "persona", {p.persona_key: p.name for p in axes.personas})
    arc = _one("Emotional arc", "arc", {a.arc_key: a.name for a in axes.arcs})
    topic = _one("Topic", "topic", {t.topic_key: t.name for t in axes.topics})
    tier = _one("Tier", "tier", {t.value: words(t.value) for t in Tier})
    writer = _one("Writer", "writer", WRITERS)
    least = st.slider(
        "Score at least", 0.0, 10.0, 0.0, 0.5, key="score", bind="query-params", on_change=first_page
    )
    st.button("Clear filters", key="filters-clear", on_click=forget_filters, width="stretch")
    return ConversationFilter(
        writer=writer,
        tier=tier,
        persona_key=persona,
        arc_key=arc,
        topic_key=topic,
        min_score=least or None,
    )


def _one(label: str, key: str, names: dict[str, str]) -> str | None:
    options: Sequence[str] = [ANY, *names]
    chosen = st.selectbox(
        label,
        options,
        format_func=lambda value: "Any" if value == ANY else plain(names.get(value, value)),
        key=key,
        bind="query-params",
        on_change=first_page,
    )
    return None if chosen in (None, ANY) else str(chosen)
