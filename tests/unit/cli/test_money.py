"""Money in the shell: prices, an estimate before the start, caching, a budget that is raised."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.messages_api import KEY, Fault, MessagesApi
from tests.shell import Shell

ROWS = [f"A reader asks to renew {n + 2} books at the harbour library." for n in range(6)]
MODEL = "claude-sonnet-5-5"


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi() as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path, dsn: str, api: MessagesApi) -> Shell:
    return Shell(
        tmp_path / "home",
        DATABASE_URL=dsn,
        ANTHROPIC_API_KEY=KEY,
        ANTHROPIC_BASE_URL=api.url,
        BRIGHTRUN_MAX_TOKENS="2000",
        BRIGHTRUN_RETRY_BASE="0.05",
    )


@pytest.fixture
def sheet(tmp_path: Path) -> str:
    path = tmp_path / "sheet.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["scenario"], *([row] for row in ROWS)])
    return str(path)


def json_of(shell: Shell, *words: str) -> Any:
    return shell.json(*words)


def count(dsn: str, table: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(f"select count(*) from {table}").fetchone()  # type: ignore[arg-type]
        assert row
        return int(row[0])


def test_a_dry_run_says_what_a_batch_costs_and_creates_nothing(
    shell: Shell, sheet: str, api: MessagesApi, dsn: str
) -> None:
    """Expected, p90 and worst case with what they rest on; no job, no message, nothing paid."""
    plan = json_of(shell, "generate", "--scenarios", sheet, "--dry-run")
    assert plan["items"] == len(ROWS)
    assert 0 < plan["expected_cost"] < plan["p90_cost"] < plan["worst_cost"]
    assert "counted by Claude for 4 of 6 prompts" in plan["method"]
    assert "approximated from the words" in plan["method"]
    said = shell.start("generate", "--scenarios", sheet, "--dry-run").communicate(timeout=60)[1]
    assert "if it turns out long (p90)" in said
    assert "counted by Claude" in said
    assert api.requests == []
    assert count(dsn, "batch_jobs") == count(dsn, "attempts") == count(dsn, "job_estimates") == 0


def test_without_a_count_the_approximation_is_named(tmp_path: Path, dsn: str, sheet: str) -> None:
    """A server that limits the rate of counting does not keep anybody from seeing an estimate."""
    limited = Fault("status", status=429, times=None, type="rate_limit_error")
    with MessagesApi(counting=[limited]) as api:
        home = tmp_path / "home"
        shell = Shell(home, DATABASE_URL=dsn, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=api.url)
        plan = json_of(shell, "generate", "--scenarios", sheet, "--dry-run")
    assert "approximated, 4 characters a token (Claude could not be asked" in plan["method"]


def test_a_model_without_a_price_is_refused_until_it_has_one(shell: Shell, sheet: str, dsn: str) -> None:
    """The refusal names the command; with the price the same call goes through, under the snapshot's name too."""
    order = ("generate", "--scenarios", sheet, "--model", "claude-next-1-20270101", "--dry-run")
    said = shell.run(*order, code=1)
    assert "no price" in said
    assert "brightrun prices set" in said
    assert count(dsn, "batch_jobs") == 0
    refused = shell.run("prices", "set", "claude-next-1", "--input", "1", "--output", "5", code=1)
    assert "--cache-read" in refused
    free = ("prices", "set", "claude-next-1", "--input", "0", "--output", "5", "--cache-read", "0.1")
    assert "costs nothing" in shell.run(*free, code=1)
    dear = ("prices", "set", "claude-next-1", "--input", "1", "--output", "5", "--cache-read", "50")
    assert "cannot cost more than input" in shell.run(*dear, code=1)
    shell.run("prices", "set", "claude-next-1", "--input", "1", "--output", "5", "--cache-read", "0.1")
    assert "Nothing was said to change" in shell.run("prices", "set", "claude-next-1", code=1)
    assert json_of(shell, *order)["worst_cost"] > 0


def test_a_price_is_listed_corrected_and_looked_back_on(shell: Shell) -> None:
    """What is left out of a correction stays; the history names both figures and who changed them."""
    listed = {(p["model"], p["above_input_tokens"]): p for p in json_of(shell, "prices", "list")["prices"]}
    assert json.loads(shell.run("prices", "--json", "list")) == json_of(shell, "prices", "list")
    assert listed[(MODEL, 0)]["cache_write_usd"] == 2.5
    assert listed[(MODEL, 0)]["cache_write_hour_usd"] == 4
    assert listed[(MODEL, 0)]["batch_factor"] == 0.5
    assert listed[("claude-haiku-5-5", 100_000)]["input_usd"] == 0.5
    shell.run("prices", "set", MODEL, "--input", "3", "--from", "2026-10-01", "--source", "An invoice")
    (corrected,) = json_of(shell, "prices", "list", "--model", MODEL)["prices"]
    assert (corrected["input_usd"], corrected["output_usd"], corrected["source"]) == (3, 10, "An invoice")
    shell.run("prices", "set", MODEL, "--output", "12", "--from", "2026-11-01")
    assert [p["output_usd"] for p in json_of(shell, "prices", "list", "--model", MODEL)["prices"]] == [10, 12]
    newest, older, _ = json_of(shell, "prices", "list", "--history", "--model", MODEL)["changes"]
    assert (newest["by"], newest["what"]) == ("ana", "added: in 3, out 12, cache read 0.1")
    assert older["what"] == "corrected: in 2 → 3"
    assert "3 → " not in shell.run("prices")
    assert "corrected: in 2 → 3" in shell.run("prices", "list", "--history")
    assert "no price" in shell.run("prices", "list", "--model", "claude-nobody", code=1)
    assert "Name the day with --from" in shell.run("prices", "remove", MODEL, code=1)
    assert "no such price" in shell.run("prices", "remove", "claude-nobody", code=1)
    removed = json_of(shell, "prices", "remove", MODEL, "--from", "2026-11-01")["removed"]
    assert (removed["model"], removed["output_usd"]) == (MODEL, 12)
    assert [p["output_usd"] for p in json_of(shell, "prices", "list", "--model", MODEL)["prices"]] == [10]


def test_a_budget_stops_a_job_and_raising_it_goes_on(shell: Shell, sheet: str, api: MessagesApi) -> None:
    """The shell says what is left and the very command that goes on, and typing it finishes the job."""
    worst = json_of(shell, "generate", "--scenarios", sheet, "--dry-run")["worst_cost"]
    budget = f"{worst / 4:.4f}"
    job = json_of(shell, "generate", "--scenarios", sheet, "--budget", budget)["id"]
    shell.run("process", job, code=1)
    status = json_of(shell, "status", job)
    assert status["status"] == "paused"
    assert 0 < status["cost"] <= float(budget)
    said = shell.run("status", job)
    assert "is left; the next call may cost" in said
    refused = shell.run("resume", job, code=1)
    assert "Raise it: brightrun resume" in refused
    assert "is spent already" in shell.run("resume", job, "--budget", "0.0001", code=1)
    calls = len(api.requests)
    assert calls == status["counts"]["completed"]
    command = next(line for line in said.splitlines() if line.startswith("Raise it: ")).split()[3:]
    shell.run(*command)
    ended = json_of(shell, "process", job)
    assert (ended["status"], ended["counts"]["completed"]) == ("completed", len(ROWS))
    assert len(api.requests) == len(ROWS)


def test_caching_is_used_where_it_pays_and_shown(
    shell: Shell, sheet: str, api: MessagesApi, dsn: str
) -> None:
    """A long standing beginning is written once and read by every other call; the ledger and status say what it saved."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        draft = {
            "template_key": "standing",
            "name": "Standing",
            "tier": "scenario",
            "system_text": "Every prompt of this job begins with this very sentence. " * 100,
            "user_text": "About: {{ scenario }}\nWrite exactly {{ turns }} turns.",
            "required": ["scenario"],
        }
        connection.execute("select publish_template(%s, 'ana')", [json.dumps(draft)])
    order = ("generate", "--scenarios", sheet, "--template", "standing", "--turns", "4")
    plan = json_of(shell, *order, "--dry-run")
    assert plan["saved_by_caching"] > 0
    assert "Prompt caching: 6 prompts begin with" in plan["method"]
    job = json_of(shell, *order)["id"]
    shell.run("process", job)
    costs = json_of(shell, "status", job)["costs"]
    written = len("Every prompt of this job begins with this very sentence. ") * 100 // 4
    assert costs["cache_write_tokens"] == pytest.approx(written, abs=2)
    assert costs["cache_read_tokens"] == 5 * costs["cache_write_tokens"]
    saved = costs["cache_read_tokens"] * 1.9 / 1e6 - costs["cache_write_tokens"] * 0.5 / 1e6
    assert costs["saved_by_caching"] == pytest.approx(saved, abs=1e-6)
    assert all("cache_control" in str(request.body) for request in api.requests)
    assert f"{costs['cache_read_tokens']:,} read from the cache" in shell.run("status", job)

    shell.run("review", job, "--approve", "--min-score", "0")
    after = json_of(shell, "status", job)["costs"]
    assert after["per_approved"] == pytest.approx(after["spent"] / after["approved"], abs=1e-6)
    (row,) = json_of(shell, "status", "--costs")["costs"]
    assert (row["template"], row["model"], row["approved"]) == ("Standing", MODEL, after["approved"])
    assert "Standing v1" in shell.run("status", "--costs")
