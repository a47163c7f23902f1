"""The server's front door: which addresses it answers on, and what stands in every answer's head."""

from __future__ import annotations

import ipaddress
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from brightrun.ui.login import is_configured

REFUSED: Final = 78
"""The exit code of a server that is set up wrongly (EX_CONFIG)."""
REMEDY: Final = (
    "Leave the address at 127.0.0.1, or set up a login first: docs/how-to/login.md says how, "
    "in ten lines of .streamlit/secrets.toml."
)
POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",  # Streamlit and the grid build functions
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "frame-src 'self' data: blob:",
        "frame-ancestors 'self'",  # the grid is a frame of our own
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}

LOGIN: Final = "/auth/login"
CALL_BACK: Final = "/oauth2callback"
GOAL: Final = "brightrun_goal"
GOAL_SECONDS: Final = 900
WRITTEN: Final = "/?&=%+,:;@!$'()*~"
"""What an address holds that is written already."""


def front_door() -> list[Middleware]:
    """Return what every request passes; a server that would answer strangers does not start at all."""
    is_open = is_configured()
    address = st.get_option("server.address")
    if not is_open and not is_loopback(address):
        sys.stderr.write(f"Bright Run does not start: {refusal(address)}\n{REMEDY}\n")
        raise SystemExit(REFUSED)
    return [Middleware(FrontDoor, is_open=is_open), Middleware(WayBack)]


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Let a termination signal end the process as an exit does: steps in hand are finished, the database is let go of."""
    yield
    if os.name != "nt":
        # The server, once it is shut down, raises the signal again in this thread: the process would end at once.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def refusal(address: str | None) -> str:
    """Say what is wrong with an address."""
    where = f"the address {address}" if address else "every address of this machine"
    return f"without a login it serves 127.0.0.1 only, and it was asked to serve {where}."


def is_loopback(address: str | None) -> bool:
    """Whether an address reaches this machine alone; none, or a name that is not localhost, may not."""
    if not address:
        return False
    bare = address.strip().strip("[]").rstrip(".").lower()
    if bare == "localhost":
        return True
    try:
        found = ipaddress.ip_address(bare)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


class FrontDoor:
    """Turns away, without a login, who did not come by this machine; writes the heads of all answers.

    The address is looked at again for each request: another server than `streamlit run` may hold the
    socket. So is the name that was asked for, or a page elsewhere could point its own name here.
    """

    def __init__(self, app: ASGIApp, *, is_open: bool) -> None:
        self._app = app
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if not self._is_open and not _is_from_here(scope):
            await _turn_away(scope, receive, send)
            return
        await self._app(scope, receive, _with_headers(send))


class WayBack:
    """Leads who has logged in to the address they came for; Streamlit's own login leads everybody to the first page.

    The browser keeps the address meanwhile, for the call-back alone, and an address elsewhere is not led to.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] == "http" and path.endswith(LOGIN):
            send = _with_goal(Request(scope), send)
        elif scope["type"] == "http" and path.endswith(CALL_BACK):
            send = _to_goal(Request(scope), send)
        await self._app(scope, receive, send)


def _with_goal(request: Request, send: Send) -> Send:
    """Let the browser keep the address of the page on which it was told to log in."""
    asked = urlsplit(request.headers.get("referer", ""))
    goal = urlunsplit(("", "", asked.path, asked.query, ""))
    if asked.netloc != request.headers.get("host") or not _is_ours(goal):
        return send
    cookie = Response()
    cookie.set_cookie(
        GOAL,
        quote(goal),
        max_age=GOAL_SECONDS,
        path=request.url.path.removesuffix(LOGIN) + CALL_BACK,
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="lax",
    )
    return _with_start(send, lambda head: head.append("set-cookie", cookie.headers["set-cookie"]))


def _to_goal(request: Request, send: Send) -> Send:
    """Lead to the address that was kept, and let the browser forget it."""
    goal = unquote(request.cookies.get(GOAL, ""))
    if not _is_ours(goal):
        return send
    forget = Response()
    forget.delete_cookie(GOAL, path=request.url.path)

    def lead(head: MutableHeaders) -> None:
        if "location" in head:
            head["location"] = quote(goal, safe=WRITTEN)
            head.append("set-cookie", forget.headers["set-cookie"])

    return _with_start(send, lead)


def _is_ours(goal: str) -> bool:
    """Whether a browser that is led there stays here: `//host` and `/\\host` are other places."""
    return goal.startswith("/") and goal[1:2] not in ("/", "\\") and goal.isprintable()


def _with_start(send: Send, change: Callable[[MutableHeaders], None]) -> Send:
    async def send_on(message: Message) -> None:
        if message["type"] == "http.response.start":
            change(MutableHeaders(scope=message))
        await send(message)

    return send_on


def _is_from_here(scope: Scope) -> bool:
    server = scope.get("server")
    names = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
    return is_loopback(server[0] if server else None) and all(is_loopback(_host(name)) for name in names)


def _host(value: str) -> str:
    """Return the name of a Host header without its port."""
    return value[: value.find("]") + 1] if value.startswith("[") else value.partition(":")[0]


async def _turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await WebSocketClose(1008, "Without a login, only this machine is served.")(scope, receive, send)
        return
    text = f"Without a login, Bright Run serves 127.0.0.1 only. {REMEDY}\n"
    await PlainTextResponse(text, status_code=403)(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Send:
    return _with_start(send, lambda head: head.update(HEADERS))
