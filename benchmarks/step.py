"""The durable step beside plain three-commit scripts on the same server, in turns.

Each script does for one item: claim it, keep the raw answer of the same bytes, finish. `bare` keeps a
queue, the answers and the turns, and nothing else. `same rows` writes by hand what our step leaves
behind in the database: the attempt with its request, a conversation in a table like ours with its
indexes, and the log line. `same rows and files` goes on to write the two documents of the bucket, of the
same bytes. Ours also renders the prompt, parses, validates, scores and enriches, keeps the job's
counters and returns its figures. The writer's own time is taken off. What was done is counted and
checked on every side.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import psycopg

from brightrun.bootstrap import App, open_app
from brightrun.buckets.local import LocalBucket
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, StepOutcome, WriterName
from brightrun.domain.bucket import CONVERSATION_FILES
from brightrun.domain.ids import JobId
from brightrun.domain.scenario import Scenario, Tier
from brightrun.domain.writing import Order, RawAnswer
from brightrun.saol.server.launcher import EmbeddedServer
from brightrun.writers.demo import DemoWriter

SIZES = (100, 1_000, 10_000)
SAMPLE = 200
WARM_UP = 60
"""Items all sides do before anything is measured: imports, connections and plans are made once a process."""
FEWEST = 100
"""Items a place is measured with at least: a tenth of a small job is too few, so several are written."""
ROUND = 20
"""Items one side does before the other has its turn, so that both see the same disk."""

SCRIPT_SCHEMA = """
create schema if not exists script;
create table if not exists script.items (
  id bigint generated always as identity primary key, job text not null, position integer not null,
  status text not null default 'queued', parameters jsonb not null, token uuid);
create index if not exists items_queue on script.items (job, position) where status = 'queued';
create table if not exists script.answers (item_id bigint primary key, body bytea not null);
create table if not exists script.turns (
  id uuid primary key default gen_random_uuid(), item_id bigint not null unique, turns jsonb not null);
create table if not exists script.conversations (like public.conversations including all);
create table if not exists script.attempts (like public.attempts including all);
create table if not exists script.log (like public.job_log including all);
"""


@dataclass(frozen=True)
class Figure:
    """Milliseconds an item took outside the writer, at one place of a job of one size."""

    size: int
    place: str
    ours: float
    bare: float
    rows: float
    files: float


@dataclass
class Times:
    """Seconds each item took, by side."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)
    files: list[float] = field(default_factory=list)

    def figure(self, size: int, place: str) -> Figure:
        sides = (self.ours, self.bare, self.rows, self.files)
        return Figure(size, place, *(statistics.median(times) * 1e3 for times in sides))


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


def measure(place: Path, sizes: tuple[int, ...] = SIZES, sample: int = SAMPLE) -> list[Figure]:
    """Run every size at its start and at 90 % done in a folder of `place`, and return what an item took."""
    figures = []
    with opened(Path(mkdtemp(prefix="step", dir=place))) as (app, dsn, writer):
        with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as script:
            _compare(app, script, _prepare(app, script, WARM_UP), writer, WARM_UP, Times())
        for size in sizes:
            with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as script:
                figures += _at_both_places(app, script, writer, size, sample)
    return figures


def _at_both_places(
    app: App, script: psycopg.Connection, writer: TimedDemo, size: int, sample: int
) -> list[Figure]:
    """Measure a tenth of a job at most at its start and at 90 %, in as many jobs as give enough items."""
    share = min(sample, size // 10)
    start, late = Times(), Times()
    for _ in range(max(1, min(sample, FEWEST) // share)):
        job = _prepare(app, script, size)
        _compare(app, script, job, writer, share, start)
        _skip_to(script, job, size, 0.9)
        _compare(app, script, job, writer, share, late)
    return [start.figure(size, "start"), late.figure(size, "90 %")]


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
    arcs = [arc for arc in axes.arcs if arc.tier is Tier.TEMPLATE]
    scenarios = []
    for n in range(size):
        arc = arcs[n % len(arcs)]
        persona, topic = axes.personas[n % len(axes.personas)], axes.topics[n % len(axes.topics)]
        note = {"note": f"This is case {n}."}
        scenarios.append(Scenario(arc.tier, persona.persona_key, arc.arc_key, topic.topic_key, note))
    options = JobOptions(writer=WriterName.DEMO, model="demo", max_tokens=16_000)
    job = app.batches.create(app.planner.plan(scenarios, options), name=f"step {size}", actor="benchmark")
    script.execute(SCRIPT_SCHEMA)
    for queue in ("bare", "same"):
        script.execute(
            "insert into script.items (job, position, parameters)"
            " select %s, position, parameters from public.batch_items where job_id = %s order by position",
            [f"{queue} {job.id}", job.id],
        )
    script.execute("vacuum analyze public.batch_items, public.batch_counts, script.items")
    return job.id


def _skip_to(script: psycopg.Connection, job: JobId, size: int, share: float) -> None:
    """End items by hand up to a share of the job, on both sides alike."""
    script.execute(
        "update public.batch_items set status = 'cancelled'"
        " where job_id = %s and status = 'queued' and position <= %s",
        [job, int(size * share)],
    )
    script.execute(
        "update script.items set status = 'skipped'"
        " where job = any(%s) and status = 'queued' and position <= %s",
        [[f"bare {job}", f"same {job}"], int(size * share)],
    )


def _compare(
    app: App, script: psycopg.Connection, job: JobId, writer: TimedDemo, wanted: int, times: Times
) -> None:
    """Add what `wanted` items of one job took on each side, in turns."""
    done = 0
    while done < wanted:
        share = min(ROUND, wanted - done)
        times.ours += [_our_item(app, job, writer) for _ in range(share)]
        times.bare += [_bare_item(script, job, writer.body) for _ in range(share)]
        left = _left(app, script, job)
        same = [_same_item(script, job, writer.body, left) for _ in range(share)]
        times.rows += [before for before, _ in same]
        times.files += [whole for _, whole in same]
        done += share
    ended = script.execute(
        "select count(*) from script.items where job = any(%s) and status = 'ended'",
        [[f"bare {job}", f"same {job}"]],
    ).fetchone()
    assert ended is not None
    assert ended[0] >= 2 * wanted, "the scripts did their share"


def _our_item(app: App, job: JobId, writer: TimedDemo) -> float:
    writer.spent = 0.0
    started = time.perf_counter()
    step = app.batches.process_next(job)
    took = time.perf_counter() - started - writer.spent
    assert step.outcome is StepOutcome.COMPLETED, step.outcome
    return took


def _claim(script: psycopg.Connection, queue: str) -> tuple[int, str]:
    row = script.execute(
        "update script.items set status = 'processing', token = gen_random_uuid() where id ="
        " (select id from script.items where job = %s and status = 'queued' order by position limit 1"
        " for update skip locked) returning id, token, parameters",
        [queue],
    ).fetchone()
    assert row is not None
    return row[0], row[1]


def _end(script: psycopg.Connection, item: int, token: str) -> None:
    ended = script.execute(
        "update script.items set status = 'ended' where id = %s and token = %s", [item, token]
    )
    assert ended.rowcount == 1


def _bare_item(script: psycopg.Connection, job: JobId, body: bytes) -> float:
    started = time.perf_counter()
    item, token = _claim(script, f"bare {job}")
    script.execute("insert into script.answers (item_id, body) values (%s, %s)", [item, body])
    with script.transaction():
        script.execute(
            "insert into script.turns (item_id, turns) values (%s, %s::jsonb)", [item, body.decode()]
        )
        _end(script, item, token)
    return time.perf_counter() - started


@dataclass(frozen=True)
class Left:
    """What one of our finished items left behind, for the script that leaves the same by hand."""

    conversation: str
    attempt: str
    documents: tuple[bytes, ...]
    folder: Path


def _left(app: App, script: psycopg.Connection, job: JobId) -> Left:
    row = script.execute(
        "select (to_jsonb(c) - 'id' - 'item_id' - 'conversation_id')::text, (to_jsonb(a) - 'id' - 'item_id')::text,"
        " c.final_path, c.enriched_path"
        " from public.conversations c join public.attempts a on a.item_id = c.item_id"
        " where c.job_id = %s order by c.created_at desc limit 1",
        [job],
    ).fetchone()
    assert row is not None
    bucket = app.settings.home / "buckets" / CONVERSATION_FILES
    folder = app.settings.home / "script"
    folder.mkdir(exist_ok=True)
    return Left(row[0], row[1], tuple((bucket / path).read_bytes() for path in row[2:]), folder)


def _same_item(script: psycopg.Connection, job: JobId, body: bytes, left: Left) -> tuple[float, float]:
    """Return the seconds until the rows were there, and until the documents were too."""
    started = time.perf_counter()
    with script.transaction():
        item, token = _claim(script, f"same {job}")
        attempt = script.execute(
            "insert into script.attempts (item_id, job_id, number, token, model)"
            " values (gen_random_uuid(), %s, 1, %s, 'demo') returning id",
            [job, token],
        ).fetchone()
        assert attempt is not None
    script.execute("insert into script.answers (item_id, body) values (%s, %s)", [item, body])
    with script.transaction():
        script.execute(
            "insert into script.conversations select r.* from jsonb_populate_record(null::script.conversations,"
            " %s::jsonb || jsonb_build_object('id', gen_random_uuid(), 'item_id', gen_random_uuid(),"
            " 'conversation_id', gen_random_uuid())) r",
            [left.conversation],
        )
        script.execute(
            "update script.attempts set outcome = 'stored', request = (%s::jsonb) -> 'request',"
            " ended_at = clock_timestamp() where id = %s",
            [left.attempt, attempt[0]],
        )
        script.execute("insert into script.log (job_id, message) values (%s, 'item completed')", [job])
        _end(script, item, token)
    rows = time.perf_counter() - started
    for number, document in enumerate(left.documents):
        path = left.folder / f"{item}-{number}.json"
        unfinished = path.with_suffix(".part")
        unfinished.write_bytes(document)
        unfinished.rename(path)
    return rows, time.perf_counter() - started


def file_costs(place: Path, count: int = 300, size: int = 7_000) -> tuple[float, float]:
    """Return the median milliseconds of keeping a raw answer and of writing one document of `size` bytes."""
    body = os.urandom(size)
    kept: list[float] = []
    written: list[float] = []
    bucket = LocalBucket(Path(mkdtemp(prefix="files", dir=place)), CONVERSATION_FILES)
    for number in range(count):
        started = time.perf_counter()
        bucket.put(f"raw/job/{number}.json", body)
        middle = time.perf_counter()
        bucket.put(f"final/{number}.json", body, overwrite=True, durable=False)
        kept.append(middle - started)
        written.append(time.perf_counter() - middle)
    return statistics.median(kept) * 1e3, statistics.median(written) * 1e3


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = [
        "| items | place | ours, ms | bare, ms | rows, ms | rows and files, ms | ours : bare | : rows | : rows and files |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {f.size:,} | {f.place} | {f.ours:.2f} | {f.bare:.2f} | {f.rows:.2f} | {f.files:.2f} |"
        f" {f.ours / f.bare:.2f} | {f.ours / f.rows:.2f} | {f.ours / f.files:.2f} |"
        for f in figures
    ]
    return "\n".join(lines)
