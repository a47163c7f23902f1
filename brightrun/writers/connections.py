"""Connections to the Messages API, and what it means for the money when one breaks."""

from __future__ import annotations

import socket
from urllib.request import getproxies

import aiohttp
import anthropic
import httpx2
from httpx_aiohttp.httpx2 import AiohttpTransport

from brightrun.domain.address import is_this_machine
from brightrun.domain.errors import WriterBusy, WriterFault, WriterRejected, WriterUncertain

BROKEN = (httpx2.HTTPError, aiohttp.ClientError)
"""What a broken connection may raise beside the SDK's own."""

_CONNECT_SECONDS = 10.0
_KEEPALIVE = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 60, "TCP_KEEPCNT": 5}
"""As the SDK sets them: an answer takes minutes, and what stands between drops a connection that is silent."""
_LINE_BYTES = 100_000
"""As long as a header may be for httpx: an answer is paid for, however much is said above it."""

_NOTHING_SENT = (
    *(httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError),
    *(aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError),
)
_TOO_SLOW = (httpx2.TimeoutException, aiohttp.ServerTimeoutError)


def alone(address: str, timeout: float) -> httpx2.Client:
    """Return connections that follow no redirect, and take no proxy on the way to this very machine."""
    if is_this_machine(address):  # the SDK's own client reads the shell's proxies whatever it is told
        return httpx2.Client(timeout=limits(timeout), trust_env=False)
    return anthropic.DefaultHttpxClient(timeout=limits(timeout), follow_redirects=False)


def many(address: str, timeout: float) -> httpx2.AsyncClient:
    """Return connections for any number of calls at a time: none waits for one, or makes it anew.

    They are aiohttp's, with which a call takes a third less of this process's time; where the shell names
    proxies they are the SDK's, which knows all their kinds.
    """
    if not is_this_machine(address) and getproxies():
        unbound = httpx2.Limits(max_connections=None, max_keepalive_connections=256)
        return anthropic.DefaultAsyncHttpxClient(
            timeout=limits(timeout), follow_redirects=False, limits=unbound
        )
    return httpx2.AsyncClient(
        transport=AiohttpTransport(client=_session), timeout=limits(timeout), trust_env=False
    )


def limits(seconds: float) -> httpx2.Timeout:
    return httpx2.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds))


def fault_of(cause: BaseException, seconds: float) -> WriterFault:
    """Tell a call that never left from one that may have been paid for."""
    # httpx-aiohttp gives most of what can break one name, and keeps what it was.
    cause = cause.__cause__ if isinstance(cause.__cause__, aiohttp.ClientError) else cause
    kind = type(cause).__name__
    if isinstance(cause, _NOTHING_SENT):
        return WriterBusy(
            f"Claude could not be reached ({kind}).",
            remedy="See that this machine is online and ANTHROPIC_BASE_URL is right.",
            code="unreachable",
        )
    if isinstance(cause, httpx2.LocalProtocolError | httpx2.UnsupportedProtocol | aiohttp.InvalidURL):
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


def _session() -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0, socket_factory=_socket, ssl=httpx2.create_ssl_context())
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=_LINE_BYTES,
        max_field_size=_LINE_BYTES,
    )


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if hasattr(socket, name):  # Linux has them all
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return made
