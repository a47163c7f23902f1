"""An answer that arrived is kept, wherever the store is, and never bought twice."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job, JobStatus, StepOutcome, WriterName
from brightrun.domain.errors import StorageFault
from brightrun.domain.writing import Order, RawAnswer
from brightrun.services.spool import FAILED_SECONDS, Spool
from tests.fakes import ScriptedWriter, options, paid

Start = Callable[..., Job]


@contextmanager
def raw_store_down(home: Path) -> Iterator[None]:
    """The probe passes, and then raw answers cannot be written: the store went down while a call was out."""
    folder = home / "buckets" / "conversation-files"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "raw").write_text("in the way")
    yield
    (folder / "raw").unlink()


def spooled(home: Path) -> list[Path]:
    return list((home / "spool").glob("**/*.json"))


def checked(app: App) -> str:
    (found,) = [check for check in app.system.checks() if check.name == "Spool"]
    return f"{found.is_ok} {found.detail} {found.remedy}"


def finish(app: App, job: Job) -> Job:
    for _ in range(100):
        step = app.batches.process_next(job.id)
        if step.outcome in (StepOutcome.DONE, StepOutcome.PAUSED):
            return step.job
        time.sleep(min(step.again_in, 0.05))
    raise AssertionError(step)


def lose_the_store(app: App, job: Job) -> Job:
    """Make one step while the store is down for everything but its probe."""
    home = app.settings.home
    with raw_store_down(home):
        (home / "buckets" / "conversation-files" / "final").write_text("in the way")
        paused = app.batches.process_next(job.id).job
        (home / "buckets" / "conversation-files" / "final").unlink()
    assert paused.status is JobStatus.PAUSED
    assert "nothing is paid for again" in (paused.pause_reason or "")
    assert len(spooled(home)) == 1
    return paused


def test_an_answer_the_store_did_not_take_is_gone_on_from_after_resuming(
    app: App, start: Start, writer: ScriptedWriter, tmp_path: Path
) -> None:
    """The answer waits on this machine, the job says so, and nothing is bought again."""
    job = lose_the_store(app, start(1, options(WriterName.CLAUDE)))
    assert checked(app).startswith("False 1 paid answers wait")
    app.batches.resume(job.id, actor="ana")
    ended = finish(app, job)
    assert (ended.status, writer.calls, spooled(tmp_path)) == (JobStatus.COMPLETED, 1, [])
    assert checked(app).startswith("True")
    assert ended.money.possible == ended.money.reserved == 0
    assert ended.money.spent > 0


def test_an_answer_is_stored_although_the_store_came_back_within_the_step(
    app: App, start: Start, writer: ScriptedWriter, tmp_path: Path
) -> None:
    """Where only the raw answer could not be written, the item ends and its answer follows at the next start."""
    job = start(1, options(WriterName.CLAUDE))
    with raw_store_down(tmp_path):
        assert app.batches.process_next(job.id).outcome is StepOutcome.COMPLETED
    settings = app.settings
    open_app(settings, writers={WriterName.CLAUDE: writer}).close()
    assert not spooled(tmp_path)
    assert len(list((tmp_path / "buckets").glob("conversation-files/raw/*/*.json"))) == 1


def test_another_process_on_this_machine_picks_the_answer_up(
    app: App, start: Start, writer: ScriptedWriter, dsn: str, tmp_path: Path
) -> None:
    """Whoever claims the item next finds what is kept in the shared data folder."""
    job = lose_the_store(app, start(1, options(WriterName.CLAUDE)))
    other = open_app(app.settings, writers={WriterName.CLAUDE: writer})
    other.batches.resume(job.id, actor="ben")
    assert finish(other, job).status is JobStatus.COMPLETED
    other.close()
    assert writer.calls == 1


def test_another_machine_waits_for_the_one_that_keeps_the_answer(
    app: App, start: Start, writer: ScriptedWriter, dsn: str, tmp_path: Path
) -> None:
    """A paid answer that cannot be reached from here is named with its machine, not bought again."""
    job = lose_the_store(app, start(1, options(WriterName.CLAUDE)))
    elsewhere = Settings(home=tmp_path / "elsewhere", database_url=dsn, retry_base=0.01, actor="ben")
    other = open_app(elsewhere, writers={WriterName.CLAUDE: writer})
    other.batches.resume(job.id, actor="ben")
    step = other.batches.process_next(job.id)
    assert step.outcome is StepOutcome.RETRY
    assert "waits on the machine" in step.message
    assert writer.calls == 1
    other.close()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update batch_items set next_attempt_at = null")
    assert finish(app, job).status is JobStatus.COMPLETED
    assert writer.calls == 1


def test_no_call_is_made_while_the_store_cannot_take_an_answer(
    app: App, start: Start, writer: ScriptedWriter, tmp_path: Path
) -> None:
    """Nothing is paid for that could not be kept: the job pauses with the remedy and goes on afterwards."""
    bucket = tmp_path / "buckets" / "conversation-files"
    bucket.parent.mkdir(exist_ok=True)
    bucket.write_text("in the way")
    job = finish(app, start(2, options(WriterName.CLAUDE)))
    assert (job.status, writer.calls) == (JobStatus.PAUSED, 0)
    assert "store is not usable" in (job.pause_reason or "")
    assert job.money.reserved == job.money.possible == 0
    bucket.unlink()
    app.batches.resume(job.id, actor="ana")
    assert finish(app, job).counts.completed == 2


def test_an_answer_that_can_be_kept_nowhere_is_listed_as_possibly_paid(
    app: App, start: Start, writer: ScriptedWriter, tmp_path: Path
) -> None:
    """With the store and this machine's disk gone while the call is out, the worst case stays on record."""

    def gone(order: Order) -> RawAnswer:
        shutil.rmtree(tmp_path / "spool" / "conversation-files")
        (tmp_path / "spool" / "conversation-files").write_text("in the way")
        return paid(order)

    writer.will(gone)
    with raw_store_down(tmp_path):
        job = app.batches.process_next(start(1, options(WriterName.CLAUDE)).id).job
    assert job.status is JobStatus.PAUSED
    assert "kept nowhere" in (job.pause_reason or "")
    assert job.money.possible > 0


class Rooms:
    """A folder of this machine that takes nothing but what room was set aside for."""

    name = "local"

    def __init__(self) -> None:
        self.made: list[object] = []
        self.kept: dict[str, bytes] = {}

    def set_aside(self, size: int) -> object:
        self.made.append(object())
        return self.made[-1]

    def put_aside(self, key: str, data: bytes, room: object) -> None:
        self.made.remove(room)
        self.kept[key] = data

    def put(self, key: str, data: bytes, **_: object) -> None:
        raise StorageFault("full")


class Down:
    """A store that goes down once it was asked whether it is there."""

    name = "store"

    def check(self) -> None:
        return None

    def put(self, key: str, data: bytes, **_: object) -> None:
        raise StorageFault("down")


def test_every_call_that_is_out_has_room_of_its_own() -> None:
    """With the store down and the disk full, so many answers are kept as calls were out, whoever makes them."""
    local = Rooms()
    spool = Spool(Down(), local, pause=lambda _: None)  # type: ignore[arg-type]
    with spool.place() as first, spool.place() as second, spool.place():
        assert len(local.made) == 3
        for key, place in (("a", first), ("b", second)):
            assert not spool.keep(key, key.encode(), place)
    assert local.kept == {"a": b"a", "b": b"b"}
    time.sleep(2 * FAILED_SECONDS)
    with spool.place(), spool.place(), spool.place():
        pass
    with spool.place():
        assert len(local.made) == 3, "room is used again"


def test_room_is_used_again_by_the_next_round_and_given_back_by_who_needs_less() -> None:
    """Rounds of three calls make room three times in all; after a minute without calls one is left to the next."""
    now, local = [0.0], Rooms()
    spool = Spool(Down(), local, clock=lambda: now[0])  # type: ignore[arg-type]

    def calls() -> int:
        with spool.place(), spool.place(), spool.place():
            return len(local.made)

    assert [calls() for _ in range(4)] == [3, 3, 3, 3]
    now[0] = 61.0
    assert calls() == 5
