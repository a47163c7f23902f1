"""The log a person or a program reads: whole lines, nothing missing, no secret, never in the way."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from brightrun.bootstrap import open_app
from brightrun.config import LogTarget, Settings
from brightrun.domain.batch import WriterName
from brightrun.domain.errors import WriterBusy, WriterRejected
from brightrun.events.event import Event, about, emit, note
from brightrun.events.log import KEPT, log_path, open_log
from tests.fakes import ScriptedWriter, envelope, options, scenarios
from tests.messages_api import MessagesApi
from tests.messages_api.script import Fault
from tests.shell import Shell

CANARY = 'cana"ry-%s/with \\ all of it'
KEY = CANARY % "key"
Read = Callable[[], list[dict[str, Any]]]


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def files_of(home: Path) -> list[Path]:
    return [file for file in (home / "logs").iterdir() if file.suffix != ".lock"]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path,
        anthropic_api_key=KEY,
        supabase_secret_key=CANARY % "supabase",
        database_url="postgresql://ana:cana%2Fry-password@localhost/brightrun",
    )


@pytest.fixture
def told(settings: Settings) -> Iterator[Read]:
    """A log that is open, and how to read what stands in it."""
    close = open_log(settings)
    yield lambda: lines_of(log_path(settings))
    close()


class TestALine:
    def test_it_carries_what_it_is_about(self, told: Read) -> None:
        """Job, item and attempt stand on every line of a step, the request id as soon as it is known."""
        with about(job="j", item="i", attempt=2):
            emit(Event.CALL_STARTED, model="m", nothing=None)
            note(request_id="req_7")
            logging.getLogger("brightrun.services").warning("said by %s", "any module")
        emit(Event.APP_CLOSED)
        first, second, last = told()
        assert {
            "event": "call.started",
            "job": "j",
            "item": "i",
            "attempt": 2,
            "model": "m",
        }.items() <= first.items()
        assert "nothing" not in first
        assert (second["request_id"], second["attempt"], second["message"]) == (
            "req_7",
            2,
            "said by any module",
        )
        assert "job" not in last
        assert all(line["at"] and line["level"] and line["pid"] for line in (first, second, last))

    def test_a_fault_stands_on_one_line_with_its_traceback(self, told: Read) -> None:
        """What nobody expected can be found again, and does not tear the file's lines apart."""
        try:
            raise RuntimeError("first\nsecond \x00")
        except RuntimeError:
            logging.getLogger("brightrun").exception("met a fault")
        emit(Event.ITEM_FAILED, message="half a character \ud800")
        line, half = told()
        assert "RuntimeError: first" in line["fault"]
        assert line["level"] == "error"
        assert half["message"] == "half a character �"

    def test_no_secret_of_the_settings_is_told_in_any_form(self, told: Read, settings: Settings) -> None:
        """A key in a message, a field, a traceback, an address or a quoted text is struck out."""
        try:
            raise RuntimeError(f"{KEY!r} {CANARY % 'supabase'} postgresql://ana:cana%2Fry-password@localhost")
        except RuntimeError:
            logging.getLogger("brightrun").exception("key %s, %r, %s", KEY, [KEY], json.dumps(KEY))
        emit(Event.CALL_FAILED, message=f"cana/ry-password and {KEY}")
        text = log_path(settings).read_text(encoding="utf-8")
        assert text.count("***") >= 8
        assert "cana" not in text, text
        assert len(told()) == 2


class TestTheFile:
    def test_processes_share_it_and_no_line_is_lost_when_it_rotates(self, tmp_path: Path) -> None:
        """An app, a shell and workers write one log: it rotates under them, and every line stays whole."""
        program = (
            "import sys; from pathlib import Path; from brightrun.config import Settings\n"
            "from brightrun.events.event import Event, emit; from brightrun.events.log import open_log\n"
            "close = open_log(Settings(home=Path(sys.argv[1]), log_megabytes=0.06))\n"
            "for n in range(400): emit(Event.ITEM_CLAIMED, of=sys.argv[2], n=n)\n"
            "close()"
        )
        writers = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path), str(n)]) for n in range(4)]
        assert [writer.wait(60) for writer in writers] == [0] * 4
        files = files_of(tmp_path)
        assert 2 < len(files) <= KEPT + 1
        seen = {(line["of"], line["n"]) for file in files for line in lines_of(file)}
        assert seen == {(str(w), n) for w in range(4) for n in range(400)}

    def test_no_file_outgrows_its_limit_while_its_lock_is_free(self, tmp_path: Path) -> None:
        """What the settings allow a file is what it takes, to the byte, for as many files as are kept."""
        close = open_log(Settings(home=tmp_path, log_megabytes=0.002))
        for n in range(100):
            emit(Event.ITEM_CLAIMED, n=n)
        close()
        sizes = [file.stat().st_size for file in files_of(tmp_path)]
        assert len(sizes) == KEPT + 1
        assert max(sizes) <= 2000
        assert sorted(sizes)[1] > 2000 - 200, "only the current file is not full"

    def test_nobody_waits_for_who_rotates_and_the_next_line_after_it_rotates(self, tmp_path: Path) -> None:
        """A process that stands still with the lock lets the others write on; nothing grows for ever."""
        settings = Settings(home=tmp_path, log_megabytes=0.002)
        path = log_path(settings)
        close = open_log(settings)
        emit(Event.APP_OPENED)
        with FileLock(f"{path}.lock"):
            for n in range(50):
                emit(Event.ITEM_CLAIMED, n=n)
            assert path.stat().st_size > 2000
            assert len(lines_of(path)) == 51
        emit(Event.APP_CLOSED)
        close()
        assert len(lines_of(path)) == 1
        assert len(lines_of(path.with_name(f"{path.name}.1"))) == 51

    def test_only_its_owner_may_read_it(self, told: Read, settings: Settings) -> None:
        """Names of batches and messages of models are nobody else's business."""
        emit(Event.APP_OPENED)
        assert log_path(settings).stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("place", ["a file is in the way", "the disk is full"])
    def test_a_log_that_cannot_be_written_stops_nothing(
        self, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Without its log the work goes on; standard error says so once."""
        (tmp_path / "logs").mkdir()
        if place == "the disk is full":
            (tmp_path / "logs" / "brightrun.jsonl").symlink_to("/dev/full")
        else:
            (tmp_path / "logs" / "brightrun.jsonl").mkdir()
        close = open_log(Settings(home=tmp_path))
        emit(Event.APP_OPENED)
        emit(Event.APP_CLOSED)
        close()
        assert capsys.readouterr().err.count("cannot be written") == 1

    def test_it_goes_where_the_settings_say(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A host that collects standard error gets the same lines there; off is off."""
        for target, on_stderr, in_file in (
            (LogTarget.STDERR, 1, 0),
            (LogTarget.BOTH, 1, 1),
            (LogTarget.OFF, 0, 0),
        ):
            home = tmp_path / target
            close = open_log(Settings(home=home, log=target))
            emit(Event.APP_OPENED)
            close()
            assert len(capsys.readouterr().err.splitlines()) == on_stderr, target
            path = home / "logs" / "brightrun.jsonl"
            assert (len(lines_of(path)) if path.exists() else 0) == in_file, target


class TestAStep:
    def test_every_event_of_an_item_is_told(self, dsn: str, tmp_path: Path) -> None:
        """Claim, call, answer, storing, price and end: one line each, about the same item and attempt."""
        acts = [
            None,
            WriterBusy("busy", code="overloaded", status=529, request_id="req_busy"),
            envelope("{}"),
        ]
        settings = Settings(home=tmp_path, database_url=dsn, retry_base=0.01, max_attempts=2)
        app = open_app(settings, writers=dict.fromkeys(WriterName, ScriptedWriter(acts)))
        job = app.batches.create(
            app.planner.plan(scenarios(2), options(WriterName.CLAUDE)), name="t", actor="ana"
        )
        while app.batches.process_next(job.id).job.is_open:
            pass
        app.close()
        lines = lines_of(log_path(settings))
        first = [
            "item.claimed",
            "call.started",
            "call.answered",
            "answer.stored",
            "answer.read",
            "item.completed",
        ]
        second = ["item.claimed", "call.started", "call.failed", "item.retried"]
        third = [*first[:-1], "item.failed"]
        told = [line["event"] for line in lines]
        assert told == ["app.opened", "job.created", *first, *second, *third, "job.ended", "app.closed"]
        steps = [line for line in lines if line.get("item")]
        assert {line["job"] for line in steps} == {job.id}
        assert [line["attempt"] for line in steps] == [1] * 10 + [2] * 7
        assert [line["request_id"] for line in steps if "request_id" in line] == ["req_test"] * 4 + [
            "req_busy"
        ] * 2 + ["req_test"] * 4 + ["req_test"]
        read = next(line for line in lines if line["event"] == "answer.read")
        assert (read["input_tokens"], read["output_tokens"], read["cost_usd"]) == (1000, 500, 0.007)
        assert (
            next(line for line in lines if line["event"] == "item.failed")["error_code"]
            == "unreadable_answer"
        )

    def test_what_a_person_does_to_a_batch_is_told(self, dsn: str, tmp_path: Path) -> None:
        """Pause, resume and cancel stand in the log with who did it; a rejected key with its reason."""
        settings = Settings(home=tmp_path, database_url=dsn)
        writer = ScriptedWriter([WriterRejected("The key is refused.", code="authentication_error")])
        app = open_app(settings, writers=dict.fromkeys(WriterName, writer))
        job = app.batches.create(app.planner.plan(scenarios(2), options()), name="t", actor="ana")
        app.batches.pause(job.id, actor="ana", reason="Lunch")
        app.batches.resume(job.id, actor="ben")
        app.batches.process_next(job.id)
        app.batches.cancel(job.id, actor="cai")
        app.close()
        lines = [line for line in lines_of(log_path(settings)) if line["event"].startswith("job.")]
        assert [(line["event"], line.get("actor"), line.get("reason")) for line in lines] == [
            ("job.created", "ana", None),
            ("job.paused", "ana", "Lunch"),
            ("job.resumed", "ben", None),
            ("job.paused", None, "The key is refused."),
            ("job.cancelled", "cai", None),
        ]


def test_the_shells_log_holds_no_key_even_where_the_server_repeats_it(tmp_path: Path) -> None:
    """A batch by Claude's protocol leaves its events in the data folder, and its key nowhere in it."""
    key = "sk-ant-canary-0123456789"
    faults = [
        Fault("status", at=1, status=529, message=f"you sent {key}"),
        Fault("refusal", at=2, category="bio"),
    ]
    sheet = tmp_path / "s.csv"
    sheet.write_text("scenario\nBook a table.\nReturn a kettle.\n", encoding="utf-8")
    home = tmp_path / "home"
    with MessagesApi(faults, key=key) as api:
        shell = Shell(home, ANTHROPIC_API_KEY=key, ANTHROPIC_BASE_URL=api.url, BRIGHTRUN_RETRY_BASE="0.05")
        job = shell.run("generate", "--scenarios", str(sheet)).strip()
        said = shell.run("process", job) + shell.run("log", job)
    lines = lines_of(home / "logs" / "brightrun.jsonl")
    assert {"item.retried", "item.failed", "item.completed", "job.ended"} <= {line["event"] for line in lines}
    assert {line["program"] for line in lines if line["event"] == "app.opened"} == {"__main__.py"}
    assert key not in said
    for path in home.rglob("*"):
        if path.is_file() and "buckets" not in path.parts and "pg" not in path.name:
            assert key.encode() not in path.read_bytes(), path
