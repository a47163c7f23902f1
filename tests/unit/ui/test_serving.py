"""Who the server answers, and what it says of itself: the door is locked before anything is behind it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from brightrun.ui.serving import REFUSED, FrontDoor, WayBack, is_loopback

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("address", ["0.0.0.0", "::"])
def test_without_a_login_the_server_does_not_start_on_another_address(address: str, tmp_path: Path) -> None:
    """Whoever opens the app to a network by accident is refused at once, with what to do instead."""
    command = ["-m", "streamlit", "run", "Home.py", "--server.headless", "true", "--server.port", "0"]
    result = subprocess.run(
        [sys.executable, *command, "--server.address", address],
        cwd=ROOT,
        env={"PATH": "", "HOME": str(tmp_path), "BRIGHTRUN_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == REFUSED, result.stderr
    assert f"asked to serve the address {address}" in result.stderr
    assert "127.0.0.1" in result.stderr
    assert "docs/how-to/login.md" in result.stderr
    assert not list(tmp_path.glob("**/PG_VERSION")), "a database was started for a server that may not run"


@pytest.mark.parametrize(
    ("address", "is_local"),
    [
        *[
            (a, True)
            for a in ("127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST.", "::1", "[::1]", "::ffff:127.0.0.1")
        ],
        *[
            (a, False)
            for a in (None, "", "0.0.0.0", "::", "10.0.0.1", "192.168.1.9", "169.254.169.254", "example.org")
        ],
        *[
            (a, False)
            for a in (
                "127.0.0.1.example.org",
                "localhost.example.org",
                "0x7f000001",
                "127.1",
                "::ffff:10.0.0.1",
            )
        ],
    ],
)
def test_only_addresses_of_this_machine_count_as_this_machine(address: str | None, is_local: bool) -> None:
    """A name that looks like this machine, or an address that is every address, opens nothing."""
    assert is_loopback(address) is is_local


def served(*, is_open: bool, base: str = "http://127.0.0.1:8501") -> TestClient:
    async def answer(_: Request) -> PlainTextResponse:
        return PlainTextResponse("inside")

    door = Middleware(FrontDoor, is_open=is_open)
    return TestClient(Starlette(routes=[Route("/", answer)], middleware=[door]), base_url=base)


@pytest.mark.parametrize(
    ("base", "headers", "status"),
    [
        ("http://127.0.0.1:8501", {}, 200),
        ("http://localhost:8501", {}, 200),
        ("http://192.168.1.5:8501", {}, 403),
        ("http://127.0.0.1:8501", {"host": "rebound.example.org:8501"}, 403),
        ("http://127.0.0.1:8501", {"host": "[::1]:8501"}, 200),
    ],
)
def test_a_request_from_elsewhere_is_turned_away_whatever_holds_the_socket(
    base: str, headers: Mapping[str, str], status: int
) -> None:
    """Another server than `streamlit run`, or a page that points its own name here, gets no further."""
    answer = served(is_open=False, base=base).get("/", headers=dict(headers))
    assert answer.status_code == status
    assert ("inside" in answer.text) is (status == 200)
    assert status == 200 or "docs/how-to/login.md" in answer.text


def test_with_a_login_every_address_is_served() -> None:
    """Whoever set up a login may publish the app under any name."""
    assert served(is_open=True, base="https://bright.example.org").get("/").text == "inside"


def test_every_answer_carries_the_heads_that_fence_a_page_in() -> None:
    """A page may load nothing from elsewhere and stand in nobody else's frame, also where it says no."""
    for client in (served(is_open=True), served(is_open=False, base="http://10.0.0.1")):
        head = client.get("/").headers
        assert "default-src 'self'" in head["content-security-policy"]
        assert "frame-ancestors 'self'" in head["content-security-policy"]
        assert "http" not in head["content-security-policy"]
        assert head["x-content-type-options"] == "nosniff"
        assert head["referrer-policy"] == "same-origin"


HERE = "https://bright.example.org"


def led(came_from: str) -> str:
    """Return where the server leads who told it to log in on a page and has done so."""

    async def provider(_: Request) -> RedirectResponse:
        return RedirectResponse("https://provider.example.org/authorize", 302)

    async def back(_: Request) -> RedirectResponse:
        return RedirectResponse("/", 302)

    routes = [Route("/auth/login", provider), Route("/oauth2callback", back)]
    client = TestClient(
        Starlette(routes=routes, middleware=[Middleware(WayBack)]), base_url=HERE, follow_redirects=False
    )
    client.get("/auth/login", headers={"referer": came_from})
    there: str = client.get("/oauth2callback?code=1").headers["location"]
    assert client.get("/oauth2callback?code=2").headers["location"] == "/", "an old address was led to again"
    return there


@pytest.mark.parametrize("page", ["/", "/review?status=approved&q=caf%C3%A9+%26+co", "/batch?job=1"])
def test_who_logs_in_arrives_at_the_address_they_came_for(page: str) -> None:
    """A link to a batch, sent to a colleague who is not logged in, leads to that batch."""
    assert led(f"{HERE}{page}") == page


@pytest.mark.parametrize(
    "page",
    [
        "https://evil.example.org/review",
        f"{HERE}//evil.example.org/",
        f"{HERE}/\\\\evil.example.org/",
        f"{HERE}/\\evil.example.org/",
        f"{HERE}@evil.example.org/",
        "",
    ],
)
def test_a_login_leads_nowhere_else(page: str) -> None:
    """Nobody's link makes our login a way to another site."""
    assert led(page) == "/"
