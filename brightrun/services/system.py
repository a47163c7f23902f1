"""Is everything a batch needs there, and what to do about what is not."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from brightrun import saol
from brightrun.config import Database, Settings
from brightrun.domain.batch import WriterName
from brightrun.domain.bucket import Bucket
from brightrun.domain.errors import BrightRunError, SetupFault
from brightrun.domain.price import price_for
from brightrun.domain.writing import Writer
from brightrun.saol.server.account import abandoned
from brightrun.services.spool import Spool
from brightrun.stores import prices

LOW_SPACE_BYTES = 500_000_000
BYPASS = """
select current_user as role, rolsuper or rolbypassrls as bypasses from pg_roles where rolname = current_user
"""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing a batch needs: whether it is there, and the remedy where it is not."""

    name: str
    is_ok: bool
    detail: str
    remedy: str = ""
    is_notice: bool = False
    """Nothing is missing, but somebody should look at it."""


class System:
    """Looks at the installation as a batch would find it."""

    def __init__(
        self,
        db: saol.Database,
        buckets: Sequence[Bucket],
        spool: Spool,
        writer: Callable[[WriterName], Writer],
        settings: Settings,
        require_migrations: Callable[[], str],
    ) -> None:
        self._db = db
        self._buckets = buckets
        self._spool = spool
        self._writer = writer
        self._settings = settings
        self._require_migrations = require_migrations

    def checks(self) -> list[Check]:
        """Run every check; none of them costs money or raises."""
        found = [
            _check("Database", self._database),
            _check("Migrations", self._require_migrations),
            _check("Rights", self._rights),
            _check("Scaffolding", self._scaffolding),
        ]
        found += [_check(f"Bucket {b.name}", lambda b=b: self._bucket(b)) for b in self._buckets]  # type: ignore[misc]
        found.append(_check("Spool", self._spooled))
        found += [_check("Writer", self._write), _check("Prices", self._priced)]
        found.append(_check("Disk space", self._space))
        return [*found, *left_over(abandoned())]

    def _database(self) -> str:
        saol.agent_count(self._db, "batch_jobs").require()
        return {
            Database.EMBEDDED: f"Embedded PostgreSQL in {self._settings.home} answers.",
            Database.POSTGRES: "The database named by DATABASE_URL answers.",
            Database.SUPABASE: "The Supabase project answers.",
        }[self._settings.database]

    def _rights(self) -> str:
        """Everything is closed to everybody but this server, and this server is not shut out itself."""
        self._require_closed()
        if self._settings.database is Database.SUPABASE:
            return "Row Level Security is on and forced for every table; every bucket is private."
        row = saol.agent_execute_sql(self._db, BYPASS).rows()[0]
        if not row["bypasses"]:
            raise SetupFault(
                f"The role {row['role']} does not bypass Row Level Security and would see no row.",
                remedy="Connect as `postgres` in a Supabase project; elsewhere, `alter role … bypassrls`.",
            )
        return f"Row Level Security is on and forced for every table; {row['role']} bypasses it."

    def _require_closed(self) -> None:
        tables = saol.agent_introspect_schema(self._db).value()["tables"]
        closed = {t["name"] for t in tables if t["kind"] == "view" or (t["rls_enabled"] and t["rls_forced"])}
        if left := sorted({t["name"] for t in tables} - closed):
            raise SetupFault(
                f"Row Level Security is not on and forced: {', '.join(left)}.",
                remedy="For each: `alter table … enable row level security` and `… force row level security`.",
            )
        public = set(saol.agent_execute_rpc(self._db, "describe_project").value()["public_buckets"])
        if known := sorted(public & {bucket.name for bucket in self._buckets}):
            raise SetupFault(
                f"Whoever knows an address reads the files of: {', '.join(known)}.",
                remedy="Make these buckets private on the project's Storage page.",
            )

    def _scaffolding(self) -> str:
        tables = ("personas", "emotional_arcs", "training_topics", "templates")
        counts = {table: saol.agent_count(self._db, table).total() for table in tables}
        missing = [table for table, count in counts.items() if not count]
        if missing:
            raise SetupFault(
                f"Empty: {', '.join(missing)}.",
                remedy="Load supabase/seed.sql or add them on the Templates page.",
            )
        return ", ".join(f"{count} {table.replace('_', ' ')}" for table, count in counts.items()) + "."

    def _bucket(self, bucket: Bucket) -> str:
        bucket.check()
        return "Can be written to."

    def _spooled(self) -> str:
        waiting = len(self._spool.waiting())
        if waiting:
            raise SetupFault(
                f"{waiting} paid answers wait in {self._settings.home / 'spool'} for the store.",
                remedy="Nothing is lost. Make the bucket usable again, then start Bright Run again or resume"
                " the batch: they are uploaded by themselves. Do not delete that folder.",
            )
        return "No answer waits for the store."

    def _write(self) -> str:
        return self._writer(self._settings.default_writer).check()

    def _priced(self) -> str:
        known = prices.all_prices(self._db)
        if self._settings.default_writer is WriterName.DEMO:
            return f"{len({p.model for p in known})} models are priced; the demo writer is free."
        price = price_for(known, self._settings.model, on=prices.today(self._db))
        name = (
            self._settings.model
            if price.model == self._settings.model
            else (f"{self._settings.model}, priced as {price.model}")
        )
        return (
            f"{name}: ${price.input_usd:g} in and ${price.output_usd:g} out per million tokens, "
            f"since {price.effective_from}."
        )

    def _space(self) -> str:
        free = shutil.disk_usage(_existing(self._settings.home)).free
        if free < LOW_SPACE_BYTES:
            raise SetupFault(
                f"Only {free / 1e6:.0f} MB are free in {self._settings.home}.",
                remedy="Free some space: a batch pauses when answers cannot be stored.",
            )
        return f"{free / 1e9:.1f} GB free."


def _check(name: str, look: Callable[[], str]) -> Check:
    try:
        return Check(name, True, look())
    except BrightRunError as fault:
        return Check(name, False, fault.message, fault.remedy)


def left_over(found: Mapping[Path, Path]) -> list[Check]:
    """Name databases nobody opens any more, by the data folder each had: a folder may only be away for a while."""
    if not found:
        return []
    cluster, home = next(iter(found.items()))
    if len(found) == 1:
        return [
            Check(
                "Left-over database",
                True,
                f"A database whose data folder is gone still takes space: {cluster}, of {home}.",
                f"Delete {cluster} if that data folder will not come back.",
                is_notice=True,
            )
        ]
    return [
        Check(
            "Left-over databases",
            True,
            f"{len(found)} databases whose data folders are gone still take space, such as {cluster}, of {home}.",
            "Delete them if those data folders will not come back.",
            is_notice=True,
        )
    ]


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path
