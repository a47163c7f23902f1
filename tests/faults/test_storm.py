"""Two processes on one job, each killed again and again at random moments, and replaced.

BRIGHTRUN_KILLS says how often (12 in `make test`, 1,000 in `make faults`), BRIGHTRUN_ITEMS how long a job is.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path

from brightrun.bootstrap import open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job
from brightrun.saol.server.launcher import EmbeddedServer
from tests.faults.conftest import MANY
from tests.faults.ledger import Witness, check, create, summary, until
from tests.faults.road import SEED
from tests.faults.workers import Worker
from tests.messages_api import KEY, MessagesApi

KILLS = int(os.environ.get("BRIGHTRUN_KILLS", "12"))
ITEMS = int(os.environ.get("BRIGHTRUN_ITEMS", "200" if KILLS >= 100 else "40"))
WORKERS = 2
LIVES = (0.05, 0.5)
"""Seconds a worker lives before it is killed, from its start or from when its app is open."""
OPEN_FIRST = 0.8
CALL_SECONDS = 0.03
STUCK_SECONDS = 120


class Storm:
    """Keeps two workers on a job and kills each when its time has come."""

    def __init__(self, settings: Settings, api: MessagesApi, said: Path, chance: random.Random) -> None:
        self._settings, self._api, self._said, self._chance = settings, api, said, chance
        self.kills = 0
        self.moments: Counter[str] = Counter()

    def over(self, job: Job, most: int) -> None:
        """Kill until the job has ended, at most so often in all; then let it end in peace."""
        running: list[tuple[Worker, float]] = []
        ended = False
        while not ended and self.kills < most:
            running += [self._start(job) for _ in range(WORKERS - len(running))]
            worker, dies_at = min(running, key=lambda each: each[1])
            until(lambda: time.monotonic() >= dies_at, "")  # noqa: B023
            running.remove((worker, dies_at))
            if worker.is_alive:
                worker.kill()
                self.moments["with a call out" if self._api.journal.at_once else "with none out"] += 1
                self.kills += 1
            else:
                assert worker.code == 0, self._said.read_text()[-4000:]
                ended = True
        for worker, _ in [*running, self._start(job)]:
            assert worker.join(STUCK_SECONDS) == 0, f"stuck or broken: {self._said.read_text()[-4000:]}"

    def _start(self, job: Job) -> tuple[Worker, float]:
        worker = Worker(self._settings, job.id, self._said)
        if self._chance.random() < OPEN_FIRST:
            worker.wait_until_open()
        return worker, time.monotonic() + self._chance.uniform(*LIVES)


def test_two_workers_killed_over_and_over_lose_and_double_nothing(
    home: Path, witness: Witness, api: MessagesApi
) -> None:
    """kill -9 at any moment, as often as you like: each item becomes one conversation, each call is on record."""
    api.seconds = CALL_SECONDS
    settings = Settings(
        home=home,
        anthropic_api_key=KEY,
        anthropic_base_url=api.url,
        actor="ana",
        max_attempts=MANY,
        call_timeout=3,
        lease_margin=1,
    )
    server = EmbeddedServer(home)
    dsn = server.acquire()
    app = open_app(settings)
    storm = Storm(settings, api, home / "workers.txt", random.Random(SEED))
    seen: Counter[str] = Counter()
    jobs = 0
    began = time.monotonic()
    while storm.kills < KILLS:
        job = create(app, witness, ITEMS)
        storm.over(job, KILLS)
        seen.update(check(dsn, app, witness, job))
        jobs += 1
    took = time.monotonic() - began
    left = [path.name for path in home.rglob("*.part")]
    assert not left, f"half-written files were left: {left}"
    app.close()
    server.release()
    kills = f"{storm.kills} kills of {WORKERS} workers on {jobs} jobs (seed {SEED}, {took:.0f} s): {dict(storm.moments)}"
    print(summary(kills, jobs * ITEMS, seen))
