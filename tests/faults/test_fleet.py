"""A fleet of worker processes, one of which is killed every so often: nothing is lost, doubled or stuck.

BRIGHTRUN_FLEET_ITEMS says how many items (60 in `make test`, 2,000 in `make fleet`), BRIGHTRUN_FLEET_SECONDS how long one is
killed every two seconds.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import ItemStatus, JobStatus, WriterName
from tests.fakes import options, scenarios
from tests.messages_api import KEY, MessagesApi
from tests.shell import start_warm
from tests.warm import Forked

ITEMS = int(os.environ.get("BRIGHTRUN_FLEET_ITEMS", "60"))
SECONDS = float(os.environ.get("BRIGHTRUN_FLEET_SECONDS", "6"))
EVERY = 2.0
WORKERS = 4
SLOTS = 2
CALL_SECONDS = float(os.environ.get("BRIGHTRUN_FLEET_CALL", "0.3"))
LEASE = {"BRIGHTRUN_CALL_TIMEOUT": "3", "BRIGHTRUN_LEASE_MARGIN": "1.7", "BRIGHTRUN_MAX_ATTEMPTS": "20"}
"""A lease that ends just when the next one is killed would hand an item from one victim to another."""


NAMED = 'hostname "$0"; exec "$@"'
"""A shell's line that gives a machine its name and then becomes the command."""


class Crew:
    """Worker processes that are replaced when they are killed."""

    def __init__(
        self, homes: Sequence[Path], dsn: str, url: str, *, within: Sequence[Sequence[str]] = ((),)
    ) -> None:
        """within: the beginning of the command of each machine, such as `ip netns exec NAME`."""
        self._homes, self._dsn, self._url, self._within = homes, dsn, url, within
        self.running: list[subprocess.Popen[bytes] | Forked] = []
        self.said = homes[0].parent / "workers.txt"
        self.started = 0

    def start(self) -> None:
        place = self.started % len(self._within)
        environment = {
            **os.environ,
            "BRIGHTRUN_HOME": str(self._homes[place % len(self._homes)]),
            "DATABASE_URL": self._dsn,
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": self._url,
            "BRIGHTRUN_RETRY_BASE": "0.05",
            **LEASE,
        }
        words = ("brightrun", "worker", "--slots", str(SLOTS))
        self.running.append(
            self._elsewhere(self._within[place], words, environment)
            if self._within[place]
            else start_warm(*words, environment=environment, out=self.said, err=self.said)
        )
        self.started += 1

    def _elsewhere(
        self, within: Sequence[str], words: Sequence[str], environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with self.said.open("ab") as said:
            return subprocess.Popen(
                [*within, sys.executable, "-m", *words], env=environment, stdout=said, stderr=said
            )

    def kill_oldest(self) -> None:
        worker = self.running.pop(0)
        assert worker.poll() is None, self.said.read_text()[-3000:]
        worker.kill()
        worker.wait()

    def end(self) -> list[int]:
        """Ask all to end, and return how each did."""
        for worker in self.running:
            worker.send_signal(signal.SIGTERM)
        return [worker.wait(60) for worker in self.running]


@contextmanager
def opened(home: Path, dsn: str, url: str) -> Iterator[App]:
    app = open_app(
        Settings(
            home=home,
            database_url=dsn,
            anthropic_api_key=KEY,
            anthropic_base_url=url,
            actor="ana",
            max_attempts=20,
        )
    )
    try:
        yield app
    finally:
        app.close()


def storm(app: App, api: MessagesApi, crew: Crew, dsn: str) -> None:
    """Write a job with the fleet while one of it is killed every two seconds, and check every item."""
    plan = app.planner.plan(scenarios(ITEMS), options(WriterName.CLAUDE))
    job = app.batches.create(plan, name="Fleet", actor="ana")
    for _ in range(WORKERS):
        crew.start()
    kills, began = 0, time.monotonic()
    until(lambda: len(api.requests) >= 1, 60, crew)
    first = time.monotonic()
    while time.monotonic() - first < SECONDS and app.batches.get(job.id).is_open:
        time.sleep(EVERY)
        crew.kill_oldest()
        crew.start()
        kills += 1
    until(lambda: not app.batches.get(job.id).is_open, 600, crew)
    took = time.monotonic() - began
    # one that has only just been started ends before it has begun
    assert set(crew.end()) <= {0, -signal.SIGTERM, 128 + signal.SIGTERM}, crew.said.read_text()[-3000:]
    ended = app.batches.get(job.id)
    failed = [
        (item.position, item.attempts, item.error_code, item.error_message)
        for item in app.batches.items(job.id, status=ItemStatus.FAILED, limit=50)
    ]
    assert (ended.status, ended.counts.completed, failed) == (JobStatus.COMPLETED, ITEMS, [])
    with psycopg.connect(dsn) as connection:
        outcomes = Counter(
            outcome
            for (outcome,) in connection.execute("select outcome from attempts where job_id = %s", [job.id])
        )
        doubled = connection.execute(
            "select count(*) from (select item_id from conversations group by item_id having count(*) > 1) d"
        ).fetchone()
        paid = connection.execute(
            "select count(*) from (select a.item_id from attempts a where outcome = 'stored' and exists ("
            "select from attempts b where b.item_id = a.item_id and b.number < a.number and b.outcome = 'stored')) d"
        ).fetchone()
    assert doubled == (0,)
    assert paid == (0,), "a stored answer was bought again"
    print(
        f"{ITEMS} items, {crew.started} workers started, {kills} killed, {took:.0f} s, attempts {dict(outcomes)}"
    )


def until(what, seconds: float, crew: Crew) -> None:  # type: ignore[no-untyped-def]
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, (
            crew.said.read_text()[-3000:] if crew.said.exists() else "nothing was said"
        )
        time.sleep(0.1)


def test_a_fleet_loses_and_doubles_nothing_though_its_workers_are_killed(tmp_path: Path, dsn: str) -> None:
    """Four processes, one killed every two seconds: each item becomes one conversation, and the job ends."""
    home = tmp_path / "home"
    with MessagesApi(seconds=CALL_SECONDS) as api, opened(home, dsn, api.url) as app:
        crew = Crew([home], dsn, api.url)
        storm(app, api, crew, dsn)
        assert not app.fleet.alive() or all(w.name for w in app.fleet.alive())


def test_a_worker_tells_what_it_does_and_says_goodbye(tmp_path: Path, dsn: str) -> None:
    """The others see who is alive and at which job; who ends by a signal is gone from the list, and its items are whole."""
    home = tmp_path / "home"
    with MessagesApi(seconds=1.0) as api, opened(home, dsn, api.url) as app:
        plan = app.planner.plan(scenarios(30), options(WriterName.CLAUDE))
        job = app.batches.create(plan, name="Seen", actor="ana")
        crew = Crew([home], dsn, api.url)
        crew.start()
        until(lambda: any(job.id in worker.jobs for worker in app.fleet.alive()), 60, crew)
        (worker,) = app.fleet.alive()
        assert worker.slots == SLOTS
        assert crew.end() == [0], crew.said.read_text()[-3000:]
        assert app.fleet.alive() == []
        now = app.batches.get(job.id)
        assert now.counts.processing == 0
        assert now.counts.completed == len(api.requests), "an answer in hand was not kept"


def test_a_worker_that_starts_later_takes_up_what_others_left(tmp_path: Path, dsn: str) -> None:
    """One killed, the job paused and resumed, the other asked to end: a third that starts afterwards writes the rest."""
    home = tmp_path / "home"
    with MessagesApi(seconds=CALL_SECONDS) as api, opened(home, dsn, api.url) as app:
        plan = app.planner.plan(scenarios(30), options(WriterName.CLAUDE))
        job = app.batches.create(plan, name="Left", actor="ana")
        crew = Crew([home], dsn, api.url)
        crew.start()
        crew.start()
        until(lambda: len(app.fleet.alive()) == 2 and app.batches.get(job.id).counts.completed > 1, 60, crew)
        crew.kill_oldest()
        app.batches.pause(job.id, actor="ana")
        app.batches.resume(job.id, actor="ana")
        assert crew.end() == [0], crew.said.read_text()[-3000:]
        crew.running.clear()
        assert app.batches.get(job.id).is_open, "the workers were too quick to leave anything"
        crew.start()
        until(lambda: not app.batches.get(job.id).is_open, 60, crew)
        assert app.batches.get(job.id).counts.completed == 30
        assert crew.end() == [0], crew.said.read_text()[-3000:]


NO_ROOM = """
create function procrastinate.no_room() returns trigger language plpgsql as
$$ begin raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$;
create trigger no_room before update on procrastinate.procrastinate_jobs
    for each row execute function procrastinate.no_room();
"""


def test_a_worker_waits_for_a_full_disk_says_so_and_goes_on_by_itself(tmp_path: Path, dsn: str) -> None:
    """One sentence names the full disk and what to do; when there is room again the batch is written to its end."""
    home = tmp_path / "home"
    with MessagesApi() as api, opened(home, dsn, api.url) as app:
        crew = Crew([home], dsn, api.url)
        crew.start()
        until(lambda: len(app.fleet.alive()) == 1, 60, crew)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(NO_ROOM)
        plan = app.planner.plan(scenarios(2), options(WriterName.CLAUDE))
        job = app.batches.create(plan, name="Full", actor="ana")
        until(lambda: "is full" in crew.said.read_text(), 30, crew)
        time.sleep(4)  # long enough to fail once more
        said = crew.said.read_text()
        assert "Traceback" not in said
        assert said.count("Free disk space") == 1, said
        assert crew.running[0].poll() is None
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("drop trigger no_room on procrastinate.procrastinate_jobs")
        until(lambda: app.batches.get(job.id).status is JobStatus.COMPLETED, 60, crew)
        until(lambda: "The database is back" in crew.said.read_text(), 30, crew)
        assert crew.end() == [0]


def test_without_a_connection_of_its_own_a_worker_is_refused(tmp_path: Path) -> None:
    """Over a project's HTTP door alone there is no fleet, and the remedy is named."""
    environment = {
        **{k: v for k, v in os.environ.items() if k != "DATABASE_URL"},
        "BRIGHTRUN_HOME": str(tmp_path),
        "SUPABASE_URL": "http://127.0.0.1:9",
        "SUPABASE_SECRET_KEY": "sb_secret_x",
    }
    done = subprocess.run(
        [sys.executable, "-m", "brightrun", "worker"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "DATABASE_URL" in done.stderr


def test_two_machines_work_at_one_job_over_the_network(tmp_path: Path, dsn: str) -> None:
    """Processes with addresses and names of their own, over TCP to one Postgres and on shared files: the same holds."""
    home = tmp_path / "home"
    with ExitStack() as ends:
        address, within = ends.enter_context(machines(2))
        api = ends.enter_context(MessagesApi(seconds=CALL_SECONDS))
        app = ends.enter_context(opened(home, dsn, api.url))
        given = conninfo_to_dict(dsn)
        socket_path = f"{given['host']}/.s.PGSQL.{given.get('port', 5432)}"
        ends.enter_context(forwarded([], address, 5999, socket_path))
        ends.enter_context(forwarded([], address, 8999, api.url.removeprefix("http://")))
        for machine in within:
            ends.enter_context(forwarded(machine, "127.0.0.1", 8999, f"{address}:8999"))
        far = make_conninfo(dsn, host=address, port=5999)
        crew = Crew([home], far, "http://127.0.0.1:8999", within=within)
        storm(app, api, crew, dsn)
        with psycopg.connect(dsn) as connection:
            places = {
                worker.split(":")[0]
                for (worker,) in connection.execute("select distinct worker from attempts").fetchall()
            }
        assert len(places) == 2, places


@contextmanager
def forwarded(within: Sequence[str], host: str, port: int, target: str) -> Iterator[None]:
    """Carry connections to an address on somewhere else."""
    words = [*within, sys.executable, "-m", "tests.faults.forward", host, str(port), target]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        assert process.stdout.readline().strip() == "ready"
        yield
    finally:
        process.kill()
        process.communicate()


@contextmanager
def machines(number: int) -> Iterator[tuple[str, list[list[str]]]]:
    """Make network namespaces that each have an address of their own; yields ours and how to run in each."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("Machines of their own need root and `ip`.")
    with ExitStack() as undo:

        def run(*words: str) -> None:
            subprocess.run(words, check=True, capture_output=True)

        tag = f"br{os.getpid() % 10000}"
        try:
            run("ip", "link", "add", tag, "type", "bridge")
            undo.callback(subprocess.run, ["ip", "link", "del", tag], check=False)
            run("ip", "addr", "add", "10.219.7.1/24", "dev", tag)
            run("ip", "link", "set", tag, "up")
            for n in range(number):
                name, pair = f"{tag}m{n}", f"{tag}v{n}"
                run("ip", "netns", "add", name)
                undo.callback(subprocess.run, ["ip", "netns", "del", name], check=False)
                run("ip", "link", "add", pair, "type", "veth", "peer", "name", "eth0", "netns", name)
                run("ip", "link", "set", pair, "master", tag, "up")
                run("ip", "-n", name, "addr", "add", f"10.219.7.{n + 2}/24", "dev", "eth0")
                run("ip", "-n", name, "link", "set", "eth0", "up")
                run("ip", "-n", name, "link", "set", "lo", "up")
        except subprocess.CalledProcessError as fault:
            pytest.skip(f"This machine makes no network namespaces: {fault.stderr.decode()[-200:]}")
        yield (
            "10.219.7.1",
            [
                ["ip", "netns", "exec", f"{tag}m{n}", "unshare", "--uts", "sh", "-c", NAMED, f"machine{n}"]
                for n in range(number)
            ],
        )
