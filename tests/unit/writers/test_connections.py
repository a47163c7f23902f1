"""Many calls at a time over real connections: what aiohttp takes, refuses and leaves behind, and what it means for the money."""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue

import aiohttp
import httpx2
import pytest
from aiohttp.client_reqrep import ConnectionKey

from brightrun.domain.errors import WriterFault, WriterRejected, WriterUncertain, WriterUnreachable
from brightrun.domain.writing import RawAnswer
from brightrun.writers.claude import ClaudeWriter
from brightrun.writers.connections import fault_of
from tests.many import AmongMany
from tests.messages_api import KEY, Fault, MessagesApi
from tests.unit.writers.orders import order

MANY = 120
"""More than aiohttp lets out at a time if it is not told otherwise."""
OK = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize("head", ["x: " + "y" * 20_000 + "\r\n", "x: y\r\n" * 300])
@pytest.mark.parametrize("kind", [ClaudeWriter, AmongMany])
def test_no_answer_is_lost_for_what_is_said_above_it(head: str, kind: type[ClaudeWriter]) -> None:
    """A gateway that adds long headers, or many of them, costs nobody an answer that is paid for."""
    with MessagesApi([Fault("wire", wire=[("send", f"{OK}{head}\r\n"), ("answer", [0, 1])])]) as api:
        writer = kind(KEY, api.url, timeout=5)
        assert writer.read(writer.write(order()).body).text
        writer.close()


def test_a_server_that_only_httpx_understands_costs_one_answer_and_no_more() -> None:
    """What aiohttp refuses by its form is listed as possibly paid, and from then on httpx makes the calls."""
    twice = f"{OK}connection: close\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\n{{}}"
    with MessagesApi([Fault("wire", times=None, wire=[("send", twice)])]) as api:
        writer = AmongMany(KEY, api.url, timeout=5)
        with pytest.raises(WriterUncertain) as caught:
            writer.write(order())
        assert caught.value.code == "connection_broken"
        assert [writer.write(order()).body for _ in range(2)] == [b"{}", b"{}"]
        writer.close()


def test_as_many_calls_are_out_as_are_begun() -> None:
    """No call waits for the connection of another, however many there are."""
    told: SimpleQueue[RawAnswer | Exception] = SimpleQueue()
    with MessagesApi(seconds=1.5) as api:
        writer = ClaudeWriter(KEY, api.url, timeout=30)
        for _ in range(MANY):
            writer.begin(order(), told.put)
        came = [told.get(timeout=30) for _ in range(MANY)]
        writer.close()
    assert all(isinstance(one, RawAnswer) for one in came)
    assert api.journal.most_at_once == MANY


def test_closing_ends_what_is_out_and_tells_of_it() -> None:
    """Whoever closes a writer is not kept by a call, and its item hears what became of it."""
    told: SimpleQueue[RawAnswer | Exception] = SimpleQueue()
    with MessagesApi([Fault("stall", seconds=20)]) as api:
        writer = ClaudeWriter(KEY, api.url, timeout=30)
        writer.begin(order(), told.put)
        until = time.monotonic() + 10
        while not api.requests and time.monotonic() < until:
            time.sleep(0.01)
        threading.Thread(target=writer.close).start()
        assert isinstance(told.get(timeout=5), ConnectionAbortedError)


def beneath(cause: Exception) -> Exception:
    """As httpx-aiohttp hands over whatever broke: by one name, with what it was as its cause."""
    fault = httpx2.ConnectTimeout(str(cause))
    fault.__cause__ = cause
    return fault


PLACE = ConnectionKey("api", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("cause", "kind", "code"),
    [
        (httpx2.ConnectError("refused"), WriterUnreachable, "unreachable"),
        (httpx2.ConnectTimeout("slow"), WriterUnreachable, "unreachable"),
        (httpx2.PoolTimeout("busy"), WriterUnreachable, "unreachable"),
        (httpx2.ProxyError("407"), WriterUnreachable, "unreachable"),
        (httpx2.ReadTimeout("slow"), WriterUncertain, "timeout"),
        (httpx2.WriteTimeout("slow"), WriterUncertain, "timeout"),
        (httpx2.ReadError("reset"), WriterUncertain, "connection_broken"),
        (httpx2.WriteError("reset"), WriterUncertain, "connection_broken"),
        (httpx2.RemoteProtocolError("cut"), WriterUncertain, "connection_broken"),
        (httpx2.DecodingError("gzip"), WriterUncertain, "connection_broken"),
        (OSError("anything"), WriterUncertain, "connection_broken"),
        (
            beneath(aiohttp.ClientConnectorDNSError(PLACE, OSError("unknown"))),
            WriterUnreachable,
            "unreachable",
        ),
        (beneath(aiohttp.ConnectionTimeoutError("slow")), WriterUnreachable, "unreachable"),
        (beneath(aiohttp.ServerDisconnectedError()), WriterUncertain, "connection_broken"),
        (beneath(aiohttp.ClientOSError("reset")), WriterUncertain, "connection_broken"),
        (beneath(aiohttp.ClientPayloadError("cut")), WriterUncertain, "connection_broken"),
        (beneath(aiohttp.SocketTimeoutError("slow")), WriterUncertain, "timeout"),
        (aiohttp.InvalidUrlClientError("x"), WriterRejected, "setup"),
        (beneath(aiohttp.NonHttpUrlClientError("ftp://x")), WriterRejected, "setup"),
        (httpx2.LocalProtocolError("header"), WriterRejected, "setup"),
        (httpx2.UnsupportedProtocol("ftp"), WriterRejected, "setup"),
    ],
)
def test_only_what_never_left_is_surely_unpaid(cause: Exception, kind: type[WriterFault], code: str) -> None:
    """Before the request leaves nothing can be paid; after that, doubt is said as doubt."""
    fault = fault_of(cause, 180)
    assert type(fault) is kind
    assert fault.code == code
    assert fault.remedy
