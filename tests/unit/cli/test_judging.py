"""The judge in the shell: its price first, its verdicts, and whether to believe it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.messages_api import KEY, MessagesApi
from tests.shell import Shell


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi() as running:
        yield running


def test_a_job_is_judged_from_the_shell(tmp_path: Path, dsn: str, api: MessagesApi) -> None:
    """A dry run says the price and buys nothing; then each conversation is judged once, and the judge is held against people."""
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=api.url)
    sheet = tmp_path / "sheet.csv"
    with sheet.open("w", newline="") as file:
        csv.writer(file).writerows([["scenario"], *([f"A reader asks about fine {n}."] for n in range(3))])
    job = shell.json("generate", "--scenarios", str(sheet), "--writer", "demo")["id"]
    shell.json("process", job)
    priced = shell.json("judge", job, "--dry-run")
    assert priced["conversations"] == 3
    assert priced["estimate"]["expected_cost"] > 0
    assert not api.requests
    judging = shell.json("judge", job)["id"]
    assert shell.json("process", judging)["status"] == "completed"
    assert len(api.requests) == 3
    shell.json("review", job, "--approve")
    told = shell.json("calibration", job)
    assert (told["verdicts"], told["overall"]["rows"]) == (3, 3)
    assert "fewer than 20" in told["says"]
