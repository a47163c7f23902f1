"""Overnight jobs against a server that speaks Message Batches: handed over, looked for, collected, paid once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import ItemStatus, Job, JobStatus, Step, StepOutcome, WriterName
from brightrun.domain.errors import InvalidInput
from brightrun.domain.part import Delivery, PartEnd, PartStatus
from tests.fakes import options, scenarios
from tests.messages_api import MessagesApi
from tests.opened import claude_app

NIGHT = options(WriterName.CLAUDE, delivery=Delivery.OVERNIGHT)
MOST_STEPS = 200


@dataclass
class Desk:
    """An app on a server, and the hands that move its clocks."""

    app: App
    api: MessagesApi
    sql: psycopg.Connection

    def order(self, number: int, **changes: object) -> Job:
        preview = changes.pop("preview", None)
        plan = self.app.planner.plan(
            scenarios(number), options(WriterName.CLAUDE, delivery=Delivery.OVERNIGHT, **changes)
        )
        return self.app.batches.create(plan, name="Night", actor="ana", preview=preview)  # type: ignore[arg-type]

    def poke(self) -> None:
        """Let the next look be due, and whatever waits for its time."""
        self.sql.execute(
            "update batch_parts set next_look_at = now(), lease_until = null where status <> 'closed'"
        )
        self.sql.execute("update batch_items set next_attempt_at = null where status = 'queued'")
        self.sql.execute("update batch_jobs set next_attempt_at = null")

    def age(self, interval: str) -> None:
        """Let time pass for everything that is on record."""
        for table, columns in {
            "batch_parts": ("created_at", "sent_at", "ends_by", "next_look_at", "lease_until"),
            "batch_items": ("claimed_at",),
            "batch_jobs": ("created_at", "started_at"),
            "attempts": ("started_at",),
        }.items():
            moved = ", ".join(f"{column} = {column} - interval '{interval}'" for column in columns)
            self.sql.execute(f"update {table} set {moved}")  # type: ignore[arg-type]

    def step(self, job: Job) -> Step:
        return self.app.batches.process_next(job.id)

    def until(self, job: Job, done: Callable[[Job], bool]) -> Job:
        for _ in range(MOST_STEPS):
            now = self.step(job).job
            if done(now):
                return now
            self.poke()
        raise AssertionError(f"It does not get there: {now}")

    def hand_over(self, job: Job) -> Job:
        """Hand over whatever waits; nobody looks at it yet."""
        while (job := self.step(job).job).counts.queued:
            pass
        return job

    def finish(self, job: Job) -> Job:
        return self.until(job, lambda now: not now.is_out)

    def money(self, job: Job) -> tuple[float, float, float]:
        row = self.sql.execute(
            "select sum(cost_usd), sum(possible_usd), sum(reserved_usd) from attempts where job_id = %s",
            [job.id],
        ).fetchone()
        assert row
        return float(row[0]), float(row[1]), float(row[2])


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi() as running:
        running.batches.ends_after = 1
        yield running


@pytest.fixture
def desk(dsn: str, tmp_path: Path, api: MessagesApi) -> Iterator[Desk]:
    quick = {"retry_base": 0.01, "call_timeout": 5, "overnight_part": 3}
    with (
        claude_app(tmp_path, dsn, api, **quick) as app,
        psycopg.connect(dsn, autocommit=True) as sql,
    ):
        yield Desk(app, api, sql)


def once(desk: Desk, job: Job) -> None:
    """Hold the server's journal against the ledger: nothing was written twice, and what was is booked."""
    assert set(desk.api.batches.written.values()) <= {1}
    money = desk.money(job)
    shown = desk.app.batches.get(job.id).money
    assert (shown.spent, shown.possible, shown.reserved) == pytest.approx(money)
    assert desk.api.requests == []


def test_a_job_is_written_overnight_at_half_the_price(desk: Desk) -> None:
    """Items go in parts, come back in any order, and cost half in the estimate, the reservation and the ledger."""
    plan = desk.app.planner.plan(scenarios(7), NIGHT)
    usual = desk.app.planner.plan(scenarios(7), options(WriterName.CLAUDE))
    assert plan.estimate.worst_usd == pytest.approx(usual.estimate.worst_usd / 2)
    assert plan.estimate.expected_usd <= usual.estimate.expected_usd
    job = desk.app.batches.create(plan, name="Night", actor="ana")
    job = desk.hand_over(job)
    assert (job.counts.processing, job.parts_out) == (7, 3)
    assert job.money.reserved == pytest.approx(plan.estimate.worst_usd, abs=1e-5)
    assert job.seconds_left is None
    ended = desk.finish(job)
    assert (ended.status, ended.counts.completed, ended.parts_out) == (JobStatus.COMPLETED, 7, 0)
    once(desk, job)
    rows = desk.sql.execute(
        "select raw_path, cost_usd, input_tokens, output_tokens, request from attempts"
    ).fetchall()
    for raw_path, cost, given, written, request in rows:
        line = json.loads((desk.app.settings.home / "buckets" / "conversation-files" / raw_path).read_bytes())
        assert line["result"]["message"]["usage"]["output_tokens"] == written
        assert float(cost) == pytest.approx((given * 2 + written * 10) / 2_000_000, abs=1e-6)
        assert request["user"]
    log = desk.app.batches.log_text(job.id)
    assert "Part 1: 3 items are at Claude as msgbatch_000001" in log
    assert "Part 3 is closed" in log


def test_every_fate_of_a_request_leads_to_its_state(desk: Desk) -> None:
    """What Claude could not write, did not come to, or gave back is asked again; what it will never take has failed."""
    job = desk.order(6)
    fates: dict[str, str] = {}
    kinds = [
        "errored:invalid_request_error",
        "errored:api_error",
        "expired",
        "canceled",
        "succeeded",
        "succeeded",
    ]

    def fate(item: str, prompt: str) -> str:
        if item not in fates:
            fates[item] = kinds[len(fates)]
            return fates[item]
        return "succeeded"

    desk.api.batches.fates = fate
    ended = desk.finish(job)
    assert (ended.counts.completed, ended.counts.failed) == (5, 1)
    items = {item.id: item for item in desk.app.batches.items(job.id)}
    told = {fates[key]: item for key, item in items.items()}
    assert told["errored:invalid_request_error"].error_code == "invalid_request_error"
    assert told["errored:invalid_request_error"].status is ItemStatus.FAILED
    for again in ("errored:api_error", "expired", "canceled"):
        assert (told[again].status, told[again].attempts) == (ItemStatus.COMPLETED, 2)
    once(desk, job)


def test_an_account_that_may_not_pay_pauses_the_job(desk: Desk) -> None:
    """Two hundred failures for one unpaid bill would help nobody: the job pauses, and goes on when resumed."""
    job = desk.order(3)
    desk.api.batches.fates = lambda item, prompt: "errored:billing_error"
    paused = desk.until(job, lambda now: now.status is JobStatus.PAUSED and not now.parts_out)
    assert paused.counts.queued == 3
    assert "billing_error" in (paused.pause_reason or "") or "scripted" in (paused.pause_reason or "")
    desk.api.batches.fates = lambda item, prompt: "succeeded"
    desk.app.batches.resume(job.id, actor="ana")
    assert desk.finish(job).counts.completed == 3
    once(desk, job)


def test_results_that_break_off_are_fetched_again(desk: Desk) -> None:
    """A stream cut in the middle of a line, at its beginning or before its end loses nothing, and is no fright over money."""
    job = desk.order(3)
    desk.api.batches.cuts = [0.0, 0.4, 0.99]
    faults: set[str] = set()

    def is_over(now: Job) -> bool:
        faults.update(part.fault for part in desk.app.parts.of_job(job.id) if part.fault)
        return not now.is_out

    ended = desk.until(job, is_over)
    assert ended.counts.completed == 3
    assert faults
    assert all("Nothing is paid for by asking after a part" in fault for fault in faults)
    assert desk.api.batches.cuts == []
    assert "Part 1: " in desk.app.batches.log_text(job.id)
    once(desk, job)


def test_an_item_that_the_results_never_name_ends_as_possibly_paid(desk: Desk) -> None:
    """It is looked for several times, then it fails with the reason, and the money it may have cost is on record."""
    job = desk.order(3)
    desk.hand_over(job)
    lost = desk.app.batches.items(job.id)[1]
    desk.api.batches.drops = {lost.id}
    ended = desk.finish(job)
    assert (ended.counts.completed, ended.counts.failed) == (2, 1)
    assert desk.app.batches.items(job.id)[1].error_code == "results_gone"
    assert ended.money.possible > 0
    once(desk, job)


def test_a_batch_whose_results_are_gone_is_not_bought_again_by_itself(desk: Desk) -> None:
    """Archived before anybody looked: its items fail as possibly paid; a person may retry them."""
    job = desk.order(2)
    desk.hand_over(job)
    desk.api.batches.end()
    for batch in desk.api.batches.all.values():
        batch.archived_at = batch.ended_at
    ended = desk.finish(job)
    assert (ended.status, ended.counts.failed) == (JobStatus.FAILED, 2)
    assert ended.money.possible > 0
    assert [part.end for part in desk.app.parts.of_job(job.id)] == [PartEnd.GONE]
    desk.app.batches.retry_failed(job.id, actor="ana")
    assert desk.finish(job).counts.completed == 2


def test_a_batch_that_claude_does_not_know_any_more_is_possibly_paid(desk: Desk) -> None:
    """It may be another workspace's key, so it is asked for a day; then the items say so instead of waiting for ever."""
    job = desk.order(2)
    desk.hand_over(job)
    desk.api.batches.all.clear()
    for _ in range(8):
        desk.poke()
        assert desk.step(job).job.counts.processing == 2
    assert "workspace" in (desk.app.parts.of_job(job.id)[0].fault or "")
    desk.age("25 hours")
    ended = desk.finish(job)
    assert ended.counts.failed == 2
    assert "does not know the batch" in (desk.app.batches.items(job.id)[0].error_message or "")


def test_a_hand_over_that_is_refused_for_now_is_made_later(desk: Desk) -> None:
    """Too many calls, or an overloaded server: everything waits in the queue, unpaid, and is handed over once."""
    job = desk.order(3)
    desk.api.batches.refusals = [(429, "rate_limit_error"), (529, "overloaded_error")]
    for _ in range(2):
        assert desk.step(job).job.counts.queued == 3
        desk.poke()
    ended = desk.finish(job)
    assert ended.counts.completed == 3
    assert ended.money.possible == 0
    once(desk, job)


def test_an_id_that_another_part_has_pauses_the_job_and_says_what_to_do(desk: Desk) -> None:
    """A server that counts from one again names a part that is on record: nothing is mixed up, and nothing is hidden."""
    first = desk.hand_over(desk.order(2))
    desk.api.batches.all.clear()
    job = desk.order(3)
    step = desk.step(job)
    assert (step.job.status, step.job.counts.queued, step.job.parts_out) == (JobStatus.PAUSED, 3, 0)
    assert step.job.money.possible > 0
    for told in (step.message, step.job.pause_reason or "", desk.app.batches.log_text(job.id)):
        assert "msgbatch_000001, which is the id of another part" in told
        assert "ANTHROPIC_BASE_URL" in told
    (part,) = desk.app.parts.of_job(job.id)
    assert part.end is PartEnd.NOT_HANDED_OVER
    assert desk.app.parts.of_job(first.id)[0].status is PartStatus.SENT
    desk.app.batches.resume(job.id, actor="ana")
    assert desk.finish(job).counts.completed == 3


def test_looking_at_a_cancelled_batch_does_not_wait_for_claude(desk: Desk) -> None:
    """Its page is drawn at once, with what is being called off; the calling off itself is the next step's."""
    job = desk.hand_over(desk.order(3))
    desk.app.batches.cancel(job.id, actor="ana")
    looked = desk.api.batches.all["msgbatch_000001"].looks
    assert desk.app.batches.get(job.id).counts.processing == 3
    assert desk.api.batches.all["msgbatch_000001"].looks == looked
    ended = desk.finish(job)
    assert (ended.counts.processing, ended.parts_out) == (0, 0)


def test_a_hand_over_that_is_refused_for_good_pauses_the_job(desk: Desk) -> None:
    """A key that is not accepted is one message, not a failure an item."""
    job = desk.order(3)
    desk.api.batches.refusals = [(401, "authentication_error")]
    paused = desk.step(job).job
    assert (paused.status, paused.counts.queued, paused.parts_out) == (JobStatus.PAUSED, 3, 0)
    assert "rejected the key" in (paused.pause_reason or "")
    desk.app.batches.resume(job.id, actor="ana")
    assert desk.finish(job).counts.completed == 3
    ends = [part.end for part in desk.app.parts.of_job(job.id)]
    assert ends == [PartEnd.COLLECTED, PartEnd.NOT_HANDED_OVER], "the latest first"
    once(desk, job)


@pytest.mark.parametrize("others", [0, 2])
def test_a_batch_that_was_taken_without_a_word_is_found(desk: Desk, others: int) -> None:
    """The connection broke after Claude had the part: it is known by its items, also among others' of its size."""
    job = desk.order(3)
    desk.api.batches.ends_after = None
    desk.api.batches.loses = 1
    stranger = [{"custom_id": f"other-{n}", "params": _params()} for n in range(3)]
    for _ in range(others):
        desk.api.batches.create({"requests": stranger})
    desk.step(job)
    [part] = desk.app.parts.of_job(job.id)
    assert part.status is PartStatus.LOST
    desk.poke()
    desk.step(job)
    assert desk.app.parts.of_job(job.id)[0].status is PartStatus.LOST, "it may still be written"
    desk.api.batches.end()
    ended = desk.finish(job)
    assert ended.counts.completed == 3
    assert len(desk.api.batches.all) == 1 + others
    assert {item.id for item in desk.app.batches.items(job.id)} <= set(desk.api.batches.written)


def test_a_part_that_never_arrived_is_handed_over_again(desk: Desk) -> None:
    """A server error says nothing; Claude has no such batch, so it is made once more and paid once."""
    job = desk.order(3)
    desk.api.batches.refusals = [(500, "api_error")]
    desk.step(job)
    assert desk.app.parts.of_job(job.id)[0].status is PartStatus.LOST
    ended = desk.finish(job)
    assert (ended.counts.completed, len(desk.api.batches.all)) == (3, 1)
    assert [item.attempts for item in desk.app.batches.items(job.id)] == [2, 2, 2]
    once(desk, job)


def test_a_budget_hands_over_what_it_allows_and_no_more(desk: Desk) -> None:
    """The job pauses before it could exceed its budget, and goes on when it is raised."""
    worst = desk.app.planner.plan(scenarios(6), NIGHT).estimate.worst_usd
    job = desk.order(6, budget=worst * 0.6)
    handed = desk.step(job).job
    assert handed.counts.processing == 3
    paused = desk.until(
        job, lambda now: (now.status is JobStatus.PAUSED and not now.parts_out) or not now.is_out
    )
    assert paused.money.spent + paused.money.possible + paused.money.reserved <= worst * 0.6
    if paused.status is JobStatus.PAUSED:
        desk.app.budgets.set(job.id, worst * 2, actor="ana")
    ended = desk.finish(job)
    assert ended.counts.completed == 6
    once(desk, job)


def test_a_tiny_budget_pauses_before_anything_is_handed_over(desk: Desk) -> None:
    """Not even one item fits: nothing is at Claude, and the reason names both figures."""
    job = desk.order(3, budget=0.0001)
    paused = desk.step(job).job
    assert (paused.status, paused.counts.queued) == (JobStatus.PAUSED, 3)
    reason = paused.pause_reason or ""
    assert "$0.0001 does not hold the next item" in reason
    assert "nothing is spent yet" in reason
    assert desk.api.batches.all == {}


def test_cancelling_calls_the_batches_off_and_keeps_what_was_written(desk: Desk) -> None:
    """What Claude had written before is paid for and kept; the rest is neither written nor paid."""
    desk.api.batches.ends_after = None
    job = desk.order(6)
    desk.step(job)
    desk.app.batches.cancel(job.id, actor="ana")
    desk.step(job)
    [batch] = desk.api.batches.all.values()
    assert batch.cancelled_at
    done = iter(["succeeded", "canceled", "canceled"])
    desk.api.batches.end(fates=lambda item, prompt: next(done))
    ended = desk.finish(job)
    assert (ended.status, ended.counts.completed, ended.counts.cancelled) == (JobStatus.CANCELLED, 1, 5)
    assert ended.money.reserved == 0
    once(desk, job)


def test_a_paused_job_collects_what_is_out_and_hands_nothing_over(desk: Desk) -> None:
    """Pausing stops buying; what is bought still comes."""
    desk.api.batches.ends_after = None
    job = desk.order(6)
    desk.step(job)
    desk.app.batches.pause(job.id, actor="ana")
    desk.api.batches.end()
    assert any(open_job.id == job.id for open_job in desk.app.batches.open_jobs())
    paused = desk.until(job, lambda now: not now.parts_out)
    assert (paused.status, paused.counts.completed, paused.counts.queued) == (JobStatus.PAUSED, 3, 3)
    assert desk.step(job).outcome is StepOutcome.PAUSED
    desk.api.batches.ends_after = 1
    desk.app.batches.resume(job.id, actor="ana")
    assert desk.finish(job).counts.completed == 6
    once(desk, job)


def test_a_day_and_a_machine_switched_off_for_it_change_nothing(desk: Desk) -> None:
    """No lease runs out under a batch that is out: three days later the answers are collected, and none is bought again."""
    desk.api.batches.ends_after = None
    job = desk.order(4)
    desk.hand_over(job)
    desk.age("72 hours")
    assert desk.app.batches.get(job.id).counts.processing == 4
    desk.api.batches.end(fates=lambda item, prompt: "expired")
    desk.until(job, lambda now: now.counts.queued == 0 and now.parts_out > 0 and _sent_again(desk))
    desk.api.batches.end()
    ended = desk.finish(job)
    assert ended.counts.completed == 4
    once(desk, job)


def _sent_again(desk: Desk) -> bool:
    return sum(batch.ended_at is None for batch in desk.api.batches.all.values()) >= 1 and (
        desk.sql.execute("select count(*) from batch_items where attempts = 2").fetchone() == (4,)
    )


def test_a_store_that_is_down_loses_no_result(desk: Desk) -> None:
    """The job pauses with the reason while Claude keeps the results; resumed, it collects them, unpaid."""
    job = desk.order(3)
    desk.hand_over(job)
    raw = desk.app.settings.home / "buckets" / "conversation-files" / "raw"
    spool = desk.app.settings.home / "spool" / "conversation-files"
    for folder in (raw, spool):
        if folder.exists():
            folder.rename(folder.with_name(folder.name + "-aside"))
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.write_bytes(b"in the way")
    paused = desk.until(job, lambda now: now.status is JobStatus.PAUSED)
    assert "nothing is paid for again" in (paused.pause_reason or "")
    assert paused.counts.processing == 3
    for folder in (raw, spool):
        folder.unlink()
    desk.app.batches.resume(job.id, actor="ana")
    assert desk.finish(job).counts.completed == 3
    once(desk, job)


def test_a_preview_is_written_at_once_and_the_rest_overnight(desk: Desk) -> None:
    """Nobody waits a day to read three: they are written directly at the usual price, the rest at half."""
    job = desk.order(5, preview=2)
    paused = desk.until(job, lambda now: now.status is JobStatus.PAUSED)
    assert (paused.counts.completed, len(desk.api.requests)) == (2, 2)
    assert desk.api.batches.all == {}
    desk.app.previews.start(job.id, actor="ana")
    assert desk.finish(job).counts.completed == 5
    assert len(desk.api.requests) == 2
    assert sum(desk.api.batches.written.values()) == 3


def test_the_demo_writer_writes_nothing_overnight(desk: Desk) -> None:
    """It is free and quick: asking it to wait is a mistake, and said to be one."""
    plan = desk.app.planner.plan(scenarios(2), options(delivery=Delivery.OVERNIGHT))
    with pytest.raises(InvalidInput, match="at once"):
        desk.app.batches.create(plan, name="Night", actor="ana")


def _params() -> dict[str, object]:
    return {
        "model": "claude-sonnet-5-5",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "2 messages"}],
    }
