"""A budget against the dearest answers there can be, and every way in which a call can go wrong.

BRIGHTRUN_BUDGETS says how many jobs (8 in `make test`, 500 in `make faults`), BRIGHTRUN_FAULT_SEED which.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job, JobStatus, WriterName
from brightrun.domain.scenario import Scenario, Tier
from tests.fakes import options
from tests.faults.road import SEED, size
from tests.messages_api import KEY, Fault, MessagesApi
from tests.messages_api.billing import every_token

NUMBER = size("BRIGHTRUN_BUDGETS", 8)
ITEMS = 6
WORKERS = 2
NEAR = 1e-9
WORDS = ("tea ", "\ufdfa", "漢", "🙂 ", "e\u0301")
"""What a scenario is made of: text of one token a word, and text of many tokens a character."""


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi(bill=every_token) as running:
        yield running


@pytest.fixture
def apps(dsn: str, tmp_path: Path, api: MessagesApi) -> Iterator[list[App]]:
    """Two apps that share nothing but the database and the files, as two processes would."""
    settings = Settings(
        home=tmp_path,
        database_url=dsn,
        anthropic_api_key=KEY,
        anthropic_base_url=api.url,
        call_timeout=5,
        retry_base=0.01,
        actor="ana",
    )
    opened = [open_app(settings) for _ in range(WORKERS)]
    yield opened
    for app in opened:
        app.close()


def test_no_job_ever_spends_more_than_its_budget(apps: list[App], api: MessagesApi, dsn: str) -> None:
    """Spent, possible and reserved together never pass the budget, at any moment, whatever happens to the calls."""
    chance = random.Random(SEED)
    seen = {"jobs": 0, "paused": 0, "raised": 0, "calls": 0, "unknown": 0}
    for _ in range(NUMBER):
        job, budget = _start(apps[0], chance)
        _spoil(api, chance)
        highest = _run(apps, job, dsn)
        ended = apps[0].batches.get(job.id)
        assert highest <= budget + NEAR
        assert _money(dsn, job) == pytest.approx(_ledger(dsn, job), abs=1e-9)
        if ended.status is JobStatus.PAUSED and "budget" in (ended.pause_reason or ""):
            seen["paused"] += 1
            outlook = apps[0].budgets.outlook(job.id)
            assert outlook.is_stuck, "it stopped although the next call would fit"
            if chance.random() < 0.5:
                budget = outlook.needed_for_next + chance.uniform(0.000001, outlook.worst_usd)
                apps[0].budgets.set(job.id, budget, actor="ana")
                assert _run(apps, job, dsn) <= budget + 1e-6
                seen["raised"] += 1
        seen["jobs"] += 1
        seen["unknown"] += _count(dsn, job, "outcome = 'unknown'")
        seen["calls"] += _count(dsn, job, "outcome in ('stored', 'unknown', 'failed')")
    print(f"\nbudgets: {seen}, {len(api.requests)} requests arrived")
    assert seen["paused"]
    assert seen["raised"]


def _start(app: App, chance: random.Random) -> tuple[Job, float]:
    """Start a job of scenarios of any script, with a budget from far too little to a little too much."""
    most = chance.randrange(300, 3000)
    rows = [
        Scenario(
            Tier.SCENARIO, variables={"scenario": chance.choice(WORDS) * chance.randrange(1, 400) + str(n)}
        )
        for n in range(ITEMS)
    ]
    model = chance.choice(["claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-5-5"])
    worst = app.planner.plan(
        rows, options(WriterName.CLAUDE, model=model, max_tokens=most)
    ).estimate.worst_usd
    budget = round(worst * chance.uniform(0.1, 1.2), 6)
    given = options(WriterName.CLAUDE, model=model, max_tokens=most, budget=budget)
    return app.batches.create(app.planner.plan(rows, given), name="budget", actor="ana"), budget


def _spoil(api: MessagesApi, chance: random.Random) -> None:
    """Let some of the next calls break after they were paid, be refused, or answer what cannot be used."""
    at = len(api.requests)
    for offset in range(1, 2 * ITEMS):
        kind = chance.choice(["", "", "", "reset", "cut_body", "cut", "refusal", "status", "broken_json"])
        if kind:
            api.script.add(Fault(kind, at=at + offset, status=chance.choice([429, 500, 529])))


def _run(apps: list[App], job: Job, dsn: str) -> float:
    """Advance a job from all apps at once until it rests; returns the most that was ever held of its budget."""
    resting = threading.Event()
    highest = 0.0

    def work(app: App) -> None:
        while not resting.is_set():
            step = app.batches.process_next(job.id)
            if not step.job.is_open:
                return
            resting.wait(min(step.again_in, 0.02))

    workers = [threading.Thread(target=work, args=(app,)) for app in apps]
    for worker in workers:
        worker.start()
    while any(worker.is_alive() for worker in workers):
        highest = max(highest, _money(dsn, job))
        workers[0].join(0.01)
    return max(highest, _money(dsn, job))


def _money(dsn: str, job: Job) -> float:
    """Return what is spent, may be, or is reserved, in one look."""
    query = "select spent_usd + possible_usd + reserved_usd from batch_counts where job_id = %s"
    return float(_one(dsn, query, job))


def _ledger(dsn: str, job: Job) -> float:
    """Return the same, added up call by call."""
    query = "select sum(cost_usd + possible_usd + reserved_usd) from attempts where job_id = %s"
    return float(_one(dsn, query, job) or 0)


def _count(dsn: str, job: Job, condition: str) -> int:
    return int(_one(dsn, f"select count(*) from attempts where job_id = %s and {condition}", job))


def _one(dsn: str, query: str, job: Job) -> float:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(query, [job.id]).fetchone()  # type: ignore[call-overload]
        assert row
        return row[0]  # type: ignore[no-any-return]
