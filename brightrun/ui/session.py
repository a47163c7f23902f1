"""The one owner of Streamlit's session state, and the one App of this process."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn, TypeVar, cast

import streamlit as st

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.errors import BrightRunError, SetupFault
from brightrun.ui.text import label_safe

T = TypeVar("T")

NOTICES = "brightrun.notices"
COMPLAINTS = "brightrun.complaints"
SPENT = "brightrun.spent"
DRAFTS = "brightrun.draft."
FRAMED = "brightrun.framed"


@dataclass(frozen=True, slots=True)
class Notice:
    """A message that must outlive a rerun or a change of page; its text is already safe for a label."""

    text: str
    icon: str | None = None


def current_app() -> App:
    """Return the App of this process; where it cannot be opened, say why and what to do, and stop."""
    try:
        return _opened()
    except BrightRunError as fault:
        _stop(fault)
    except ValueError as fault:
        _stop(SetupFault("The settings cannot be used.", remedy=str(fault)))


def person() -> str:
    """Return who is acting: a login where there is one, else the operating system's user."""
    return current_app().settings.person


@contextmanager
def framed() -> Iterator[None]:
    """Hold, while a page runs, that the router has run before it."""
    st.session_state[FRAMED] = True
    try:
        yield
    finally:
        st.session_state.pop(FRAMED, None)


def is_framed() -> bool:
    """Whether the router has run before this page."""
    return FRAMED in st.session_state


def notify(text: str, *, icon: str | None = None) -> None:
    """Keep a message for the next full run, which shows it once."""
    _notices().append(Notice(text, icon))


def take_notices() -> list[Notice]:
    """Return the messages kept so far and forget them."""
    taken = list(_notices())
    _notices().clear()
    return taken


def complain(fault: BrightRunError) -> None:
    """Keep an error of a callback for the run that follows it, which shows it above the page."""
    _complaints().append(fault)


def take_complaints() -> list[BrightRunError]:
    """Return the errors kept so far and forget them."""
    taken = list(_complaints())
    _complaints().clear()
    return taken


def once(topic: str, nonce: object) -> bool:
    """Return True the first time a topic meets a nonce: components repeat their last event at every run."""
    spent = cast("dict[str, object]", st.session_state.setdefault(SPENT, {}))
    if spent.get(topic) == nonce:
        return False
    spent[topic] = nonce
    return True


def draft(name: str, start: T) -> T:
    """Return what a person has begun on a page and not yet saved, or `start`."""
    return cast("T", st.session_state.setdefault(DRAFTS + name, start))


def set_draft(name: str, value: object) -> None:
    """Keep what a person has begun."""
    st.session_state[DRAFTS + name] = value


def drop_draft(name: str) -> None:
    """Forget a draft, once it is saved or given up."""
    st.session_state.pop(DRAFTS + name, None)


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


@st.cache_resource(show_spinner="Starting the database…", on_release=lambda app: app.close())
def _opened() -> App:
    app = open_app(Settings())
    atexit.register(app.close)
    return app


def _notices() -> list[Notice]:
    return cast("list[Notice]", st.session_state.setdefault(NOTICES, []))


def _complaints() -> list[BrightRunError]:
    return cast("list[BrightRunError]", st.session_state.setdefault(COMPLAINTS, []))


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
