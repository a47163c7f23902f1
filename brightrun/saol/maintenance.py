"""Upkeep and its figures: vacuum, statistics, indexes. Over PostgreSQL only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from brightrun.saol.changes import Maintain, Upkeep
from brightrun.saol.database import Database
from brightrun.saol.failures import Refused
from brightrun.saol.outcome import Outcome, outcome
from brightrun.saol.result import Result
from brightrun.saol.script import Power, Script, Statement

SECONDS = 600.0

USAGE = """
select i.indexrelname as name, i.idx_scan as scans, pg_relation_size(i.indexrelid) as size_bytes,
  x.indisunique as is_unique, not x.indisunique and i.idx_scan = 0 as is_unused
from pg_stat_user_indexes i join pg_index x using (indexrelid)
where i.schemaname = 'public' and i.relname = $1 order by i.idx_scan, i.indexrelname
"""
BLOAT = """
select relname as name, n_live_tup as live_rows, n_dead_tup as dead_rows,
  coalesce(round(n_dead_tup::numeric / nullif(n_live_tup + n_dead_tup, 0), 4), 0)::float8 as dead_share,
  pg_total_relation_size(relid) as size_bytes,
  greatest(last_vacuum, last_autovacuum) as vacuumed_at, greatest(last_analyze, last_autoanalyze) as analyzed_at
from pg_stat_user_tables where schemaname = 'public' and relname = any($1) order by dead_share desc, relname
"""


def agent_vacuum(
    db: Database,
    table: str | None = None,
    *,
    full: bool = False,
    analyze: bool = False,
    dry_run: bool = False,
    timeout_seconds: float = SECONDS,
) -> Result:
    """Free the space of dead rows in one table or all; `full` rewrites it and locks everybody out meanwhile."""
    return _maintain(
        db,
        "vacuum",
        table,
        lambda name: Maintain(Upkeep.VACUUM, name, full=full, analyze=analyze),
        dry_run=dry_run,
        seconds=timeout_seconds,
    )


def agent_analyze(
    db: Database,
    table: str | None = None,
    *,
    columns: Sequence[str] = (),
    dry_run: bool = False,
    timeout_seconds: float = SECONDS,
) -> Result:
    """Count anew what the planner believes of one table (or some columns of it), or of all."""

    def change(name: str) -> Maintain:
        db.table(name).check(list(columns))
        return Maintain(Upkeep.ANALYZE, name, columns=tuple(columns))

    return _maintain(db, "analyze", table, change, dry_run=dry_run, seconds=timeout_seconds)


def agent_reindex(
    db: Database,
    table: str | None = None,
    *,
    concurrent: bool = True,
    dry_run: bool = False,
    timeout_seconds: float = SECONDS,
) -> Result:
    """Build the indexes of one table or all anew; others may write meanwhile unless `concurrent` is False."""
    return _maintain(
        db,
        "reindex",
        table,
        lambda name: Maintain(Upkeep.REINDEX, name, concurrent=concurrent),
        dry_run=dry_run,
        seconds=timeout_seconds,
    )


def agent_analyze_index_usage(db: Database, table: str) -> Result:
    """Say how often each index of a table was used since the statistics began, the least used first."""

    def run() -> Outcome:
        db.table(table)
        rows = _read(db, USAGE, table)
        unused = sum(row["is_unused"] for row in rows)
        return rows, len(rows), f"{len(rows)} indexes of {table}, {unused} never used"

    return outcome("index usage", run)


def agent_analyze_table_bloat(db: Database, table: str | None = None) -> Result:
    """Say how many dead rows one table or each holds by the database's own statistics, the worst first."""

    def run() -> Outcome:
        rows = _read(db, BLOAT, _tables(db, table))
        return rows, len(rows), f"tables looked at: {len(rows)}"

    return outcome("table bloat", run)


def _maintain(
    db: Database,
    operation: str,
    table: str | None,
    change: Callable[[str], Maintain],
    *,
    dry_run: bool,
    seconds: float,
) -> Result:
    def run() -> Outcome:
        names = _tables(db, table)
        texts = [text for name in names for text in db.transport.compose(change(name))]
        if not dry_run:
            # Each by itself: none of them may stand in a transaction.
            statements = [Statement(text, Power.DEFINE) for text in texts]
            db.transport.run(Script(statements, transaction=False, timeout_seconds=seconds))
        done = "would be kept up" if dry_run else "kept up"
        return texts, len(names), f"tables {done} by {operation}: {len(names)}"

    return outcome(operation, run)


def _tables(db: Database, table: str | None) -> list[str]:
    found = db.describe()
    if table is None:
        return [entry["name"] for entry in found.raw["tables"] if entry["kind"] == "table"]
    if found.entry(table)["kind"] != "table":
        raise Refused("ERR_VALIDATION_SCHEMA", f"{table} is a view: there is nothing to keep up.")
    return [table]


def _read(db: Database, text: str, value: Any) -> list[dict[str, Any]]:
    script = Script([Statement(text, Power.READ, [value])], read_only=True)
    return db.transport.run(script)[0].rows
