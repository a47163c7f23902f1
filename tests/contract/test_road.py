"""The whole main road over Supabase's two interfaces: every use case is the same on the hosted road."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, JobStatus, WriterName
from brightrun.domain.errors import BrightRunError, SetupFault
from brightrun.domain.formats import Format
from brightrun.domain.review import ConversationFilter, Decision
from tests.fakes import scenarios
from tests.gateway import Gateway
from tests.storage_api import PUBLISHABLE_KEY, SECRET_KEY, StorageApi

ITEMS = 6


@pytest.fixture
def storage() -> Iterator[StorageApi]:
    with StorageApi() as running:
        yield running


@pytest.fixture
def gateway(dsn: str, storage: StorageApi) -> Iterator[Gateway]:
    with Gateway(dsn, storage_url=storage.url) as running:
        yield running


@pytest.fixture
def app(gateway: Gateway, tmp_path: Path) -> Iterator[App]:
    settings = Settings(
        home=tmp_path, supabase_url=gateway.url, supabase_secret_key=SECRET_KEY, actor="ana", retry_base=0.01
    )
    opened = open_app(settings)
    yield opened
    opened.close()


def write(app: App) -> str:
    options = JobOptions(WriterName.DEMO, "demo", 8000)
    job = app.batches.create(app.planner.plan(scenarios(ITEMS), options), name="Hosted", actor="ana")
    while app.batches.process_next(job.id).job.is_open:
        continue
    assert app.batches.get(job.id).status is JobStatus.COMPLETED
    return job.id


def test_a_batch_goes_from_plan_to_file_on_the_hosted_road(
    app: App, storage: StorageApi, tmp_path: Path
) -> None:
    """With a Supabase address and its secret key alone, a batch is written, stored, reviewed and exported."""
    job = app.batches.find(write(app))
    files = storage.buckets["conversation-files"]
    assert storage.buckets["batch-logs"][f"{job}/log.txt"].count(b"\n") >= ITEMS
    for item in app.batches.items(job):
        assert item.conversation_id
        conversation = app.reviews.read(item.conversation_id)
        assert conversation.id == item.conversation_id != conversation.key
        for path in (conversation.raw_path, conversation.final_path, conversation.enriched_path):
            assert json.loads(files[str(path)])
    verdict = app.reviews.decide_matching(ConversationFilter(job_id=job), Decision.APPROVED, reviewer="ana")
    assert verdict.decided == ITEMS
    dataset = app.datasets.freeze(ConversationFilter(job_id=job), name="hosted", actor="ana")
    export = app.exports.write(dataset, Format.MESSAGES, tmp_path / "out")
    assert len(export.files[0].read_text(encoding="utf-8").splitlines()) == export.rows == ITEMS


def test_the_hosted_road_is_checked_before_it_is_used(app: App) -> None:
    """The System page finds everything there on a project that has the migrations, the seed and the buckets."""
    failed = {check.name: check.detail for check in app.system.checks() if not check.is_ok}
    assert not failed


def test_an_outage_in_the_middle_loses_nothing(app: App, gateway: Gateway) -> None:
    """While the project is down a step says so; afterwards the batch goes on where it was."""
    options = JobOptions(WriterName.DEMO, "demo", 8000)
    job = app.batches.create(app.planner.plan(scenarios(3), options), name="Outage", actor="ana")
    app.batches.process_next(job.id)
    gateway.broken.set()
    with pytest.raises(BrightRunError, match="503"):
        app.batches.process_next(job.id)
    gateway.broken.clear()
    while app.batches.process_next(job.id).job.is_open:
        continue
    assert app.batches.get(job.id).counts.completed == 3


def test_what_a_project_lacks_is_named_with_the_remedy(gateway: Gateway, tmp_path: Path, dsn: str) -> None:
    """Over HTTP a missing migration is named by its file, a publishable key as the wrong one, an empty project too."""

    def failed(key: str = SECRET_KEY) -> dict[str, str]:
        opened = open_app(Settings(home=tmp_path, supabase_url=gateway.url, supabase_secret_key=key))
        found = {c.name: f"{c.detail} {c.remedy}" for c in opened.system.checks() if not c.is_ok}
        opened.close()
        return found

    assert failed() == {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "delete from supabase_migrations.schema_migrations where version in ('20261125120000', '20261125060000')"
        )
        behind = failed()
        assert set(behind) == {"Migrations"}
        assert "lacks 2 migrations: 20261125060000_know_scenarios.sql, 20261125120000" in behind["Migrations"]
        assert "supabase db push --remote" in behind["Migrations"]
        assert "secret key" in failed(PUBLISHABLE_KEY)["Database"]
        connection.execute(
            "drop function public.describe_project, public.describe_schema, public.describe_names"
        )
    empty = failed()
    assert "migrations" in empty["Database"]


def test_an_address_that_is_no_project_is_said(tmp_path: Path) -> None:
    """The dashboard's address, or one with a path, is refused with the form that is meant."""
    for url in ("https://supabase.com/dashboard/project/abc", "https://abc.supabase.co/rest/v1"):
        with pytest.raises(SetupFault, match=r"https://<project>.supabase.co"):
            open_app(Settings(home=tmp_path, supabase_url=url, supabase_secret_key=SECRET_KEY))


def test_a_list_costs_the_same_however_much_there_is(app: App, gateway: Gateway) -> None:
    """The list of jobs and the page of one ask the database as often for a full list as for a short one."""

    def asked() -> int:
        before = len(gateway.requests)
        app.batches.page(limit=20)
        app.batches.count()
        job = app.batches.page(limit=1)[0]
        app.batches.get(job.id)
        app.batches.items(job.id)
        app.reviews.page(ConversationFilter())
        app.reviews.count(ConversationFilter())
        return len(gateway.requests) - before

    write(app)
    few = asked()
    for _ in range(5):
        write(app)
    assert asked() == few


def test_conversations_from_a_file_are_found_and_decided_on_over_the_hosted_road(
    app: App, storage: StorageApi, tmp_path: Path
) -> None:
    """Import, search, counts, views, columns, reasons, the faster reviewer and undo: all of it over the project."""
    talk = [{"role": "user", "content": "Where is the harbour?"}, {"role": "assistant", "content": "There."}]
    entries = [{"messages": [*talk, *talk[: number % 2]], "case": str(number)} for number in range(2)]
    path = tmp_path / "two.jsonl"
    path.write_text("\n".join(json.dumps(entry) for entry in [*entries, entries[0]]), encoding="utf-8")
    found = app.imports.take(path, actor="ana", name="Two")
    assert (found.imported, found.duplicates) == (2, 1)
    assert f"raw/{found.id}/1.json" in storage.buckets["conversation-files"]

    harbour = ConversationFilter(text="harbour", import_id=found.id)
    assert app.reviews.count(harbour) == 2
    assert sum(app.reviews.count_statuses(harbour).values()) == 2
    rows = app.reviews.page(harbour, sort="longest")
    assert [row["turn_count"] for row in rows] == [3, 2]
    assert app.reviews.facets()["writers"] == ["import"]

    seen = app.reviews.seen(rows[0]["id"])
    first = app.reviews.decide([seen], Decision.REJECTED, reviewer="ana", reason="Unsafe", note="No.")
    late = app.reviews.decide([seen], Decision.APPROVED, reviewer="ben")
    assert (first.decided, late.decided, late.refused[0].by) == (1, 0, "ana")
    assert app.reviews.undo(first.operation_id, reviewer="ana") == (1, 0)

    app.views.save("Harbours", {"q": "harbour"}, person="ana")
    app.views.set_columns("review", ["score"], person="ana")
    assert app.views.all()[0].query == {"q": "harbour"}
    assert app.views.columns("review", ["scenario", "score"], person="ana") == ["score"]
    assert app.reviews.set_reasons(app.reviews.reasons(), "Dull") == ("Dull",)
