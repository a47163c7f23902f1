"""Previews: the first items alone, the rest on a person's word, all of it one job."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobOptions, JobStatus, StepOutcome, WriterName
from brightrun.domain.errors import AlreadyDone, Conflict, InvalidInput, NotAllowed, WriterDeclined
from brightrun.domain.part import Delivery
from brightrun.services.drafts import draft_of
from brightrun.services.reparsing import Found
from tests.fakes import ScriptedWriter, options, scenarios

Preview = Callable[..., Job]


@pytest.fixture
def preview(app: App) -> Preview:
    """Create a job of five with a preview of two, and write the preview."""

    def create(given: JobOptions | None = None, *, number: int = 2, count: int = 5) -> Job:
        plan = app.planner.plan(scenarios(count), given or options(), template=fitting(app))
        job = app.batches.create(plan, name="test", actor="ana", preview=number)
        return drive(app, job)

    return create


def fitting(app: App) -> str:
    """Return the template that scenarios of the fakes are written with."""
    return app.planner.plan(scenarios(1), options()).items[0].choice.template.template_key


def drive(app: App, job: Job) -> Job:
    while app.batches.process_next(job.id).outcome not in (StepOutcome.PAUSED, StepOutcome.DONE):
        pass
    return app.batches.get(job.id)


def test_a_preview_stops_by_itself_and_the_rest_is_the_same_job(
    app: App, preview: Preview, writer: ScriptedWriter
) -> None:
    """Two of five are written and nothing else, whoever asks; then the rest of them, none twice."""
    job = preview()
    assert (job.status, job.counts.completed, job.counts.queued, writer.calls) == (JobStatus.PAUSED, 2, 3, 2)
    assert "2 written" in (job.pause_reason or "")
    assert app.previews.is_over(job)
    assert app.batches.process_next(job.id).outcome is StepOutcome.PAUSED
    with pytest.raises(NotAllowed, match="preview is over"):
        app.batches.resume(job.id, actor="ana")
    app.previews.start(job.id, actor="ana")
    done = drive(app, job)
    assert (done.status, done.counts.completed, writer.calls) == (JobStatus.COMPLETED, 5, 5)
    positions = [item.position for item in app.batches.items(job.id) if item.conversation_id]
    assert positions == [1, 2, 3, 4, 5]


def test_what_waits_behind_a_preview_is_no_part_of_what_is_written_now(
    app: App, writer: ScriptedWriter
) -> None:
    """While two of ten are written, the time left is that of these two; when the rest is started, that of all."""
    plan = app.planner.plan(scenarios(10), options())
    job = app.batches.create(plan, name="test", actor="ana", preview=2)
    written = app.batches.process_next(job.id).job
    assert (written.now.total, written.now.ended, written.now.queued, written.waiting) == (2, 1, 1, 8)
    assert written.counts.queued == 9
    assert written.rate_per_minute is not None
    assert written.seconds_left == pytest.approx(60 / written.rate_per_minute, rel=0.01)
    assert app.batches.page(limit=1)[0].seconds_left == pytest.approx(written.seconds_left, rel=0.01)
    started = app.previews.start(job.id, actor="ana")
    assert (started.now.total, started.waiting) == (10, 0)
    assert started.seconds_left == pytest.approx(9 * (written.seconds_left or 0), rel=0.01)


def test_a_preview_is_priced_for_itself(app: App) -> None:
    """Two of five cost what these two cost, at the usual price even where the rest comes overnight."""
    plan = app.planner.plan(scenarios(5), options(WriterName.CLAUDE, delivery=Delivery.OVERNIGHT))
    alone = app.planner.plan(scenarios(5)[:2], options(WriterName.CLAUDE))
    found = app.planner.price_of_preview(plan, 2)
    assert (found.items, found.expected_usd) == (2, pytest.approx(alone.estimate.expected_usd))


def test_many_workers_at_once_write_the_preview_only(app: App, writer: ScriptedWriter) -> None:
    """Six workers on one preview of two make two calls, and each is told that the job waits."""
    plan = app.planner.plan(scenarios(8), options())
    job = app.batches.create(plan, name="test", actor="ana", preview=2)
    workers = [
        threading.Thread(target=lambda: [app.batches.process_next(job.id) for _ in range(4)])
        for _ in range(6)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert drive(app, job).counts.completed == writer.calls == 2


def test_a_preview_of_everything_is_an_ordinary_job(app: App, preview: Preview) -> None:
    """Where nothing waits behind it, there is nothing to be told twice."""
    job = preview(count=3, number=3)
    assert (job.preview, job.status) == (None, JobStatus.COMPLETED)
    with pytest.raises(InvalidInput, match="1 to 3"):
        preview(number=4)


def test_paid_items_of_a_preview_count_in_budget_and_ledger(app: App, preview: Preview) -> None:
    """The preview's calls are this job's first: spent once, and the budget holds for all of it."""
    job = preview(options(WriterName.CLAUDE, budget=5.0))
    spent = job.money.spent
    assert spent == pytest.approx(0.014)
    app.previews.start(job.id, actor="ana")
    done = drive(app, job)
    assert done.money.spent == pytest.approx(0.035)
    cost = app.costs.of_job(job.id)
    assert cost.cost.spent_usd == pytest.approx(0.035)


def test_a_used_up_budget_and_a_preview_are_two_doors(app: App, preview: Preview) -> None:
    """Raising the budget does not start the rest, and starting the rest does not raise the budget."""
    job = preview(options(WriterName.CLAUDE, budget=0.06))
    assert app.budgets.set(job.id, 0.065, actor="ana").status is JobStatus.PAUSED
    assert app.batches.process_next(job.id).outcome is StepOutcome.PAUSED
    assert app.batches.get(job.id).counts.completed == 2


def test_the_rest_takes_the_new_version_and_what_is_written_keeps_its_own(
    app: App, preview: Preview, writer: ScriptedWriter
) -> None:
    """A template mended after the preview writes the rest; every conversation names the version it had."""
    job = preview()
    template = app.templates.of_version(
        app.templates.version(app.batches.items(job.id)[0].template_version_id)
    )
    draft = draft_of(template, template.version)
    changed = draft.model_copy(update={"user_text": f"{draft.user_text}\nBe brief, please."})
    newer = app.templates.publish(changed, actor="ana")
    rest = app.previews.plan_rest(job.id, variables={"mood": "tense"}, turns=11)
    assert app.previews.adjust(rest, actor="ana") == 3
    app.previews.start(job.id, actor="ana")
    drive(app, job)
    items = app.batches.items(job.id)
    lengths = [len(app.reviews.read(item.conversation_id).turns) for item in items if item.conversation_id]
    assert lengths == [6] * 2 + [12] * 3, "an odd number becomes the next even one"
    assert not any(done.found is Found.RESCORED for done in app.reparsing.reparse_job(job.id, actor="ana"))
    versions = [item.template_version_id for item in items]
    assert versions == [template.version.id] * 2 + [newer.version.id] * 3
    for item in items:
        assert item.conversation_id
        assert app.reviews.read(item.conversation_id).template_version_id == item.template_version_id
    assert [order.prompt.user.endswith("Be brief, please.") for order in writer.orders] == [False] * 2 + [
        True
    ] * 3
    assert [item.scenario.variables.get("mood") for item in items] == [None] * 2 + ["tense"] * 3


def test_the_estimate_and_the_reserve_follow_what_was_adjusted(app: App, preview: Preview) -> None:
    """A longer prompt is reserved for and passes its own check, although this process knew the old bound."""
    job = preview(options(WriterName.CLAUDE))
    rest = app.previews.plan_rest(job.id, variables={"scenario": "Book a table. " * 200})
    app.previews.adjust(rest, actor="ana")
    app.previews.start(job.id, actor="ana")
    done = drive(app, job)
    assert done.counts.completed == 5, [item.error_message for item in app.batches.items(job.id)]
    estimate = app.costs.of_job(job.id).estimate
    assert estimate is not None
    assert estimate.expected_usd == pytest.approx(0.014 + rest.plan.estimate.expected_usd)


def test_what_may_have_an_answer_keeps_what_it_was_asked_with(app: App, preview: Preview, dsn: str) -> None:
    """An item whose call may have been paid for is read as what was ordered; a failed one is ordered anew."""
    job = preview(number=1)
    app.previews.start(job.id, actor="ana", more=1)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("select claim_item(%s, 'gone', -1)", [job.id])
    app.batches.pause(job.id, actor="ana")
    app.batches.get(job.id)
    rest = app.previews.plan_rest(job.id, variables={"mood": "tense"})
    assert len(rest.items) == 4
    assert app.previews.adjust(rest, actor="ana") == 3
    assert app.batches.items(job.id)[1].scenario.variables.get("mood") is None


def test_a_failed_preview_is_retried_with_what_was_adjusted(
    app: App, preview: Preview, writer: ScriptedWriter
) -> None:
    """A preview that fails leaves a way: adjust, retry it, read it, then start."""
    writer.will(WriterDeclined("No.", code="refused"))
    job = preview(number=1)
    assert (job.status, job.counts.failed) == (JobStatus.PAUSED, 1)
    app.batches.retry_failed(job.id, actor="ana")
    app.previews.adjust(app.previews.plan_rest(job.id, variables={"mood": "calm"}), actor="ana")
    app.batches.resume(job.id, actor="ana")
    again = drive(app, job)
    assert (again.status, again.counts.completed, again.counts.queued) == (JobStatus.PAUSED, 1, 4)
    assert app.batches.items(job.id)[0].scenario.variables["mood"] == "calm"


def test_the_second_of_two_who_adjust_is_told_and_overwrites_nothing(app: App, preview: Preview) -> None:
    """Who has planned the rest from what it was before another person adjusted it changes nothing, and can look again."""
    job = preview()
    first = app.previews.plan_rest(job.id, variables={"mood": "calm"})
    second = app.previews.plan_rest(job.id, turns=8)
    assert app.previews.adjust(first, actor="ana") == 3
    with pytest.raises(Conflict, match="Somebody has adjusted the rest"):
        app.previews.adjust(second, actor="ben")
    waiting = [item for item in app.batches.items(job.id) if item.position > 2]
    assert {(item.scenario.variables["mood"], item.scenario.turns) for item in waiting} == {("calm", None)}
    assert app.previews.adjust(app.previews.plan_rest(job.id, turns=8), actor="ben") == 3
    waiting = [item for item in app.batches.items(job.id) if item.position > 2]
    assert {(item.scenario.variables["mood"], item.scenario.turns) for item in waiting} == {("calm", 8)}


def test_a_preview_grows_by_one_and_ends_with_the_last(app: App, preview: Preview) -> None:
    """One more at a time can be looked at, until nothing is left behind."""
    job = preview(count=4)
    longer = app.previews.start(job.id, actor="ana", more=1)
    assert longer.preview == 3
    assert drive(app, job).counts.completed == 3
    assert app.previews.start(job.id, actor="ana", more=5).preview is None
    assert drive(app, job).status is JobStatus.COMPLETED


def test_two_who_ask_for_one_more_at_the_same_end_get_one(app: App, preview: Preview) -> None:
    """The second of two tabs is told that the preview was extended, and nothing more is written or paid for."""
    job = preview()
    answers: list[object] = []

    def ask(who: str) -> None:
        try:
            answers.append(app.previews.extend(job.id, seen=2, more=1, actor=who).preview)
        except AlreadyDone as done:
            answers.append(str(done))

    both = [threading.Thread(target=ask, args=[who]) for who in ("ana", "ben")]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert sorted(answers, key=str) == [3, "The preview was already extended, to 3 conversations."]
    assert drive(app, job).counts.completed == 3
    assert app.previews.extend(job.id, seen=3, more=1, actor="ben").preview == 4
    app.previews.start(job.id, actor="ben")
    with pytest.raises(AlreadyDone, match="started, by ben at"):
        app.previews.extend(job.id, seen=4, more=1, actor="ana")


def test_whoever_starts_the_rest_second_is_told_who_was_first(app: App, preview: Preview) -> None:
    """While the rest is written and when all of it is, it stands started by the first; a cancelled job is that."""
    job, other = preview(), preview()
    for each in (job, other):
        app.previews.start(each.id, actor="ben")
    for more in (None, 1):
        with pytest.raises(AlreadyDone, match="started, by ben at"):
            app.previews.start(job.id, actor="ana", more=more)
    assert drive(app, job).counts.completed == 5
    with pytest.raises(AlreadyDone, match="started, by ben at"):
        app.previews.start(job.id, actor="ana")
    app.batches.cancel(other.id, actor="ana")
    with pytest.raises(NotAllowed, match="is cancelled"):
        app.previews.start(other.id, actor="ana")
    plan = app.planner.plan(scenarios(2), options())
    whole = app.batches.create(plan, name="test", actor="ana")
    with pytest.raises(NotAllowed, match="no preview"):
        app.previews.start(whole.id, actor="ana")


def test_adjusting_what_cannot_be_adjusted_changes_nothing(app: App, preview: Preview) -> None:
    """A started job, an ended one, a wrong name and a scenario that cannot be written are refused whole."""
    job = preview()
    with pytest.raises(InvalidInput, match="variable of your own"):
        app.previews.plan_rest(job.id, variables={"persona": "somebody"})
    with pytest.raises(InvalidInput, match="No template of the rest reads a variable 'moood'") as misspelt:
        app.previews.plan_rest(job.id, variables={"moood": "angry"})
    assert "mood" in misspelt.value.remedy
    rest = app.previews.plan_rest(job.id, variables={"scenario": ""})
    assert rest.plan.problems
    with pytest.raises(InvalidInput, match="cannot start"):
        app.previews.adjust(rest, actor="ana")
    sound = app.previews.plan_rest(job.id)
    app.previews.start(job.id, actor="ana")
    with pytest.raises(NotAllowed, match="not in preview"):
        app.previews.adjust(sound, actor="ana")
    app.batches.cancel(job.id, actor="ana")
    with pytest.raises(NotAllowed, match="cancelled"):
        app.previews.plan_rest(job.id)
