"""Secrets planted in every setting, and a road with every kind of error: none turns up in what anybody can read."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from brightrun.config import Settings
from tests.messages_api import Fault, MessagesApi
from tests.shell import Shell

ANTHROPIC = "sk-ant-canary-7f3a+/=91"
DATABASE = "canary-db-p@ss w0rd/2f"
SUPABASE = "sb_secret_canary_c0ffee_41"
HUB = "hf_canary_b4dcafe_77"
CANARIES = (ANTHROPIC, DATABASE, SUPABASE, HUB)
PLANTED = {"anthropic_api_key": ANTHROPIC, "database_url": DATABASE, "supabase_secret_key": SUPABASE}
ROWS = [f"A reader asks to renew {n + 2} books." for n in range(8)]
DEAD = "http://127.0.0.1:9"


def found(canary: str, data: bytes) -> bool:
    """Whether a secret stands in some bytes, as it is or as an address or JSON would carry it."""
    forms = {canary, quote(canary, safe=""), quote(canary), canary.replace("/", "\\/")}
    return any(form.encode() in data or form.encode("utf-16-le") in data for form in forms)


def hits(texts: Iterable[tuple[str, bytes]], folder: Path) -> list[str]:
    """Return where any canary stands: in what was said, and in every file of a folder."""
    files = ((str(path), path.read_bytes()) for path in sorted(folder.rglob("*")) if path.is_file())
    return [
        f"{canary} in {place}"
        for place, data in (*texts, *files)
        for canary in CANARIES
        if found(canary, data)
    ]


def rows_of(dsn: str) -> Iterator[tuple[str, bytes]]:
    """Yield everything the database holds, table by table."""
    with psycopg.connect(dsn) as connection:
        tables = connection.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        for (table,) in tables:
            query = sql.SQL("select to_jsonb(t)::text from public.{} t").format(sql.Identifier(table))
            for (row,) in connection.execute(query):
                yield f"table {table}", row.encode()


def said(shell: Shell, *words: str, **extra: str) -> Iterator[tuple[str, bytes]]:
    """Run a command, however it ends, and yield what it said."""
    _, out, err = shell.ended(*words, **extra)
    yield f"stdout of {words}", out.encode()
    yield f"stderr of {words}", err.encode()


class Echo(BaseHTTPRequestHandler):
    """Refuses everything and says back what it was sent, as a proxy's error page may."""

    def _refuse(self) -> None:
        body = json.dumps(
            {"message": str(self.headers), "code": "42501", "error": str(self.headers)}
        ).encode()
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._refuse()

    def do_POST(self) -> None:
        self._refuse()

    def do_HEAD(self) -> None:
        self._refuse()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(params=[401, 500])
def echo(request: pytest.FixtureRequest) -> Iterator[str]:
    """A project that refuses its key, and repeats it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    server.status = request.param  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_project_that_repeats_its_key_is_not_repeated(tmp_path: Path, echo: str) -> None:
    """What a hosted project, or a proxy before it, says back of the key is struck out of every message."""
    shell = Shell(tmp_path / "home", SUPABASE_URL=echo, SUPABASE_SECRET_KEY=SUPABASE, BRIGHTRUN_LOG="both")
    texts = [*said(shell, "check"), *said(shell, "status"), *said(shell, "saol", "preflight")]
    assert any(data.strip() for _, data in texts)
    assert hits(texts, tmp_path) == []


def test_every_secret_setting_has_a_canary() -> None:
    """A new secret among the settings is planted here too, or this fails."""
    secret = {
        name
        for name, field in Settings.model_fields.items()
        if field.annotation is SecretStr or SecretStr in getattr(field.annotation, "__args__", ())
    }
    assert secret == set(PLANTED)


@pytest.fixture
def known(dsn: str) -> Iterator[str]:
    """The database, with a role whose password is planted."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            sql.SQL("create role canary superuser login password {}").format(sql.Literal(DATABASE))
        )
        yield dsn
        connection.execute("drop role canary")


def test_no_secret_is_in_anything_that_anybody_can_read(tmp_path: Path, known: str) -> None:
    """A batch with every kind of error, the whole road to the exports, wrong addresses and a wrong key: 0 hits."""
    echo = f"invalid key {ANTHROPIC}"
    faults = [
        Fault("status", at=1, status=529, message=echo),
        Fault("status", at=2, status=400, type="invalid_request_error", message=echo),
        Fault("body", at=3, message=f"<html>{echo}</html>"),
        Fault("text", at=4, message=f"no JSON, only {ANTHROPIC}"),
        Fault("cut", at=5),
        Fault("reset", at=6),
    ]
    with MessagesApi(faults, key=ANTHROPIC) as api:
        shell = Shell(
            tmp_path / "home",
            DATABASE_URL=make_conninfo(known, user="canary", password=DATABASE),
            ANTHROPIC_API_KEY=ANTHROPIC,
            ANTHROPIC_BASE_URL=api.url,
            SUPABASE_SECRET_KEY=SUPABASE,
            HF_TOKEN=HUB,
            HF_ENDPOINT=DEAD,
            BRIGHTRUN_RETRY_BASE="0.05",
            BRIGHTRUN_LOG="both",
            BRIGHTRUN_LOG_LEVEL="debug",
        )
        sheet = tmp_path / "sheet.csv"
        sheet.write_text("\n".join(["scenario", *ROWS]) + "\n")
        job = str(shell.json("generate", "--scenarios", str(sheet), "--writer", "claude")["id"])
        texts = [
            *said(shell, "process", job),
            *said(shell, "process", job, ANTHROPIC_API_KEY=f"{ANTHROPIC}-wrong"),
            *said(shell, "status", job),
            *said(shell, "log", job),
            *said(shell, "check"),
            *said(shell, "review", job, "--approve"),
            *said(shell, "export", "--name", "canaries", "--out", str(tmp_path / "home" / "given")),
            *said(
                shell,
                "export",
                "--dataset",
                "canaries",
                "--format",
                "csv",
                "--out",
                str(tmp_path / "home" / "csv"),
            ),
            *said(shell, "push", "canaries", "--hub", "nobody/nothing"),
            *said(
                shell, "status", DATABASE_URL=f"postgresql://ana:{quote(DATABASE, safe='')}@127.0.0.1:9/none"
            ),
            *said(shell, "status", DATABASE_URL=f"postgres//ana:{DATABASE}@nowhere"),
            *said(shell, "check", DATABASE_URL="", SUPABASE_URL=DEAD),
            *said(shell, "check", DATABASE_URL="", SUPABASE_URL=f"https://ana:{HUB}@x.supabase.co"),
            *said(shell, "process", job, ANTHROPIC_BASE_URL=f"https://ana:{HUB}@example.com"),
            *said(shell, "check", ANTHROPIC_BASE_URL=f"https://example.com/?key={HUB}"),
            *said(
                shell, "migrate", "--to", f"postgresql://ana:{HUB}@127.0.0.1:9/none", "--files", str(tmp_path)
            ),
            *said(shell, "migrate", "--to", f"postgres//ana:{HUB}@none", "--files", str(tmp_path)),
        ]
        assert len(api.requests) >= 8
    warned = [data for place, data in texts if "migrate" in place and b"list of processes" in data]
    assert len(warned) == 1
    said_of_key = [place for place, data in texts if b"***" in data or b"key" in data]
    assert said_of_key, "no error was met"
    texts += rows_of(known)
    where = hits(texts, tmp_path / "home")
    answered = [hit for hit in where if "/raw/" in hit]  # the answer as it came is kept as it came
    assert [hit for hit in where if hit not in answered] == []


@pytest.mark.parametrize("form", ["{}", "x={}y", '{{"a": "{}"}}'])
def test_a_leak_would_be_found(tmp_path: Path, form: str) -> None:
    """The search itself finds a secret in a log, in an address and in JSON, or its 0 would mean nothing."""
    for canary in CANARIES:
        (tmp_path / "log").write_text(form.format(canary))
        assert hits([], tmp_path)
        (tmp_path / "log").write_text("")
        assert hits([("said", form.format(quote(canary, safe="")).encode())], tmp_path)
        assert not hits([("said", b"nothing")], tmp_path)
