"""The one owner of Streamlit's session state, and the one App of this process."""

from __future__ import annotations

import atexit
import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NoReturn, cast

import streamlit as st

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.errors import BrightRunError, SetupFault
from brightrun.ui.desk import Desk
from brightrun.ui.login import draw_door, visitor
from brightrun.ui.text import label_safe

DESK = "brightrun.desk"

log = logging.getLogger(__name__)

_framed: ContextVar[bool] = ContextVar("framed", default=False)


def current_app() -> App:
    """Return the app for who is looking at the page; who may not come in sees the door, and the run ends there."""
    app = server_app()
    try:
        found = visitor(app, desk())
        if found is None:
            draw_door(app)
    except BrightRunError as fault:
        _stop(fault)
    return found or st.stop()


def is_admitted() -> bool:
    """Whether who is looking may come in, as of now; draws nothing."""
    return visitor(server_app(), desk()) is not None


def server_app() -> App:
    """Return the App of this process with all rights; where it cannot be opened, say why and what to do, and stop."""
    try:
        return _opened()
    except BrightRunError as fault:
        _stop(fault)
    except ValueError as fault:
        _stop(SetupFault("The settings cannot be used.", remedy=str(fault)))


def person() -> str:
    """Return who is acting: the address of a login where there is one, else the operating system's user."""
    app, acting = current_app(), desk().acting
    return acting.person.email if acting else app.settings.person


def desk() -> Desk:
    """Return the desk of this session."""
    return cast("Desk", st.session_state.setdefault(DESK, Desk()))


def begin() -> Desk:
    """Return the desk for a deed that changes something; errors of earlier deeds are settled by it."""
    taken = desk()
    taken.settle()
    return taken


def close_question() -> None:
    """Close the dialog that stands open: it was answered or put away."""
    desk().put_away()


@contextmanager
def framed() -> Iterator[None]:
    """Hold, while a page runs, that the router has run before it in the same run."""
    before = _framed.set(True)
    try:
        yield
    except Exception:
        log.exception("A page met an unexpected fault.")
        raise
    finally:
        _framed.reset(before)
        _set_aside(len(sys.modules))


def is_framed() -> bool:
    """Whether the router has run before this page."""
    return _framed.get()


def place(name: str) -> str | None:
    """Return one part of where the reader is, from the address of the page; None where it is not said."""
    value: str = st.query_params.get(name, "").strip()
    return value or None


def set_place(name: str, value: str | None) -> None:
    """Write one part of where the reader is into the address of the page."""
    if value:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def page_at(key: str, pages: int) -> int:
    """Return which page of a list is shown, from 1; its address says it until the list has been drawn once."""
    said = str(st.session_state.get(key) or place(key) or "")
    return min(max(1, int(said) if said.isdecimal() else 1), pages)


@st.cache_resource(show_spinner="Starting the database…", on_release=lambda app: app.close())
def _opened() -> App:
    app = open_app(Settings())
    atexit.register(app.close)
    return app


@st.cache_resource(show_spinner=False)
def _set_aside(modules: int) -> int:
    """Take what the modules read so far are made of out of the garbage collector's sight, once for each number of them.

    Streamlit collects after every run of a page and every tick of a batch, and holds the whole server up meanwhile:
    a tenth of a second and more, nearly all of it over what stays until the server ends.
    """
    gc.collect()
    gc.freeze()
    return modules


def _stop(fault: BrightRunError) -> NoReturn:
    st.title("Bright Run is not ready yet")
    st.error(label_safe(fault.message, limit=600))
    if fault.remedy:
        st.markdown("**What to do**")
        st.text(fault.remedy)
    st.caption("Nothing was changed. `brightrun check` says the same in a shell.")
    if st.button("Try again", type="primary"):
        st.rerun()
    st.stop()
