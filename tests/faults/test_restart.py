"""The database goes down at once, under load, again and again; the app's processes go on by themselves.

BRIGHTRUN_RESTARTS says how often for each of the two servers (2 in `make test`, 50 in `make faults`).
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
from pydantic import SecretStr

from brightrun.bootstrap import open_app
from brightrun.config import Settings, supabase_folder
from brightrun.domain.ids import JobId
from brightrun.saol.server.launcher import EmbeddedServer
from brightrun.saol.server.migrations import apply
from tests.faults.conftest import MANY
from tests.faults.ledger import Witness, check, create, summary, until
from tests.faults.road import SEED
from tests.faults.workers import Worker
from tests.messages_api import KEY, MessagesApi

RESTARTS = int(os.environ.get("BRIGHTRUN_RESTARTS", "2"))
ITEMS = 200 if RESTARTS >= 10 else 60
WORKERS = 2
CALL_SECONDS = 0.1
UP_SECONDS = (0.4, 1.5)
STUCK_SECONDS = 180
WAYS = {signal.SIGQUIT: "stopped by -m immediate", signal.SIGKILL: "killed"}
"""SIGQUIT is what `pg_ctl stop -m immediate` sends."""


@pytest.mark.parametrize("whose", ["embedded", "hosted"])
def test_a_job_outlives_restarts_of_its_database(
    whose: str, home: Path, tmp_path: Path, witness: Witness, api: MessagesApi
) -> None:
    """Whoever starts the server again, the processes wait for it, and no item is lost, doubled or paid twice."""
    api.seconds = CALL_SECONDS
    outage = Outage(home if whose == "embedded" else tmp_path / "hosted", is_ours=whose == "embedded")
    settings = Settings(
        home=home,
        anthropic_api_key=KEY,
        anthropic_base_url=api.url,
        actor="ana",
        max_attempts=MANY,
        call_timeout=4,
        lease_margin=2,
    )
    if whose == "hosted":
        settings = settings.model_copy(update={"database_url": SecretStr(outage.prepared())})
    app = open_app(settings)
    seen: Counter[str] = Counter()
    jobs = 0
    began = time.monotonic()
    while outage.ways.total() < RESTARTS:
        job = create(app, witness, ITEMS)
        outage.strike(settings, job.id, tmp_path / "workers.txt")
        seen.update(check(outage.server.acquire(), app, witness, job))
        jobs += 1
    took = time.monotonic() - began
    app.close()
    outage.server.release()
    damage = f"{outage.ways.total()} restarts of the {whose} database under {WORKERS} workers on {jobs} jobs"
    print(summary(f"{damage} (seed {SEED}, {took:.0f} s): {dict(outage.ways)}", jobs * ITEMS, seen))


class Outage:
    """A server that goes down at random moments while workers use it."""

    def __init__(self, home: Path, *, is_ours: bool) -> None:
        """`is_ours` says that the workers themselves start it again, because it is the embedded one."""
        self.server = EmbeddedServer(home)
        self.server.acquire()
        self.ways: Counter[str] = Counter()
        self._is_ours = is_ours
        self._chance = random.Random(SEED)

    def prepared(self) -> str:
        """Bring the database up to date, as `supabase db push` would, and return how to reach it."""
        folder, dsn = supabase_folder(), self.server.acquire()
        apply(dsn, folder / "migrations", bootstrap=folder / "bootstrap.sql", seed=folder / "seed.sql")
        return dsn

    def strike(self, settings: Settings, job: JobId, said: Path) -> None:
        """Restart the database while workers advance a job, then let them end it."""
        workers = [Worker(settings, job, said) for _ in range(WORKERS)]
        for worker in workers:
            worker.wait_until_open()
        while any(worker.is_alive for worker in workers) and self.ways.total() < RESTARTS:
            time.sleep(self._chance.uniform(*UP_SECONDS))
            self._go_down()
            time.sleep(self._chance.uniform(0, 0.3))
            if not self._is_ours:
                self.server.acquire()
            until(
                lambda: self.server.is_running() or not any(worker.is_alive for worker in workers),
                "nobody started the server again",
            )
        for worker in workers:
            assert worker.join(STUCK_SECONDS) == 0, f"stuck or broken: {said.read_text()[-4000:]}"

    def _go_down(self) -> None:
        """End the server at once and wait until its first process is gone."""
        how = self._chance.choice(sorted(WAYS))
        pid = int((self.server.cluster / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, how)
        until(lambda: not _exists(pid), "the server did not end")
        self.ways[WAYS[how]] += 1


def _exists(pid: int) -> bool:
    """Whether a process is there; one that ended and was not waited for yet does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
