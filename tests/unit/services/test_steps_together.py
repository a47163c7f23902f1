"""Steps that come at the same time: one transaction, and each item as if it had been alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import Claim, Job, JobStatus
from brightrun.domain.errors import DatabaseFault
from brightrun.domain.ids import FencingToken
from brightrun.services.hands import Hand, Written, uptime
from brightrun.services.slots import Rota, Slots
from brightrun.stores import batches as store

Start = Callable[..., Job]


def claim(app: App, job: Job, number: int) -> list[Claim]:
    answers = store.claim_several(app.batches._db, job.id, [f"host:1:{n}" for n in range(number)], 60)
    assert len(answers) == number, "everybody is told something"
    found = [store.claimed_of(answer, job.id) for answer in answers]
    return [one for one in found if isinstance(one, Claim)]


def written(app: App, claimed: Claim) -> store.Done:
    hand = Hand(claimed, app.steps._generation.writing(claimed, leased_at=uptime()))
    hand.finish()
    assert isinstance(hand.result, Written)
    return store.Done(claimed, hand.result.attempt, hand.result.conversation)


def test_more_who_ask_than_there_are_items(app: App, start: Start) -> None:
    """Each item is handed out once, and who gets none is told to wait."""
    job = start(3)
    claims = claim(app, job, 5)
    assert len({one.item_id for one in claims}) == 3
    assert app.batches.get(job.id).counts.processing == 3


def test_one_who_came_too_late_is_told_so_and_the_others_stand(app: App, start: Start) -> None:
    """A fenced item among several changes nothing for those it came with."""
    job = start(3)
    done = [written(app, one) for one in claim(app, job, 3)]
    late = replace(done[1].claim, token=FencingToken("00000000-0000-0000-0000-000000000001"))
    done[1] = replace(done[1], claim=late)
    answers = store.complete_several(app.batches._db, done)
    settled = [store.settled_of(answer, one.claim) for answer, one in zip(answers, done, strict=True)]
    assert [one.outcome for one in settled] == ["completed", "fenced", "completed"]
    assert app.batches.get(job.id).counts.completed == 2


def test_one_that_cannot_be_stored_takes_nothing_of_the_others_with_it(app: App, start: Start) -> None:
    """All or none: a value that the database refuses leaves every item as it was."""
    job = start(2)
    first, second = (written(app, one) for one in claim(app, job, 2))
    broken = replace(second, conversation={**second.conversation, "quality_score": 11})
    with pytest.raises(DatabaseFault):
        store.complete_several(app.batches._db, [first, broken])
    assert app.batches.get(job.id).counts.processing == 2
    answers = store.complete_several(app.batches._db, [first, second])
    assert [answer["outcome"] for answer in answers] == ["completed", "completed"]
    assert answers[1]["finished"]


def test_together_leaves_what_alone_leaves(app: App, start: Start, dsn: str) -> None:
    """Items claimed and ended together are in every row as if each had been alone, but for ids, times and names."""
    alone, together = start(4), start(4)
    for one in [store.claim(app.batches._db, alone.id, "host:1:0", 60) for _ in range(4)]:
        claimed = store.claimed_of(one, alone.id)
        assert isinstance(claimed, Claim)
        store.complete(app.batches._db, written(app, claimed))
    store.complete_several(app.batches._db, [written(app, one) for one in claim(app, together, 4)])
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table in ("batch_jobs", "batch_counts", "batch_items", "attempts", "conversations", "job_log"):
            rows = [_rows(connection, table, job.id) for job in (alone, together)]
            assert rows[0], table
            assert rows[0] == rows[1], table


def test_what_is_counted_is_what_is_there(app: App, start: Start, dsn: str) -> None:
    """Sixteen slots at once, decisions and the end of the job leave the counts equal to the rows, in one row a kind."""
    job = start(40)
    Slots(app.steps, Rota(app.batches.open_jobs)).run(16)
    assert app.batches.get(job.id).status is JobStatus.COMPLETED
    with psycopg.connect(dsn, autocommit=True) as connection:
        kept = connection.execute(
            "select status, writer, model, template_version_id, flags, number from conversation_kinds"
            " where number <> 0 order by 1, 2, 3, 4, 5"
        ).fetchall()
        there = connection.execute(
            "select status, writer, model, template_version_id, flags, count(*) from conversations"
            " group by 1, 2, 3, 4, 5 order by 1, 2, 3, 4, 5"
        ).fetchall()
        connection.execute("update conversations set status = 'archived'")
        connection.execute("delete from batch_items")
        connection.execute("delete from conversations")
        left = connection.execute(
            "select status, sum(number) from conversation_kinds group by status having sum(number) <> 0"
        ).fetchall()
    assert kept == there
    assert left == []


OWN = (
    "id", "job_id", "item_id", "conversation_id", "token", "worker", "raw_path", "final_path", "enriched_path", "message",
    "pace_seconds",
)  # fmt: skip


def _rows(connection: psycopg.Connection, table: str, job_id: str) -> list[dict[str, object]]:
    """Return a job's rows without what is each row's own, in an order that is the same for equal jobs."""
    key = "id" if table == "batch_jobs" else "job_id"
    found = [
        {name: value for name, value in row.items() if name not in OWN and not name.endswith("_at")}
        for (row,) in connection.execute(f"select to_jsonb(t) from {table} t where {key} = %s", (job_id,))
    ]
    return sorted(found, key=lambda row: json.dumps(row, sort_keys=True))
