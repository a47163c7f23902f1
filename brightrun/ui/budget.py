"""A batch that its budget has stopped: what is left, what going on needs, and the button that does it."""

from __future__ import annotations

import math
from typing import Any, Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobStatus
from brightrun.domain.budget import Outlook, budget_of
from brightrun.domain.errors import BrightRunError, InvalidInput
from brightrun.domain.person import Action
from brightrun.ui.session import begin, person
from brightrun.ui.text import dollars, label_safe


def budget_outlook(app: App, job: Job) -> Outlook | None:
    """Return what going on needs, for a paused batch with a budget and something to do; None for any other."""
    if job.status is not JobStatus.PAUSED or job.money.budget is None:
        return None
    outlook = app.budgets.outlook(job.id)
    return outlook if outlook.waiting else None


def draw_budget(app: App, job: Job, outlook: Outlook) -> None:
    """Say what is left, and let a person set another budget and go on."""
    with st.container(border=True, key="budget"):
        st.markdown("**Raise the budget and go on**" if outlook.is_stuck else "**Change the budget**")
        st.markdown(label_safe(outlook.story(), limit=600))
        if outlook.expected_for_all is not None:
            st.caption(
                label_safe(
                    f"If the rest costs what the items so far did, {dollars(outlook.expected_for_all)} is enough."
                )
            )
        if app.may(Action.SET_BUDGET):
            _draw_form(app, job, outlook)


def ask_budget(
    place: DeltaGenerator, key: str, faults: list[InvalidInput], *, is_kept: bool = False, **looks: Any
) -> float | None:
    """Let a person type what a batch may cost, None for no limit; what cannot be taken is said and joins the faults.

    A field for numbers would keep what it does not take to itself, and the batch would begin without a limit.
    """
    typed = place.text_input(
        "Budget in dollars",
        key=key,
        placeholder="No limit",
        persist_state="session" if is_kept else None,
        **looks,
    )
    try:
        return budget_of(typed or "")
    except InvalidInput as fault:
        place.caption(f":red[{label_safe(str(fault), limit=300)}]")
        faults.append(fault)
        return None


def _draw_form(app: App, job: Job, outlook: Outlook) -> None:
    with st.form("budget-form", border=False, enter_to_submit=False):
        amount_at, button_at = st.columns([2, 3], vertical_alignment="bottom")
        # A field for numbers would keep what it does not take to itself, and the amount before it would be set.
        typed = amount_at.text_input(
            "Budget in dollars",
            value=f"{_enough(outlook):.2f}",
            key=f"budget-amount-{_enough(outlook)}",
            help="What the batch may cost in all, with what it has cost so far.",
        )
        weight: Literal["primary", "secondary"] = "primary" if outlook.is_stuck else "secondary"
        if not button_at.form_submit_button("Set the budget and go on", type=weight, key="budget-set"):
            return
    own = begin()
    try:
        amount = budget_of(typed)
        if amount is None:
            raise InvalidInput("No budget was typed.", remedy="Write what the batch may cost in all: 12.50")
        app.budgets.set(job.id, amount, actor=person())
    except BrightRunError as fault:
        own.complain(fault)
    else:
        own.notify(f"The budget is {label_safe(dollars(amount))}; the batch goes on.")
    st.rerun()


def _enough(outlook: Outlook) -> float:
    return math.ceil(outlook.needed_for_all * 100 - 1e-6) / 100
