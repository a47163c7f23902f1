"""The durable step beside a plain three-commit script on the same server, in turns.

Both sides do the same durable work for one item: claim it, keep a raw answer of the same bytes, store
the conversation and end the item. The script does nothing else; ours also renders the prompt, parses,
validates, scores and enriches, writes two documents and the log, and returns the job's figures. The
writer's own time is taken off. What was done is counted and checked on both sides.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, StepOutcome, WriterName
from brightrun.domain.ids import JobId
from brightrun.domain.scenario import Scenario, Tier
from brightrun.domain.writing import Order, RawAnswer
from brightrun.saol.server.launcher import EmbeddedServer
from brightrun.writers.demo import DemoWriter

SIZES = (100, 1_000, 10_000)
SAMPLE = 200
ROUND = 20
"""Items one side does before the other has its turn, so that both see the same disk."""

SCRIPT_SCHEMA = """
create schema if not exists script;
create table if not exists script.items (
  id bigint generated always as identity primary key, job text not null, position integer not null,
  status text not null default 'queued', parameters jsonb not null, token uuid);
create index if not exists items_queue on script.items (job, position) where status = 'queued';
create table if not exists script.answers (item_id bigint primary key, body bytea not null);
create table if not exists script.conversations (
  id uuid primary key default gen_random_uuid(), item_id bigint not null unique, turns jsonb not null);
"""


@dataclass(frozen=True)
class Figure:
    """Milliseconds an item took outside the writer, at one place of a job of one size."""

    size: int
    place: str
    ours: float
    script: float

    @property
    def ratio(self) -> float:
        return self.ours / self.script


class TimedDemo(DemoWriter):
    """The demo writer, which notes how long it wrote and what."""

    def __init__(self) -> None:
        super().__init__()
        self.spent = 0.0
        self.body = b""

    def write(self, order: Order) -> RawAnswer:
        started = time.perf_counter()
        raw = super().write(order)
        self.spent += time.perf_counter() - started
        self.body = raw.body
        return raw


def measure(sizes: tuple[int, ...] = SIZES, sample: int = SAMPLE) -> list[Figure]:
    """Run every size at its start and at 90 % done, and return what an item took."""
    figures = []
    with TemporaryDirectory(prefix="br") as home, opened(Path(home)) as (app, dsn, writer):
        for size in sizes:
            with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as script:
                job = _prepare(app, script, size)
                figures.append(_compare(app, script, job, writer, size, "start", sample))
                _skip_to(script, job, size, 0.9)
                figures.append(_compare(app, script, job, writer, size, "90 %", sample))
    return figures


@contextmanager
def opened(home: Path) -> Iterator[tuple[App, str, TimedDemo]]:
    """Open an app on its own embedded database, with the timed writer in place of the demo."""
    writer = TimedDemo()
    server = EmbeddedServer(home, None)
    dsn = server.acquire()
    app = open_app(Settings(home=home, writer=WriterName.DEMO), writers={WriterName.DEMO: writer})
    try:
        yield app, dsn, writer
    finally:
        app.close()
        server.release()


def _prepare(app: App, script: psycopg.Connection, size: int) -> JobId:
    axes = app.scenarios.axes()
    scenarios = [
        Scenario(
            tier=arc.tier,
            persona_key=axes.personas[n % len(axes.personas)].persona_key,
            arc_key=arc.arc_key,
            topic_key=axes.topics[n % len(axes.topics)].topic_key,
            variables={"note": f"case {n}"},
        )
        for n in range(size)
        for arc in [_core(axes.arcs)[n % len(_core(axes.arcs))]]
    ]
    options = JobOptions(writer=WriterName.DEMO, model="demo", max_tokens=16_000)
    job = app.batches.create(app.planner.plan(scenarios, options), name=f"step {size}", actor="benchmark")
    script.execute(SCRIPT_SCHEMA)
    script.execute(
        "insert into script.items (job, position, parameters)"
        " select %s, position, parameters from public.batch_items where job_id = %s order by position",
        [job.id, job.id],
    )
    script.execute("vacuum analyze public.batch_items, public.batch_counts, script.items")
    return job.id


def _core(arcs: object) -> list:  # type: ignore[type-arg]
    return [arc for arc in arcs if arc.tier is Tier.TEMPLATE]  # type: ignore[attr-defined]


def _skip_to(script: psycopg.Connection, job: JobId, size: int, share: float) -> None:
    """End items by hand up to a share of the job, on both sides alike."""
    script.execute(
        "update public.batch_items set status = 'cancelled'"
        " where job_id = %s and status = 'queued' and position <= %s",
        [job, int(size * share)],
    )
    script.execute(
        "update script.items set status = 'done' where job = %s and status = 'queued' and position <= %s",
        [job, int(size * share)],
    )


def _compare(
    app: App,
    script: psycopg.Connection,
    job: JobId,
    writer: TimedDemo,
    size: int,
    place: str,
    sample: int,
) -> Figure:
    wanted = min(sample, size // 10)
    ours: list[float] = []
    plain: list[float] = []
    while len(ours) < wanted:
        for _ in range(min(ROUND, wanted - len(ours))):
            ours.append(_our_item(app, job, writer))
        for _ in range(min(ROUND, wanted - len(plain))):
            plain.append(_script_item(script, job, writer.body))
    done = script.execute(
        "select count(*) from script.conversations c join script.items i on i.id = c.item_id"
        " where i.job = %s",
        [job],
    ).fetchone()
    assert done is not None
    assert done[0] >= wanted, "the script did its share"
    return Figure(size, place, statistics.median(ours) * 1e3, statistics.median(plain) * 1e3)


def _our_item(app: App, job: JobId, writer: TimedDemo) -> float:
    writer.spent = 0.0
    started = time.perf_counter()
    step = app.batches.process_next(job)
    took = time.perf_counter() - started - writer.spent
    assert step.outcome is StepOutcome.COMPLETED, step.outcome
    return took


def _script_item(script: psycopg.Connection, job: JobId, body: bytes) -> float:
    started = time.perf_counter()
    row = script.execute(
        "update script.items set status = 'processing', token = gen_random_uuid() where id ="
        " (select id from script.items where job = %s and status = 'queued' order by position limit 1"
        " for update skip locked) returning id, token, parameters",
        [job],
    ).fetchone()
    assert row is not None
    script.execute("insert into script.answers (item_id, body) values (%s, %s)", [row[0], body])
    with script.transaction():
        script.execute(
            "insert into script.conversations (item_id, turns) values (%s, %s::jsonb)",
            [row[0], body.decode()],
        )
        ended = script.execute(
            "update script.items set status = 'done' where id = %s and token = %s", [row[0], row[1]]
        )
        assert ended.rowcount == 1
    return time.perf_counter() - started


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| items | place | ours, ms | three commits, ms | ratio |", "|---|---|---|---|---|"]
    lines += [f"| {f.size:,} | {f.place} | {f.ours:.2f} | {f.script:.2f} | {f.ratio:.2f} |" for f in figures]
    return "\n".join(lines)
