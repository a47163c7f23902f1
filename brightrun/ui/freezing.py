"""Freezing a dataset: what is chosen, how it is split and mended, and how much that is before it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import WriterName
from brightrun.domain.dataset import DatasetOptions
from brightrun.domain.errors import BrightRunError, InvalidInput
from brightrun.domain.person import Action
from brightrun.domain.review import ConversationFilter
from brightrun.ui.filters import draw_job_chip
from brightrun.ui.frame import Place, empty_state, show_error
from brightrun.ui.session import begin, person, set_place
from brightrun.ui.text import counted, label_safe

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
        options = _draw_options(app, name or "")
        number = app.datasets.matching(chosen)
        st.caption(
            f"{counted(number, 'approved conversation')} of {approved:,} would be in it, but for exact duplicates. Freezing "
            "keeps the list for ever: what is decided or corrected later changes no dataset that exists."
        )
        if st.button(
            f"Freeze {counted(number, 'conversation')}",
            type="primary",
            key="dataset-freeze",
            disabled=not number or options is None or not app.may(Action.FREEZE_DATASET),
            help=None if number else "Nothing approved matches.",
        ):
            assert options
            _freeze(app, chosen, options, name or "")


def with_bar(label: str, work: Callable[[Callable[[int, int], None]], Any], done: Any = None) -> Any:
    """Do work that reports its progress, with a bar for as long as it takes."""
    if done is not None:
        return done
    bar = st.empty()

    def told(now: int, total: int) -> None:
        bar.progress(now / max(total, 1), f"{label}: {now:,} of {total:,}")

    result = work(told)
    bar.empty()
    return result


def _draw_options(app: App, name: str) -> DatasetOptions | None:
    """Let a person choose the splits and what is mended; None where that cannot be, which is said."""
    before = app.datasets.newest(name)
    with st.expander("Splits and mending"):
        shares = st.columns(2)
        validation = shares[0].slider("Validation, %", 0, 50, 10, 5, key="dataset-validation")
        test = shares[1].slider("Test, %", 0, 50, 0, 5, key="dataset-test")
        st.caption(
            "The scenario decides the side; scenarios told in nearly the same words stand on one side together."
        )
        merge = st.checkbox(
            "Merge the system text into the first user turn", key="dataset-merge",
            help="For models whose chat template has no system role, such as Gemma.",
        )  # fmt: skip
        drop = st.checkbox("Drop a last user turn that has no answer", key="dataset-drop")
        cut = st.number_input(
            "Cut conversations longer than (tokens)",
            value=None,
            step=1024,
            key="dataset-cut",
            placeholder="never",
        )
    try:
        options = DatasetOptions(validation / 100, test / 100, merge, drop, cut)
    except InvalidInput as fault:
        show_error(fault)
        return None
    if before and (before.options.validation, before.options.test) != (options.validation, options.test):
        st.warning(
            f"Version {before.version} had other shares (validation {before.options.validation:.0%}, test "
            f"{before.options.test:.0%}): conversations change sides, and a model that was trained on that version "
            "may be tested on what it has seen."
        )
    return options


def _freeze(app: App, chosen: ConversationFilter, options: DatasetOptions, name: str) -> None:
    own, actor = begin(), person()
    try:
        dataset = own.once(
            ("freeze", chosen, options, name),
            lambda: with_bar(
                "Looking for near-duplicates",
                lambda told: app.datasets.freeze(
                    chosen, name=name, actor=actor, options=options, progress=told
                ),
            ),
        )
    except BrightRunError as fault:
        show_error(fault)
        return
    repeated = app.datasets.repeated(dataset)
    same = f" They are those of v{repeated.version}, on the same sides of the split." if repeated else ""
    own.notify(
        f"{label_safe(dataset.name)} v{dataset.version} holds {counted(dataset.row_count, 'conversation')}.{same}"
    )
    set_place("dataset", dataset.id)
    st.rerun()
