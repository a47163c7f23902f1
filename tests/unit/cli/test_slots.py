"""Many items at a time from the shell, against a server that speaks the Messages API."""

from __future__ import annotations

from pathlib import Path

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
