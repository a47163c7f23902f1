"""The main road written by Claude: the real SDK against a server that speaks the Messages API, and misbehaves."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.messages_api import KEY, Fault, MessagesApi
from tests.shell import Shell

BUSY, CUT, REFUSED, BROKEN = 1, 3, 5, 7
ROWS = [f"A reader asks to renew {n + 2} books at the harbour library." for n in range(10)]
FAULTS = [
    Fault("status", contains=ROWS[BUSY], times=1, status=529, type="overloaded_error"),
    Fault("cut", contains=ROWS[CUT], times=None),
    Fault("refusal", contains=ROWS[REFUSED], times=None, category="cyber"),
    Fault("text", contains=ROWS[BROKEN], times=None, message='{"turns": [{"role": "user", "content": "Hel'),
]


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi(FAULTS) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def shell(home: Path, dsn: str, api: MessagesApi) -> Shell:
    return Shell(
        home,
        DATABASE_URL=dsn,
        ANTHROPIC_API_KEY=KEY,
        ANTHROPIC_BASE_URL=api.url,
        BRIGHTRUN_RETRY_BASE="0.05",
    )


@pytest.fixture
def sheet(tmp_path: Path) -> Path:
    path = tmp_path / "sheet.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["scenario"], *([row] for row in ROWS)])
    return path


def rows(dsn: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query, values).fetchall()  # type: ignore[call-overload]


def test_each_fault_of_the_model_ends_as_it_must(
    shell: Shell, sheet: Path, api: MessagesApi, dsn: str, home: Path, tmp_path: Path
) -> None:
    """An overloaded API is asked again; a cut, refused or broken answer fails its item, is paid, kept and not bought again."""
    job = str(shell.json("generate", "--scenarios", str(sheet), "--writer", "claude")["id"])
    shell.run("process", job)
    items = rows(
        dsn,
        "select position, status, error_code, conversation_id from batch_items where job_id = %s order by position",
        job,
    )
    by_place = {place - 1: (state, code) for place, state, code, _ in items}
    assert by_place[BUSY] == ("completed", None)
    assert by_place[CUT] == ("failed", "answer_cut")
    assert by_place[REFUSED] == ("failed", "refusal")
    assert by_place[BROKEN] == ("failed", "unreadable_answer")
    status = shell.json("status", job)
    counts = status["counts"]
    assert counts == {"queued": 0, "processing": 0, "completed": 7, "failed": 3, "cancelled": 0}

    attempts = rows(
        dsn,
        "select i.position - 1, a.outcome, a.error_code, a.raw_path, a.cost_usd, a.request is not null"
        " from attempts a join batch_items i on i.id = a.item_id where a.job_id = %s order by 1, a.number",
        job,
    )
    assert len(attempts) == len(ROWS) + 1 == len(api.requests)
    assert [(a[1], a[2]) for a in attempts if a[0] == BUSY] == [("failed", "overloaded"), ("stored", None)]
    files = home / "buckets" / "conversation-files"
    for place in (CUT, REFUSED, BROKEN):
        (kept,) = [a for a in attempts if a[0] == place]
        assert (kept[1], kept[5]) == ("stored", True)
        raw = json.loads((files / kept[3]).read_text(encoding="utf-8"))
        assert raw["type"] == "message", "the raw answer is kept as it came"
        assert kept[4] > 0, "a useless answer was paid for all the same"
    assert float(str(status["cost"])) == pytest.approx(float(sum(a[4] for a in attempts)), abs=1e-6)

    linked = rows(
        dsn,
        "select count(*) filter (where c.id is not null), count(*) filter (where k.id is not null)"
        " from batch_items i left join conversations c on c.id = i.conversation_id"
        " left join conversations k on k.conversation_id = i.conversation_id"
        " where i.job_id = %s and i.status = 'completed'",
        job,
    )
    assert linked == [(7, 0)], "by primary key, never by business key"
    assert (home / "buckets" / "batch-logs" / job / "log.txt").read_text().count("\n") >= len(ROWS)

    calls = len(api.requests)
    shell.run("process", job)
    assert len(api.requests) == calls, "a job that has ended calls nobody"

    shell.run("review", job, "--approve", "--min-score", "0")
    export = shell.json("export", "--out", str(tmp_path / "out"), "--job", job)
    assert export["rows"] == 7
    files_written = export["files"]
    assert isinstance(files_written, list)
    training = next(Path(f) for f in files_written if f.endswith(".jsonl"))
    assert "demo" not in training.name
    assert len(training.read_text(encoding="utf-8").splitlines()) == 7


def test_a_wrong_key_pauses_the_job_and_loses_no_item(
    home: Path, dsn: str, api: MessagesApi, sheet: Path
) -> None:
    """With a wrong key nothing fails and nothing is paid: the job waits, says why, and goes on with the right one."""
    wrong = Shell(
        home, DATABASE_URL=dsn, ANTHROPIC_API_KEY="sk-ant-wrong-0123456789", ANTHROPIC_BASE_URL=api.url
    )
    job = str(wrong.json("generate", "--scenarios", str(sheet), "--limit", "2", "--writer", "claude")["id"])
    said = wrong.run("process", job, code=1)
    assert "key" in said.lower()
    status = wrong.json("status", job)
    assert status["status"] == "paused"
    assert status["counts"] == {"queued": 2, "processing": 0, "completed": 0, "failed": 0, "cancelled": 0}
    assert float(str(status["cost"])) == 0
    checked = wrong.run("check", code=1)
    assert "ANTHROPIC_API_KEY" in checked
    right = Shell(home, DATABASE_URL=dsn, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=api.url)
    right.run("resume", job)
    assert right.json("process", job)["status"] == "completed"


def test_a_template_without_its_variable_creates_nothing(shell: Shell, tmp_path: Path) -> None:
    """A template whose variable no column feeds is refused before a job exists, naming the variable."""
    path = tmp_path / "sheet.csv"
    path.write_text("weather\nrain\n")
    said = shell.run("generate", "--scenarios", str(path), "--template", "task_dialogue", code=1)
    assert "scenario" in said
    assert shell.json("status")["total"] == 0


def test_a_database_that_does_not_answer_is_named(home: Path, sheet: Path) -> None:
    """A wrong DATABASE_URL ends with the remedy, not with a traceback or a fallback to another database."""
    shell = Shell(home, DATABASE_URL="postgresql://nobody@127.0.0.1:9/none?connect_timeout=1")
    said = shell.run("generate", "--scenarios", str(sheet), code=1)
    assert "DATABASE_URL" in said
    assert "Traceback" not in said
    assert not (home / "postgres").exists()


@pytest.mark.skipif(os.name == "nt", reason="folders have other rights there")
def test_a_data_folder_without_write_permission_is_named(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An ordinary user without the right to write to the data folder is told so, and nothing is made."""
    base = Path(tmp_path_factory.mktemp("rights"))
    for folder in (base, base.parent, base.parent.parent):
        folder.chmod(folder.stat().st_mode | 0o055)
    home = base / "home"
    home.mkdir(mode=0o555)
    command = [sys.executable, "-m", "brightrun", "status"]
    if os.geteuid() == 0:
        if not shutil.which("setpriv") or not _nobody_can_run():
            pytest.skip("no other user can run this interpreter here")
        command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", *command]
    result = subprocess.run(
        command,
        env={**os.environ, "BRIGHTRUN_HOME": str(home), "HOME": str(base), "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = result.stdout + result.stderr
    assert result.returncode == 1, said
    assert "BRIGHTRUN_HOME" in said
    assert "Traceback" not in said
    assert not list(home.iterdir())


def _nobody_can_run() -> bool:
    command = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        sys.executable,
        "-c",
        "import brightrun",
    ]
    return (
        subprocess.run(
            command, env={"PYTHONPATH": str(Path.cwd())}, capture_output=True, check=False
        ).returncode
        == 0
    )


def test_stored_answers_are_read_again_from_the_shell_for_nothing(
    shell: Shell, sheet: Path, api: MessagesApi, dsn: str
) -> None:
    """`reparse` completes what can be read, names what cannot, counts refusals, and calls nobody."""
    job = str(shell.json("generate", "--scenarios", str(sheet), "--writer", "claude")["id"])
    shell.run("process", job)
    calls = len(api.requests)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update conversations set quality_score = 0 where job_id = %s", [job])
    done = shell.json("reparse", job)
    assert (done["rescored"], done["useless"], done["completed"]) == (7, 3, 0)
    assert shell.json("reparse", job)["same"] == 7
    assert len(api.requests) == calls
    assert shell.json("status", job)["refusals"] == {"cyber": 1}
    assert "Declined by the model" in shell.run("status", job)
    assert "read again by ana" in shell.run("log", job)
