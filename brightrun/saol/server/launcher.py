"""The embedded PostgreSQL: started on first use, shared by processes, stopped when the last one leaves.

Every process that uses the server holds a lock on a file of its own in `clients/`. The operating system
lets go of it however the process ends, so a killed one never counts: no process ids are compared.
"""

from __future__ import annotations

import atexit
import hashlib
import logging
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg
from filelock import FileLock, Timeout
from psycopg.conninfo import make_conninfo

from brightrun.domain.errors import SetupFault
from brightrun.saol import full
from brightrun.saol.server import binaries
from brightrun.saol.server.account import (
    SHARED,
    clients_folder,
    cluster_folder,
    record_home,
    server_account,
)

DATABASE = "brightrun"
SUPERUSER = "postgres"
START_SECONDS = 60
LOCK_SECONDS = 120
PROGRAM_SECONDS: float = 180
RECOVERY_SECONDS = 20
END_SECONDS = 10
FULL_SECONDS = 5
"""How long a goodbye may take on a full disk: the server tries to write its last words for as long as it is let."""
LOG_TAIL_BYTES = 4000
TURNED_AWAY = (
    "not yet accepting connections",
    "in recovery mode",
    "starting up",
    "No such file or directory",
)
"""What a server says while it recovers, or what is said of one whose socket is gone."""
RUNS_ALREADY = 'lock file "postmaster.pid" already exists'
KEPT = (
    *("PATH", "HOME", "USER", "LOGNAME", "TZ", "TMPDIR", "TMP", "TEMP"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT"),
)
"""What PostgreSQL's programs are started with of the environment: they outlive this process, and need no key."""
COMPLAINT = re.compile(r"\b(FATAL|PANIC|error|could not)\b")
MAX_SOCKET_PATH = 90
"""Unix limits a socket's path to 107 bytes, its name included."""

SERVER_SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
}

events = logging.getLogger(__name__)


class EmbeddedServer:
    """One process's use of the server of one data folder."""

    def __init__(self, home: Path, pg_bin: Path | None = None) -> None:
        self._home = home.expanduser().absolute()
        self._given = pg_bin
        self._client: FileLock | None = None
        self._guard = threading.Lock()
        self._prepared = False

    def acquire(self) -> str:
        """Return a connection string, starting the server if it does not run; raises SetupFault."""
        with self._guard, self._usable_folder():
            self._prepare()
            with self._main_lock():
                if self._client is None:
                    self._client = self._enter()
                    atexit.register(self._leave)
                self._ensure_running()
        return self._conninfo(DATABASE)

    def release(self) -> None:
        """Stop using the server; the last to leave stops it. Raises SetupFault where it cannot be stopped."""
        with self._guard, self._usable_folder():
            if self._client is None:
                return
            with self._main_lock():
                own = Path(self._client.lock_file)
                self._client.release()
                self._client = None
                own.unlink(missing_ok=True)
                if not self._others():
                    self._stop()
        atexit.unregister(self._leave)

    def _leave(self) -> None:
        """Let go at the end of a process that has not: nobody is left to be told."""
        try:
            self.release()
        except SetupFault as fault:
            events.warning("the embedded database was left as it is: %s", fault)

    def is_running(self) -> bool:
        """Whether the server answers: found out by connecting, because a dead one may still look alive."""
        self._prepare()
        return self._answers()

    def stop(self) -> None:
        """Stop the server for everybody."""
        self._prepare()
        with self._main_lock():
            self._stop()

    def stop_unused(self) -> None:
        """Stop a server that those who used it have left behind, killed or gone without a word."""
        self._prepare()
        with self._main_lock():
            if not self._others():
                self._stop()

    @property
    def cluster(self) -> Path:
        """Where the server's files are."""
        self._prepare()
        return self._cluster

    def _prepare(self) -> None:
        if self._prepared:
            return
        self._account = server_account()
        with self._usable_folder():
            self._home.mkdir(parents=True, exist_ok=True, mode=0o755)
            self._cluster = cluster_folder(self._home, self._account)
            self._clients = clients_folder(self._cluster)
            self._make_folders()
        self._programs = self._reachable(binaries.find(self._given))
        self._socket = self._socket_folder()
        self._prepared = True

    @contextmanager
    def _usable_folder(self) -> Iterator[None]:
        try:
            yield
        except OSError as fault:
            raise SetupFault(
                f"The data folder {self._home} cannot be used: {fault.strerror or fault}.",
                remedy="Set BRIGHTRUN_HOME to a folder you may write to, with some space left.",
            ) from fault

    def _make_folders(self) -> None:
        self._cluster.parent.mkdir(parents=True, exist_ok=True)
        self._clients.mkdir(exist_ok=True)
        probe = self._clients / f".probe-{os.getpid()}-{secrets.token_hex(4)}"
        probe.touch()
        probe.unlink()
        if not self._cluster.exists():
            self._cluster.mkdir(mode=0o700, exist_ok=True)
            self._account.own(self._cluster)
            record_home(self._home, self._cluster)

    def _reachable(self, programs: Path) -> Path:
        if self._account.can_reach(programs):
            return programs
        SHARED.mkdir(parents=True, exist_ok=True)
        return binaries.copied(programs, SHARED)

    def _socket_folder(self) -> Path:
        if len(str(self._cluster)) <= MAX_SOCKET_PATH:
            return self._cluster
        name = hashlib.sha256(str(self._cluster).encode()).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"brightrun-{name}"
        folder.mkdir(mode=0o700, exist_ok=True)
        self._account.own(folder)
        return folder

    @contextmanager
    def _main_lock(self) -> Iterator[None]:
        """Hold the lock that starting and stopping need; raises SetupFault when it is not to be had."""
        lock = FileLock(self._clients / "main.lock", timeout=LOCK_SECONDS)
        try:
            lock.acquire()
        except Timeout as fault:
            raise SetupFault(
                f"Another process has been starting or stopping the database in {self._home} for too long.",
                remedy="End that process, then try again.",
            ) from fault
        try:
            yield
        finally:
            lock.release()

    def _enter(self) -> FileLock:
        lock = FileLock(self._clients / f"{os.getpid()}-{secrets.token_hex(4)}.client")
        lock.acquire(timeout=5)
        return lock

    def _others(self) -> bool:
        """Whether another live process holds its file; what dead ones left is removed."""
        alive = False
        for path in self._clients.glob("*.client"):
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                alive = True
                continue
            lock.release()
            path.unlink(missing_ok=True)
        return alive

    def _ensure_running(self) -> None:
        if self._has_pid_file() and self._secret_file().exists():
            refusal = self._refusal()
            if refusal is None:
                return
            if full.NO_SPACE in refusal:  # it runs: to start it once more would only take its time
                raise full.full(refusal, self._cluster)
        if not (self._cluster / "PG_VERSION").exists():
            self._initialise()
        self._check_version()
        self._start()
        self._ensure_database()

    def _initialise(self) -> None:
        """Make the cluster; one that was left half-made is removed first."""
        for leftover in self._cluster.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        password = self._write_secret()
        self._run(
            "initdb",
            *("-D", str(self._cluster / "new"), "-U", SUPERUSER, "--pwfile", str(password)),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8"),
            *self._hashing(),
            if_it_fails="The embedded database could not be made",
        )
        for made in (self._cluster / "new").iterdir():
            if made.name != "PG_VERSION":
                made.rename(self._cluster / made.name)
        (self._cluster / "new" / "PG_VERSION").rename(self._cluster / "PG_VERSION")  # last: it says "whole"
        (self._cluster / "new").rmdir()

    def _hashing(self) -> tuple[str, ...]:
        """Return how often the password is hashed: nobody guesses 256 random bits, and each connection waits for it."""
        return ("-c", "scram_iterations=1") if binaries.major(self._programs) >= 16 else ()

    def _write_secret(self) -> Path:
        path = self._secret_file()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(32))
        self._account.own(path)
        return path

    def _secret_file(self) -> Path:
        return self._clients / "password"

    def _check_version(self) -> None:
        cluster = int((self._cluster / "PG_VERSION").read_text())
        programs = binaries.major(self._programs)
        if cluster != programs:
            raise SetupFault(
                f"The data in {self._cluster} is of PostgreSQL {cluster}, the programs are {programs}.",
                remedy=f"Set BRIGHTRUN_PG_BIN to PostgreSQL {cluster}, or move the data with pg_upgrade.",
            )

    def _start(self) -> None:
        settings = SERVER_SETTINGS | {"unix_socket_directories": f"'{self._socket}'"}
        if os.name == "nt":
            settings |= {"listen_addresses": "'127.0.0.1'", "port": str(self._port())}
        options = " ".join(f"-c {name}={value}" for name, value in settings.items())
        log = self._cluster / "server.log"
        deadline = time.monotonic() + (RECOVERY_SECONDS if self._has_pid_file() else 0)
        has_ended_it = False
        while True:
            try:
                self._run(
                    "pg_ctl",
                    *("-D", str(self._cluster), "-l", str(log), "-o", options),
                    *("-w", "-t", str(START_SECONDS), "start"),
                    if_it_fails=f"The embedded database did not start; its log is {log}",
                    log=log,
                )
                return
            except SetupFault as fault:
                if self._answers():
                    return
                if time.monotonic() > deadline or self._has_found_no_room(fault):
                    if RUNS_ALREADY not in fault.message:
                        raise
                    if has_ended_it or not self._is_stuck() or not self._ended_at_once():
                        raise self._slow(log) from fault
                    has_ended_it, deadline = True, time.monotonic() + RECOVERY_SECONDS
            time.sleep(0.2)

    def _has_found_no_room(self, fault: SetupFault) -> bool:
        """Whether a server has ended for want of room: before there is some, it does so again."""
        return RUNS_ALREADY not in fault.message and full.NO_SPACE in fault.message

    def _is_stuck(self) -> bool:
        """Whether a server turns everybody away for a recovery that nobody does, as far as this system tells.

        PostgreSQL 18.4 does that when its startup process finds no room on the disk after a crash. One that is merely
        slow or full says nothing, or something else.
        """
        refusal = self._refusal()
        if refusal is None or not any(sign in refusal for sign in TURNED_AWAY):
            return False
        with suppress(OSError):  # another system, or a process that has just ended: nothing is known
            number = (self._cluster / "postmaster.pid").read_text().split()[0]
            children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
            titles = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
            return bool(titles) and not any(b"startup" in title for title in titles)
        return False

    def _ended_at_once(self) -> bool:
        """End a server without its goodbye, which loses nothing that was committed; returns whether it has ended."""
        try:
            self._end("immediate", END_SECONDS)
        except SetupFault:
            return False
        return True

    def _slow(self, log: Path) -> SetupFault:
        """Return the fault of a server that runs, and does not answer yet."""
        if full.has_no_room(self._cluster):
            return full.full(f"the embedded database does not answer; its log is {log}", self._cluster)
        return SetupFault(
            f"The embedded database runs and has not answered for {RECOVERY_SECONDS} s; its log is {log}.",
            remedy="After a crash it first reads what it had written: try again in a minute. "
            f"If that helps nothing, end the process named in {log.with_name('postmaster.pid')}.",
        )

    def _has_pid_file(self) -> bool:
        """Of a server that does not answer it means: it was killed, and its last processes may still be ending."""
        return (self._cluster / "postmaster.pid").exists()

    def _ensure_database(self) -> None:
        try:
            with psycopg.connect(self._conninfo(SUPERUSER), autocommit=True) as connection:
                query = "select 1 from pg_database where datname = %s"
                if not connection.execute(query, [DATABASE]).fetchone():
                    connection.execute(f"create database {DATABASE}")
        except psycopg.Error as fault:
            if full.says_full(fault, self._cluster):
                raise full.full(str(fault), self._cluster) from fault
            raise SetupFault(
                f"The embedded database was started and cannot be used: {' '.join(str(fault).split())}.",
                remedy=f"Try again; if that helps nothing, its log says more: {self._cluster / 'server.log'}.",
            ) from fault

    def _stop(self) -> None:
        """Stop the server; one that does not come to an end is ended, and recovers when it is started again."""
        if not self._has_pid_file():
            return
        try:
            self._end("fast", FULL_SECONDS if full.has_no_room(self._cluster) else START_SECONDS)
        except SetupFault as fault:
            if not self._ended_at_once():
                raise
            events.warning("the embedded database was ended without its goodbye: %s", fault)

    def _end(self, mode: str, seconds: int) -> None:
        self._run(
            "pg_ctl",
            *("-D", str(self._cluster), "-m", mode, "-w", "-t", str(seconds), "stop"),
            if_it_fails="The embedded database did not stop",
            tolerate=("PID file", "No such process"),
        )

    def _answers(self) -> bool:
        return self._secret_file().exists() and self._has_pid_file() and self._refusal() is None

    def _refusal(self) -> str | None:
        """Return in which words a server turns us away; None where it lets us in."""
        try:
            psycopg.connect(self._conninfo(SUPERUSER), connect_timeout=5).close()
        except psycopg.OperationalError as fault:
            return str(fault)
        return None

    def _conninfo(self, database: str) -> str:
        host, port = (str(self._socket), 5432) if os.name != "nt" else ("127.0.0.1", self._port())
        password = self._secret_file().read_text().strip()
        return make_conninfo(host=host, port=port, user=SUPERUSER, password=password, dbname=database)

    def _port(self) -> int:
        return 20_000 + int(hashlib.sha256(str(self._cluster).encode()).hexdigest()[:4], 16) % 20_000

    def _run(
        self,
        program: str,
        *arguments: str,
        if_it_fails: str,
        tolerate: tuple[str, ...] = (),
        log: Path | None = None,
    ) -> None:
        """Run one of PostgreSQL's programs as its account, in a session that Ctrl-C does not reach."""
        output = self._clients / f"{program}.out"
        with output.open("w+") as said:
            process = subprocess.Popen(
                [str(self._programs / f"{program}{binaries.SUFFIX}"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd="/" if os.name != "nt" else None,
                env=_environment(),
                **self._account.options(),
            )
            try:
                process.wait(PROGRAM_SECONDS)
            except subprocess.TimeoutExpired as fault:
                _end_all(process)
                raise SetupFault(
                    f"{if_it_fails}: {program} did not answer for {PROGRAM_SECONDS:.0f} s and was ended.",
                    remedy="The disk may be slow or hung; try again, or use a server of yours with DATABASE_URL.",
                ) from fault
            except BaseException:
                process.kill()
                raise
            said.seek(0)
            text = said.read().strip()
        if process.returncode and not any(phrase in text for phrase in tolerate):
            told = _complaint(_end_of(log)) or _complaint(text) or text.splitlines()[-1:]
            reason = f"{if_it_fails}: {''.join(told) or f'exit code {process.returncode}'}"
            if full.says_full(reason, self._cluster):
                raise full.full(reason, self._cluster)
            raise SetupFault(
                reason,
                remedy="Free disk space or set BRIGHTRUN_HOME elsewhere; DATABASE_URL uses a server of yours.",
            )


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """End a program with what it started, which would go on changing the files that the next try removes."""
    if os.name == "nt":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):  # a hung disk holds even what has been killed
        process.wait(END_SECONDS)


def _end_of(log: Path | None) -> str:
    """Return the last lines that the server wrote before it gave up, if any."""
    if log is None or not log.exists():
        return ""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_TAIL_BYTES))
        return file.read().decode("utf-8", "replace")


def _complaint(text: str) -> list[str]:
    """Return the line that says what was wrong: what follows it is about stopping."""
    return [line.strip() for line in text.splitlines() if COMPLAINT.search(line)][-1:]


def _environment() -> dict[str, str]:
    """Give PostgreSQL's programs what they need to run, and none of the keys that this process was started with."""
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {"LC_ALL": "C.UTF-8"}
