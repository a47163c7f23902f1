"""A project whose address leads elsewhere: its key stays here, and the message says what to set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from brightrun import saol
from brightrun.buckets.supabase import SupabaseBucket, connect_storage
from brightrun.domain.errors import BrightRunError, SetupFault, StorageFault
from tests.storage_api import SECRET_KEY


class Elsewhere(BaseHTTPRequestHandler):
    """Leads on to another server, or takes whatever comes."""

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        server = self.server
        server.seen.append(str(self.headers))  # type: ignore[attr-defined]
        self.send_response(server.status)  # type: ignore[attr-defined]
        if server.target:  # type: ignore[attr-defined]
            self.send_header("location", f"{server.target}{self.path}")  # type: ignore[attr-defined]
        self.send_header("content-type", "application/json")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"[]")

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _answer  # noqa: N815 - the server's own names

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server:
    """A server of its own, and what it was sent."""

    def __init__(self, status: int, target: str = "") -> None:
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
        self.seen: list[str] = []
        self.http.status, self.http.target, self.http.seen = status, target, self.seen  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def other() -> Iterator[Server]:
    server = Server(200)
    yield server
    server.close()


@pytest.fixture(params=[301, 302, 303, 307, 308])
def leading(request: pytest.FixtureRequest, other: Server) -> Iterator[Server]:
    server = Server(request.param, other.url)
    yield server
    server.close()


def test_a_key_does_not_follow_a_redirect_of_the_database(leading: Server, other: Server) -> None:
    """The other host is sent nothing at all; whoever runs it is told what to set."""
    with pytest.raises(BrightRunError, match="redirect") as met:
        saol.agent_query(saol.connect_supabase(leading.url, SECRET_KEY), "batch_jobs").require()
    assert "SUPABASE_URL" in str(met.value)
    assert leading.seen, "it was not asked"
    assert other.seen == []


def test_a_key_does_not_follow_a_redirect_of_the_files(leading: Server, other: Server) -> None:
    """Reading, writing, listing and deleting alike."""
    bucket = SupabaseBucket(connect_storage(leading.url, SECRET_KEY), "conversation-files")
    for deed in (
        lambda: bucket.put("a/b.json", b"{}"),
        lambda: bucket.get("a/b.json"),
        lambda: bucket.list(""),
        lambda: bucket.delete("a/b.json"),
        bucket.check,
    ):
        with pytest.raises(StorageFault, match="redirect") as met:
            deed()
        assert "SUPABASE_URL" in (met.value.remedy or "")
    assert leading.seen
    assert other.seen == []


@pytest.mark.parametrize(
    "address",
    [
        "http://example.supabase.co",
        "https://ana:secret-word@example.supabase.co",
        "https://169.254.169.254",
        "https://10.0.0.5",
        "https://0x7f.1",
        "ftp://example.supabase.co",
        "example.supabase.co",
        "https://example.supabase.co?key=secret-word",
    ],
)
def test_a_projects_key_is_sent_to_no_doubtful_address(address: str) -> None:
    """Neither in the clear, nor to a machine's own services, nor behind a password; and the address is not repeated."""
    for connect in (saol.connect_supabase, connect_storage):
        with pytest.raises(SetupFault, match="SUPABASE_URL") as met:
            connect(address, SECRET_KEY)
        assert "secret-word" not in str(met.value)
        assert met.value.remedy
