"""The items of one batch: a page of rows, and everything about the one that is chosen."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Item, ItemStatus, Job
from brightrun.domain.person import Action
from brightrun.domain.text import shortened
from brightrun.ui.answers import reparse_one
from brightrun.ui.costs import draw_ledger
from brightrun.ui.filters import ANY
from brightrun.ui.frame import Place, told
from brightrun.ui.progress import is_live
from brightrun.ui.session import page_at
from brightrun.ui.text import dollars, plain, words

PAGE = 50
TICK = 2.0
SHOW = "show"
AT = "items"


def draw_items(app: App, job: Job) -> None:
    """Draw the item table; while the job runs it renews itself, slower than the bar."""
    st.subheader("Items", anchor=False)
    st.fragment(_table, run_every=TICK if is_live(job) else None)(app, job)


def _table(app: App, job: Job) -> None:
    with told():
        now = app.batches.get(job.id)
        chosen = st.segmented_control(
            "Show",
            ["all", *(status.value for status in ItemStatus)],
            default="all",
            required=True,
            format_func=words,
            key=SHOW,
            bind="query-params",
            label_visibility="collapsed",
            on_change=_first_page,
        )
        status = ItemStatus(chosen) if chosen in set(ItemStatus) else None
        total = getattr(now.counts, status.value) if status else now.counts.total
        pages = max(1, -(-total // PAGE))
        at = page_at(AT, pages)
        items = app.batches.items(job.id, status=status, limit=PAGE, offset=(at - 1) * PAGE)
        if not items:
            st.caption("No item is in this state.")
            return
        picked = st.dataframe(
            _frame(app, items),
            key=f"items-{status.value if status else 'all'}-{at}",
            hide_index=True,
            column_config=COLUMNS,
            on_select="rerun",
            selection_mode="single-row",
            height=min(36 * (len(items) + 1) + 3, 560),
            row_height=36,
        )
        if pages > 1:
            st.pagination(pages, key=AT, bind="query-params")
        rows = picked.selection.rows
        if rows and rows[0] < len(items):
            _one(app, items[rows[0]], job)
        else:
            st.caption(
                "Choose a row to see its scenario, its template and, where it failed, the whole reason."
            )


COLUMNS = {
    "#": st.column_config.NumberColumn(width=56),
    "Status": st.column_config.TextColumn(width=150),
    "Scenario": st.column_config.TextColumn(width="large"),
    "Template": st.column_config.TextColumn(width="medium"),
    "Tries": st.column_config.NumberColumn(width=64),
    "Score": st.column_config.ProgressColumn(min_value=0, max_value=10, format="%.1f", width=110),
    "Seconds": st.column_config.NumberColumn(format="%.1f", width=84),
    "Cost": st.column_config.TextColumn(width=90),
    "Reason": st.column_config.TextColumn(width="large"),
}


def _frame(app: App, items: Sequence[Item]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "#": [item.position for item in items],
            "Status": [_status(item) for item in items],
            "Scenario": [plain(app.scenarios.title(item.scenario)) for item in items],
            "Template": [plain(item.template_name) for item in items],
            "Tries": [item.attempts for item in items],
            "Score": pd.array([item.quality_score for item in items], dtype="Float64"),
            "Seconds": pd.array([item.seconds for item in items], dtype="Float64"),
            "Cost": [dollars(item.cost) if item.attempts else "" for item in items],
            "Reason": [shortened(plain(item.error_message or ""), 200) for item in items],
        }
    )


def _draw_way(item: Item, job: Job) -> None:
    """Draw the way to the conversation that was written or judged."""
    if item.subject:
        query = {"status": words(ANY), "id": item.subject.conversation_id}
        st.page_link(Place.REVIEW.value, label="Read the conversation it judges", query_params=query)
    elif item.conversation_id:
        query = {"job": job.id, "id": item.conversation_id}
        st.page_link(Place.REVIEW.value, label="Read the conversation", query_params=query)


def _status(item: Item) -> str:
    if item.status is ItemStatus.QUEUED and item.next_attempt_at and item.attempts:
        return f"Next try {item.next_attempt_at.astimezone():%H:%M:%S}"
    return words(item.status.value)


def _first_page() -> None:
    st.session_state[AT] = 1


def _one(app: App, item: Item, job: Job) -> None:
    """Show one item whole; everything foreign stands as plain text."""
    with st.container(border=True):
        st.markdown(f"**Item {item.position}** · {words(item.status.value)}")
        if item.error_message:
            st.error(f"`{item.error_code or 'fault'}`")
            st.text(item.error_message)
        if item.status is ItemStatus.FAILED and item.subject is None:
            st.button(
                "Read its answer again",
                key=f"reparse-{item.id}",
                help="Free: nothing is called. Worth it after Bright Run or a rule has changed.",
                disabled=not app.may(Action.REPARSE),
                on_click=reparse_one,
                args=(app, item.id),
            )
        _draw_way(item, job)
        if item.template_name:
            st.caption("Template")
            st.text(f"{item.template_name}. {item.template_choice}")
        parts = {"Tier": words(item.scenario.tier.value), **app.scenarios.parts(item.scenario)}
        values = parts | dict(item.scenario.variables)
        st.caption("Scenario")
        st.code(
            "\n".join(f"{name}: {value}" for name, value in values.items()), language=None, wrap_lines=True
        )
        draw_ledger(app, item, job)
