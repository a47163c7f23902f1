"""How varied what a batch wrote is: a verdict, a picture of the figures beside their limits, and near-duplicates."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import ItemStatus, Job, JobKind
from brightrun.domain.diversity import FEWEST, Diversity, Tell
from brightrun.domain.errors import BrightRunError
from brightrun.domain.ids import JobId, TemplateVersionId
from brightrun.ui.session import begin, desk
from brightrun.ui.text import counted, words
from brightrun.ui.theme import ITEM_SHADES

MEASURED = "diversity-measured"
APPROVED = "approved"
SHOWN_PAIRS = 50
WIDEST = 3.0
"""A bar ends here: how far beyond its limit a figure is matters little by then."""


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


def draw_variety(app: App) -> None:
    """Let a person choose a template version, or everything approved, and see how varied that is."""
    versions = {row["id"]: f"{row['name']} v{row['version']}" for row in app.reviews.facets()["templates"]}
    chosen = st.selectbox(
        "Of what",
        [APPROVED, *versions],
        format_func=lambda key: versions.get(key, "Everything approved"),
        key="diversity-of",
        width=420,
    )
    asked = st.button("Measure", key="diversity-measure", help="Reads what was written; costs nothing.")
    own = desk()
    if asked:
        own.heard[MEASURED] = str(chosen)
    if own.heard.get(MEASURED) != chosen:
        st.caption("Ten figures beside their limits say whether conversations differ enough to train on.")
        return
    _draw_found(_measured_version(app, str(chosen)))


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
def _measured_version(_app: App, chosen: str) -> Diversity:
    if chosen == APPROVED:
        return _app.diversity.of_approved()
    return _app.diversity.of_version(TemplateVersionId(chosen))


def _draw_figures(found: Diversity) -> None:
    rows = [
        {
            "figure": words(tell.figure.value),
            "share": min(_share(tell), WIDEST),
            "is": "beyond its limit" if tell.warns else "within its limit",
            "value": f"{tell.value:.2f}",
            "limit": f"{'at least' if tell.limit.is_least else 'at most'} {tell.limit.value:g}",
            "meaning": tell.limit.meaning,
            "source": tell.limit.source,
        }
        for tell in found.tells
    ]
    table = pd.DataFrame(rows)
    base = alt.Chart(table).encode(
        y=alt.Y("figure:N", sort=None, title=None, axis=alt.Axis(labelLimit=200)),
        tooltip=["figure", "value", "limit", "meaning", "source"],
    )
    colour = alt.Color(
        "is:N",
        scale=alt.Scale(
            domain=["within its limit", "beyond its limit"],
            range=[ITEM_SHADES[ItemStatus.COMPLETED], ITEM_SHADES[ItemStatus.PROCESSING]],
        ),
        legend=alt.Legend(orient="top", title=None),
    )
    scale = alt.Scale(domain=[0, WIDEST])
    bars = base.mark_bar(height=14).encode(
        x=alt.X("share:Q", title="share of its limit (1 = the limit)", scale=scale), color=colour
    )
    numbers = base.mark_text(align="left", dx=6).encode(x=alt.X("share:Q", scale=scale), text="value:N")
    limit = alt.Chart(pd.DataFrame({"x": [1.0]})).mark_rule(strokeDash=[4, 3]).encode(x="x:Q")
    st.altair_chart((bars + numbers + limit).properties(height=alt.Step(26)))
    st.dataframe(
        table[["figure", "value", "limit", "meaning"]].rename(columns=words),
        hide_index=True,
        height="content",
    )
    st.caption(
        f"Measured on {found.measured:,} of {found.total:,} conversations, the same number of words for every set; "
        "point at a bar for the source of its limit."
    )


def _share(tell: Tell) -> float:
    """Return how near a figure is to its limit: 1 is there, more is beyond."""
    if tell.limit.is_least:
        return tell.limit.value / tell.value if tell.value else WIDEST
    return tell.value / tell.limit.value if tell.limit.value else (WIDEST if tell.value else 0.0)


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
