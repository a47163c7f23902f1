"""The strict server is strict: a client that relies on old rules fails against it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.messages_api import KEY, MODELS, Fault, MessagesApi, Script

HEADERS = {"authorization": f"Bearer {KEY}", "anthropic-version": "2026-10-21"}
GOOD = {"model": MODELS[0], "max_tokens": 100, "messages": [{"role": "user", "content": "exactly 4 turns"}]}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"temperature": 1.0}, 400),
        ({"top_p": 1.0}, 400),
        ({"top_k": 1}, 400),
        ({"model": "claude-unknown"}, 404),
        ({"messages": []}, 400),
        ({"messages": [{"role": "user", "content": ""}]}, 400),
        ({"messages": [{"role": "assistant", "content": "x"}]}, 400),
        ({"max_tokens": 0}, 400),
        ({"max_tokens": 200_000}, 400),
        ({"made_up": 1}, 400),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, 400),
    ],
)
def test_refuses_what_the_real_api_refuses(change: dict[str, object], status: int) -> None:
    """Removed sampling fields, unknown models and empty messages are refused, not ignored."""
    with MessagesApi() as api:
        assert (
            httpx.post(f"{api.url}/v1/messages", json={**GOOD, **change}, headers=HEADERS).status_code
            == status
        )


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": f"Bearer {KEY}"}, {**HEADERS, "authorization": "Bearer no"}]
)
def test_wants_key_and_version(headers: dict[str, str]) -> None:
    """A call without key or version is refused."""
    with MessagesApi() as api:
        assert httpx.post(f"{api.url}/v1/messages", json=GOOD, headers=headers).status_code in {400, 401}


def test_faults_strike_by_number_and_by_text() -> None:
    """A fault hits the request it was scripted for, as often as it was scripted, and the journal shows it."""
    faults = [Fault("status", status=529, at=2), Fault("status", status=429, contains="special", times=2)]
    with MessagesApi(faults) as api:
        special = {**GOOD, "messages": [{"role": "user", "content": "a special wish"}]}
        answers = [
            httpx.post(f"{api.url}/v1/messages", json=body, headers=HEADERS).status_code
            for body in (GOOD, GOOD, special, GOOD, special, special)
        ]
    assert answers == [200, 529, 429, 200, 429, 200]
    assert [entry.status for entry in api.requests] == answers


def test_counts_tokens_for_nothing() -> None:
    """Counting tokens is answered and is no message request."""
    with MessagesApi() as api:
        asked = {name: value for name, value in GOOD.items() if name != "max_tokens"}
        counted = httpx.post(f"{api.url}/v1/messages/count_tokens", json=asked, headers=HEADERS).json()
    assert counted["input_tokens"] > 0
    assert api.requests == []


def test_a_script_with_a_misspelt_fault_is_refused(tmp_path: Path) -> None:
    """A typing error in a script is an error, not a fault that never strikes."""
    (tmp_path / "faults.json").write_text(json.dumps([{"kind": "explode"}]))
    with pytest.raises(ValueError, match="explode"):
        Script.read(tmp_path / "faults.json")


def test_runs_by_itself(tmp_path: Path) -> None:
    """From the shell it says where it listens, plays the script, and shows its journal."""
    (tmp_path / "faults.json").write_text(json.dumps([{"kind": "status", "status": 529, "at": 1}]))
    command = [
        sys.executable,
        "-m",
        "tests.messages_api",
        "--port",
        "0",
        "--script",
        str(tmp_path / "faults.json"),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    ) as server:
        try:
            assert server.stdout
            url = server.stdout.readline().split()[0]
            assert httpx.post(f"{url}/v1/messages", json=GOOD, headers=HEADERS).status_code == 529
            assert httpx.post(f"{url}/v1/messages", json=GOOD, headers=HEADERS).status_code == 200
            assert [entry["status"] for entry in httpx.get(f"{url}/journal").json()["requests"]][:2] == [
                529,
                200,
            ]
        finally:
            server.terminate()


def test_a_connection_does_what_its_steps_say(tmp_path: Path) -> None:
    """A script can send any bytes, a part of the answer and nothing, and then end the connection."""
    script = tmp_path / "script.json"
    head = "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n"
    steps = [["send", head], ["trickle", ['{"a": ', 0.01]], ["wait", 0.01], ["answer", [0, 0.01]]]
    script.write_text(
        json.dumps([{"kind": "wire", "wire": steps}, {"kind": "wire", "wire": [["reset", None]]}])
    )
    with MessagesApi(Script.read(script)) as api:
        assert httpx.post(f"{api.url}/v1/messages", json=GOOD, headers=HEADERS).text.startswith('{"a": {"id"')
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{api.url}/v1/messages", json=GOOD, headers=HEADERS)
    with pytest.raises(ValueError, match="no step"):
        Fault("wire", wire=[("sing", 1)])
