"""What a person sees of a batch beside its counters: what went wrong how often, and how it went over time."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobStatus, WriterName
from brightrun.domain.errors import WriterBusy, WriterDeclined, WriterUncertain
from brightrun.domain.person import Person, Role
from brightrun.stores.batches import claim
from tests.fakes import ScriptedWriter, envelope, options

Start = Callable[..., Job]
CLAUDE = options(WriterName.CLAUDE)


def finish(app: App, job: Job) -> Job:
    while app.batches.process_next(job.id).job.is_open:
        time.sleep(0.01)
    return app.batches.get(job.id)


def refusal(category: str | None) -> Callable[..., object]:
    return envelope(
        "", "refusal", stop_details={"type": "refusal", "category": category, "explanation": "No."}
    )


def test_errors_are_counted_by_class_with_what_became_of_their_items(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """Overloads that were overcome and refusals that ended items stand apart, refusals by category."""
    busy = WriterBusy("Overloaded.", code="overloaded", status=529)
    writer._acts = [busy, busy, None, refusal("cyber"), refusal("cyber"), None, refusal("bio"), refusal(None)]
    seen = app.batches.progress(finish(app, start(6, CLAUDE)).id)
    assert {(e.code, e.category): (e.times, e.ended_items) for e in seen.errors} == {
        ("overloaded", ""): (2, 0),
        ("refusal", "cyber"): (2, 2),
        ("refusal", "bio"): (1, 1),
        ("refusal", ""): (1, 1),
    }
    assert [e.times for e in seen.errors] == [2, 2, 1, 1], "the most frequent come first"
    assert "declined" in next(e for e in seen.errors if e.category == "bio").message
    assert seen.retries == 2


def test_an_item_given_up_after_its_tries_is_counted_once(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """Three timeouts of one item are three calls and one item; a retry by hand adds to them."""
    writer._acts = [WriterUncertain("Timed out.", code="timeout")] * 3
    job = finish(app, start(1, CLAUDE))
    assert job.status is JobStatus.FAILED
    (error,) = app.batches.progress(job.id).errors
    assert (error.times, error.ended_items) == (3, 1)
    app.batches.retry_failed(job.id, actor="ana")
    assert finish(app, job).status is JobStatus.COMPLETED
    seen = app.batches.progress(job.id)
    assert (seen.errors[0].times, seen.errors[0].ended_items, seen.retries) == (3, 1, 3)


def test_the_points_follow_the_job_from_its_start_to_its_end(
    app: App, start: Start, writer: ScriptedWriter
) -> None:
    """Completed, failed and money rise from nothing to what the counters say, in the order of time."""
    writer._acts = [None, WriterDeclined("Bad.", code="invalid_request", status=400)]
    job = start(5, CLAUDE)
    assert app.batches.progress(job.id).points == []
    app.batches.process_next(job.id)
    now = finish(app, job)
    points = app.batches.progress(job.id).points
    assert [(p.completed, p.failed) for p in points] == [
        (0, 0),
        (1, 0),
        (1, 1),
        (2, 1),
        (3, 1),
        (4, 1),
        (4, 1),
    ]
    assert [p.at for p in points] == sorted(p.at for p in points)
    assert points[0].at == now.started_at
    assert points[-1].spent == pytest.approx(now.money.spent) == pytest.approx(0.028)


def fail(dsn: str, job: Job) -> None:
    """End every item of a job as failed, a hundredth at a time."""
    part = max(1, job.counts.total // 100)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for first in range(1, job.counts.total + 1, part):
            connection.execute(
                "update batch_items set status = 'failed', error_code = 'refusal', ended_at = clock_timestamp()"
                " where job_id = %s and position between %s and %s",
                (job.id, first, first + part - 1),
            )
        connection.execute(
            "select count_error(%s, 'refusal', 'category ' || n, 1, 0, '') from generate_series(1, 1000) n",
            (job.id,),
        )


def test_what_is_shown_stays_small_however_large_the_job(app: App, start: Start, dsn: str) -> None:
    """A thousand items leave a hundred points; a thousand categories of refusal, forty classes."""
    job = start(1000)
    fail(dsn, job)
    seen = app.batches.progress(job.id)
    assert len(seen.points) <= 102
    assert len(seen.errors) <= 41
    assert sum(e.times for e in seen.errors) == 1000
    assert sum(e.ended_items for e in seen.errors) == 1000
    assert max(seen.errors, key=lambda e: e.times).category == "other"


@pytest.mark.slow
def test_looking_at_ten_thousand_items_costs_what_a_hundred_cost(app: App, start: Start, dsn: str) -> None:
    """A page that looks once a second is as light on the database for a large job as for a small one."""
    small, large = start(100), start(10_000)
    best = dict.fromkeys((small.id, large.id), 1.0)
    for job in (small, large):
        fail(dsn, job)
    for _ in range(200):
        for job_id in best:
            began = time.perf_counter()
            app.batches.progress(job_id)
            best[job_id] = min(best[job_id], time.perf_counter() - began)
    print(
        f"\none look: {best[small.id] * 1000:.2f} ms at 100 items, {best[large.id] * 1000:.2f} ms at 10,000"
    )
    assert best[large.id] < 2 * best[small.id]


def test_steps_that_fail_at_once_do_not_wait_for_each_other(app: App, start: Start, dsn: str) -> None:
    """A worker that vanished is taken back while another item fails the same way: no deadlock."""
    job = start(2)
    with psycopg.connect(dsn) as one, psycopg.connect(dsn) as two:
        one.execute("select count_error(%s, 'crashed', '', 1, 0, '')", (job.id,))
        two.execute("set lock_timeout = '200ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            two.execute("select count_error(%s, 'timeout', '', 1, 0, '')", (job.id,))
        two.rollback()
        one.commit()
        two.execute("select count_error(%s, 'timeout', '', 1, 0, '')", (job.id,))
        two.commit()
    assert {e.code for e in app.batches.progress(job.id).errors} == {"crashed", "timeout"}


def test_the_pace_counts_what_a_person_waits_for_and_no_pause(app: App, start: Start, dsn: str) -> None:
    """Items that a page asks for every third of a second come three a second, however short each is; a night is no item."""
    job = start(3)
    app.batches.process_next(job.id)
    paces = []
    for since in ("0.4 seconds", "9 hours"):
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(
                "update public.batch_counts set pace_seconds = 0.01, last_ended_at = clock_timestamp() - %s::interval"
                " where job_id = %s",
                [since, job.id],
            )
        paces.append(60 / (app.batches.process_next(job.id).job.rate_per_minute or 0))
    assert paces[0] > 0.045
    assert paces[1] < 0.2


def test_a_batch_nobody_has_at_hand_promises_no_time(app: App, start: Start, dsn: str) -> None:
    """After the last tab is closed no list and no program counts down; it is counted again when somebody goes on."""
    job = start(4)
    assert app.batches.process_next(job.id).job.seconds_left is not None
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update public.batch_counts set last_ended_at = last_ended_at - interval '1 minute'"
        )
        connection.execute("update public.batch_jobs set started_at = started_at - interval '1 minute'")
    assert app.batches.get(job.id).seconds_left is None
    assert app.batches.page(limit=1)[0].seconds_left is None
    assert app.batches.process_next(job.id).job.seconds_left is not None
    app.batches.pause(job.id, actor="ana")
    assert app.batches.get(job.id).seconds_left is None


def vanish(app: App, dsn: str, job: Job) -> None:
    """Let whoever has the next item in hand be gone, some minutes ago."""
    claim(app.batches._db, job.id, "gone:1:1", 60)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update batch_items set lease_until = now() where status = 'processing'")
        connection.execute("update batch_counts set last_ended_at = last_ended_at - interval '10 minutes'")
        connection.execute("update batch_jobs set started_at = started_at - interval '10 minutes'")


def test_a_batch_whose_workers_are_gone_is_said_to_be_written_by_nobody(
    app: App, start: Start, dsn: str
) -> None:
    """A killed worker's items do not keep a list counting down; who goes on, by page or shell, ends the batch."""
    job = start(3)
    app.batches.process_next(job.id)
    vanish(app, dsn, job)
    (listed,) = app.batches.page(limit=1)
    assert (listed.seconds_left, listed.counts.processing, listed.counts.queued) == (None, 0, 2)
    assert app.fleet.unattended([listed]) == {job.id}
    app.fleet.beat(2)  # a worker takes up whatever is open
    assert app.fleet.unattended([listed]) == set()
    app.fleet.leave()
    assert app.fleet.unattended([app.batches.process_next(job.id).job]) == set()
    ended = finish(app, job)
    assert (ended.status, ended.counts.completed) == (JobStatus.COMPLETED, 3)
    assert app.fleet.unattended([ended]) == set()


def test_who_may_only_look_sees_a_batch_whose_worker_is_gone(app: App, start: Start, dsn: str) -> None:
    """Taking items back is the server's own work: a person without that right reads the batch all the same."""
    job = start(2)
    vanish(app, dsn, job)
    viewer = Person("viewer@example.org", "Viewer", Role.VIEWER)
    app.people.add(viewer.email, viewer.role, actor="ana")
    theirs = app.acting_as(viewer)
    assert theirs.batches.page(limit=1)[0].counts.queued == 2
    vanish(app, dsn, job)
    assert theirs.batches.get(job.id).counts.queued == 2
    vanish(app, dsn, job)
    app.batches.cancel(job.id, actor="ana")
    assert theirs.batches.get(job.id).counts.cancelled == 2


def test_a_cancelled_batch_stands_where_it_came_to(app: App, start: Start) -> None:
    """One of four written and the rest called off is a quarter, not all."""
    job = start(4)
    app.batches.process_next(job.id)
    app.batches.cancel(job.id, actor="ana")
    assert app.batches.get(job.id).counts.share == 0.25
