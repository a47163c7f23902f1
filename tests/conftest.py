"""One embedded server a run, and a fresh database a test, copied from a migrated and seeded one."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import hypothesis
import psycopg
import pytest
from filelock import FileLock
from psycopg import sql
from psycopg.conninfo import make_conninfo

from brightrun.config import supabase_folder
from brightrun.saol.server.account import abandoned, clients_folder
from brightrun.saol.server.launcher import EmbeddedServer
from brightrun.saol.server.migrations import apply

hypothesis.settings.register_profile("busy", deadline=None)  # a machine may have other things to do
hypothesis.settings.load_profile("busy")

RUN = "BR_TEST_RUN"
"""Names this run to its workers, which share one server and its folder."""
ROOM_BYTES = 4 << 30
"""The log of a server may take one gigabyte of it."""
SHARED = Path(__file__).parents[2] / "shared" / "data"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[RUN] = uuid4().hex[:8]


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what was read, and look less often: it took an eighth of the tests' time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave nothing behind: a run's databases are some hundred megabytes."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(_server_home(), ignore_errors=True)
        for cluster, home in abandoned().items():
            if home.is_relative_to(tempfile.gettempdir()):  # root's servers live outside their data folders
                shutil.rmtree(cluster, ignore_errors=True)
                shutil.rmtree(clients_folder(cluster), ignore_errors=True)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Ctrl-C is heard, though whoever started this run in the background let it be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def _nobody_elses_settings() -> Iterator[None]:
    """No variable of the person running the tests reaches them: no key, no database, no data folder."""
    names = [
        name
        for name in os.environ
        if name.startswith(("BRIGHTRUN_", "ANTHROPIC_", "SUPABASE_")) or name == "DATABASE_URL"
    ]
    kept = {name: os.environ.pop(name) for name in names if name != "BRIGHTRUN_SHOTS"}
    yield
    os.environ.update(kept)


@pytest.fixture(scope="session")
def server_home() -> Path:
    """A data folder that every worker of a run shares; short, because sockets need it."""
    folder = _server_home()
    folder.mkdir(mode=0o755, exist_ok=True)
    return folder


def _server_home() -> Path:
    return _roomy() / f"br-tests-{os.environ[RUN]}"


def _roomy() -> Path:
    """In memory where there is much of it: ext4 takes ten times as long to make the 300 files of a database again."""
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > ROOM_BYTES:
        return memory
    return Path(tempfile.gettempdir())


@pytest.fixture(scope="session")
def server_dsn(server_home: Path) -> Iterator[str]:
    """The embedded server of this run."""
    server = EmbeddedServer(server_home)
    yield server.acquire()
    server.release()


@pytest.fixture(scope="session")
def base_database(server_dsn: str, server_home: Path) -> str:
    """The name of a database with migrations and seed, to copy from."""
    folder = supabase_folder()
    with FileLock(server_home / "base.lock"), psycopg.connect(server_dsn, autocommit=True) as connection:
        found = connection.execute("select 1 from pg_database where datname = 'base'").fetchone()
        if not found:
            connection.execute("create database base_new")
            target = make_conninfo(server_dsn, dbname="base_new")
            apply(
                target,
                folder / "migrations",
                bootstrap=folder / "bootstrap.sql",
                seed=folder / "seed.sql",
            )
            connection.execute("alter database base_new rename to base")
    return "base"


@pytest.fixture
def dsn(server_dsn: str, base_database: str) -> Iterator[str]:
    """A connection string to a fresh database, dropped afterwards."""
    with fresh_database(server_dsn, base_database) as copied:
        yield copied


@contextmanager
def fresh_database(server_dsn: str, base_database: str) -> Iterator[str]:
    """Lend a copy of a database."""
    name = f"test_{uuid4().hex[:12]}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {}").format(
                sql.Identifier(name), sql.Identifier(base_database)
            )
        )
        yield make_conninfo(server_dsn, dbname=name)
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real input beside the checkout; a test that needs it is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the shared data folder is not beside this checkout")
    return SHARED
