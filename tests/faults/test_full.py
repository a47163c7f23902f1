"""A full disk, wherever it is: a message that says where and what to do, nothing lost, and on it goes.

Every place is a small file system of its own, which takes root and a kernel that lets it mount.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job, JobStatus, Step, StepOutcome, WriterName
from brightrun.domain.errors import BrightRunError
from brightrun.domain.writing import Order, RawAnswer
from brightrun.saol.failures import Rejected
from brightrun.saol.server import launcher
from tests.fakes import ScriptedWriter, options, paid, scenarios
from tests.faults.conftest import FULL
from tests.faults.ledger import once_back, until
from tests.shell import Shell

SMALL = "16m"
NO_ROOM = 'FATAL:  could not write to file "pg_wal/xlogtemp'
ITEMS = 400 if FULL else 150


class Disk:
    """A small file system, that can be filled to the last byte and emptied again."""

    def __init__(self, place: Path, size: str = SMALL) -> None:
        place.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", str(place)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")
        self.place = place
        self._ballast = place / "ballast"

    def fill(self, *, but: int = 0) -> None:
        """Use up all of it, or all but so many bytes."""
        with self._ballast.open("ab", buffering=0) as file:
            for step in (1 << 20, 4096):
                while shutil.disk_usage(self.place).free > but + step:
                    file.write(bytes(step))
            while not but and shutil.disk_usage(self.place).free:
                file.write(bytes(4096))

    def empty(self) -> None:
        self._ballast.unlink()

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.place)], check=True)


Mount = Callable[..., Disk]


@pytest.fixture
def mount() -> Iterator[Mount]:
    disks: list[Disk] = []

    def mounting(place: Path, size: str = SMALL) -> Disk:
        disks.append(Disk(place, size))
        return disks[-1]

    yield mounting
    for disk in reversed(disks):
        disk.unmount()


@pytest.fixture
def short_home() -> Iterator[Path]:
    """A data folder that the server's own account can reach."""
    folder = Path(tempfile.mkdtemp(prefix="br-full-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def writer() -> ScriptedWriter:
    return ScriptedWriter()


@pytest.fixture
def start(home: Path, dsn: str, writer: ScriptedWriter) -> Iterator[Callable[[], App]]:
    """Open the app, after the disks have been mounted."""
    opened: list[App] = []

    def opening() -> App:
        settings = Settings(home=home, database_url=dsn, actor="ana", retry_base=0.05)
        opened.append(open_app(settings, writers={WriterName.CLAUDE: writer}))
        return opened[-1]

    yield opening
    for app in opened:
        app.close()


def create(app: App, number: int = 3, writer: WriterName = WriterName.CLAUDE) -> Job:
    plan = app.planner.plan(scenarios(number), options(writer))
    return app.batches.create(plan, name="Under fire", actor="ana")


def approve(app: App, home: Path, dsn: str) -> Shell:
    """Write a batch, approve all of it, and return the shell that did."""
    job = create(app)
    assert run(app, job).status is JobStatus.COMPLETED
    shell = Shell(home, DATABASE_URL=dsn)
    shell.run("review", job.id, "--approve")
    return shell


def run(app: App, job: Job) -> Job:
    """Advance a job until it ends or is paused."""
    ends = time.monotonic() + 120
    while time.monotonic() < ends:
        step = app.batches.process_next(job.id)
        if step.outcome in (StepOutcome.DONE, StepOutcome.PAUSED):
            return step.job
        time.sleep(min(step.again_in, 0.1))
    raise AssertionError(f"stuck: {step}")


def finish(app: App, job: Job, writer: ScriptedWriter, calls: int) -> None:
    """Let a paused job go on, and hold that each item was called for once."""
    app.batches.resume(job.id, actor="ana")
    ended = run(app, job)
    assert (ended.status, ended.counts.completed) == (JobStatus.COMPLETED, ended.counts.total)
    assert (writer.calls, ended.money.reserved, ended.money.possible) == (calls, 0, 0)
    assert round(ended.money.spent, 6) == round(0.007 * calls, 6)
    for item in app.batches.items(job.id):
        assert item.conversation_id
        assert round(item.cost, 6) == 0.007


def fills(disk: Disk) -> Callable[[Order], RawAnswer]:
    """Return an act that fills a disk while the call is out."""

    def act(order: Order) -> RawAnswer:
        disk.fill()
        return paid(order)

    return act


def test_nothing_is_called_while_the_answers_disk_is_full(
    home: Path, mount: Mount, start: Callable[[], App], writer: ScriptedWriter
) -> None:
    """The job is paused before anything is paid for, and says which disk it is and what to do."""
    disk = mount(home / "buckets")
    app = start()
    job = create(app)
    disk.fill()
    paused = run(app, job)
    assert (paused.status, writer.calls) == (JobStatus.PAUSED, 0)
    reason = paused.pause_reason or ""
    assert f"The disk of {home / 'buckets' / 'conversation-files'} is full" in reason
    assert "Free some space" in reason
    disk.empty()
    finish(app, job, writer, 3)


def test_an_answer_that_finds_its_disk_full_waits_beside_it(
    home: Path, mount: Mount, start: Callable[[], App], writer: ScriptedWriter
) -> None:
    """The disk fills up while a call is out: the answer is kept in the spool, and used when there is space."""
    disk = mount(home / "buckets")
    app = start()
    job = create(app)
    writer.will(fills(disk))
    paused = run(app, job)
    assert (paused.status, writer.calls) == (JobStatus.PAUSED, 1)
    assert "is full" in (paused.pause_reason or "")
    assert "safe" in (paused.pause_reason or "")
    assert len(list((home / "spool").rglob("*.json"))) == 1
    disk.empty()
    finish(app, job, writer, 3)
    assert not list((home / "spool").rglob("*.json"))


def test_an_answer_is_kept_although_store_and_spool_are_full(
    home: Path, mount: Mount, start: Callable[[], App], writer: ScriptedWriter
) -> None:
    """Both lie on one disk, as a rule, and it fills up while a call is out: room was set aside for the answer."""
    disk = mount(home)
    app = start()
    job = create(app)
    writer.will(fills(disk))
    paused = run(app, job)
    assert (paused.status, writer.calls) == (JobStatus.PAUSED, 1)
    assert "is full" in (paused.pause_reason or "")
    assert len(list((home / "spool").rglob("*.json"))) == 1
    disk.empty()
    finish(app, job, writer, 3)
    assert not list((home / "spool").rglob("*.json"))


@pytest.mark.parametrize("documents", ["final", "enriched"])
def test_documents_that_find_no_room_cost_no_second_call(
    documents: str, home: Path, mount: Mount, start: Callable[[], App], writer: ScriptedWriter
) -> None:
    """The answer is stored, what is derived from it is not: the job pauses and goes on from the answer."""
    disk = mount(home / "buckets" / "conversation-files" / documents, "1m")
    app = start()
    job = create(app)
    disk.fill()
    paused = run(app, job)
    assert (paused.status, writer.calls) == (JobStatus.PAUSED, 1)
    assert "is full" in (paused.pause_reason or "")
    assert "Free some space" in (paused.pause_reason or "")
    disk.empty()
    finish(app, job, writer, 3)
    assert len(list(disk.place.glob("*.json"))) == 3


def test_a_full_log_disk_stops_no_job_and_hides_no_log(
    home: Path, dsn: str, mount: Mount, start: Callable[[], App], writer: ScriptedWriter
) -> None:
    """The log is in the database: it is read as ever, and the file is written when there is space."""
    disk = mount(home / "buckets" / "batch-logs", "1m")
    app = start()
    job = create(app)
    disk.fill()
    assert run(app, job).status is JobStatus.COMPLETED
    shell = Shell(home, DATABASE_URL=dsn)
    process = shell.start("log", job.id)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "Batch job complete - 3 successful" in out
    assert f"The disk of {disk.place} is full" in err
    assert "Free some space" in err
    disk.empty()
    assert shell.run("log", job.id) == (disk.place / job.id / "log.txt").read_text() == out


def test_an_export_to_a_full_disk_leaves_nothing_half_written(
    home: Path, tmp_path: Path, dsn: str, mount: Mount, start: Callable[[], App]
) -> None:
    """It names the folder and the remedy, and the same command writes it all when there is space."""
    disk = mount(tmp_path / "out", "1m")
    shell = approve(start(), home, dsn)
    disk.fill()
    said = shell.run("export", "--out", str(disk.place), "--format", "messages", code=1)
    assert str(disk.place) in said
    assert "No space left" in said
    assert sorted(path.name for path in disk.place.iterdir()) == ["ballast"]
    disk.empty()
    shell.run("export", "--out", str(disk.place), "--format", "messages")
    lines = [path for path in disk.place.glob("*.jsonl") if path.read_text().count("\n") == 3]
    assert lines


def test_what_was_frozen_for_an_export_that_found_no_room_is_named(
    home: Path, tmp_path: Path, dsn: str, mount: Mount, start: Callable[[], App]
) -> None:
    """The message has the command that writes it later, which freezes no second one; the folder made for it is gone."""
    disk = mount(tmp_path / "out", "1m")
    app = start()
    shell = approve(app, home, dsn)
    disk.fill(but=20_000)
    folder = disk.place / "new" / "folder"
    said = shell.run("export", "--out", str(folder), "--format", "folder", "--name", "mine own", code=1)
    assert sorted(path.name for path in disk.place.iterdir()) == ["ballast"]
    later = shlex.split(said.partition("write it with: brightrun ")[2].strip())
    assert later[:3] == ["export", "--dataset", "mine own@1"]
    disk.empty()
    shell.run(*(str(folder) if word == "FOLDER" else word for word in later))
    assert (folder / "mine-own-v1" / "manifest.json").is_file()
    assert len(app.datasets.all()) == 1


def test_a_full_database_disk_pauses_the_job_and_loses_nothing(
    short_home: Path, mount: Mount, writer: ScriptedWriter
) -> None:
    """The database cannot grow: the job stops with a message that says so, and goes on when it can again."""
    disk = mount(short_home, "220m")
    mount(short_home / "buckets", "64m")
    settings = Settings(home=short_home, actor="ana", retry_base=0.05)
    app = open_app(settings, writers={WriterName.CLAUDE: writer})
    job = create(app, ITEMS)
    writer.will(None)
    app.batches.process_next(job.id)
    disk.fill(but=1 << 20)
    said = stop_of(app, job)
    print(said)
    assert "No space left on device" in said or "full" in said
    assert str(short_home) in said
    assert "Free" in said
    done = len(list((short_home / "buckets").glob("conversation-files/raw/*/*.json")))
    assert writer.calls == done
    disk.empty()
    if once_back(lambda: app.batches.get(job.id), 120).status is JobStatus.PAUSED:
        app.batches.resume(job.id, actor="ana")
    expire(app)
    ended = run(app, job)
    assert (ended.status, ended.counts.completed, writer.calls) == (JobStatus.COMPLETED, ITEMS, ITEMS)
    assert ended.money.reserved == 0
    app.close()


def test_a_database_that_ends_because_it_cannot_write_its_log_says_whose_disk_is_full(
    short_home: Path, mount: Mount, writer: ScriptedWriter
) -> None:
    """A server that has no room for its log is gone with its last words; they name the disk, and say to free it."""
    disk = mount(short_home, "220m")
    app = open_app(Settings(home=short_home, actor="ana"), writers={WriterName.CLAUDE: writer})
    disk.fill(but=1 << 20)
    with pytest.raises(Rejected) as fault:
        write_log(app)
    assert f"The disk of {short_home / 'postgres'} is full: " in str(fault.value)
    assert "pg_wal" in str(fault.value)
    disk.empty()
    assert once_back(lambda: app.batches.page(), 120) == []
    app.close()


def test_every_command_on_a_full_database_disk_says_so(short_home: Path, mount: Mount) -> None:
    """However little room there is, a command names the full disk and what to do, and leaves no server behind."""
    disk = mount(short_home / "home", "110m")  # beside what the commands say
    shell = Shell(short_home / "home")
    shell.run("status")
    for room in (64 << 10, 8 << 10, 0):
        disk.fill(but=room)
        for words in (("status",), ("datasets",), ("check",)):
            code, out, err = shell.ended(*words)
            assert "Traceback" not in out + err
            if code and words != ("check",):
                assert "The disk of " in err, err
                assert "Free disk space" in err, err
            assert not (short_home / "home" / "postgres" / "postmaster.pid").exists()
    assert code == 1
    disk.empty()
    shell.run("status")


def test_a_database_that_found_no_room_to_recover_is_started_again(
    short_home: Path, mount: Mount, writer: ScriptedWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server whose recovery has ended for want of room comes back as soon as there is some, whatever has become of it."""
    monkeypatch.setattr(launcher, "RECOVERY_SECONDS", 1)
    disk = mount(short_home, "220m")
    app = open_app(Settings(home=short_home, actor="ana"), writers={WriterName.CLAUDE: writer})
    disk.fill(but=1 << 20)
    with pytest.raises(Rejected, match="is full"):
        write_log(app)
    log = short_home / "postgres" / "server.log"
    until(lambda: NO_ROOM in log.read_text(), "The recovery found room, or never began.")
    disk.empty()
    assert once_back(lambda: app.batches.page(), 60) == []
    app.close()


def write_log(app: App) -> None:
    """Let the database write a hundred megabytes of its own log, over the app's own connection."""
    writes: LiteralString = "select pg_logical_emit_message(true, 'test', repeat('x', 1000000))::text"
    for _ in range(100):
        app.batches._db.transport._one(writes)  # type: ignore[attr-defined]


def stop_of(app: App, job: Job) -> str:
    """Advance a job until it stops, and return what is said of that."""
    for _ in range(2000):
        try:
            step: Step = app.batches.process_next(job.id)
        except BrightRunError as fault:
            return str(fault)
        if step.outcome is StepOutcome.PAUSED:
            return step.job.pause_reason or ""
        assert step.outcome is StepOutcome.COMPLETED, step
    raise AssertionError("the disk never was full")


def expire(app: App) -> None:
    """Let the lease run out of an item whose outcome could not be written down."""
    transport = app.batches._db.transport
    dsn = transport._pool.conninfo  # type: ignore[attr-defined]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update batch_items set lease_until = clock_timestamp() - interval '1 s' where status = 'processing'"
        )
