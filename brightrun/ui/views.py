"""Lists as people left them: views under a name, and the columns each person wants to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date

import streamlit as st

from brightrun.bootstrap import App
from brightrun.domain.errors import BrightRunError, NotFound
from brightrun.domain.person import Action
from brightrun.domain.text import shortened
from brightrun.domain.view import MAX_NAME, SavedView
from brightrun.ui.filters import (
    CHOICES,
    DAYS,
    FIGURES,
    LENGTHS,
    PLACES,
    SEARCH,
    SORT,
    STATUS,
    forget_filters,
    lists_of,
    unset,
)
from brightrun.ui.session import begin, desk, person, place
from brightrun.ui.text import label_safe, plain

LISTED = "review"
NAME = "view-name"
REMOVAL = "view-removal"
COLUMNS = "view-columns"
WIDGETS = (STATUS, SORT, SEARCH, *CHOICES)


def draw_views(app: App) -> None:
    """Draw the saved views, each a click away, and a way to keep this one; the address is a link to it as well."""
    with st.popover("Views", key="views"):
        views = app.views.all()
        if not views:
            st.caption(
                "No view is saved yet. Choose filters and an order, then keep them here for everybody."
            )
        for view in views:
            with st.container(horizontal=True, vertical_alignment="center", gap="small"):
                st.button(
                    label_safe(shortened(view.name, 40)),
                    key=f"view-{view.name}",
                    width="stretch",
                    on_click=_open,
                    args=(app, view),
                    help=f"Saved by {label_safe(view.saved_by, limit=60)}",
                )
                _draw_removal(app, view)
        name = st.text_input(
            "Keep this view as", key=NAME, max_chars=MAX_NAME, placeholder="A name for everybody"
        )
        taken = app.views.named(name or "")
        # Another button than the one that saves: a click that was meant for that replaces nothing.
        st.button(
            f"Replace {label_safe(shortened(taken.name, 40))}" if taken else "Save view",
            key=f"view-replace-{taken.name}" if taken else "view-save",
            on_click=_save,
            args=(app, taken is not None),
            width="stretch",
            disabled=not app.may(Action.SAVE_VIEW),
            help=f"Saved by {label_safe(taken.saved_by, limit=60)}" if taken else None,
        )


def _draw_removal(app: App, view: SavedView) -> None:
    """Draw the button that removes a view, which asks once: it is everybody's."""
    is_asked = desk().heard.get(REMOVAL) == view.name
    st.button(
        "Remove for all" if is_asked else "Remove",
        key=f"view-{'forget' if is_asked else 'remove'}-{view.name}",
        type="primary" if is_asked else "tertiary",
        on_click=_forget if is_asked else _ask,
        args=(app, view),
        disabled=not app.may(Action.SAVE_VIEW),
    )


def draw_columns(app: App, known: Mapping[str, str], first: Sequence[str]) -> list[str]:
    """Draw the choice of columns, from field to heading, `first` until somebody chose; returns the fields to show."""
    kept = app.views.columns(LISTED, list(known), person=person(), first=first)
    with st.popover("Columns", key="columns"):
        st.pills(
            "Columns",
            list(known),
            selection_mode="multi",
            default=kept,
            key=COLUMNS,
            format_func=lambda field: plain(known.get(field, field)),
            label_visibility="collapsed",
            on_change=_keep_columns,
            args=(app,),
        )
        st.caption("Remembered for you.")
    return kept


def _open(app: App, view: SavedView) -> None:
    """Put a view's parts in the place of those that are set, and say which are not there any more."""
    forget_filters()
    own = desk()
    for name in PLACES:
        own.moves[name] = view.query.get(name)
    lists, lost = lists_of(app), []
    for name in WIDGETS:
        st.session_state[name] = unset(name)
        said = view.query.get(name)
        if said is None:
            continue
        if name in lists and said not in lists[name]:
            lost.append(f"{name} {said!r}")
            continue
        with suppress(ValueError):  # a part of an older make is left out
            st.session_state[name] = _value(name, said)
    if lost:
        fault = NotFound(
            f"The view {view.name!r} asks for {', '.join(lost)}, which is not there any more: it is passed over.",
            remedy="More is listed than the view was made for: look before you decide on all of it.",
        )
        begin().complain(fault)


def _chosen() -> dict[str, str]:
    """Return what is set, by the values themselves: the address of the page names them as they are shown."""
    values = {name: st.session_state.get(name, unset(name)) for name in WIDGETS}
    places = {name: place(name) for name in PLACES}
    return {n: str(v) for n, v in (values | places).items() if v is not None and v != unset(n)}


def _value(name: str, value: str) -> object:
    if name in FIGURES:
        return float(value)
    if name in LENGTHS:
        return int(float(value))
    return date.fromisoformat(value) if name in DAYS else value


def _save(app: App, replaces: bool) -> None:
    own = begin()
    try:
        view = app.views.save(
            str(st.session_state.get(NAME) or ""), _chosen(), person=person(), replaces=replaces
        )
    except BrightRunError as fault:
        own.complain(fault)
        return
    own.notify(f"Saved: {label_safe(view.name)}")
    st.session_state[NAME] = ""


def _ask(app: App, view: SavedView) -> None:
    desk().heard[REMOVAL] = view.name


def _forget(app: App, view: SavedView) -> None:
    own = begin()
    try:
        app.views.forget(view.name)
    except BrightRunError as fault:
        own.complain(fault)


def _keep_columns(app: App) -> None:
    own = begin()
    chosen: Sequence[str] = st.session_state.get(COLUMNS) or ()
    try:
        app.views.set_columns(LISTED, chosen, person=person())
    except BrightRunError as fault:
        own.complain(fault)
