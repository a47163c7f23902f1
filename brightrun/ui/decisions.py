"""The buttons that decide, each written to the database at once and undone as one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.errors import BrightRunError, NotAllowed
from brightrun.domain.person import Action
from brightrun.domain.review import MAX_SCORE, ConversationFilter, Decision, Seen, Verdict
from brightrun.ui.desk import Desk, Undo
from brightrun.ui.grid import Press, hear_press
from brightrun.ui.reviews import GRID, Queue
from brightrun.ui.session import begin, desk, person
from brightrun.ui.text import counted, label_safe, words

REASON = "decide-reason"
NOTE = "decide-note"
MAX_NOTE = 2000
SHOWN_REFUSALS = 3
LABELS = {
    Decision.APPROVED: "Approve",
    Decision.REJECTED: "Reject",
    Decision.NEEDS_REVISION: "Needs revision",
    Decision.PENDING_REVIEW: "Back to the queue",
}
ICONS = {
    Decision.APPROVED: ":material/check:",
    Decision.REJECTED: ":material/close:",
    Decision.NEEDS_REVISION: ":material/edit_note:",
    Decision.PENDING_REVIEW: ":material/undo:",
}
KEYS = {"a": Decision.APPROVED, "x": Decision.REJECTED, "n": Decision.NEEDS_REVISION}


def draw_decisions(app: App, queue: Queue) -> None:
    """Draw what can be decided on the selection, or on the conversation being read."""
    if not app.may(Action.REVIEW):
        st.caption("You read here; it takes the role reviewer to decide.")
        return
    if queue.presses:
        _decide_by_key(app, queue)
        st.rerun()
    number = len(queue.selected)
    with st.container(horizontal=True, vertical_alignment="center", key="decisions"):
        for decision in LABELS:
            if decision is not Decision.PENDING_REVIEW or queue.holds_decided:
                _draw_decision(app, queue, decision)
        _draw_reason(app, REASON, NOTE)
    with st.container(horizontal=True, vertical_alignment="center", key="decided"):
        st.caption(
            f"{number} selected: a decision applies to them."
            if number
            else "It applies to what you read. Keys in the list: A approves, X rejects, N needs revision."
        )
        draw_undo(app)


def _draw_decision(app: App, queue: Queue, decision: Decision) -> None:
    """Draw one button; it belongs to the rows it was drawn for, so that a late click never means the next ones."""
    number = len(queue.selected)
    targets = tuple(queue.targets)
    with st.container(key=f"decide-{decision.value}", width="content"):
        st.button(
            f"{LABELS[decision]} {number}" if number else LABELS[decision],
            key=f"decide-{decision.value}-{hash(targets)}",
            icon=ICONS[decision],
            type="primary" if decision is Decision.APPROVED else "secondary",
            disabled=not targets,
            on_click=_decide_once,
            args=(app, queue, decision, targets),
        )


def draw_bulk(app: App, chosen: ConversationFilter, total: int) -> None:
    """Draw the way to decide on everything the filter matches, where that is anything."""
    if total and app.may(Action.REVIEW) and st.button(f"Decide on all {total:,}…", key="bulk"):
        _bulk(app, chosen, total)


@st.dialog("Decide on everything that matches")
def _bulk(app: App, chosen: ConversationFilter, total: int) -> None:
    st.markdown(f"The filter matches **{counted(total, 'conversation')}** now.")
    named = ", ".join(
        f"{words(k)}: {label_safe(words(str(v)))}" for k, v in chosen.to_json().items() if k != "job_id"
    )
    st.caption(named or "No filter is set: that is every conversation.")
    offered = [one for one in LABELS if chosen.status is None or one.value != chosen.status.value]
    decision = st.segmented_control(
        "Decision",
        offered,
        default=offered[0],
        required=True,
        format_func=lambda value: LABELS[Decision(value)],
        key="bulk-decision",
        label_visibility="collapsed",
    )
    least, most = st.slider(
        "Only with a score from and to",
        0.0,
        MAX_SCORE,
        (0.0, MAX_SCORE),
        0.5,
        format="%.1f",
        key="bulk-score",
    )
    narrowed = chosen.scored(least, most)
    reason, note = _draw_reason(app, "bulk-reason", "bulk-note")
    number = app.reviews.count(narrowed)
    approves = decision == Decision.APPROVED
    held = _blocked(app, narrowed, number) if approves else 0
    number -= held
    kept = f"{counted(held, 'more is', 'more are')} held back by a blocking finding. " if held else ""
    st.caption(f"{kept}It can be undone as one.")
    label = LABELS[Decision(decision)]
    if st.button(
        f"{label}: {number:,}",
        type="primary" if approves else "secondary",
        key="bulk-confirmed",
        disabled=not number,
    ):
        own, reviewer = begin(), person()
        try:
            verdict = app.reviews.decide_matching(
                narrowed,
                Decision(decision),
                reviewer=reviewer,
                reason=reason if decision == Decision.REJECTED else None,
                note=note,
            )
        except BrightRunError as fault:
            own.complain(fault)
        else:
            _tell(own, verdict, Decision(decision))
            own.moves["id"] = None
        st.rerun()


def _blocked(app: App, chosen: ConversationFilter, number: int) -> int:
    """Return how many of the number that match cannot be approved."""
    if chosen.blocked is not None:
        return number if chosen.blocked else 0
    return app.reviews.count(chosen.narrowed(blocked=True))


def _decide_once(app: App, queue: Queue, decision: Decision, targets: Sequence[Seen]) -> None:
    desk().once((decision, targets), lambda: _decide(app, queue, decision, targets))


def _decide_by_key(app: App, queue: Queue) -> None:
    """Act on each key once, in their order, whatever was pressed while the page was being drawn."""
    own = desk()
    gone: list[Seen] = []
    for press in queue.presses:
        targets = [seen for seen in queue.pressed(press) if seen not in gone]
        if targets and press.key in KEYS:
            _decide(app, queue, KEYS[press.key], targets, press=press, gone=gone)
            gone.extend(targets)
        else:
            hear_press(own, GRID, press)


def _decide(
    app: App,
    queue: Queue,
    decision: Decision,
    targets: Sequence[Seen],
    *,
    press: Press | None = None,
    gone: Sequence[Seen] = (),
) -> None:
    own, reviewer = begin(), person()
    reason = st.session_state.get(REASON) if decision is Decision.REJECTED else None
    note = st.session_state.get(NOTE)
    if press is not None:
        hear_press(own, GRID, press)
    own.reading = None  # whatever comes of it, the next look is a new one
    try:
        verdict = app.reviews.decide(targets, decision, reviewer=reviewer, reason=reason, note=note)
    except BrightRunError as fault:
        own.complain(fault)
        return
    _tell(own, verdict, decision)
    if verdict.refused:
        _tell_refused(own, verdict)
        return
    own.moves["id"] = queue.after([*gone, *targets])
    st.session_state[NOTE] = ""
    st.session_state[REASON] = None  # what was wrong with one is not what is wrong with the next


def _draw_reason(app: App, reason_key: str, note_key: str) -> tuple[str | None, str | None]:
    reason = st.selectbox(
        "Reason for rejecting",
        app.reviews.reasons(),
        index=None,
        placeholder="Reason for rejecting",
        key=reason_key,
        label_visibility="collapsed",
    )
    note = st.text_input(
        "Note",
        key=note_key,
        placeholder="Note",
        max_chars=MAX_NOTE,
        label_visibility="collapsed",
    )
    return reason, note


def _tell(own: Desk, verdict: Verdict, decision: Decision) -> None:
    done = _done(decision, verdict.decided)
    if not verdict.decided and verdict.refused:
        return
    if verdict.decided:
        own.undo = Undo(verdict.operation_id, done)
        own.own_deeds.add(verdict.operation_id)
    blocked = f" {verdict.blocked:,} with blocking findings were left alone." if verdict.blocked else ""
    own.notify(f"{done}.{blocked}")


def _done(decision: Decision, number: int) -> str:
    said = LABELS[decision] if decision is Decision.PENDING_REVIEW else words(decision.value)
    return f"{said}: {counted(number, 'conversation')}"


def _tell_refused(own: Desk, verdict: Verdict) -> None:
    sentences = [refusal.sentence() for refusal in verdict.refused[:SHOWN_REFUSALS]]
    more = len(verdict.refused) - len(sentences)
    tail = f" And {more} more." if more > 0 else ""
    own.complain(
        NotAllowed(
            f"{counted(len(verdict.refused), 'conversation')} left as it was"
            if len(verdict.refused) == 1
            else f"{len(verdict.refused):,} conversations left as they were",
            remedy=" ".join(sentences) + tail,
        )
    )


def draw_undo(app: App) -> None:
    own = desk()
    if own.undo is None and not own.is_undo_known:
        own.is_undo_known = True
        found = app.reviews.last(reviewer=person())
        own.undo = Undo(found.operation_id, _done(found.decision, found.number)) if found else None
    offer = own.undo
    if offer is not None:
        # The key U presses the first alone: what was decided elsewhere, or before a correction, takes a look and a click.
        key = "undo" if offer.operation_id in own.own_deeds else "undo-earlier"
        st.button(f"Undo “{offer.label}”", key=key, type="tertiary", on_click=_undo, args=(app, offer))


def _undo(app: App, offer: Undo) -> None:
    own, reviewer = begin(), person()
    own.undo, own.is_undo_known = None, False
    try:
        undone, kept = app.reviews.undo(offer.operation_id, reviewer=reviewer)
    except BrightRunError as fault:
        own.undo = offer
        own.complain(fault)
        return
    tail = (
        f" {counted(kept, 'other has changed since and is', 'others have changed since and are')} left alone."
        if kept
        else ""
    )
    own.notify(f"Undone: {counted(undone, 'conversation')}.{tail}")
