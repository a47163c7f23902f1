"""What a job under fire is measured by: the server's witness, the rows, the files, and the promise."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, LiteralString, TypeVar

import psycopg

from brightrun.bootstrap import App
from brightrun.domain.batch import ItemStatus, Job, StepOutcome, WriterName
from brightrun.domain.errors import DatabaseFault
from tests.fakes import options, scenarios
from tests.messages_api import Fault
from tests.messages_api.script import Script

T = TypeVar("T")

PAID = ("stored", "failed", "unknown")
"""Outcomes of attempts that say: a call was made, or may have been."""
_SUBJECT = re.compile(r"Book a table for \d+ people")


class Witness(Script):
    """Notes each call by its item, and whether an answer for that item was stored when it came."""

    def __init__(self, *folders: Path) -> None:
        """`folders` are the places where answers are kept: buckets, and spools."""
        super().__init__()
        self.folders = folders
        self.item_of: dict[str, str] = {}
        self.calls: Counter[str] = Counter()
        self.too_late: list[str] = []

    def next(self, number: int, prompt: str) -> Fault | None:
        found = _SUBJECT.search(prompt)
        assert found, prompt
        item = self.item_of[found[0]]
        self.calls[item] += 1
        if self.stored(item):
            self.too_late.append(item)
        return super().next(number, prompt)

    def stored(self, item: str) -> list[Path]:
        return sorted(path for folder in self.folders for path in folder.glob(f"raw/*/{item}-*.json"))


def create(app: App, witness: Witness, number: int, **changes: object) -> Job:
    """Create a job whose items the witness can tell apart; one job at a time."""
    plan = app.planner.plan(scenarios(number), options(WriterName.CLAUDE, **changes))
    job = app.batches.create(plan, name="Under fire", actor="ana")
    witness.item_of.clear()
    for item in app.batches.items(job.id, limit=number):
        found = _SUBJECT.search(item.scenario.variables["scenario"])
        assert found
        witness.item_of[found[0]] = item.id
    return job


def check(dsn: str, app: App, witness: Witness, job: Job, *, answers: int = 1) -> dict[str, int]:
    """Every promise of the failure model, read from the rows, the files and the server's journal.

    `answers` is how many stored answers an item may have at most: more than one only where a call was
    still out when its item was handed on.
    """
    total = job.counts.total
    items = once_back(lambda: app.batches.items(job.id, limit=total))
    assert Counter(item.status for item in items) == {ItemStatus.COMPLETED: total}, "lost or stuck"
    assert len({item.conversation_id for item in items}) == total, "doubled"
    with psycopg.connect(dsn) as connection:

        def rows(query: LiteralString) -> list[tuple[Any, ...]]:
            return connection.execute(query, [job.id]).fetchall()

        linked = rows(
            "select count(*) from batch_items i join conversations c on c.id = i.conversation_id"
            " and c.item_id = i.id where i.job_id = %s"
        )
        written = rows("select count(*) from conversations where job_id = %s")
        endings = rows(
            "select item_id, count(*) from job_log where job_id = %s"
            " and message like '%%completed (conversation%%' group by 1"
        )
        ledger = rows(
            "select item_id::text, outcome, count(*)::int from attempts where job_id = %s group by 1, 2"
        )
        (money,) = rows(
            "select c.spent_usd - s.cost, c.possible_usd - s.possible, c.reserved_usd, c.queued + c.processing"
            " from batch_counts c, lateral (select sum(a.cost_usd) as cost, sum(a.possible_usd) as possible"
            " from attempts a where a.job_id = c.job_id) s where c.job_id = %s"
        )
    assert linked == written == [(total,)], "a conversation without its item, or an item without its own"
    assert [times for _, times in endings] == [1] * total, "an item that ended twice"
    assert not any(money), f"the counters do not follow the ledger: {money}"
    return _paid(items, ledger, witness, answers)


def _paid(
    items: list[Any], ledger: list[tuple[str, str, int]], witness: Witness, answers: int
) -> dict[str, int]:
    assert not witness.too_late, f"called again although an answer was stored: {witness.too_late}"
    outcomes: Counter[str] = Counter()
    listed: Counter[str] = Counter()
    of_item: Counter[tuple[str, str]] = Counter()
    for item, outcome, number in ledger:
        outcomes[outcome] += number
        of_item[item, outcome] += number
        listed[item] += number if outcome in PAID else 0
    assert outcomes["started"] == 0, "an attempt whose end nobody wrote down"
    for each in items:
        kept = len(witness.stored(each.id))
        assert 1 <= of_item[each.id, "stored"] == kept <= answers, "answers and ledger differ"
        assert kept <= witness.calls[each.id] <= listed[each.id], "a call that the ledger does not list"
    calls = sum(witness.calls[each.id] for each in items)
    return {"calls": calls, "uncalled": sum(listed.values()) - calls, **outcomes}


def summary(damage: str, total: int, seen: dict[str, int]) -> str:
    """Return one line that says what was done and what was seen."""
    return (
        f"\n{damage}; {total} of {total} items completed once; {seen['calls']} calls: {seen['stored']} stored,"
        f" {seen.get('unknown', 0)} attempts listed as possibly paid ({seen['uncalled']} of them were never"
        f" called for), {seen.get('skipped', 0)} resumed from a stored answer, 0 calls after one"
    )


def run(app: App, job: Job) -> Job:
    """Advance a job until it ends or pauses."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        step = app.batches.process_next(job.id)
        if step.outcome in (StepOutcome.DONE, StepOutcome.PAUSED):
            return step.job
        time.sleep(min(step.again_in, 0.1))
    raise AssertionError(f"stuck: {step}")


def until(what: Callable[[], bool], message: str, seconds: float = 60) -> None:
    """Wait for something to come true."""
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, message
        time.sleep(0.005)


def once_back(read: Callable[[], T], seconds: float = 60) -> T:
    """Read as soon as the server has been started again; a connection may still be dying with the old one."""
    ends = time.monotonic() + seconds
    while True:
        try:
            return read()
        except DatabaseFault as fault:
            if not fault.is_transient or time.monotonic() > ends:
                raise
            time.sleep(0.05)
