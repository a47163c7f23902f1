"""Asking for a conversation to be written again: the feedback, its price, and the batch of one it becomes."""

from __future__ import annotations

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import WriterName
from brightrun.domain.conversation import Conversation
from brightrun.domain.errors import BrightRunError, InvalidInput
from brightrun.domain.person import Action
from brightrun.domain.revision import MAX_NOTE
from brightrun.services.plans import Plan
from brightrun.services.revisions import Wishes
from brightrun.ui.budget import ask_budget
from brightrun.ui.desk import Goal
from brightrun.ui.frame import Place, show_error
from brightrun.ui.session import begin, person
from brightrun.ui.text import dollars, label_safe

NOTE = "again-note"
BUDGET = "again-budget"


def draw_again(app: App, conversation: Conversation) -> None:
    """Draw the way to have it written again."""
    if app.may(Action.RUN_BATCH) and st.button(
        "Write again…",
        key="again",
        type="tertiary",
        disabled=not conversation.has_order,
        help=None
        if conversation.has_order
        else "It was imported without a scenario to write it by. Correct its turns instead.",
    ):
        _ask(app, conversation)


@st.dialog("Write it again with feedback", width="medium")
def _ask(app: App, conversation: Conversation) -> None:
    st.caption(
        "The writer gets the same order, this conversation, and what you say. This one stays as it is."
    )
    note = st.text_area(
        "What should be otherwise",
        key=NOTE,
        height=140,
        max_chars=MAX_NOTE,
        placeholder="The second answer is too long; name one concrete step instead of four.",
    )
    budget, faults = None, list[InvalidInput]()
    if conversation.writer == WriterName.CLAUDE:
        budget = ask_budget(st.container(), BUDGET, faults)
    is_ready = bool(note and note.strip()) and not faults
    plan = _plan(app, conversation, note or "", budget) if is_ready else None
    if st.button("Write again", key="again-start", type="primary", disabled=plan is None):
        assert plan
        _start(app, conversation, plan)


def _plan(app: App, conversation: Conversation, note: str, budget: float | None) -> Plan | None:
    """Show what it will cost; None where it cannot be written."""
    try:
        plan = app.revisions.plan(conversation.id, note, Wishes(budget=budget))
        plan.require()
    except BrightRunError as fault:
        show_error(fault)
        return None
    estimate = plan.estimate
    by = "the demo writer" if plan.options.writer is WriterName.DEMO else plan.options.model
    template = plan.items[0].choice.template
    st.caption(
        label_safe(
            f"By {by}, with {template.name} v{template.version.version}. Expected {dollars(estimate.expected_usd)}, "
            f"at most {dollars(estimate.worst_usd)}.",
            limit=300,
        )
    )
    return plan


def _start(app: App, conversation: Conversation, plan: Plan) -> None:
    own, actor = begin(), person()
    note = str(st.session_state.get(NOTE))
    try:
        app.writer(plan.options.writer)  # a missing key is said now, not at the first item
        job = own.once(("again", conversation.id, note), lambda: app.revisions.start(plan, actor=actor))
    except BrightRunError as fault:
        show_error(fault)
        return
    own.goal = Goal(Place.BATCH.value, {"job": job.id})
    st.rerun()
