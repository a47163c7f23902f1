"""The way to a server that is not on this machine: over TLS, to whom the machine trusts, through the shell's proxy."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from brightrun.domain.errors import WriterBusy
from brightrun.writers.claude import ClaudeWriter
from tests.many import AmongMany
from tests.messages_api import KEY, MessagesApi
from tests.proxy import proxy_to
from tests.unit.writers.orders import order

ELSEWHERE = "claude.example"
"""A name that nobody has: only a proxy leads there."""
KINDS = pytest.mark.parametrize("kind", [ClaudeWriter, AmongMany])
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_ESTABLISHED, _KEEPALIVE_TIMER = "01", "02"

Serve = Callable[[str], MessagesApi]
Trust = Callable[[], None]


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def serve(authority: trustme.CA) -> Serve:
    """Make a server that proves to be who its name says, by the authority."""

    def made(name: str) -> MessagesApi:
        proof = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name).configure_cert(proof)
        return MessagesApi(identity=(name, proof))

    return made


@pytest.fixture
def trust(authority: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Trust:
    """Let this machine trust the authority, as a company does that looks into what leaves it."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    authority.cert_pem.write_to_path(tmp_path / "authority.pem")
    return lambda: monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))


@pytest.fixture
def by_name() -> str:
    """A name of this very machine that does not say so, as that of a server elsewhere."""
    name = socket.gethostname()
    try:
        found = {place[4][0] for place in socket.getaddrinfo(name, 443, socket.AF_INET)}
    except OSError:
        found = set()
    if found != {"127.0.0.1"}:
        pytest.skip(f"this machine's name, {name}, does not lead to 127.0.0.1 here")
    return name


@KINDS
def test_a_server_that_this_machine_trusts_is_asked(
    kind: type[ClaudeWriter], serve: Serve, trust: Trust, by_name: str
) -> None:
    """A gateway with a certificate of the company's own answers, once its authority is named in SSL_CERT_FILE."""
    trust()
    with serve(by_name) as api:
        writer = kind(KEY, api.url, timeout=10)
        assert writer.read(writer.write(order()).body).text
        assert _seconds_to_keepalive(api.port) <= 60
        writer.close()
    assert len(api.requests) == 1


@KINDS
def test_a_server_that_nobody_vouches_for_is_sent_nothing(
    kind: type[ClaudeWriter], serve: Serve, trust: Trust, by_name: str
) -> None:
    """Neither the key nor the prompt goes to whom this machine does not trust, and nothing is counted as paid."""
    with serve(by_name) as api:
        writer = kind(KEY, api.url, timeout=10)
        with pytest.raises(WriterBusy) as caught:
            writer.write(order())
        writer.close()
    assert caught.value.code == "unreachable"
    assert api.journal.entries == []


@KINDS
def test_a_call_goes_through_the_proxy_of_the_shell(
    kind: type[ClaudeWriter], serve: Serve, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only a proxy leads out, it is asked for the server, and sees nothing of what is said."""
    trust()
    with serve(ELSEWHERE) as api, proxy_to(api.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        writer = kind(KEY, f"https://{ELSEWHERE}", timeout=10)
        assert writer.read(writer.write(order()).body).text
        writer.close()
    assert proxy.asked == [f"{ELSEWHERE}:443"]
    assert len(api.requests) == 1


@KINDS
@pytest.mark.parametrize("status", [403, 407, 502])
def test_a_proxy_that_lets_nobody_through_costs_nothing(
    kind: type[ClaudeWriter], status: int, serve: Serve, trust: Trust, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The item waits and is asked for again, and no call is listed as possibly paid."""
    trust()
    with serve(ELSEWHERE) as api, proxy_to(api.port, refuses=status) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        writer = kind(KEY, f"https://{ELSEWHERE}", timeout=10)
        with pytest.raises(WriterBusy) as caught:
            writer.write(order())
        writer.close()
    assert caught.value.code == "unreachable"
    assert api.journal.entries == []


def _seconds_to_keepalive(port: int) -> float:
    """Return how soon the system asks whether a connection to a port, which is silent, is still there."""
    table = Path("/proc/self/net/tcp")
    if not table.exists():
        pytest.skip("only Linux tells of its connections' timers")
    lines = [line.split() for line in table.read_text().splitlines()[1:]]
    timers = [line[5] for line in lines if int(line[2].split(":")[1], 16) == port and line[3] == _ESTABLISHED]
    assert timers, "a connection is kept for the next call"
    assert all(timer.startswith(f"{_KEEPALIVE_TIMER}:") for timer in timers), timers
    return max(int(timer.split(":")[1], 16) for timer in timers) / 100
