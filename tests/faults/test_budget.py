"""A budget is a promise: whatever two workers, lost answers and kills do, a job never spends more.

BRIGHTRUN_BUDGETS says how many random jobs (10 in `make test`, 500 in `make faults`), BRIGHTRUN_FAULT_SEED which.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job, JobStatus, WriterName
from brightrun.domain.scenario import Scenario, Tier
from tests.fakes import options
from tests.faults.road import SEED
from tests.faults.spender import Spender

JOBS = int(os.environ.get("BRIGHTRUN_BUDGETS", "10"))

WATCH = """
create table public.overdrawn (job_id uuid, spent numeric, possible numeric, reserved numeric, budget numeric);
create function public.note_overdrawn() returns trigger language plpgsql as $$
begin
  insert into public.overdrawn
  select new.job_id, new.spent_usd, new.possible_usd, new.reserved_usd, j.budget_usd from public.batch_jobs j
  where j.id = new.job_id and new.spent_usd + new.possible_usd + new.reserved_usd > j.budget_usd;
  return null;
end $$;
create trigger note_overdrawn after update on public.batch_counts for each row
execute function public.note_overdrawn();
"""
"""The database itself notes every moment at which more was spent, possible and reserved than allowed."""


@pytest.fixture
def settings(dsn: str, tmp_path: Path) -> Settings:
    return Settings(
        home=tmp_path / "home",
        database_url=dsn,
        retry_base=0.01,
        call_timeout=0.3,
        lease_margin=0.5,
        pause_after_failures=1000,
        actor="ana",
    )


@pytest.fixture
def app(settings: Settings) -> Iterator[App]:
    opened = open_app(settings)
    yield opened
    opened.close()


def test_two_workers_never_spend_more_than_a_budget_allows(
    app: App, settings: Settings, dsn: str, tmp_path: Path
) -> None:
    """At no moment are spent, possible and reserved together above the budget, nor is what was truly paid."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(WATCH)
    chance = random.Random(SEED)
    journal = tmp_path / "journal"
    seen: Counter[str] = Counter()
    crew = [hire(settings, journal, tmp_path, f"{SEED}-{number}") for number in range(2)]
    subjects: dict[str, str] = {}
    for number in range(JOBS):
        job = create(app, chance, number, subjects)
        for spender in crew:
            spender.ask(job.id)
        for place in range(2):
            while crew[place].answer() is None:
                seen["workers killed"] += 1
                crew[place] = hire(settings, journal, tmp_path, f"{SEED}-{number}-{seen['workers killed']}")
                crew[place].ask(job.id)
        seen[app.batches.get(job.id).status.value] += 1
    for spender in crew:
        spender.stop()
    check(app, dsn, journal, subjects, seen)
    print(f"\n{JOBS} jobs with two workers (seed {SEED}): {dict(seen)}; never above the budget")


def hire(settings: Settings, journal: Path, folder: Path, seed: str) -> Spender:
    return Spender(settings, journal, folder / "workers.log", seed)


def create(app: App, chance: random.Random, number: int, subjects: dict[str, str]) -> Job:
    """Create a job whose budget is anything between one call and all of them at their dearest."""
    items = chance.randint(2, 8)
    scenarios = [
        Scenario(Tier.SCENARIO, variables={"scenario": f"Job {number}, table {n}."}) for n in range(items)
    ]
    chosen = options(
        WriterName.CLAUDE,
        max_tokens=chance.choice([500, 2000, 8000]),
        budget=1000.0,
        retry_cut=chance.random() < 0.5,
    )
    plan = app.planner.plan(scenarios, chosen)
    worst = plan.estimate.worst_usd
    budget = round(worst * chance.uniform(0.12, 1.3), 6)
    plan = app.planner.plan(scenarios, replace(chosen, budget=budget))
    job = app.batches.create(plan, name=f"Budget {number}", actor="ana")
    subjects |= {scenario.variables["scenario"]: job.id for scenario in scenarios}
    return job


def check(app: App, dsn: str, journal: Path, subjects: dict[str, str], seen: Counter[str]) -> None:
    truly: Counter[str] = Counter()
    for line in journal.read_text().splitlines():
        subject, cost = json.loads(line)
        truly[subjects[subject]] += cost
        seen["calls"] += 1
    with psycopg.connect(dsn) as connection:
        assert connection.execute("select * from overdrawn").fetchall() == []
        rows = connection.execute(
            "select j.id::text, j.budget_usd, c.spent_usd, c.possible_usd, c.reserved_usd"
            " from batch_jobs j join batch_counts c on c.job_id = j.id"
        ).fetchall()
    assert len(rows) == JOBS
    for job, budget, spent, possible, reserved in rows:
        assert reserved == 0
        assert spent + possible <= budget
        assert truly[job] <= float(spent + possible) + 1e-6, "more was paid than is on record"
        assert truly[job] <= float(budget) + 1e-6, "more was paid than allowed"
        seen["jobs with possible cost"] += possible > 0
        status = app.batches.get(job).status
        assert status in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.PAUSED)
