"""Migrations as a person upgrading would meet them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from brightrun.config import supabase_folder
from brightrun.domain.errors import SetupFault
from brightrun.saol.server.migrations import apply, pending, require_current


@pytest.fixture
def empty(server_dsn: str) -> Iterator[str]:
    name = sql.Identifier(f"empty_{uuid4().hex[:8]}")
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(name))
        yield make_conninfo(server_dsn, dbname=name.as_string().strip('"'))
        connection.execute(sql.SQL("drop database {} with (force)").format(name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "20260101000000_create_one.sql").write_text("create table one (n integer);")
    (tmp_path / "20260102000000_create_two.sql").write_text("create table two (n integer);")
    return tmp_path


def test_each_migration_runs_once_and_in_order(empty: str, folder: Path) -> None:
    """Starting twice applies nothing twice."""
    assert apply(empty, folder) == ["20260101000000", "20260102000000"]
    assert apply(empty, folder) == []


def test_records_are_those_of_the_supabase_cli(empty: str, folder: Path) -> None:
    """`supabase db push` on the same folder finds nothing to do."""
    apply(empty, folder)
    with psycopg.connect(empty) as connection:
        rows = connection.execute(
            "select version, name, cardinality(statements) from supabase_migrations.schema_migrations order by 1"
        ).fetchall()
    assert rows == [("20260101000000", "create_one", 1), ("20260102000000", "create_two", 1)]


def test_processes_starting_at_once_apply_once(empty: str, folder: Path) -> None:
    """The app and the shell may be started in the same second."""
    applied: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: applied.append(apply(empty, folder, seed=None))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(len, applied)) == [0, 0, 0, 2]


def test_a_broken_migration_leaves_nothing_and_is_named(empty: str, folder: Path) -> None:
    """A mistake in the second file leaves the first unapplied too, and says where it is."""
    (folder / "20260102000000_create_two.sql").write_text("create table two (n integer);\n\nselect nonsense;")
    with pytest.raises(SetupFault, match=r"create_two.sql, line 3"):
        apply(empty, folder)
    with psycopg.connect(empty) as connection:
        assert connection.execute("select to_regclass('one')").fetchone() == (None,)


def test_a_hosted_database_that_is_behind_is_refused(empty: str, folder: Path) -> None:
    """The app names what is missing and never migrates a hosted database by itself."""
    with pytest.raises(SetupFault, match="lacks 2 migrations") as caught:
        require_current(empty, folder)
    assert "supabase db push" in caught.value.remedy
    assert len(pending(empty, folder)) == 2


def test_the_seed_is_loaded_when_it_changes(empty: str, folder: Path, tmp_path: Path) -> None:
    """A seed that is the same as before is not run again."""
    seed = tmp_path / "seed" / "seed.sql"
    seed.parent.mkdir()
    seed.write_text("insert into one values (1);")
    apply(empty, folder, seed=seed)
    apply(empty, folder, seed=seed)
    with psycopg.connect(empty) as connection:
        assert connection.execute("select count(*) from one").fetchone() == (1,)


class TestOurOwn:
    def test_every_table_has_row_level_security_forced_and_rights_granted(self, dsn: str) -> None:
        """Fault 28: no table can be read with a public key, and the server's role may use each."""
        with psycopg.connect(dsn) as connection:
            loose = connection.execute(
                "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
                " and not (relrowsecurity and relforcerowsecurity"
                " and has_table_privilege('service_role', oid, 'select, insert, update, delete')"
                " and not has_table_privilege('anon', oid, 'select')"
                " and not has_table_privilege('authenticated', oid, 'truncate'))"
            ).fetchall()
        assert loose == []

    def test_no_function_can_be_called_with_a_public_key(self, dsn: str) -> None:
        """Fault 28: what is atomic is not callable from outside."""
        with psycopg.connect(dsn) as connection:
            callable_ = connection.execute(
                "select proname from pg_proc where pronamespace = 'public'::regnamespace"
                " and (has_function_privilege('anon', oid, 'execute')"
                " or not has_function_privilege('service_role', oid, 'execute'))"
            ).fetchall()
        assert callable_ == []

    def test_every_bucket_exists_and_is_private(self, dsn: str) -> None:
        """Answers, logs and datasets have their place on Supabase from the migrations on."""
        with psycopg.connect(dsn) as connection:
            rows = connection.execute("select id, public from storage.buckets order by id").fetchall()
        assert rows == [("batch-logs", False), ("conversation-files", False), ("datasets", False)]

    def test_the_seed_can_write_every_arc_it_brings(self, dsn: str) -> None:
        """Fault 6: no combination the bulk generator offers is without a template."""
        from brightrun import saol
        from brightrun.domain.scenario import Scenario
        from brightrun.services.scenarios import Scenarios
        from brightrun.services.templates import Templates

        db = saol.connect_postgres(dsn)
        try:
            scenarios, templates = Scenarios(db), Templates(db)
            axes, pool = scenarios.axes(), templates.all()
            assert len(axes.personas) >= 3
            assert len(axes.arcs) >= 7
            assert len(axes.topics) >= 20
            assert len(pool) >= 5
            assert {template.tier for template in pool} == {"template", "scenario", "edge_case"}
            for arc in axes.arcs:
                for persona in axes.personas:
                    scenario = Scenario(arc.tier, persona.persona_key, arc.arc_key, axes.topics[0].topic_key)
                    cast = scenarios.cast(scenario)
                    choice = templates.choose(cast, pool)
                    prompt = templates.render(choice.template.version, cast, turns=6)
                    assert "{{" not in prompt.system + prompt.user
                    assert "exactly 6 turns" in prompt.user
        finally:
            db.close()

    def test_a_template_version_never_changes(self, dsn: str) -> None:
        """What an item was written with can always be read again."""
        with psycopg.connect(dsn) as connection, pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("update template_versions set user_text = 'other'")

    def test_migrations_are_all_recorded(self, dsn: str) -> None:
        """The app accepts the database that its own migrations made."""
        assert "applied" in require_current(dsn, supabase_folder() / "migrations")


@pytest.mark.parametrize(
    "address",
    [
        "postgresql//u:hidden@h/db",
        "u:hidden@h/db",
        "postgresql://u:hid den@h/db",
        "postgresql://u:%zzhidden@h/db",
        "postgresql://u:x@hidden@127.0.0.1:9/db",
    ],
)
def test_no_part_of_a_password_is_in_a_message(address: str) -> None:
    """An address that cannot be read is never repeated, because its parts may be the password's."""
    with pytest.raises(SetupFault, match="cannot be read") as caught:
        require_current(address, supabase_folder() / "migrations")
    assert "hid" not in str(caught.value)
