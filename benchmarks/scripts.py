"""What one might write by hand for an item of a batch: three commits, and more or less of what ours does and leaves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import orjson
import psycopg

from brightrun.bootstrap import App
from brightrun.buckets.local import LocalBucket
from brightrun.domain.batch import Assignment, JobOptions, WriterName
from brightrun.domain.bucket import CONVERSATION_FILES
from brightrun.domain.ids import ItemId, JobId, TemplateVersionId
from brightrun.domain.scenario import Scenario
from brightrun.domain.writing import Order, RawAnswer, Shape
from brightrun.saol import connect_postgres
from brightrun.services.answers import Answers, conversation_row, raw_key
from brightrun.services.spending import Spending
from brightrun.writers.demo import DemoWriter

QUEUES = ("bare", "same", "work")

_SCHEMA = """
create schema if not exists script;
create table if not exists script.items (
  id bigint generated always as identity primary key, job text not null, position integer not null,
  status text not null default 'queued', parameters jsonb not null, version uuid not null, token uuid);
create index if not exists items_queue on script.items (job, position) where status = 'queued';
create table if not exists script.answers (item_id bigint primary key, body bytea not null);
create table if not exists script.turns (
  id uuid primary key default gen_random_uuid(), item_id bigint not null unique, turns jsonb not null);
create table if not exists script.conversations (like public.conversations including all);
create table if not exists script.attempts (like public.attempts including all);
create table if not exists script.log (like public.job_log including all);
"""


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


@dataclass(frozen=True)
class Left:
    """What one of our finished items left behind, for the script that leaves the same by hand."""

    conversation: str
    attempt: str
    documents: tuple[bytes, ...]


class Scripts:
    """Each does one item of its own queue and returns the seconds it took, without the writer's."""

    def __init__(self, app: App, dsn: str, writer: TimedDemo) -> None:
        self._connection = psycopg.connect(dsn, autocommit=True, prepare_threshold=None)
        self._buckets = app.settings.home / "buckets"
        self._by_hand = app.settings.home / "script"
        self._by_hand.mkdir(exist_ok=True)
        self._writer = writer
        self._db = connect_postgres(dsn)
        self._files = LocalBucket(self._by_hand, CONVERSATION_FILES)
        self._answers = Answers(
            app.templates, app.scenarios, self._files, lambda name: writer.read, Spending(self._db)
        )

    def close(self) -> None:
        self._db.close()
        self._connection.close()

    def queue(self, job: JobId) -> None:
        """Give each script the items of a job."""
        self._connection.execute(_SCHEMA)
        for queue in QUEUES:
            self._connection.execute(
                "insert into script.items (job, position, parameters, version) select %s, position, parameters,"
                " template_version_id from public.batch_items where job_id = %s order by position",
                [f"{queue} {job}", job],
            )
        self._connection.execute("vacuum analyze public.batch_items, public.batch_counts, script.items")

    def skip(self, job: JobId, up_to: int) -> None:
        """End items by hand up to a position, on every side alike."""
        self._connection.execute(
            "update public.batch_items set status = 'cancelled'"
            " where job_id = %s and status = 'queued' and position <= %s",
            [job, up_to],
        )
        self._connection.execute(
            "update script.items set status = 'skipped'"
            " where job = any(%s) and status = 'queued' and position <= %s",
            [[f"{queue} {job}" for queue in QUEUES], up_to],
        )

    def ended(self, job: JobId) -> int:
        """Return the fewest items that a script has ended."""
        row = self._connection.execute(
            "select min(n) from (select count(*) filter (where status = 'ended') n from script.items"
            " where job = any(%s) group by job) q",
            [[f"{queue} {job}" for queue in QUEUES]],
        ).fetchone()
        assert row is not None
        return int(row[0])

    def left(self, job: JobId) -> Left:
        """Read what our newest item left."""
        row = self._connection.execute(
            "select (to_jsonb(c) - 'id' - 'item_id' - 'conversation_id')::text, (to_jsonb(a) - 'id' - 'item_id')::text,"
            " c.final_path, c.enriched_path"
            " from public.conversations c join public.attempts a on a.item_id = c.item_id"
            " where c.job_id = %s order by c.created_at desc limit 1",
            [job],
        ).fetchone()
        assert row is not None
        bucket = self._buckets / CONVERSATION_FILES
        return Left(row[0], row[1], tuple((bucket / path).read_bytes() for path in row[2:]))

    def bare(self, job: JobId) -> float:
        """Keep a queue, the answers and the turns, and nothing else."""
        body = self._writer.body
        started = time.perf_counter()
        item, token, *_ = self._claim(f"bare {job}")
        self._connection.execute("insert into script.answers (item_id, body) values (%s, %s)", [item, body])
        with self._connection.transaction():
            self._connection.execute(
                "insert into script.turns (item_id, turns) values (%s, %s::jsonb)", [item, body.decode()]
            )
            self._end(item, token)
        return time.perf_counter() - started

    def same(self, job: JobId, left: Left) -> tuple[float, float]:
        """Leave the same rows; returns the seconds until they were there, and until the documents were too."""
        started = time.perf_counter()
        with self._connection.transaction():
            item, token, *_ = self._claim(f"same {job}")
            attempt = self._attempt(job, token)
        self._connection.execute(
            "insert into script.answers (item_id, body) values (%s, %s)", [item, self._writer.body]
        )
        with self._connection.transaction():
            self._connection.execute(
                "insert into script.conversations select r.* from jsonb_populate_record(null::script.conversations,"
                " %s::jsonb || jsonb_build_object('id', gen_random_uuid(), 'item_id', gen_random_uuid(),"
                " 'conversation_id', gen_random_uuid())) r",
                [left.conversation],
            )
            self._connection.execute(
                "update script.attempts set outcome = 'stored', request = (%s::jsonb) -> 'request',"
                " ended_at = clock_timestamp() where id = %s",
                [left.attempt, attempt],
            )
            self._finish(job, item, token)
        rows = time.perf_counter() - started
        for number, document in enumerate(left.documents):
            _write(self._by_hand / f"{item}-{number}.json", document)
        return rows, time.perf_counter() - started

    def work(self, job: JobId) -> float:
        """Do the same work: render, keep the raw answer's file, parse, assess, enrich, and leave the same rows and files."""
        self._writer.spent = 0.0
        started = time.perf_counter()
        with self._connection.transaction():
            item, token, parameters, version = self._claim(f"work {job}")
            attempt = self._attempt(job, token)
        options = JobOptions(writer=WriterName.DEMO, model="demo", max_tokens=16_000)
        scenario = Scenario.from_json(parameters)
        given = Assignment(ItemId(str(uuid4())), job, scenario, version, options, datetime.now(UTC))
        asked = self._answers.asked(given)
        order = Order(
            asked.prompt, asked.cast, options.model, options.max_tokens, options.seed, None, Shape.TURNS
        )
        raw = self._writer.write(order)
        ledger: dict[str, object] = {"raw_path": raw_key(given, 1)}
        self._files.put(raw_key(given, 1), raw.body)
        record = self._answers.read(given, asked, raw.body, ledger)
        self._answers.store_documents(record)
        row = {
            **conversation_row(record, ledger),
            "item_id": given.item_id,
            "job_id": job,
            "template_version_id": version,
            "writer": options.writer,
        }
        request = {"system": asked.prompt.system, "user": asked.prompt.user, "model": options.model}
        with self._connection.transaction():
            self._connection.execute(
                f"insert into script.conversations ({', '.join(row)}) select {', '.join(row)}"
                " from jsonb_populate_record(null::script.conversations, %s::jsonb)",
                [orjson.dumps(row).decode()],
            )
            self._connection.execute(
                "update script.attempts set outcome = 'stored', request = %s::jsonb, raw_path = %s,"
                " ended_at = clock_timestamp() where id = %s",
                [orjson.dumps(request).decode(), ledger["raw_path"], attempt],
            )
            self._finish(job, item, token)
        return time.perf_counter() - started - self._writer.spent

    def _claim(self, queue: str) -> tuple[int, str, dict[str, object], TemplateVersionId]:
        row = self._connection.execute(
            "update script.items set status = 'processing', token = gen_random_uuid() where id ="
            " (select id from script.items where job = %s and status = 'queued' order by position limit 1"
            " for update skip locked) returning id, token, parameters, version::text",
            [queue],
        ).fetchone()
        assert row is not None
        return row[0], row[1], row[2], TemplateVersionId(row[3])

    def _attempt(self, job: JobId, token: str) -> str:
        row = self._connection.execute(
            "insert into script.attempts (item_id, job_id, number, token, model)"
            " values (gen_random_uuid(), %s, 1, %s, 'demo') returning id",
            [job, token],
        ).fetchone()
        assert row is not None
        return str(row[0])

    def _finish(self, job: JobId, item: int, token: str) -> None:
        self._connection.execute(
            "insert into script.log (job_id, message) values (%s, 'item completed')", [job]
        )
        self._end(item, token)

    def _end(self, item: int, token: str) -> None:
        ended = self._connection.execute(
            "update script.items set status = 'ended' where id = %s and token = %s", [item, token]
        )
        assert ended.rowcount == 1


def _write(path: Path, document: bytes) -> None:
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(document)
    unfinished.rename(path)
