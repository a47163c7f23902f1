"""The list of people: letting in, changing roles, taking off, and how it came about."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.errors import BrightRunError
from brightrun.domain.person import Person, Role, role_of
from brightrun.ui.login import is_configured
from brightrun.ui.session import begin, person
from brightrun.ui.text import ago, label_safe, plain

MEANING = {
    Role.VIEWER: "reads everything and decides nothing",
    Role.REVIEWER: "reviews and corrects conversations",
    Role.AUTHOR: "writes batches, templates and datasets, and spends money",
    Role.ADMIN: "sets prices and reasons, and lets people in",
}


def draw_list(app: App) -> None:
    """Draw everybody on the list with what can be done about them."""
    if not is_configured():
        st.info(
            "No login is set up, so nobody comes in but you, on this machine. "
            "To let others in, set one up: the file docs/how-to/login.md that comes with Bright Run says how."
        )
    listed = app.people.all()
    if not listed:
        st.caption(
            "Nobody is on the list yet. Let an admin in first: without one, nobody else could be let in."
        )
    for one in listed:
        _draw_one(app, one)


def draw_newcomer(app: App) -> None:
    """Draw the form that lets somebody in."""
    st.subheader("Let somebody in", anchor=False)
    with st.form("people-add", clear_on_submit=True):
        email = st.text_input("E-mail address", max_chars=254, help="As the login knows the person.")
        name = st.text_input("Name", max_chars=120)
        role = st.selectbox(
            "Role", list(Role), format_func=lambda r: f"{Role(r).title()}: {MEANING[Role(r)]}"
        )
        if st.form_submit_button("Let in", type="primary"):
            _act(
                lambda: app.people.add(email, role_of(str(role)), name=name, actor=person()),
                f"{label_safe(email)} may come in.",
            )
            st.rerun()


def draw_history(app: App) -> None:
    """Draw who changed whose role, newest first."""
    changes = app.people.history()
    if not changes:
        return
    with st.expander(f"What was changed ({len(changes)})"):
        rows = [
            {
                "When": ago(change.changed_at),
                "Address": plain(change.email),
                "Before": change.before or "–",
                "After": change.after or "–",
                "By": plain(change.changed_by),
            }
            for change in changes
        ]
        st.dataframe(pd.DataFrame(rows), hide_index=True, height="content")


def _draw_one(app: App, one: Person) -> None:
    with st.container(
        border=True, horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"
    ):
        name = f"**{label_safe(one.name)}**  \n" if one.name else ""
        st.markdown(f"{name}{label_safe(one.email)}", width=320)
        st.selectbox(
            "Role",
            list(Role),
            index=list(Role).index(one.role),
            format_func=lambda role: Role(role).title(),
            key=f"role-{one.email}-{one.role}",
            label_visibility="collapsed",
            width=180,
            on_change=_change,
            args=(app, one),
        )
        st.button("Take off the list", key=f"off-{one.email}", on_click=_remove, args=(app, one))


def _change(app: App, one: Person) -> None:
    chosen = role_of(str(st.session_state[f"role-{one.email}-{one.role}"]))
    _act(
        lambda: app.people.set_role(one.email, chosen, actor=person()),
        f"{label_safe(one.email)} is {chosen} now.",
    )


def _remove(app: App, one: Person) -> None:
    _act(
        lambda: app.people.remove(one.email, actor=person()),
        f"{label_safe(one.email)} may not come in any more.",
    )


def _act(deed: Callable[[], object], done: str) -> None:
    own = begin()
    try:
        deed()
    except BrightRunError as fault:
        own.complain(fault)
    else:
        own.notify(done)
