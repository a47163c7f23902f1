"""`brightrun migrate`, killed on its way: everything arrives once, or the command says what is missing.

`make migration` moves more than 5,000 conversations; CONVERSATIONS says of how many items (4 % of them failed).
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from brightrun.buckets.local import LocalBucket
from brightrun.services.migration import SCAFFOLDING
from tests.planting import fill
from tests.seed import migrated
from tests.shell import Shell
from tests.storage_api import SECRET_KEY, StorageApi

CONVERSATIONS = int(os.environ.get("BR_MIGRATE_CONVERSATIONS", "60"))
HASH = (
    "select count(*), md5(coalesce(string_agg(md5(t::text), '' order by md5(t::text)), '')) from public.{} t"
)


@pytest.fixture
def target(server_dsn: str) -> Iterator[str]:
    """An empty database on another server."""
    name = f"target_{uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        yield make_conninfo(server_dsn, dbname=name)
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def storage() -> Iterator[StorageApi]:
    with StorageApi() as running:
        yield running


@pytest.fixture
def installation() -> Iterator[tuple[Path, str]]:
    """A data folder with conversations, their reviews, ledger and files."""
    with migrated() as (home, dsn):
        fill(dsn, CONVERSATIONS, job=max(CONVERSATIONS // 5, 1))
        files = LocalBucket(home / "buckets", "conversation-files")
        with psycopg.connect(dsn) as connection:
            rows = connection.execute("select id, conversation_id, turns::text from conversations").fetchall()
            connection.execute(
                "insert into job_log (job_id, message) select id, 'It''s said 🙂' from batch_jobs"
            )
        for number, (key, business, turns) in enumerate(rows):
            for folder in ("raw", "final", "enriched"):
                files.put(f"{folder}/{business}-{key}.json", f"{number} {turns}\n".encode(), durable=False)
        LocalBucket(home / "buckets", "batch-logs").put("a/log.txt", b"one line\n")
        yield home, dsn


def hashes(dsn: str) -> dict[str, tuple[int, str]]:
    found = {}
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("set timezone = 'UTC'")
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        for (table,) in tables:
            row = connection.execute(sql.SQL(HASH).format(sql.Identifier(table))).fetchone()
            assert row
            found[table] = row
    return found


def killed_at(shell: Shell, words: tuple[str, ...], *lines: str) -> None:
    """Start the command and kill it as soon as it tells a line that begins like one of these."""
    process = shell.start(*words, PYTHONPATH="")  # started anew, it is heard while it speaks
    assert isinstance(process, subprocess.Popen)
    assert process.stderr is not None
    for told in process.stderr:
        if told.startswith(lines):
            process.kill()
            process.communicate()
            return
    pytest.fail(f"never told of {lines!r}: {process.wait()}")


def test_an_installation_arrives_whole_though_it_is_killed_twice(
    installation: tuple[Path, str], target: str, storage: StorageApi
) -> None:
    """Rows and files are equal by count and hash after two kills; the new database goes on where the old stood."""
    home, dsn = installation
    shell = Shell(home, SUPABASE_SECRET_KEY=SECRET_KEY)
    words = ("migrate", "--to", target, "--files", storage.url)
    started = time.monotonic()
    killed_at(shell, words, "conversations: ")
    # The first may have got past the reviews before it was dead: then the second is killed at the files.
    killed_at(shell, words, *(["reviews: "] if CONVERSATIONS <= 1000 else []), "conversation-files: ")
    told = shell.json(*words)
    took = time.monotonic() - started
    assert told["equal"] is True
    assert hashes(target) == hashes(dsn)
    local = LocalBucket(home / "buckets", "conversation-files")
    keys = local.list("")
    assert {
        key: hashlib.sha256(data).digest() for key, data in storage.buckets["conversation-files"].items()
    } == {key: hashlib.sha256(local.get(key)).digest() for key in keys}
    assert storage.buckets["batch-logs"] == {"a/log.txt": b"one line\n"}
    moved = hashes(target)
    rows = sum(number for number, _ in moved.values())
    print(
        f"{moved['conversations'][0]} conversations, {rows} rows, {len(keys) + 1} files, {took:.0f} s with both kills"
    )
    with psycopg.connect(target) as connection:
        assert connection.execute("select to_regnamespace('brightrun_move')").fetchone() == (None,)
    hosted = Shell(home, DATABASE_URL=target, SUPABASE_URL=storage.url, SUPABASE_SECRET_KEY=SECRET_KEY)
    assert len(json.loads(hosted.run("status", "--json"))["jobs"]) > 0
    assert json.loads(hosted.run("saol", "sql", INSERT, "--write", "--json"))["count"] == 1
    changed = shell.run(*words, "--check", "--json", code=1)
    assert '"name": "job_log"' in changed


INSERT = "insert into job_log (job_id, message) select id, 'after' from batch_jobs limit 1"


def test_what_changed_meanwhile_is_brought_again_and_a_used_target_is_left_alone(
    installation: tuple[Path, str], target: str, dsn: str, tmp_path: Path
) -> None:
    """A table that changed between two starts is copied again; a database in use is refused and not touched."""
    home, source = installation
    shell = Shell(home)
    folder = tmp_path / "moved"
    words = ("migrate", "--to", target, "--files", str(folder))
    killed_at(shell, words, "conversations: ")
    with psycopg.connect(source) as connection:
        connection.execute("update batch_jobs set name = name || ' again'")
    shell.run(*words)
    assert hashes(target) == hashes(source)
    assert (folder / "buckets" / "batch-logs" / "a" / "log.txt").read_bytes() == b"one line\n"
    with psycopg.connect(dsn) as connection:
        connection.execute("insert into saved_views (name, query, saved_by) values ('v', '{}', 'a')")
    before = hashes(dsn)
    said = shell.run("migrate", "--to", dsn, "--files", str(folder), code=1)
    assert "saved_views holds rows" in said
    assert hashes(dsn) == before
    assert "--files" in shell.run("migrate", "--to", target, code=1)
    assert "SUPABASE_SECRET_KEY" in shell.run("migrate", "--to", target, "--files", "https://x.co", code=1)
    assert "cannot be used" in shell.run("migrate", "--to", "host=127.0.0.1 port=9", "--files", "x", code=1)


def test_only_the_seed_gives_way(base_database: str, server_dsn: str) -> None:
    """A new project holds rows in the tables of the seed and in no other: whoever seeds more says so."""
    filled = {
        name for name, (rows, _) in hashes(make_conninfo(server_dsn, dbname=base_database)).items() if rows
    }
    assert filled <= set(SCAFFOLDING)
