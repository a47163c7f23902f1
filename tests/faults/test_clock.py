"""A machine whose clock is wrong by a day: leases, waits, prices and the ledger go by the database's clock.

Real shells under Debian's libfaketime, which shifts every reading of the time of day in a process. `make faults`
holds a right clock against them too.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.conftest import FULL
from tests.faults.ledger import until
from tests.messages_api import KEY, Fault, MessagesApi
from tests.shell import Shell

LIBRARY = Path("/usr/lib") / sysconfig.get_config_var("MULTIARCH") / "faketime" / "libfaketime.so.1"
ROWS = [f"A reader asks to renew {n + 2} books at the harbour library." for n in range(8)]
LIMITED, BUSY, REFUSED, KILLED = 1, 3, 5, 6
ASKED_SECONDS = 40
SLACK = 10
"""Seconds a busy machine takes between the answer and the row."""
LEASE_SECONDS = 7.0
OFFSETS = ["+0", "+1d", "-1d"] if FULL else ["-1d"]
SLEEP = """
import threading, time
time.sleep = lambda seconds: threading.Event().wait(seconds) and None
"""
"""libfaketime 0.9.10 refuses to sleep until a moment of a clock that it does not shift; waiting for a lock works."""

pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="it needs libfaketime: apt-get install faketime")


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    faults = [
        Fault("status", contains=ROWS[BUSY], status=529, type="overloaded_error"),
        Fault("refusal", contains=ROWS[REFUSED], times=None, category="cyber"),
        Fault("stall", contains=ROWS[KILLED], seconds=30),
    ]
    with MessagesApi(faults) as running:
        yield running


@pytest.mark.parametrize("offset", OFFSETS)
def test_a_clock_that_is_wrong_by_a_day_changes_nothing(
    tmp_path: Path, dsn: str, api: MessagesApi, offset: str
) -> None:
    """Right, a day ahead or a day behind: the same items, attempts, waits, leases, prices and dollars."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SLEEP)
    shell = Shell(
        tmp_path / "home",
        DATABASE_URL=dsn,
        ANTHROPIC_API_KEY=KEY,
        ANTHROPIC_BASE_URL=api.url,
        BRIGHTRUN_RETRY_BASE="0.5",
        BRIGHTRUN_CALL_TIMEOUT="3",
        BRIGHTRUN_LEASE_MARGIN="4",
        LD_PRELOAD=str(LIBRARY),
        FAKETIME=offset,
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        PYTHONPATH=str(tmp_path / "site"),
    )
    change_prices_each_day(dsn)
    began = datetime.now(UTC)
    job = write_a_batch(shell, dsn, api, tmp_path)
    check_ledger(dsn, job)
    check_times(dsn, began)
    check_dollars(dsn, shell, job)


def write_a_batch(shell: Shell, dsn: str, api: MessagesApi, folder: Path) -> str:
    """Create a batch, look at its wait for the limit, kill its shell in a call, and finish it with another."""
    sheet = folder / "sheet.csv"
    sheet.write_text("\n".join(["scenario", *ROWS]) + "\n")
    job = str(shell.json("generate", "--scenarios", str(sheet), "--writer", "claude", "--budget", "4")["id"])
    again = limit(api)
    process = shell.start("process", job)
    waits = "select next_attempt_at from batch_jobs where next_attempt_at is not null"
    until(lambda: bool(rows(dsn, waits)), "No call was limited.")
    ((again_at,),) = rows(dsn, waits)
    assert again - timedelta(seconds=2) <= again_at <= again + timedelta(seconds=ASKED_SECONDS / 4 + SLACK)
    for table in ("batch_jobs", "batch_items"):
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"update {table} set next_attempt_at = null")
    until(lambda: any(ROWS[KILLED] in str(each.body) for each in api.requests), "The call was not made.")
    process.kill()
    process.communicate()
    with psycopg.connect(dsn, autocommit=True) as connection:  # one of this machine would not be waited for
        connection.execute("update batch_items set worker = 'elsewhere:1:1' where worker is not null")
    shell.run("process", job)
    return job


def limit(api: MessagesApi) -> datetime:
    """Let one call be limited, and return when the API, whose clock is right, lets it be made again."""
    again = datetime.now(UTC) + timedelta(seconds=ASKED_SECONDS)
    date = format_datetime(again, usegmt=True)
    api.script.add(
        Fault("status", contains=ROWS[LIMITED], status=429, type="rate_limit_error", retry_after=date)
    )
    return again


def check_ledger(dsn: str, job: str) -> None:
    found: dict[int, list[tuple[str, str | None]]] = {}
    query = (
        "select i.position - 1, a.outcome, a.error_code from attempts a join batch_items i on i.id = a.item_id"
        " where a.job_id = %s order by 1, a.number"
    )
    for place, outcome, code in rows(dsn, query, job):
        found.setdefault(place, []).append((outcome, code))
    stored = ("stored", None)
    assert found == {
        **{place: [stored] for place in range(len(ROWS))},
        LIMITED: [("failed", "rate_limited"), stored],
        BUSY: [("failed", "overloaded"), stored],
        REFUSED: [("stored", "refusal")],
        KILLED: [("unknown", "worker_vanished"), stored],
    }


def check_times(dsn: str, began: datetime) -> None:
    """Everything happened when it happened, and the killed worker's lease was waited for, not more."""
    times = rows(
        dsn,
        "select min(at), max(at) from (select started_at as at from attempts union all select ended_at from attempts"
        " union all select created_at from job_log union all select created_at from conversations"
        " union all select completed_at from batch_jobs) t",
    )
    assert began <= times[0][0] <= times[0][1] <= datetime.now(UTC)
    ((waited,),) = rows(
        dsn,
        "select extract(epoch from b.started_at - a.started_at) from attempts a"
        " join attempts b on b.item_id = a.item_id and b.number = 2 where a.outcome = 'unknown'",
    )
    assert LEASE_SECONDS <= waited < LEASE_SECONDS + 60


def check_dollars(dsn: str, shell: Shell, job: str) -> None:
    """What was reserved and what was spent are both by today's price: two dollars in, ten out."""
    priced = "select cost_usd, (input_tokens * 2 + output_tokens * 10) / 1e6 from attempts where cost_usd > 0"
    costs = rows(dsn, priced)
    assert len(costs) == len(ROWS)
    assert all(abs(cost - expected) < 1e-6 for cost, expected in costs)
    ((possible,),) = rows(dsn, "select possible_usd from attempts where outcome = 'unknown'")
    assert 0.16 < possible < 0.18, "16,000 tokens out at ten dollars a million, and the prompt"
    status = shell.json("status", job)
    assert status["counts"] == {"queued": 0, "processing": 0, "completed": 7, "failed": 1, "cancelled": 0}


def change_prices_each_day(dsn: str) -> None:
    """Yesterday everything cost ten times as much, and from tomorrow on it costs half as much."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for days, factor in ((-1, 10), (0, 1), (1, 0.5)):
            connection.execute(
                "insert into prices (model, effective_from, input_usd, output_usd) values ('claude-sonnet-5-5',"
                " (clock_timestamp() at time zone 'utc')::date + %s, 2 * %s, 10 * %s)",
                [days, factor, factor],
            )


def rows(dsn: str, query: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query, values).fetchall()  # type: ignore[call-overload]
