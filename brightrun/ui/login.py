"""Who is looking at the page: Streamlit's own login where one is set up, else the person of this machine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from brightrun.bootstrap import App
from brightrun.domain.errors import InvalidInput
from brightrun.domain.person import email_of
from brightrun.ui.desk import Acting, Desk
from brightrun.ui.text import label_safe

REQUIRED = ("redirect_uri", "cookie_secret")
LOOK_SECONDS = 2.0
"""A role that an admin has changed shows on a page after so long; the database asks at every statement."""


def is_configured() -> bool:
    """Whether the secrets file names a provider to log in with."""
    return bool(_providers())


def visitor(server: App, own: Desk) -> App | None:
    """Return the app for who is looking, with that person's rights; None where nobody may come in.

    The server's own where no login is set up: then it answers this machine alone.
    """
    if not is_configured():
        return server
    email = _email(server.settings.session_hours)
    if email is None:
        own.acting = None
        return None
    known, now = own.acting, own.clock()
    if known and known.person.email == email and now - known.looked < LOOK_SECONDS:
        return known.app
    person = server.people.find(email)
    if person is None:
        own.acting = None
        return None
    same = known is not None and known.person == person
    own.acting = Acting(person, known.app if known and same else server.acting_as(person), now)
    return own.acting.app


def draw_door(server: App) -> None:
    """Draw what stands before the app for who has not come in: the way to log in, or why that was not enough."""
    st.title("Bright Run", anchor=False)
    if not st.user.is_logged_in:
        st.markdown("Log in to go on.")
        for provider, label in _providers().items():
            name = f"Log in with {label_safe(label)}" if label else "Log in"
            st.button(name, type="primary", key=f"login-{provider}", on_click=_log_in(provider))
        return
    email = _email(server.settings.session_hours)
    if email is None:
        st.warning(
            "**Your session has ended, or your login names no address that it has checked.**  \nLog in again."
        )
    else:
        first = "" if server.people.all() else " --role admin"
        st.warning(f"**{label_safe(email)} is not on the list of people.**  \nAn admin lets you in:")
        st.code(f"brightrun people add {email}{first}", language=None)
    st.button("Log out", key="door-logout", on_click=st.logout)


def draw_person(own: Desk) -> None:
    """Draw who is logged in, in which role, and the way out; nothing where no login is set up."""
    if own.acting is None:
        return
    person = own.acting.person
    with st.sidebar:
        st.caption(f"{label_safe(person.name or person.email)} · {person.role}")
        st.button("Log out", key="logout", on_click=st.logout)


def _email(hours: float) -> str | None:
    """Return the address of who is logged in; None where nobody is, the session is over or the address unchecked."""
    if not st.user.is_logged_in:
        return None
    claims: Mapping[str, Any] = st.user.to_dict()
    since = claims.get("auth_time") or claims.get("iat")
    if not isinstance(since, int | float) or time.time() > since + hours * 3600:
        return None
    if claims.get("email_verified") is False:
        return None
    try:
        return email_of(str(claims.get("email") or ""))
    except InvalidInput:
        return None


def _log_in(provider: str) -> Callable[[], None]:
    return lambda: st.login(provider) if provider else st.login()


def _providers() -> dict[str, str]:
    """Return the providers of the secrets file: by the name that `st.login` takes, the one to show."""
    try:
        found: Mapping[str, Any] = st.secrets.get("auth", {})
    except (FileNotFoundError, StreamlitSecretNotFoundError):
        return {}
    if not all(found.get(name) for name in REQUIRED):
        return {}
    named = {str(name): each for name, each in found.items() if hasattr(each, "get")}
    every = {"": ("", found), **{name: (name.title(), each) for name, each in named.items()}}
    return {
        name: label
        for name, (label, each) in every.items()
        if each.get("client_id") and each.get("server_metadata_url")
    }
