"""The embedded server as several real processes share it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from brightrun.domain.errors import SetupFault
from brightrun.saol.server import binaries, launcher
from brightrun.saol.server.account import abandoned, clients_folder
from brightrun.saol.server.launcher import EmbeddedServer

CLIENT = """
import sys
from pathlib import Path
from brightrun.saol.server.account import abandoned, clients_folder
from brightrun.saol.server.launcher import EmbeddedServer
server = EmbeddedServer(Path(sys.argv[1]))
print(server.acquire(), flush=True)
sys.stdin.read()
"""

STRANGER = """
import os
from brightrun.saol.server.account import abandoned
os.seteuid(65534)
print(abandoned())
"""


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.gettempdir()) / f"br-{uuid4().hex[:8]}"
    yield folder
    EmbeddedServer(folder).stop()


@pytest.fixture
def client() -> Iterator[Callable[[Path], subprocess.Popen[str]]]:
    """Start a process that uses the server until its standard input ends."""
    started: list[subprocess.Popen[str]] = []

    def start(home: Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout
        process.dsn = process.stdout.readline().strip()  # type: ignore[attr-defined]
        assert process.dsn  # type: ignore[attr-defined]
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def leave(process: subprocess.Popen[str]) -> None:
    process.communicate(timeout=60)


def postmaster(home: Path) -> int:
    return int((EmbeddedServer(home).cluster / "postmaster.pid").read_text().splitlines()[0])


def test_processes_share_one_server_and_the_last_one_stops_it(
    home: Path, client: Callable[[Path], subprocess.Popen[str]]
) -> None:
    """The app, the shell and a worker use the same database, and nothing is left running after them."""
    first, second = client(home), client(home)
    assert first.dsn == second.dsn  # type: ignore[attr-defined]
    leave(first)
    assert EmbeddedServer(home).is_running()
    leave(second)
    assert not EmbeddedServer(home).is_running()


def test_a_killed_process_does_not_keep_the_server_alive(
    home: Path, client: Callable[[Path], subprocess.Popen[str]]
) -> None:
    """After kill -9 of one user the next one to leave still stops the server."""
    killed, other = client(home), client(home)
    killed.kill()
    killed.wait()
    assert EmbeddedServer(home).is_running()
    leave(other)
    assert not EmbeddedServer(home).is_running()


def test_a_killed_server_comes_back_with_its_rows(
    home: Path, client: Callable[[Path], subprocess.Popen[str]]
) -> None:
    """kill -9 of PostgreSQL loses nothing that was committed."""
    first = client(home)
    with psycopg.connect(first.dsn, autocommit=True) as connection:  # type: ignore[attr-defined]
        connection.execute("create table kept as select generate_series(1, 1000) as n")
    os.kill(postmaster(home), signal.SIGKILL)
    started = time.monotonic()
    second = client(home)
    assert time.monotonic() - started < 30
    with psycopg.connect(second.dsn) as connection:  # type: ignore[attr-defined]
        assert connection.execute("select count(*) from kept").fetchone() == (1000,)


def test_a_server_that_hangs_is_not_called_one_that_cannot_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is there and silent is named with its process, and nobody is sent to look for disk space."""
    monkeypatch.setattr(launcher, "RECOVERY_SECONDS", 0)
    first, second = EmbeddedServer(home), EmbeddedServer(home)
    first.acquire()
    number = int((first.cluster / "postmaster.pid").read_text().split()[0])
    os.kill(number, signal.SIGSTOP)
    try:
        with pytest.raises(SetupFault, match="runs and has not answered") as fault:
            second.acquire()
    finally:
        os.kill(number, signal.SIGCONT)
        second.release()
        first.release()
    assert "postmaster.pid" in fault.value.remedy


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells what a server's processes do.")
def test_a_server_that_nobody_reaches_any_more_is_started_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that runs, recovers nothing and cannot be reached is ended and started again with every row."""
    monkeypatch.setattr(launcher, "RECOVERY_SECONDS", 1)
    first, second = EmbeddedServer(home), EmbeddedServer(home)
    dsn = first.acquire()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table kept as select 7 as n")
    (Path(str(conninfo_to_dict(dsn)["host"])) / ".s.PGSQL.5432").unlink()
    try:
        with psycopg.connect(second.acquire()) as connection:
            assert connection.execute("select n from kept").fetchone() == (7,)
    finally:
        second.release()
        first.release()


def test_a_program_that_does_not_answer_is_ended_by_name(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that hangs ends in words and not in a traceback, and the next try makes the database."""
    server = EmbeddedServer(home)
    with monkeypatch.context() as hurried:
        hurried.setattr(launcher, "PROGRAM_SECONDS", 0.01)
        with pytest.raises(SetupFault, match="initdb did not answer"):
            server.acquire()
    with psycopg.connect(server.acquire()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    server.release()


@pytest.mark.skipif(sys.platform != "linux", reason="Windows cannot halt a process.")
def test_a_server_that_cannot_say_goodbye_is_ended_and_loses_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command ends within seconds although its server hangs in stopping; what was committed is there afterwards."""
    monkeypatch.setattr(launcher, "START_SECONDS", 3)
    server = EmbeddedServer(home)
    with psycopg.connect(server.acquire(), autocommit=True) as connection:
        connection.execute("create table kept as select 7 as number")
        query = "select pid from pg_stat_activity where backend_type = 'checkpointer'"
        (checkpointer,) = connection.execute(query).fetchone() or (0,)
    os.kill(checkpointer, signal.SIGSTOP)
    begun = time.monotonic()
    server.release()
    assert time.monotonic() - begun < 20
    assert not (server.cluster / "postmaster.pid").exists()
    monkeypatch.undo()
    with psycopg.connect(server.acquire()) as connection:
        assert connection.execute("select number from kept").fetchone() == (7,)
    server.release()


def test_a_long_data_folder_works(tmp_path: Path) -> None:
    """A folder name longer than a socket's path may be is no obstacle."""
    home = tmp_path / ("long-" * 30)
    server = EmbeddedServer(home)
    with psycopg.connect(server.acquire()) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    server.release()


def test_nothing_above_the_data_folder_changes_its_rights(tmp_path: Path) -> None:
    """As root too, no folder of anybody else's is opened up."""
    above = tmp_path / "private"
    above.mkdir(mode=0o700)
    server = EmbeddedServer(above / "home")
    server.acquire()
    server.release()
    assert above.stat().st_mode & 0o777 == 0o700


def test_a_data_folder_in_the_way_is_named(tmp_path: Path) -> None:
    """A folder that cannot be made is a sentence with the remedy, and nothing is started."""
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupFault, match="cannot be used") as caught:
        EmbeddedServer(tmp_path / "file" / "home").acquire()
    assert "BRIGHTRUN_HOME" in caught.value.remedy


def test_a_folder_without_postgres_is_named(tmp_path: Path) -> None:
    """BRIGHTRUN_PG_BIN that points nowhere says what it should point at."""
    with pytest.raises(SetupFault, match="holds no initdb") as caught:
        binaries.find(tmp_path)
    assert "15 to 18" in caught.value.remedy


def test_the_password_is_nobody_elses(home: Path) -> None:
    """Only the server's own account can read the password file, and the socket asks for it."""
    server = EmbeddedServer(home)
    dsn = server.acquire()
    secret = server.cluster.parent / "postgres-clients" / "password"
    assert secret.stat().st_mode & 0o077 == 0
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(dsn.replace(secret.read_text(), "wrong"))
    server.release()


@pytest.mark.skipif(
    os.name == "nt" or os.geteuid() != 0, reason="only root's clusters lie outside the data folder"
)
def test_a_database_whose_data_folder_is_gone_is_named(tmp_path: Path) -> None:
    """Root's server lives outside the data folder; when that is deleted, what still takes space can be found."""
    tmp_path.chmod(0o700)
    home = tmp_path / "home"
    cluster = EmbeddedServer(home).cluster
    assert cluster not in abandoned()
    looked = subprocess.run(
        [sys.executable, "-c", STRANGER], capture_output=True, text=True, check=True, timeout=60
    )
    assert str(cluster) not in looked.stdout  # who may not look into a folder cannot say that it is gone
    shutil.rmtree(home)
    assert abandoned()[cluster] == home
    shutil.rmtree(cluster)
    shutil.rmtree(clients_folder(cluster))
    assert cluster not in abandoned()


def test_the_server_is_started_without_the_keys_of_who_starts_it(
    home: Path, client: Callable[[Path], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It outlives this process under a user of its own: no key of the environment goes along, nor a PG variable."""
    for name in (
        "ANTHROPIC_API_KEY",
        "SUPABASE_SECRET_KEY",
        "DATABASE_URL",
        "HF_TOKEN",
        "PGPASSWORD",
        "OF_MINE",
    ):
        monkeypatch.setenv(name, "canary-of-the-environment")
    process = client(home)
    with psycopg.connect(process.dsn) as connection:  # type: ignore[attr-defined]
        connection.execute("create temporary table environment (line text)")
        connection.execute("copy environment from program 'env'")
        lines = [str(line) for (line,) in connection.execute("select line from environment")]
    assert [line for line in lines if line.startswith("PATH=")]
    assert [line for line in lines if "canary" in line] == []
