"""Asking for a conversation to be written again: the feedback, its price, and the batch of one, written while one reads on."""

from __future__ import annotations

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, WriterName
from brightrun.domain.conversation import Conversation
from brightrun.domain.errors import BrightRunError, InvalidInput
from brightrun.domain.person import Action
from brightrun.domain.revision import MAX_NOTE
from brightrun.services.plans import Plan
from brightrun.services.revisions import Wishes
from brightrun.ui.budget import ask_budget
from brightrun.ui.desk import Desk
from brightrun.ui.frame import Place, show_error, told
from brightrun.ui.notice import end_text
from brightrun.ui.progress import is_live, tick_seconds
from brightrun.ui.runner import current_runner
from brightrun.ui.session import begin, desk, person
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


def draw_rewriting(app: App) -> None:
    """Draw what was asked for again here, and bring it on while the page is open; list and reader stay as they are."""
    going = desk().rewriting
    if going:
        ticks = (tick_seconds(job, current_runner()) for job in going.values())
        st.fragment(lambda: _look(app), run_every=min(filter(None, ticks), default=None))()


@st.dialog("Write it again with feedback", width="medium")
def _ask(app: App, conversation: Conversation) -> None:
    st.caption(
        "The writer gets the same order, this conversation, and what you say. This one stays as it is, and you can go on "
        "reviewing meanwhile."
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
    own.rewriting[job.id] = job
    st.rerun()


def _look(app: App) -> None:
    """Read what has become of each that was not ended yet, bring it on, and draw where it stands."""
    own, runner = desk(), current_runner()
    for job in list(own.rewriting.values()):
        if tick_seconds(job, runner):
            with told():
                job = own.rewriting[job.id] = app.batches.get(job.id)
                if job.is_out and app.may(Action.RUN_BATCH):
                    runner.advance(job.id)
        with st.container(horizontal=True, vertical_alignment="center", key=f"rewriting-{job.id}"):
            _draw_standing(app, own, job)
    if fault := next(filter(None, (runner.last_error(job) for job in own.rewriting)), None):
        show_error(fault)


def _draw_standing(app: App, own: Desk, job: Job) -> None:
    """Draw how one stands in a line, with the way to what came of it."""
    name = label_safe(job.name, limit=80)
    item = None if is_live(job) else app.batches.items(job.id, limit=1)[0]
    if item and item.conversation_id:
        st.markdown(f"{name}: **written**", width="content")
        if st.button("Read it", key=f"rewritten-read-{job.id}", type="tertiary"):
            own.moves["id"] = item.conversation_id
            del own.rewriting[job.id]
            st.rerun()
    else:
        why = item and label_safe(item.error_message or job.pause_reason or "", limit=200)
        standing = "being written" if item is None else f"{end_text(job)} {why}"
        st.caption(f"{name}: {standing}", width="content")
        st.page_link(Place.BATCH.value, label="Its batch", query_params={"job": job.id}, width="content")
    if item and st.button(
        "Put away", key=f"rewritten-away-{job.id}", type="tertiary", icon=":material/close:"
    ):
        del own.rewriting[job.id]
        st.rerun(scope="fragment")
