"""Money on the screen: what a batch will cost, what it did cost, and the ledger of one item."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import AttemptOutcome, Item, Job, WriterName
from brightrun.domain.cost import JobCost, LedgerEntry, VersionCost
from brightrun.domain.estimate import Estimate
from brightrun.domain.ids import ItemId
from brightrun.domain.template import Template
from brightrun.ui.frame import told
from brightrun.ui.progress import is_live
from brightrun.ui.text import counted, dollars, label_safe, plain, words

TICK = 10.0
"""Adding a job up costs more the larger it is: the figures that move quickly stand above."""
NONE = "–"


def draw_estimate(estimate: Estimate) -> None:
    """Draw what a batch is expected to cost, what it costs when it turns out long, and the most."""
    figures = (
        ("Expected cost", estimate.expected_usd, "Every answer as long as the middle one."),
        ("If long", estimate.high_usd, "Every answer as long as the longest tenth of them."),
        (
            "At most",
            estimate.worst_usd,
            "Every answer at its token limit, one call each. A budget stops before.",
        ),
    )
    with st.container(horizontal=True, gap="medium"):  # they go on in the next line where the page is narrow
        for label, usd, note in figures:
            st.metric(label, label_safe(dollars(usd)), help=note, width="content")
    tokens = f"About {estimate.input_tokens:,} tokens in and {estimate.output_tokens:,} out."
    for sentence in (tokens, *estimate.basis):
        st.caption(label_safe(sentence))


def draw_costs(app: App, job: Job) -> None:
    """Draw what a paid batch costs; while it runs, anew now and then."""
    if job.options.writer is WriterName.DEMO:
        return
    st.subheader("Cost", anchor=False)
    st.fragment(_draw_costs, run_every=TICK if is_live(job) else None)(app, job)


def draw_template_costs(app: App, template: Template) -> None:
    """Draw what conversations of a template cost, by version and model."""
    rows = [row for row in app.costs.by_version(template_id=template.id) if row.writer != WriterName.DEMO]
    if not rows:
        st.caption("No batch that costs money has used this template yet.")
        return
    _draw_table(rows)
    st.caption("Spent for each approved conversation includes what failed or was rejected on the way.")


def draw_ledger(app: App, item: Item, job: Job) -> None:
    """Draw every call that was made for one item, with what it used."""
    if job.options.writer is WriterName.DEMO or not item.attempts:
        return
    draw_calls(app, item.id)


def draw_calls(app: App, item_id: ItemId) -> None:
    """Draw the ledger of one item."""
    st.caption("Calls")
    st.dataframe(_ledger_frame(app.costs.ledger(item_id)), hide_index=True, height="content")


def _draw_costs(app: App, job: Job) -> None:
    with told():
        costs = app.costs.of_job(job.id)
        _draw_each(costs)
        _draw_tokens(costs, job)
        if len(costs.templates) > 1:
            with st.expander(f"By template ({len(costs.templates)})"):
                _draw_table(costs.templates)


def _draw_each(costs: JobCost) -> None:
    """Draw what one conversation costs; what all of them do stands above, among the figures that move."""
    cost = costs.cost
    figures = (
        ("Per conversation", _each(cost.per_conversation), "Spent, over the conversations written."),
        (
            "Per approved",
            _each(cost.per_approved),
            f"Spent, over the {counted(cost.approved, 'conversation')} approved so far.",
        ),
        ("Saved by caching", dollars(costs.saved_usd), "Reads from the cache, less what writing to it cost."),
    )
    for column, (label, value, note) in zip(st.columns(len(figures)), figures, strict=True):
        column.metric(label, label_safe(value), help=note)


def _draw_tokens(costs: JobCost, job: Job) -> None:
    usage = costs.usage
    unknown = costs.cost.unknown_calls
    calls = counted(costs.cost.calls, "call") + (f", {unknown:,} of them possibly paid" if unknown else "")
    used = (
        f"{calls}: {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out, "
        f"{usage.cache_read_tokens:,} read from the cache, {usage.cache_write_tokens:,} written to it."
    )
    parts = [used]
    if costs.estimate:
        expected = f"{dollars(costs.estimate.expected_usd)} to {dollars(costs.estimate.high_usd)}"
        whole = f" for all {job.counts.total:,}" if job.waiting else ""
        parts.append(
            f"Before it started, {expected} was expected{whole}, {dollars(costs.estimate.worst_usd)} at most."
        )
    st.caption(label_safe(" ".join(parts), limit=600))


def _draw_table(rows: Sequence[VersionCost]) -> None:
    money = st.column_config.NumberColumn(format="$%.4f")
    st.dataframe(
        pd.DataFrame(
            {
                "Template": [plain(f"{row.template_name} v{row.version}") for row in rows],
                "Model": [plain(row.model) for row in rows],
                "Items": [row.cost.items for row in rows],
                "Written": [row.cost.completed for row in rows],
                "Approved": [row.cost.approved for row in rows],
                "Spent": [row.cost.spent_usd for row in rows],
                "Possibly spent": [row.cost.possible_usd for row in rows],
                "Per conversation": [row.cost.per_conversation for row in rows],
                "Per approved": [row.cost.per_approved for row in rows],
            }
        ),
        hide_index=True,
        height="content",
        column_config={
            "Spent": money,
            "Possibly spent": money,
            "Per conversation": money,
            "Per approved": money,
        },
    )


def _ledger_frame(entries: Sequence[LedgerEntry]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "#": [entry.number for entry in entries],
            "Outcome": [words(entry.outcome.value) for entry in entries],
            "Cost": [dollars(entry.cost_usd) for entry in entries],
            "Possibly": [dollars(entry.possible_usd) if _is_unknown(entry) else "" for entry in entries],
            "Tokens in": [entry.usage.input_tokens for entry in entries],
            "Out": [entry.usage.output_tokens for entry in entries],
            "Cache read": [entry.usage.cache_read_tokens for entry in entries],
            "Cache written": [entry.usage.cache_write_tokens for entry in entries],
            "Saved": [dollars(entry.saved_usd) if entry.saved_usd else "" for entry in entries],
            "Request": [plain(entry.request_id or "") for entry in entries],
            "Reason": [plain(entry.error_code or "") for entry in entries],
        }
    )


def _is_unknown(entry: LedgerEntry) -> bool:
    return entry.outcome is AttemptOutcome.UNKNOWN


def _each(usd: float | None) -> str:
    return NONE if usd is None else dollars(usd)
