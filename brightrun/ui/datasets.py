"""Datasets: freeze what is approved, and take every file of every version away again."""

from __future__ import annotations

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import WriterName
from brightrun.domain.dataset import Dataset
from brightrun.domain.errors import BrightRunError
from brightrun.domain.review import ConversationFilter
from brightrun.services.datasets import MEDIA_TYPES, SIDECAR_SUFFIX, Format, file_name
from brightrun.ui.filters import draw_job_chip
from brightrun.ui.frame import Place, empty_state, show_error
from brightrun.ui.session import begin, person
from brightrun.ui.text import ago, counted, label_safe

PAGE = 20
BROWSER_ROWS = 20_000
"""A browser download is held in memory whole; above this many rows the shell writes the files."""
LABELS = {Format.MESSAGES: "JSONL for training", Format.CSV: "CSV", Format.JSON: "JSON"}
BOTH = "both"


def draw_maker(app: App) -> None:
    """Let a person choose what to freeze, and show how much that is before it happens."""
    approved = app.datasets.matching(ConversationFilter())
    if not approved:
        waiting = app.reviews.count(ConversationFilter())
        empty_state(
            "Nothing is approved yet",
            "A dataset is made of approved conversations. Read some and approve the good ones."
            if waiting
            else "A dataset is made of approved conversations. Have some written first.",
            link=Place.REVIEW if waiting else Place.GENERATE,
            label="Review" if waiting else "New batch",
        )
        return
    with st.container(border=True, key="maker"):
        name_at, least_at, writer_at = st.columns([3, 3, 2], vertical_alignment="bottom")
        name = name_at.text_input("Name", value="approved", max_chars=120, key="dataset-name")
        least = least_at.slider("Score at least", 0.0, 10.0, 0.0, 0.5, key="dataset-score")
        writer = writer_at.selectbox(
            "Written by",
            [BOTH, *(w.value for w in WriterName)],
            format_func=lambda w: {BOTH: "Any writer", "demo": "Demo writer", "claude": "Claude"}[w],
            key="dataset-writer",
        )
        chosen = ConversationFilter(
            min_score=least or None,
            writer=None if writer == BOTH else writer,
            job_id=draw_job_chip(app),
        )
        number = app.datasets.matching(chosen)
        st.caption(
            f"{counted(number, 'approved conversation')} of {approved:,} would be in it. Freezing keeps the list "
            "for ever: what is decided later changes no dataset that exists."
        )
        if st.button(
            f"Freeze {counted(number, 'conversation')}",
            type="primary",
            key="dataset-freeze",
            disabled=not number,
            help=None if number else "Nothing approved matches.",
        ):
            _freeze(app, chosen, name or "")


def draw_datasets(app: App) -> None:
    """Draw every dataset, newest first, with its files."""
    found = app.datasets.all(limit=PAGE)
    if not found:
        return
    st.subheader("Frozen so far", anchor=False)
    for dataset in found:
        _draw_one(app, dataset)


def _freeze(app: App, chosen: ConversationFilter, name: str) -> None:
    own, actor = begin(), person()
    try:
        dataset = own.once(
            ("freeze", chosen, name), lambda: app.datasets.freeze(chosen, name=name, actor=actor)
        )
    except BrightRunError as fault:
        show_error(fault)
        return
    own.notify(f"{label_safe(dataset.name)} v{dataset.version} holds {counted(dataset.row_count, 'row')}.")
    st.rerun()


def _draw_one(app: App, dataset: Dataset) -> None:
    with st.container(border=True, key=f"dataset-{dataset.id}"):
        about, files = st.columns([4, 6], vertical_alignment="center")
        with about:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{label_safe(dataset.name, limit=60)} v{dataset.version}**", width="content")
                if dataset.demo_count:
                    st.badge(f"{dataset.demo_count:,} by the demo writer", color="orange")
            st.caption(
                f"{counted(dataset.row_count, 'conversation')} · by {label_safe(dataset.created_by)} "
                f"· {ago(dataset.created_at)}"
            )
        with files:
            _draw_downloads(app, dataset)


def _draw_downloads(app: App, dataset: Dataset) -> None:
    if dataset.row_count > BROWSER_ROWS:
        st.caption("Too large for a browser's memory. In a shell, this writes the same files:")
        st.code("brightrun export --out FOLDER", language=None)
        return
    with st.container(horizontal=True, horizontal_alignment="right"):
        for chosen, label in LABELS.items():
            st.download_button(
                label,
                data=lambda chosen=chosen: b"".join(app.datasets.stream(dataset, chosen)),  # type: ignore[misc]
                file_name=file_name(dataset, chosen),
                mime=MEDIA_TYPES[chosen],
                on_click="ignore",
                key=f"get-{dataset.id}-{chosen.value}",
                type="primary" if chosen is Format.MESSAGES else "secondary",
            )
        st.download_button(
            "Sidecar",
            data=lambda: b"".join(app.datasets.sidecar(dataset)),
            file_name=file_name(dataset, Format.MESSAGES).replace(".jsonl", SIDECAR_SUFFIX),
            mime="application/x-ndjson",
            on_click="ignore",
            key=f"get-{dataset.id}-sidecar",
            help="One line of metadata for each training row: who decided, score, scaffolding, template.",
        )
