"""A batch's page and the list of batches: who writes, what is out, and what can be done about it."""

from __future__ import annotations

import psycopg
import pytest
from streamlit.testing.v1 import AppTest

from brightrun.bootstrap import App
from brightrun.domain.batch import Job, JobOptions, JobStatus, WriterName
from brightrun.domain.part import Delivery
from brightrun.domain.person import Role
from brightrun.stores import batches, parts
from tests.fakes import scenarios
from tests.pages.conftest import OpenPage

KEEP_OPEN = "Keep this page open"


def said(page: AppTest) -> str:
    """Everything a page says in boxes and captions, without the escapes of its markup."""
    kinds = ("caption", "warning", "info", "success", "error", "markdown")
    return "\n".join(str(each.value) for kind in kinds for each in page.get(kind)).replace("\\", "")


def create(app: App, number: int, *, delivery: Delivery = Delivery.DIRECT, **changes: object) -> Job:
    night = delivery is Delivery.OVERNIGHT
    writer, model = (WriterName.CLAUDE, app.settings.model) if night else (WriterName.DEMO, "demo")
    options = JobOptions(writer, model, 8000, delivery=delivery, **changes)  # type: ignore[arg-type]
    return app.batches.create(app.planner.plan(scenarios(number), options), name="Pages", actor="ana")


def leave(dsn: str, job: Job) -> None:
    """Let everything about a job have happened ten minutes ago."""
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute("update batch_items set lease_until = now() where status = 'processing'")
        sql.execute("update batch_counts set last_ended_at = last_ended_at - interval '10 minutes'")
        sql.execute(
            "update batch_jobs set started_at = started_at - interval '10 minutes' where id = %s", [job.id]
        )


def test_a_batch_that_nobody_writes_is_said_to_be_so(open_page: OpenPage, app: App, dsn: str) -> None:
    """The list and the first page name no time left after the last worker was killed, and opening the batch ends it."""
    job = create(app, 3)
    app.batches.process_next(job.id)
    batches.claim(app.batches._db, job.id, "gone:1:1", 60)
    leave(dsn, job)
    told = f"Nobody is writing it: open it, or `brightrun work {job.id[:8]}`"
    for page in (open_page("batches"), open_page()):
        assert told in said(page)
        assert " left" not in said(page)
    page = open_page("batch", job=job.id)
    for _ in range(6):
        page.run()
    assert app.batches.get(job.id).status is JobStatus.COMPLETED


def watched(app: object, job: object) -> None:
    """Draw a batch's progress alone; it is run as a script of its own, which knows nothing of this file."""
    from brightrun.ui.progress import draw_progress

    draw_progress(app, job)  # type: ignore[arg-type]


@pytest.mark.usefixtures("open_page")  # which forgets the server's own app afterwards
def test_who_may_only_look_is_not_asked_to_keep_a_page_open(app: App) -> None:
    """A viewer's page writes nothing: it says that nobody does, and who could."""
    job = create(app, 3)
    viewer = app.acting_as(app.people.add("vera@example.org", Role.VIEWER, actor="setup"))
    page = AppTest.from_function(watched, kwargs={"app": viewer, "job": viewer.batches.get(job.id)}).run()
    assert not page.exception
    assert "Nobody is writing it. An author goes on" in said(page)
    assert KEEP_OPEN not in said(page)


def test_a_page_need_not_stay_open_while_workers_write(open_page: OpenPage, app: App) -> None:
    """With a worker of the fleet alive nothing depends on the tab, and the page says so; else it asks to be kept open."""
    job = create(app, 9)
    assert KEEP_OPEN in said(open_page("batch", job=job.id))
    app.fleet.beat(4)
    page = open_page("batch", job=job.id)
    assert KEEP_OPEN not in said(page)
    assert "1 worker of the fleet writes it: this page need not stay open." in said(page)


def test_workers_are_listed_with_times_as_everywhere(open_page: OpenPage, app: App) -> None:
    """Since when a worker lives reads as a day and a time of this place."""
    app.fleet.beat(4)
    (worker,) = app.fleet.alive()
    [table] = [each.value for each in open_page("system").dataframe if "Worker" in each.value]
    assert list(table["Since"]) == [f"{worker.started_at.astimezone():%d %b %H:%M}"]


def test_what_is_being_handed_over_is_not_said_to_be_at_claude(open_page: OpenPage, app: App) -> None:
    """Before Claude has a part, its page is to stay open; afterwards it may be closed."""
    job = create(app, 2, delivery=Delivery.OVERNIGHT)
    opened = parts.open_part(app.batches._db, job.id, "here:1:1", most=10, lease_seconds=60)
    assert isinstance(opened, parts.Opened)
    page = open_page("batch", job=job.id)
    assert "2 items are being handed over to Claude: keep this page open" in said(page)
    assert "at Claude overnight" not in said(page)
    parts.send(app.batches._db, opened.part, "msgbatch_1", ends_by=None, look_seconds=600)
    page.run()
    assert "2 items are at Claude overnight. You may close this page" in said(page)


def test_a_cancelled_overnight_batch_is_being_called_off(open_page: OpenPage, app: App) -> None:
    """Until Claude has answered, nothing is still to do, and nothing can be paused or cancelled again."""
    job = create(app, 2, delivery=Delivery.OVERNIGHT)
    opened = parts.open_part(app.batches._db, job.id, "here:1:1", most=10, lease_seconds=60)
    assert isinstance(opened, parts.Opened)
    parts.send(app.batches._db, opened.part, "msgbatch_1", ends_by=None, look_seconds=600)
    page = open_page("batch", job=job.id)
    page.button(key="batch-cancel").click().run()
    page.button(key="batch-cancel-confirmed").click().run()
    figures = {metric.label: metric.value for metric in page.metric}
    assert figures["Being called off"] == "2"
    assert "Still to do" not in figures
    assert "2 items are being called off" in said(page)
    assert page.button(key="batch-pause").disabled
    assert page.button(key="batch-cancel").disabled
    assert "2 items being called off" in said(open_page("batches"))


@pytest.mark.parametrize(("paused", "label"), [(False, "Retry failed"), (True, "Retry 1 failed")])
def test_a_button_names_a_number_only_while_it_holds(
    open_page: OpenPage, app: App, dsn: str, *, paused: bool, label: str
) -> None:
    """More may fail while a batch runs, beside a button that is drawn once: it says how many when nothing moves."""
    job = create(app, 6)
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute("update batch_items set status = 'failed' where job_id = %s and position = 1", [job.id])
    if paused:
        app.batches.pause(job.id, actor="ana")
    button = open_page("batch", job=job.id).button(key="batch-retry")
    assert (button.label, button.disabled) == (label, False)


def test_what_a_retry_has_mended_is_not_told_as_a_failure(open_page: OpenPage, app: App, dsn: str) -> None:
    """The history of what went wrong stays, beside how much of it is still so."""
    job = create(app, 2)
    app.batches.pause(job.id, actor="ana")
    item = "update batch_items set status = %s, error_code = %s where job_id = %s and position = 1"
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute(item, ["failed", "refusal", job.id])
        failed = said(open_page("batch", job=job.id))
        sql.execute(item, ["queued", None, job.id])
    assert "ended 1 item" in failed
    assert "tried again since" not in failed
    assert "Items were tried again since; still failed: 0." in said(open_page("batch", job=job.id))
