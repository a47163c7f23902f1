"""The System page's checks: each can fail, and then says what to do."""

from __future__ import annotations

from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import WriterName
from brightrun.domain.person import Role
from brightrun.services.system import left_over


def failed(app: App) -> dict[str, str]:
    return {check.name: f"{check.detail} {check.remedy}" for check in app.system.checks() if not check.is_ok}


def test_a_fresh_installation_lacks_nothing(app: App) -> None:
    """With migrations and seed applied, everything a batch needs is there."""
    assert failed(app) == {}


def test_everybody_reads_the_same_of_the_installation(app: App) -> None:
    """A viewer's System page says what an admin's says: what is there does not depend on who looks."""
    viewer = app.acting_as(app.people.add("viewer@example.org", Role.VIEWER, name="Vi", actor="ana"))
    assert all(check.is_ok for check in viewer.system.checks())


def test_missing_scaffolding_is_named(app: App, dsn: str) -> None:
    """A database without personas or templates says which table is empty and how to fill it."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("delete from public.personas")
    assert "personas" in failed(app)["Scaffolding"]


def test_an_open_table_or_bucket_is_named(app: App, dsn: str) -> None:
    """What a publishable key could read is found: a table without Row Level Security, a public bucket."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("alter table public.personas no force row level security")
        assert "personas" in failed(app)["Rights"]
        connection.execute("alter table public.personas force row level security")
        connection.execute("update storage.buckets set public = true where id = 'batch-logs'")
        assert "batch-logs" in failed(app)["Rights"]


def test_a_role_that_would_see_no_row_is_named(dsn: str, tmp_path: Path) -> None:
    """A role held back by Row Level Security is told apart from an empty database."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("drop role if exists held_back")
        connection.execute("create role held_back login password 'held-back-1' in role service_role")
        connection.execute("grant usage on schema supabase_migrations to held_back")
        connection.execute("grant select on all tables in schema supabase_migrations to held_back")
        app = open_app(
            Settings(home=tmp_path, database_url=make_conninfo(dsn, user="held_back", password="held-back-1"))
        )
        assert "held_back does not bypass" in failed(app)["Rights"]
        app.close()
        connection.execute("drop owned by held_back; drop role held_back")


def test_a_bucket_that_cannot_be_written_is_named(app: App, tmp_path: Path) -> None:
    """A file in the way of a bucket is found before a batch meets it."""
    bucket = tmp_path / "buckets" / "conversation-files"
    bucket.parent.mkdir(parents=True, exist_ok=True)
    if bucket.exists():
        bucket.rmdir()
    bucket.write_text("in the way")
    assert "Bucket conversation-files" in failed(app)


def test_claude_without_a_key_or_a_price_is_named(dsn: str, tmp_path: Path) -> None:
    """A writer without its key and a model without a price each have their own line."""
    settings = Settings(home=tmp_path, database_url=dsn, writer=WriterName.CLAUDE, model="claude-unpriced-1")
    app = open_app(settings)
    found = failed(app)
    app.close()
    assert "ANTHROPIC_API_KEY" in found["Writer"]
    assert "claude-unpriced-1" in found["Prices"]


def test_a_database_that_went_away_is_named_and_no_check_raises(app: App, dsn: str) -> None:
    """Checks look on when one of them cannot: each failure is a line, not an end."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("drop table public.batch_jobs cascade")
    found = failed(app)
    assert "Database" in found
    assert len(app.system.checks()) >= 7


def test_databases_that_nobody_opens_any_more_are_named() -> None:
    """Whoever looks for space reads in a sentence which database is left over, one or several."""
    homes = {Path(f"/srv/{number}"): Path(f"/home/{number}") for number in (1, 2)}
    one = {Path("/srv/1"): Path("/home/1")}
    assert left_over({}) == []
    [alone] = left_over(one)
    assert (alone.is_ok, alone.is_notice) == (True, True)
    assert alone.detail == "A database whose data folder is gone still takes space: /srv/1, of /home/1."
    assert alone.remedy == "Delete /srv/1 if that data folder will not come back."
    [several] = left_over(homes)
    assert several.detail.startswith(
        "2 databases whose data folders are gone still take space, such as /srv/1"
    )
    assert several.remedy
