"""How varied what a batch wrote is: a verdict, a picture of the figures beside their limits, and near-duplicates."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobKind
from brightrun.domain.diversity import FEWEST, TEMPLATED, Diversity, Tell
from brightrun.domain.errors import BrightRunError
from brightrun.domain.ids import JobId, TemplateVersionId
from brightrun.domain.insight import Scope
from brightrun.ui.diversity_chart import limits
from brightrun.ui.session import begin, desk
from brightrun.ui.text import counted

MEASURED = "diversity-measured"
APPROVED = "approved"
SHOWN_PAIRS = 50


def draw_diversity(app: App, job: Job) -> None:
    """Let a person ask how varied a batch is; it takes seconds, so nothing is worked out unasked."""
    if job.kind is JobKind.JUDGE or job.counts.completed < 2:
        return
    with st.expander("How varied is it?"):
        with st.container(horizontal=True):
            asked = st.button(
                "Measure",
                key="diversity-measure",
                disabled=job.counts.completed < FEWEST,
                help=f"Reads what was written; costs nothing. It takes {FEWEST} conversations to say anything.",
            )
            st.button(
                "Flag near-duplicates",
                key="duplicates-mark",
                on_click=_mark,
                args=(app, job),
                help="Within this batch and against everything approved; costs nothing.",
            )
        own = desk()
        if asked:
            own.heard[MEASURED] = job.id
        if own.heard.get(MEASURED) != job.id:
            st.caption("Whether these conversations differ enough to train on, or repeat one pattern.")
            return
        _draw_found(_measured(app, job.id, job.counts.completed))


def draw_variety(app: App, scope: Scope) -> None:
    """Let a person choose a template version, or all that is approved, and see how varied it is within the scope."""
    versions = {row["id"]: f"{row['name']} v{row['version']}" for row in app.reviews.facets()["templates"]}
    chosen = st.selectbox(
        "Of what",
        [APPROVED, *versions],
        format_func=lambda key: versions.get(key, "Everything approved"),
        key="diversity-of",
        width=420,
    )
    if scope != Scope():
        st.caption("Of that, only what the filter above leaves.")
    asked = st.button("Measure", key="diversity-measure", help="Reads what was written; costs nothing.")
    own, wanted = desk(), f"{chosen} {scope.to_json()}"
    if asked:
        own.heard[MEASURED] = wanted
    if own.heard.get(MEASURED) != wanted:
        st.caption("Figures beside their limits say whether conversations differ enough to train on.")
        return
    _draw_found(_measured_version(app, str(chosen), scope))


def _mark(app: App, job: Job) -> None:
    own = begin()
    try:
        own.notify(app.duplicates.mark_job(job.id).story())
    except BrightRunError as fault:
        own.complain(fault)


def _draw_found(found: Diversity) -> None:
    if not found.tells:
        st.info(found.story())
        return
    (st.warning if found.is_templated else st.success)(f"**{found.story()}**")
    _draw_figures(found)
    _draw_pairs(found)


@st.cache_resource(max_entries=4, ttl=600, scope="session", show_spinner="Reading what was written…")
def _measured(_app: App, job_id: str, completed: int) -> Diversity:
    return _app.diversity.of_job(JobId(job_id))


@st.cache_resource(max_entries=4, ttl=60, scope="session", show_spinner="Reading what was written…")
def _measured_version(_app: App, chosen: str, scope: Scope) -> Diversity:
    if chosen == APPROVED:
        return _app.diversity.of_approved(scope)
    return _app.diversity.of_version(TemplateVersionId(chosen), scope)


def _draw_figures(found: Diversity) -> None:
    st.altair_chart(
        limits(found.tells), alt="How far each figure is from its limit, and on which side of it."
    )
    table = [
        {
            "Figure": tell.label,
            "Value": f"{tell.value:.3g}",
            "Limit": _bound(tell),
            "Kept": "beyond" if tell.warns else "within",
            "In the verdict": "yes" if tell.limit.counts else "no",
        }
        for tell in found.tells
    ]
    st.dataframe(pd.DataFrame(table), hide_index=True, height="content")
    with st.expander("What the figures are, and where their limits come from"):
        for tell in found.tells:  # in a table, sentences are cut off
            st.markdown(f"**{tell.label}**: {tell.limit.meaning}. Limit: {tell.limit.source}.")
    st.caption(
        f"Measured on {found.measured:,} of {found.total:,} conversations, the same number of words for every set. "
        f"Where {TEMPLATED} or more of those that count are beyond their limit, the set sounds alike."
    )


def _bound(tell: Tell) -> str:
    return f"{'at least' if tell.limit.is_least else 'at most'} {tell.limit.value:g}"


def _draw_pairs(found: Diversity) -> None:
    if not found.duplicates:
        st.caption("No two of them are nearly the same.")
        return
    st.markdown(f"{counted(len(found.duplicates), 'pair')} nearly the same; reject one of each:")
    rows = [
        {"One": f"/review?id={one}", "Other": f"/review?id={other}", "Likeness": likeness}
        for one, other, likeness in found.duplicates[:SHOWN_PAIRS]
    ]
    link = st.column_config.LinkColumn(display_text=r"id=(.{8})")
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            "One": link,
            "Other": link,
            "Likeness": st.column_config.NumberColumn(format="percent"),
        },
    )
