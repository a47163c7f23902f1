"""Approval, rejections and the score: what people decided, and what it was about."""

from __future__ import annotations

import streamlit as st

from brightrun.domain.insight import Decisions, Dimension, Group, Scores
from brightrun.domain.text import shortened
from brightrun.ui.insight import (
    DIMENSIONS,
    draw_dimension,
    draw_sentence,
    draw_table,
    draw_undecided,
)
from brightrun.ui.insight_charts import (
    CHARTED,
    Count,
    Interval,
    intervals,
    matrix,
    score_histogram,
    score_rates,
)
from brightrun.ui.text import distinct, plain

NO_REASON = "(no reason given)"
SHARE = st.column_config.NumberColumn(format="percent")


@st.fragment
def draw_approval(decisions: Decisions) -> None:
    """Draw how often each value of a dimension is approved, and how sure that is; another dimension counts nothing anew."""
    if not decisions.total.decided:
        draw_undecided()
        return
    draw_sentence(decisions.sentence())
    dimension = draw_dimension(key="by")
    groups = [group for group in decisions.groups[dimension] if group.rate is not None]
    draw_sentence(decisions.spread_sentence(dimension))
    rows = [
        Interval(
            name,
            group.rate.share,
            group.rate.low,
            group.rate.high,
            f"{group.approved:,} of {group.decided:,}",
        )
        for name, group in zip(_names(groups), groups, strict=True)
        if group.rate is not None
    ]
    st.altair_chart(
        intervals(rows[:CHARTED], "Approved of decided"),
        key="insight-approval",
        alt=f"Approval rate by {DIMENSIONS[dimension].lower()}, with the range it likely lies in.",
    )
    st.caption(
        "The dot is the share approved of what was decided; the bar is where it likely lies: Wilson's 95% "
        "interval (E. B. Wilson, 1927), which stays honest with few cases."
        + _hidden(decisions, dimension, len(rows))
    )
    draw_table([_cells(group) for group in decisions.groups[dimension]], {"Approved of decided": SHARE,
               "At least": SHARE, "At most": SHARE})  # fmt: skip


@st.fragment
def draw_rejections(decisions: Decisions) -> None:
    """Draw why conversations are rejected, and which combinations are rejected more often than the rest."""
    if not decisions.total.decided:
        draw_undecided()
        return
    if not decisions.total.rejected:
        draw_sentence(decisions.reason_sentence())
        return
    draw_sentence(decisions.reason_sentence())
    dimension = draw_dimension(key="by")
    groups = [group for group in decisions.groups[dimension] if group.reasons][:CHARTED]
    counts = [
        Count(name, _reason(reason), times)
        for name, group in zip(_names(groups), groups, strict=True)
        for reason, times in group.reasons.items()
    ]
    order = sorted(decisions.total.reasons, key=lambda reason: -decisions.total.reasons[reason])
    st.altair_chart(
        matrix(
            counts,
            _names(groups),
            [_reason(reason) for reason in order],
            (DIMENSIONS[dimension], "Reason", "Rejections"),
        ),
        key="insight-reasons",
        alt=f"How often each reason was given, by {DIMENSIONS[dimension].lower()}.",
    )
    draw_table([
        {DIMENSIONS[dimension]: c.row, "Reason": c.column, "Rejections": c.number} for c in counts
    ])  # fmt: skip
    st.subheader("What stands out", anchor=False)
    draw_sentence(decisions.lift_sentence())
    for lift in decisions.lifts:
        draw_sentence(f"– {lift.sentence()}")
    st.caption(
        "Fisher's exact test on each pair; of the pairs named, at most 5% may be there by chance "
        "(Benjamini and Hochberg, 1995)."
    )


def draw_score(scores: Scores) -> None:
    """Draw the score against the decisions."""
    if not scores.bands:
        draw_undecided()
        return
    draw_sentence(scores.sentence())
    st.altair_chart(
        score_rates([
            Interval(f"{start:.1f}", rate.share, rate.low, rate.high, f"{rate.hits:,} of {rate.total:,}")
            for start, rate in scores.rates.items()
        ]),
        key="insight-score-rates",
        alt="Approval rate by score, with the range it likely lies in.",
    )  # fmt: skip
    st.altair_chart(
        score_histogram(scores.bands),
        key="insight-score",
        alt="How many conversations of each score were approved, rejected or sent back.",
    )
    st.caption(
        "Above, the share approved of each half point, on the bar where it likely lies, with how many were decided; below, "
        "what was decided. The share in "
        "the sentence is the area under the ROC curve; equal scores count half."
    )
    draw_table([
        {"Score": band.score, "Decision": band.decision.replace("_", " "), "In bulk": band.in_bulk,
         "Conversations": band.times}
        for band in scores.bands
    ])  # fmt: skip


def _names(groups: list[Group]) -> list[str]:
    return distinct([(group.label, group.value) for group in groups])


def _reason(reason: str) -> str:
    return shortened(plain(reason), 40) or NO_REASON


def _hidden(decisions: Decisions, dimension: Dimension, shown: int) -> str:
    hidden = max(shown - CHARTED, 0) + decisions.left_out.get(dimension, 0)
    return f" {hidden:,} with fewer decisions are not drawn." if hidden else ""


def _cells(group: Group) -> dict[str, object]:
    return {
        "Value": plain(group.label),
        "Written": group.written,
        "Approved": group.approved,
        "Rejected": group.rejected,
        "Needs revision": group.revision,
        "Approved of decided": group.rate.share if group.rate else None,
        "At least": group.rate.low if group.rate else None,
        "At most": group.rate.high if group.rate else None,
    }
