"""Connections to the Messages API, and what it means for the money when one breaks."""

from __future__ import annotations

import socket
import ssl
from functools import partial
from urllib.request import getproxies

import aiohttp
import anthropic
import httpx2
from httpx_aiohttp.httpx2 import AiohttpTransport

from brightrun.domain.address import is_encrypted, is_this_machine
from brightrun.domain.errors import WriterFault, WriterRejected, WriterUncertain, WriterUnreachable

BROKEN = (httpx2.HTTPError, aiohttp.ClientError)
"""What a broken connection may raise beside the SDK's own."""

_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 4.0
"""So long a connection is kept for another call: many servers close theirs after five seconds, and a call that meets the
end on its way may have been paid for."""
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 60, "TCP_KEEPCNT": 5}
"""As the SDK sets them: an answer takes minutes, and what stands between drops a connection that is silent."""
_LINE_BYTES = 100_000
_LINES = 10_000
"""As much as httpx takes above an answer: it is paid for, whatever is said there."""

_UNBOUND = httpx2.Limits(max_connections=None, max_keepalive_connections=256)

_NOTHING_SENT = (
    *(httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError),
    *(aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError),
)
_TOO_SLOW = (httpx2.TimeoutException, aiohttp.ServerTimeoutError)
_NOT_TO_BE_SENT = (
    *(httpx2.LocalProtocolError, httpx2.UnsupportedProtocol),
    *(aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError),
)


def alone(address: str, timeout: float) -> httpx2.Client:
    """Return connections that follow no redirect, and take no proxy on the way to this very machine."""
    if is_this_machine(address):  # the SDK's own client reads the shell's proxies whatever it is told
        return httpx2.Client(timeout=limits(timeout), trust_env=False, verify=is_encrypted(address))
    return anthropic.DefaultHttpxClient(timeout=limits(timeout), follow_redirects=False)


def many(address: str, timeout: float, *, is_strict: bool = True) -> httpx2.AsyncClient:
    """Return connections for any number of calls at a time: none waits for one, or makes it anew.

    They are aiohttp's, with which a call takes a third less of this process's time; where the shell names
    proxies they are the SDK's, which knows all their kinds, and where they must not be strict: see `is_too_strict`.
    """
    is_here = is_this_machine(address)
    if not is_here and (getproxies() or not is_strict):
        return anthropic.DefaultAsyncHttpxClient(
            timeout=limits(timeout), follow_redirects=False, limits=_UNBOUND
        )
    if not is_strict:
        return httpx2.AsyncClient(
            timeout=limits(timeout), trust_env=False, limits=_UNBOUND, verify=is_encrypted(address)
        )
    trusted = httpx2.create_ssl_context(is_encrypted(address), trust_env=not is_here)
    trusted.set_alpn_protocols(["http/1.1"])
    transport = AiohttpTransport(verify=trusted, client=partial(_session, trusted))
    return httpx2.AsyncClient(transport=transport, timeout=limits(timeout), trust_env=False)


def is_too_strict(fault: BaseException) -> bool:
    """Whether aiohttp refused a response by its form, which httpx may take: one with two equal lengths, for one."""
    return isinstance(fault.__cause__, aiohttp.ClientResponseError)


def limits(seconds: float) -> httpx2.Timeout:
    """Return the time-outs of a call; finding and reaching the server ends well before the call would be uncertain."""
    reach = min(_CONNECT_SECONDS, max(seconds - 1, seconds / 2))  # aiohttp counts whole seconds from five on
    return httpx2.Timeout(seconds, connect=reach, pool=reach)


def fault_of(cause: BaseException, seconds: float) -> WriterFault:
    """Tell a call that never left from one that may have been paid for."""
    # httpx-aiohttp gives most of what can break one name, and keeps what it was.
    cause = cause.__cause__ if isinstance(cause.__cause__, aiohttp.ClientError) else cause
    kind = type(cause).__name__
    if isinstance(cause, _NOTHING_SENT):
        return WriterUnreachable(
            f"Claude could not be reached ({kind}).",
            remedy="See that this machine is online and ANTHROPIC_BASE_URL is right.",
            code="unreachable",
        )
    if isinstance(cause, _NOT_TO_BE_SENT):
        remedy = "Check ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL, then resume the job."
        return WriterRejected(f"The request could not be made ({kind}).", remedy=remedy, code="setup")
    if isinstance(cause, _TOO_SLOW):
        return too_slow(seconds)
    return WriterUncertain(
        f"The connection to Claude broke ({kind}).",
        remedy="The call may have been paid for. See that the network holds; the Console shows what was used.",
        code="connection_broken",
    )


def too_slow(seconds: float) -> WriterUncertain:
    return WriterUncertain(
        f"Claude did not answer within {seconds:g} s.",
        remedy="The call may have been paid for. If it happens often, raise BRIGHTRUN_CALL_TIMEOUT.",
        code="timeout",
    )


def _session(trusted: ssl.SSLContext) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=0, keepalive_timeout=_IDLE_SECONDS, socket_factory=_socket, ssl=trusted
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=_LINE_BYTES,
        max_field_size=_LINE_BYTES,
        max_headers=_LINES,
    )


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # Linux has them all
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
