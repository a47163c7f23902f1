"""The way of one answer: the real service and the real SDK against a server that does what it is told."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job, Step, StepOutcome, WriterName
from brightrun.services.generation import RETRY_CAP_SECONDS
from brightrun.writers.claude import ClaudeWriter
from tests.fakes import options, scenarios
from tests.messages_api import KEY, MessagesApi

SEED = int(os.environ.get("BRIGHTRUN_FAULT_SEED", "20261123"))
CALL_SECONDS = 0.4
"""The time-out of a call."""
BEYOND_SECONDS = 2.0
"""What a step may take beyond its call."""

_PLACE = re.compile(r"Book a table for (\d+) people")


def size(variable: str, small: int) -> int:
    """Return how often a campaign does its damage: seconds' worth in `make test`, more in `make faults`."""
    return int(os.environ.get(variable, str(small)))


def parts(number: int, most: int) -> list[range]:
    """Return a campaign's numbers in parts, each a test with a database of its own: they may run side by side."""
    return [range(first, min(first + most, number)) for first in range(0, number, most)]


def place_of(prompt: str) -> int:
    """Return the position of the item that a prompt was made for."""
    found = _PLACE.search(prompt)
    assert found, prompt
    return int(found[1]) - 1


@dataclass
class Road:
    """An app, its server and its database; notes how long the steps took."""

    app: App
    api: MessagesApi
    connection: psycopg.Connection[Any]
    files: Path
    slowest: float = 0.0
    waits: list[tuple[int, float]] = field(default_factory=list)
    """Of each step that was put off: the item's attempts so far, and the seconds it has to wait."""

    def create(self, number: int, **changes: object) -> Job:
        plan = self.app.planner.plan(scenarios(number), options(WriterName.CLAUDE, **changes))
        return self.app.batches.create(plan, name="Under fire", actor="ana")

    def step(self, job: Job) -> Step:
        """Advance by one item, and let what has to wait be due at once, so that nobody really waits."""
        started = time.monotonic()
        step = self.app.batches.process_next(job.id)
        self.slowest = max(self.slowest, time.monotonic() - started)
        if step.outcome not in (StepOutcome.COMPLETED, StepOutcome.FAILED):
            self._let_it_be_due(job)
        return step

    def _let_it_be_due(self, job: Job) -> None:
        for attempts, seconds in self.rows(
            "select attempts, extract(epoch from next_attempt_at - clock_timestamp())::float8"
            " from batch_items where job_id = %s and next_attempt_at is not null",
            job,
        ):
            assert seconds <= RETRY_CAP_SECONDS
            self.waits.append((attempts, seconds))
        self.rows(
            "update batch_items set next_attempt_at = null"
            " where job_id = %s and next_attempt_at is not null returning id",
            job,
        )
        self.rows("update batch_jobs set next_attempt_at = null where id = %s returning id", job)

    def run(self, job: Job) -> Job:
        """Advance until the job has ended or is paused."""
        while True:
            step = self.step(job)
            if not step.job.is_open or step.job.status == "paused":
                return step.job

    def rows(self, query: LiteralString, job: Job) -> list[tuple[Any, ...]]:
        return self.connection.execute(query, [job.id]).fetchall()


@contextmanager
def opened(
    home: Path, dsn: str, api: MessagesApi, *, kind: type[ClaudeWriter] = ClaudeWriter, **changes: Any
) -> Iterator[Road]:
    """Open the app on a fresh database, with Claude's writer pointed at the server."""
    settings: dict[str, Any] = {
        "home": home,
        "database_url": dsn,
        "anthropic_api_key": KEY,
        "anthropic_base_url": api.url,
        "call_timeout": CALL_SECONDS,
        "retry_base": 0.01,
        "pause_after_failures": 1000,  # every item is meant to fail
        "pause_after_refusals": 1000,
        "actor": "ana",
    }
    made = Settings(**settings | changes)
    writer = kind(KEY, made.anthropic_base_url, timeout=made.call_timeout, model=made.model)
    app = open_app(made, writers={WriterName.CLAUDE: writer})
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            yield Road(app, api, connection, home / "buckets" / "conversation-files")
    finally:
        app.close()
        writer.close()
