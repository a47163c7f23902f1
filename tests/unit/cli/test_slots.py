"""Many items at a time from the shell, against a server that speaks the Messages API."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psycopg

from tests.messages_api import KEY, MessagesApi
from tests.shell import Shell

SHEET = Path(__file__).parents[3] / "examples" / "scenarios.csv"


def test_the_shell_works_all_open_jobs_off(tmp_path: Path, dsn: str) -> None:
    """`work --slots` ends every open job with several calls out at a time, and says how each ended."""
    with MessagesApi(seconds=0.3) as api:
        shell = Shell(
            tmp_path / "home",
            DATABASE_URL=dsn,
            ANTHROPIC_API_KEY=KEY,
            ANTHROPIC_BASE_URL=api.url,
        )
        first, second = (
            str(shell.json("generate", "--scenarios", str(SHEET), "--limit", str(limit))["id"])
            for limit in (6, 4)
        )
        urgent = shell.json("priority", second, "3")
        assert urgent["priority"] == 3
        ended = {job["id"]: job for job in shell.json("work", "--slots", "4")["jobs"]}  # type: ignore[attr-defined]
        assert {ended[job]["status"] for job in (first, second)} == {"completed"}
        assert len(api.requests) == 10
        assert 2 <= api.journal.most_at_once <= 4
        again = shell.json("work")
        assert again["jobs"] == []
        looked = str(shell.json("generate", "--scenarios", str(SHEET), "--preview", "1")["id"])
        code, _, told = shell.ended("work", looked)
        assert (code, "1 completed" in told) == (0, True), told
        assert f"brightrun preview {looked[:8]}" in told


def test_a_service_that_is_told_to_end_leaves_nothing_in_hand(tmp_path: Path, dsn: str) -> None:
    """SIGTERM ends what is in hand and records it: the next start waits for no lease of minutes."""
    with MessagesApi(seconds=1.0) as api:
        shell = Shell(tmp_path / "home", DATABASE_URL=dsn, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=api.url)
        job = str(shell.json("generate", "--scenarios", str(SHEET), "--limit", "20")["id"])
        process = shell.start("work", job, "--slots", "4")
        while api.journal.at_once < 4:
            assert process.poll() is None, process.communicate()
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        (left,) = shell.json("status")["jobs"]  # type: ignore[misc]
    assert (process.returncode, left["counts"]["processing"]) == (128 + signal.SIGTERM, 0), said  # type: ignore[index]
    assert left["counts"]["completed"] == len(api.requests)  # type: ignore[index]
    assert left["status"] == "processing"  # type: ignore[index]


def test_a_batch_that_nobody_writes_is_named_with_the_command_that_goes_on(tmp_path: Path, dsn: str) -> None:
    """After its worker was killed, `status` promises no time, says who has to act, and `process` ends the batch."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    job = str(shell.json("generate", "--scenarios", str(SHEET), "--limit", "3", "--writer", "demo")["id"])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select claim_item(%s, 'gone:1:1', 0.01)", [job])
        connection.execute("update batch_jobs set started_at = started_at - interval '10 minutes'")
    (listed,) = shell.json("status")["jobs"]  # type: ignore[misc]
    assert (listed["seconds_left"], listed["unattended"]) == (None, True)  # type: ignore[index]
    assert shell.json("status", job)["unattended"] is True
    told = f"Nobody is writing {job[:8]}: open it, or: brightrun work {job[:8]}"
    assert told in shell.run("status")
    assert told in shell.run("status", job)
    ended = shell.json("process", job)
    assert ended["counts"]["completed"] == 3  # type: ignore[index]
    assert "Nobody" not in shell.run("status")
