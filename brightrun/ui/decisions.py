"""The buttons that decide, each written to the database at once and undone as one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.errors import BrightRunError, NotAllowed
from brightrun.domain.review import REJECT_REASONS, ConversationFilter, Decision, Seen, Verdict
from brightrun.ui.reviews import Queue
from brightrun.ui.session import complain, draft, drop_draft, notify, person, set_draft, set_place
from brightrun.ui.text import counted, label_safe, words

UNDO = "review.undo"
REASON = "decide-reason"
SHOWN_REFUSALS = 3
LABELS = {
    Decision.APPROVED: "Approve",
    Decision.REJECTED: "Reject",
    Decision.NEEDS_REVISION: "Needs revision",
    Decision.PENDING_REVIEW: "Back to the queue",
}

KEYS = {"a": Decision.APPROVED, "x": Decision.REJECTED, "n": Decision.NEEDS_REVISION}


def draw_decisions(app: App, queue: Queue) -> None:
    """Draw what can be decided on the selection, or on the conversation being read."""
    if queue.key in KEYS:
        _decide(app, queue, KEYS[queue.key])
        st.rerun()
    number = len(queue.selected)
    with st.container(horizontal=True, vertical_alignment="center", key="decisions"):
        for decision, label in LABELS.items():
            st.button(
                f"{label} {number}" if number else label,
                key=f"decide-{decision.value}",
                type="primary" if decision is Decision.APPROVED else "secondary",
                disabled=not queue.targets,
                on_click=_decide,
                args=(app, queue, decision),
            )
        st.selectbox(
            "Reason for rejecting",
            REJECT_REASONS,
            index=None,
            placeholder="Reason for rejecting",
            accept_new_options=True,
            key=REASON,
            label_visibility="collapsed",
            width=240,
        )
        _draw_undo(app)
    st.caption(
        f"{number} selected: a decision applies to them."
        if number
        else "Nothing is selected: a decision applies to the conversation on the right. In the list, the "
        "arrow keys read on, and A approves, X rejects, N sends back."
    )


def draw_bulk(app: App, chosen: ConversationFilter, total: int) -> None:
    """Draw the way to decide on everything the filter matches."""
    if st.button(f"Decide on all {total:,}…", key="bulk"):
        _bulk(app, chosen, total)


@st.dialog("Decide on everything that matches")
def _bulk(app: App, chosen: ConversationFilter, total: int) -> None:
    st.markdown(f"The filter matches **{counted(total, 'conversation')}** now.")
    named = ", ".join(f"{words(k)}: {label_safe(v)}" for k, v in chosen.to_json().items() if k != "job_id")
    st.caption(named or "No filter is set: that is every conversation.")
    decision = st.segmented_control(
        "Decision",
        list(LABELS),
        default=Decision.APPROVED,
        required=True,
        format_func=lambda value: LABELS[Decision(value)],
        key="bulk-decision",
        label_visibility="collapsed",
    )
    least = st.slider("Only with a score of at least", 0.0, 10.0, 0.0, 0.5, key="bulk-score")
    reason = st.text_input("Reason", key="bulk-reason", placeholder="Kept with every one of them")
    narrowed = chosen.narrowed(min_score=max(least, chosen.min_score or 0.0) or None)
    number = app.reviews.count(narrowed)
    st.caption("Conversations with a blocking finding are not approved. It can be undone as one.")
    label = LABELS[Decision(decision)]
    if st.button(f"{label}: {number:,}", type="primary", key="bulk-confirmed", disabled=not number):
        try:
            verdict = app.reviews.decide_matching(
                narrowed, Decision(decision), reviewer=person(), reason=reason
            )
        except BrightRunError as fault:
            complain(fault)
        else:
            _tell(verdict, Decision(decision))
            set_place("id", None)
        st.rerun()


def _decide(app: App, queue: Queue, decision: Decision) -> None:
    targets: Sequence[Seen] = queue.targets
    reason = st.session_state.get(REASON) if decision is Decision.REJECTED else None
    try:
        verdict = app.reviews.decide(targets, decision, reviewer=person(), reason=reason)
    except BrightRunError as fault:
        complain(fault)
        return
    _tell(verdict, decision)
    if verdict.refused:
        _tell_refused(verdict)
        return
    set_place("id", queue.after(targets))


def _tell(verdict: Verdict, decision: Decision) -> None:
    done = f"{words(decision.value)}: {counted(verdict.decided, 'conversation')}"
    if verdict.decided:
        set_draft(UNDO, (verdict.operation_id, done))
    blocked = f" {verdict.blocked:,} with blocking findings were left alone." if verdict.blocked else ""
    notify(f"{done}.{blocked}")


def _tell_refused(verdict: Verdict) -> None:
    sentences = [refusal.sentence() for refusal in verdict.refused[:SHOWN_REFUSALS]]
    more = len(verdict.refused) - len(sentences)
    tail = f" And {more} more." if more > 0 else ""
    complain(
        NotAllowed(
            f"{counted(len(verdict.refused), 'conversation')} left as it was"
            if len(verdict.refused) == 1
            else f"{len(verdict.refused):,} conversations left as they were",
            remedy=" ".join(sentences) + tail,
        )
    )


def _draw_undo(app: App) -> None:
    kept = draft(UNDO, None)
    if kept is None:
        return
    operation, done = kept
    st.button(f"Undo “{done}”", key="undo", type="tertiary", on_click=_undo, args=(app, operation))


def _undo(app: App, operation: str) -> None:
    try:
        undone, kept = app.reviews.undo(operation, reviewer=person())
    except BrightRunError as fault:
        complain(fault)
        return
    drop_draft(UNDO)
    tail = f" {kept:,} had been decided on again since and stay." if kept else ""
    notify(f"Undone: {counted(undone, 'conversation')}.{tail}")
