"""Slots spread over processes: one job, each item once, whatever becomes of a process."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from brightrun.bootstrap import open_app
from brightrun.cli.processes import Processes, shares_of
from brightrun.config import Settings
from brightrun.domain.batch import ItemStatus, JobStatus, Step, WriterName
from brightrun.domain.errors import BrightRunError
from tests.fakes import options, scenarios
from tests.messages_api import Fault, MessagesApi
from tests.opened import claude_app


def test_processes_share_a_job_and_stop_together(tmp_path: Path, dsn: str) -> None:
    """Two processes write each item once and tell how far they are; a wish to stop leaves nothing in hand."""
    settings = Settings(home=tmp_path / "home", database_url=dsn, writer=WriterName.DEMO, actor="ana")
    app = open_app(settings)
    first, second = (
        app.batches.create(app.planner.plan(scenarios(number), options()), name="Shared", actor="ana")
        for number in (24, 400)
    )
    told: list[Step] = []
    with Processes(settings, [2, 2], told.append) as crew:
        crew.run(first.id)
        assert app.batches.get(first.id).status is JobStatus.COMPLETED
        assert any(not step.job.is_out for step in told)
        items = app.batches.items(first.id, limit=100)
        assert {item.attempts for item in items} == {1}
        crew.tell = lambda step: crew.stop()
        crew.run(second.id)
        left = app.batches.get(second.id)
    assert left.is_open
    assert left.counts.completed >= 1
    assert left.counts.processing == 0
    app.close()


def test_a_process_that_is_killed_leaves_its_items_to_the_others(tmp_path: Path, dsn: str) -> None:
    """After kill -9 of one process the other ends the job; after kill -9 of both a message says how to go on."""
    short = {"call_timeout": 2, "lease_margin": 1, "max_attempts": 20}
    with MessagesApi(seconds=0.2) as api, claude_app(tmp_path / "home", dsn, api, **short) as app:
        job = app.batches.create(
            app.planner.plan(scenarios(24), options(WriterName.CLAUDE)), name="Shared", actor="ana"
        )
        complaints: list[str] = []
        crew = Processes(app.settings, [2, 2], complain=complaints.append)
        crew.tell = lambda step: _kill_one(crew) if len(crew.pids) == 2 else None
        with crew:
            crew.run(job.id)
            assert app.batches.get(job.id).status is JobStatus.COMPLETED
            assert len(complaints) == 1
            assert "exit code -9" in complaints[0]
            statuses = {item.status for item in app.batches.items(job.id, limit=100)}
            assert statuses == {ItemStatus.COMPLETED}
            _kill_one(crew)
            with pytest.raises(BrightRunError, match="start `brightrun work` again"):
                crew.run(job.id)


def test_a_process_that_is_asked_to_end_finishes_what_it_has_in_hand(tmp_path: Path, dsn: str) -> None:
    """SIGTERM to every process of a service ends the work with nothing in hand and no call thrown away."""
    with MessagesApi(seconds=0.5) as api, claude_app(tmp_path / "home", dsn, api) as app:
        job = app.batches.create(
            app.planner.plan(scenarios(30), options(WriterName.CLAUDE)), name="Shared", actor="ana"
        )
        with Processes(app.settings, [2, 2]) as crew:
            asked = crew.pids
            crew.tell = lambda step: _ask_to_end(asked)
            crew.complain = lambda message: None
            with suppress(BrightRunError):  # both may be gone before they were asked to work on
                crew.run(job.id)
        left = app.batches.get(job.id)
        assert left.is_open
        assert left.counts.processing == 0
        assert left.counts.completed == len(api.requests)


@pytest.mark.usefixtures("ctrl_c")
def test_who_asks_twice_to_stop_loses_no_answer_in_any_process(tmp_path: Path, dsn: str) -> None:
    """What has come back by a second Ctrl-C is kept, however long the store takes, and no call is waited for."""
    later = [Fault("stall", at=number, seconds=60) for number in range(5, 21)]
    with MessagesApi(later, seconds=0.3) as api, claude_app(tmp_path / "home", dsn, api) as app:
        job = app.batches.create(
            app.planner.plan(scenarios(20), options(WriterName.CLAUDE)), name="Shared", actor="ana"
        )

        def answered() -> int:
            return sum(each.status == 200 for each in api.requests)

        in_the_way = tmp_path / "home" / "buckets" / "conversation-files" / "raw" / job.id
        in_the_way.parent.mkdir(parents=True, exist_ok=True)
        in_the_way.write_text("no folder")

        def ask() -> None:
            while answered() < 4:
                time.sleep(0.01)
            time.sleep(0.5)  # the store is tried for more than a second
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        threading.Thread(target=ask, daemon=True).start()
        with pytest.raises(KeyboardInterrupt), Processes(app.settings, [2, 2]) as crew:
            crew.run(job.id)
        kept = list((tmp_path / "home" / "spool").glob("conversation-files/raw/*/[!.]*.json"))
        assert len(kept) == answered() == 4


def test_a_machine_that_is_not_ready_is_told(tmp_path: Path) -> None:
    """Where no process can open the app, the reason comes as it does in one process."""
    settings = Settings(home=tmp_path / "home", database_url="postgresql://127.0.0.1:9/none", actor="ana")  # type: ignore[arg-type]
    with pytest.raises(BrightRunError, match="database"), Processes(settings, [1]):
        pytest.fail("nothing started")


def test_few_slots_stay_in_one_process() -> None:
    """A process of its own is for sixteen slots and a core; no slot is lost on the way."""
    assert shares_of(8) == [8]
    assert sum(shares_of(67)) == 67
    filled = min(os.cpu_count() or 1, 8)
    assert len(shares_of(128)) == (filled + 1 if filled > 1 else 1)


def _ask_to_end(pids: list[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has ended since it was asked before
            os.kill(pid, signal.SIGTERM)


def _kill_one(crew: Processes) -> None:
    os.kill(crew.pids[0], signal.SIGKILL)
