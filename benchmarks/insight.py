"""`make bench-insight`: what the figures of the insight page cost the database, at growing numbers of conversations.

The rows are made by SQL (tests/planting.py): jobs of 1,000 items, five in six of them decided on by three people, one
by one and in bulk, some by two people, some undone, and a ledger with failed calls. Each figure is the database's own
execution time (EXPLAIN ANALYZE of the function as the app calls it), the median of several runs on a warm server.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from tests.planting import fill
from tests.seed import migrated

PAGE = Path(__file__).parent.parent / "docs" / "insight-benchmarks.md"
SIZES = (1_000, 10_000, 100_000)
REPEATS = 5
FUNCTIONS = ("decisions", "scores", "costs", "reviewers", "coverage")
SCOPES = {
    "everything": "{}",
    "one batch of 1,000": None,
    "one day": '{"since": "2026-06-01", "until": "2026-06-01"}',
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured at one size."""

    counting: float
    """Seconds to count what had changed, which was everything."""
    times: dict[str, dict[str, float]]
    """Milliseconds of each function in each scope."""


def main() -> None:
    """Measure every size and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.insight")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    given = parser.parse_args()
    figures = {size: _measure(size) for size in given.sizes}
    text = _page(figures)
    print(text)
    PAGE.write_text(text, encoding="utf-8")


def _measure(size: int) -> Figures:
    with migrated() as (_, dsn), psycopg.connect(dsn, autocommit=True) as connection:
        fill(dsn, size)
        (job,) = connection.execute("select min(id::text) from batch_jobs").fetchone() or ("",)
        scopes = {name: scope or json.dumps({"job_id": job}) for name, scope in SCOPES.items()}
        counting = _count_changes(connection)
        times = {
            name: {scope: _milliseconds(connection, name, given) for scope, given in scopes.items()}
            for name in FUNCTIONS
        }
        return Figures(counting, times)


def _count_changes(connection: psycopg.Connection[Any]) -> float:
    """Count what has changed since nobody looked, which is every conversation; returns the seconds it took."""
    began = time.perf_counter()
    while connection.execute("select private.keep_figures()").fetchone() != (True,):
        pass
    return time.perf_counter() - began


def _milliseconds(connection: psycopg.Connection[Any], name: str, scope: str) -> float:
    times = []
    for _ in range(REPEATS + 1):
        row = connection.execute(
            f"explain (analyze, format json) select public.insight_{name}('{scope}')"  # type: ignore[arg-type]
        ).fetchone()
        assert row
        times.append(float(row[0][0]["Execution Time"]))
    return statistics.median(times[1:])


def _page(figures: dict[int, Figures]) -> str:
    lines = [
        "# Insight benchmarks",
        "",
        f"By `make bench-insight`: {datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores,",
        f"{platform.system()} {platform.machine()}, embedded PostgreSQL; the database's own time for each function",
        f"that the page calls, the median of {REPEATS} runs on a warm server. The page calls `insight_decisions`",
        "and one other. Ratios count; the absolute figures are that machine's, shared with other work.",
        "",
        "What changed is counted by whoever looks next, 20,000 conversations at a look, and until nothing is left to",
        "count a look counts the whole of its scope beside. To count all, none having",
        "been counted before, took "
        + ", ".join(f"{found.counting:,.1f} s ({size:,})" for size, found in figures.items())
        + ".",
    ]
    for scope in SCOPES:
        sizes = list(figures)
        lines += ["", f"## {scope.capitalize()}", ""]
        lines.append("| function | " + " | ".join(f"{size:,} conversations, ms" for size in sizes) + " |")
        lines.append("|---" * (len(sizes) + 1) + "|")
        lines += [
            f"| `insight_{name}` | "
            + " | ".join(f"{figures[size].times[name][scope]:,.1f}" for size in sizes)
            + " |"
            for name in FUNCTIONS
        ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
