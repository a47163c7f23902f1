"""The one place that picks adapters from the settings; everything else receives a ready object.

The adapters of a vendor are imported when they are picked: a demo on this machine waits for none of them.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from brightrun import __version__, saol
from brightrun.buckets.local import LocalBucket
from brightrun.config import Database, Settings, supabase_folder
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.bucket import BATCH_LOGS, CONVERSATION_FILES, DATASET_FILES, Bucket
from brightrun.domain.errors import SetupFault, StorageFault
from brightrun.domain.person import Action, Person, Role, may
from brightrun.domain.writing import Writer
from brightrun.events.event import Event, emit
from brightrun.events.log import open_log
from brightrun.saol.server import moving
from brightrun.saol.server.launcher import EmbeddedServer
from brightrun.saol.server.migrations import bring_up, migrations, require_current, told
from brightrun.services.answers import Answers, Reader
from brightrun.services.batches import Batches
from brightrun.services.budgets import Budgets
from brightrun.services.corrections import Corrections
from brightrun.services.costs import Costs
from brightrun.services.datasets import Datasets
from brightrun.services.diversity import Diversities
from brightrun.services.duplicates import Duplicates
from brightrun.services.enrichment import Enrichment
from brightrun.services.errands import Errands
from brightrun.services.estimates import Estimator
from brightrun.services.exports import Exports
from brightrun.services.fleet import Fleet
from brightrun.services.generation import Generation
from brightrun.services.imports import Imports
from brightrun.services.insight import Insight
from brightrun.services.judging import Judging
from brightrun.services.logs import Logs
from brightrun.services.migration import SCAFFOLDING, Migration, Rows
from brightrun.services.pace import Pace
from brightrun.services.parts import Parts
from brightrun.services.people import People
from brightrun.services.plans import Planner
from brightrun.services.previews import Previews
from brightrun.services.prices import Prices
from brightrun.services.reparsing import Reparsing
from brightrun.services.reviews import Reviews
from brightrun.services.revisions import Revisions
from brightrun.services.rights import role_of
from brightrun.services.scaffolding import Scaffolding
from brightrun.services.scenarios import Scenarios
from brightrun.services.spaces import Spaces
from brightrun.services.spending import Spending
from brightrun.services.spool import Spool
from brightrun.services.steps import Steps
from brightrun.services.system import System
from brightrun.services.templates import Templates
from brightrun.services.views import Views
from brightrun.writers.demo import DemoWriter
from brightrun.writers.envelope import read_envelope

if TYPE_CHECKING:
    from brightrun.queue.crew import Crew

log = logging.getLogger(__name__)

STORING_AT_ONCE = 8
"""Answers that are on their way to a store elsewhere at the same time: each waits for the network three times."""


@dataclass(frozen=True, slots=True)
class App:
    """Every use case, ready to be called from a page or a shell."""

    settings: Settings
    templates: Templates
    scenarios: Scenarios
    scaffolding: Scaffolding
    spaces: Spaces
    planner: Planner
    prices: Prices
    costs: Costs
    budgets: Budgets
    batches: Batches
    steps: Steps
    parts: Parts
    previews: Previews
    reparsing: Reparsing
    enrichment: Enrichment
    judging: Judging
    imports: Imports
    reviews: Reviews
    corrections: Corrections
    views: Views
    revisions: Revisions
    datasets: Datasets
    diversity: Diversities
    duplicates: Duplicates
    exports: Exports
    insight: Insight
    system: System
    people: People
    fleet: Fleet
    writer: Callable[[WriterName], Writer]
    _db: saol.Database
    _furnish: Callable[[saol.Database], App]
    _closing: ExitStack

    @property
    def role(self) -> Role:
        """The role of who acts; the server itself, its shell and the person of this machine are admins."""
        return role_of(self._db)

    def may(self, action: Action) -> bool:
        """Whether who acts may do something."""
        return may(self.role, action)

    def acting_as(self, person: Person) -> App:
        """Return the same use cases for one person, asked by policy here and by the database again."""
        return self._furnish(self._db.acting_as(person.claims()))

    def close(self) -> None:
        """Let go of the database; the last process to do so stops the embedded server."""
        self._closing.close()


def open_app(settings: Settings | None = None, *, writers: Mapping[WriterName, Writer] | None = None) -> App:
    """Connect everything; raises SetupFault with the remedy when this machine or project is not ready.

    `writers` takes the place of those the settings would make.
    """
    settings = settings or Settings()
    closing = ExitStack()
    try:
        closing.callback(open_log(settings))
        app = _assemble(settings, closing, writers or {})
        emit(Event.APP_OPENED, version=__version__, database=settings.database, program=_program())
    except BaseException:
        closing.close()
        raise
    closing.callback(emit, Event.APP_CLOSED)
    return app


def sweep(settings: Settings) -> None:
    """Stop the embedded server where a process that has ended left it running and no other uses it."""
    if settings.database is Database.EMBEDDED:
        EmbeddedServer(settings.home, settings.pg_bin).stop_unused()


@contextmanager
def open_crew(settings: Settings, slots: int, tell: Callable[[str], None]) -> Iterator[tuple[App, Crew]]:
    """Lend the app and a process of the fleet that tells when its database fails it; raises SetupFault where that cannot be."""
    if settings.database is Database.SUPABASE:
        raise SetupFault(
            "A worker speaks to Postgres itself, and SUPABASE_URL is the project's HTTP door.",
            remedy="Set DATABASE_URL to the project's connection string (session mode), beside SUPABASE_URL.",
        )
    try:
        from brightrun.queue.crew import Crew
    except ModuleNotFoundError as fault:
        raise SetupFault(
            "procrastinate is not installed.", remedy="pip install 'brightrun[worker]', or `brightrun work`."
        ) from fault
    with ExitStack() as closing:
        app = open_app(settings)
        closing.callback(app.close)
        if settings.database_url:
            dsn = settings.database_url.get_secret_value()
        else:
            server = EmbeddedServer(settings.home, settings.pg_bin)
            dsn = server.acquire()
            closing.callback(server.release)
        crew = Crew(
            dsn,
            slots=slots,
            listed=app.batches.open_jobs,
            drain=app.fleet.drain,
            beat=lambda: app.fleet.beat(slots),
            tell=tell,
        )
        closing.callback(app.fleet.leave)
        yield app, crew


@contextmanager
def open_database(settings: Settings, *, over: Database | None = None) -> Iterator[saol.Database]:
    """Lend the database alone, over the road that is asked for where the settings name several."""
    if over is Database.SUPABASE:
        settings = settings.model_copy(update={"database_url": None})
    elif over is Database.EMBEDDED:
        settings = settings.model_copy(update={"database_url": None, "supabase_url": None})
    if over not in (None, settings.database):
        raise SetupFault(
            f"The settings name no way to the database over {over}.",
            remedy="Set DATABASE_URL, or SUPABASE_URL and SUPABASE_SECRET_KEY.",
        )
    with ExitStack() as closing:
        yield _database(settings, closing)[0]


@contextmanager
def open_migration(settings: Settings, *, to: str, files: str | None) -> Iterator[Migration]:
    """Lend the move of this machine's embedded installation to the database `to` and the files' new place."""
    home = settings.model_copy(update={"database_url": None, "supabase_url": None})
    place = files or settings.supabase_url
    if not place:
        raise SetupFault(
            "Nobody said where the files go.",
            remedy="Say --files https://REF.supabase.co (with SUPABASE_SECRET_KEY), or --files FOLDER.",
        )
    if place.startswith(("https://", "http://")):
        there = settings.model_copy(update={"supabase_url": place})
        if not there.supabase_secret_key:
            raise SetupFault(
                "SUPABASE_SECRET_KEY is not set.", remedy="It stands in the project's API settings."
            )
    else:
        there = home.model_copy(update={"home": Path(place).expanduser().absolute()})
    with ExitStack() as closing:
        server = EmbeddedServer(home.home, home.pg_bin)
        dsn = server.acquire()
        closing.callback(server.release)
        folder = supabase_folder()
        bring_up(dsn, folder, server.cluster)
        db = saol.connect_postgres(dsn)
        closing.callback(db.close)
        sources, targets = _buckets(home, closing), _buckets(there, closing)
        spool = Spool(sources[0], LocalBucket(home.home / "spool", CONVERSATION_FILES))
        rows = Rows(
            lambda tell: moving.move(dsn, to, folder, SCAFFOLDING, tell),
            lambda: moving.prove(dsn, to),
            lambda: moving.forget(to),
        )
        yield Migration(db, spool, rows, list(zip(sources, targets, strict=True)))


def _program() -> str:
    """Return what this process was started as, without its arguments."""
    return Path(sys.argv[0]).name or "python"


@dataclass(frozen=True, slots=True)
class _Roads:
    """What leads out of this process; opened once, whoever acts."""

    buckets: tuple[Bucket, Bucket, Bucket]
    spool: Spool
    writer: Callable[[WriterName], Writer]
    reader: Callable[[WriterName], Reader]
    server: saol.Database
    require_migrations: Callable[[], str]


def _assemble(settings: Settings, closing: ExitStack, given: Mapping[WriterName, Writer]) -> App:
    db, require_migrations = _database(settings, closing)
    buckets = _buckets(settings, closing)
    spool = Spool(buckets[0], LocalBucket(settings.home / "spool", CONVERSATION_FILES))
    _upload(spool)
    roads = _Roads(
        buckets,
        spool,
        _writers(settings, given, closing),
        lambda name: _reader(name, given),
        db,
        require_migrations,
    )
    return _furnish(settings, roads, db, closing)


def _parts(settings: Settings, roads: _Roads, db: saol.Database, generation: Generation) -> Parts:
    return Parts(
        db,
        generation,
        roads.spool,
        roads.writer,
        lease_seconds=settings.lease_seconds,
        lease_margin=settings.lease_margin,
        look_seconds=settings.overnight_look,
        most=settings.overnight_part,
    )


def _batches(
    settings: Settings, db: saol.Database, steps: Steps, logs: Logs, server: Batches | None
) -> Batches:
    return Batches(
        db,
        steps,
        logs,
        max_attempts=settings.max_attempts,
        pause_after_failures=settings.pause_after_failures,
        pause_after_refusals=settings.pause_after_refusals,
        upkeep=server.take_back if server else None,
    )


def _furnish(
    settings: Settings, roads: _Roads, db: saol.Database, closing: ExitStack, server: Batches | None = None
) -> App:
    """Build the use cases for whom this database acts; server: its own, where that is a person."""
    files, logs, released = roads.buckets
    spool, writer = roads.spool, roads.writer
    templates, scenarios = Templates(db), Scenarios(db)
    datasets = Datasets(db)
    enrichment = Enrichment(db, templates, scenarios, files, settings.quality)
    spending = Spending(db)
    answers = Answers(templates, scenarios, files, roads.reader, spending, settings.quality)
    pace = Pace(db)
    estimator = Estimator(db, writer)
    judging = Judging(
        db,
        scenarios,
        estimator,
        spending,
        roads.reader,
        standard=settings.quality,
        max_attempts=settings.max_attempts,
    )
    generation = Generation(
        Errands(answers, judging),
        spool,
        writer,
        spending,
        pace,
        retry_base=settings.retry_base,
        lease_margin=settings.lease_margin,
    )
    duplicates = Duplicates(db, settings.quality)
    planner = Planner(db, templates, scenarios, estimator)
    parts, job_logs = _parts(settings, roads, db, generation), Logs(db, logs)
    steps = Steps(
        db,
        generation,
        pace,
        parts,
        job_logs,
        lease_seconds=settings.lease_seconds,
        at_once=1 if isinstance(files, LocalBucket) else STORING_AT_ONCE,
        after_end=duplicates.mark_ended,
    )
    batches = _batches(settings, db, steps, job_logs, server)
    return App(
        settings=settings,
        templates=templates,
        scenarios=scenarios,
        scaffolding=Scaffolding(db, scenarios),
        spaces=Spaces(db, scenarios),
        planner=planner,
        prices=Prices(db),
        costs=Costs(db),
        budgets=Budgets(db),
        batches=batches,
        steps=steps,
        parts=parts,
        previews=Previews(db, planner, templates),
        reparsing=Reparsing(db, answers, spool),
        enrichment=enrichment,
        judging=judging,
        imports=Imports(db, scenarios, files, settings.quality, after_end=duplicates.mark_taken),
        reviews=Reviews(db),
        corrections=Corrections(db, enrichment, settings.quality),
        views=Views(db),
        revisions=Revisions(db, planner, batches, templates, scenarios, _standard(settings)),
        datasets=datasets,
        diversity=Diversities(db, settings.quality),
        duplicates=duplicates,
        exports=Exports(datasets, released, settings.home / "exports"),
        insight=Insight(db, scenarios),
        system=System(roads.server, roads.buckets, spool, writer, settings, roads.require_migrations),
        people=People(db),
        fleet=Fleet(db, batches.process_next),
        writer=writer,
        _db=db,
        _furnish=lambda acting: _furnish(settings, roads, acting, closing, server or batches),
        _closing=closing,
    )


def _database(settings: Settings, closing: ExitStack) -> tuple[saol.Database, Callable[[], str]]:
    """Open the road the settings name; the embedded one is started and brought up to date here."""
    folder = supabase_folder()
    if settings.database is Database.SUPABASE:
        if not settings.supabase_url or not settings.supabase_secret_key:
            raise SetupFault(
                "SUPABASE_URL is set but SUPABASE_SECRET_KEY is not.",
                remedy="Set both: the secret key stands in the project's API settings.",
            )
        key = settings.supabase_secret_key.get_secret_value()
        db = saol.connect_supabase(settings.supabase_url, key)
        closing.callback(db.close)
        return db, lambda: _visible(db, folder / "migrations")
    revive = place = None
    if settings.database_url:
        dsn = settings.database_url.get_secret_value()
        require_current(dsn, folder / "migrations")
    else:
        server = EmbeddedServer(settings.home, settings.pg_bin)
        dsn = server.acquire()
        revive, place = server.acquire, server.cluster
        closing.callback(server.release)
        bring_up(dsn, folder, server.cluster)
    db = saol.connect_postgres(dsn, revive=revive, place=place)
    closing.callback(db.close)
    return db, lambda: require_current(dsn, folder / "migrations")


def _standard(settings: Settings) -> JobOptions:
    """Return how a conversation is written where nothing else is said."""
    return JobOptions(settings.default_writer, settings.model, settings.max_tokens)


def _visible(db: saol.Database, folder: Path) -> str:
    """Say that a project reached over HTTP has every migration, or raise SetupFault naming what it lacks."""
    known = saol.agent_introspect_schema(db).value()["functions"]
    applied: set[str] = set()
    if "describe_project" in {function["name"] for function in known}:
        applied = set(saol.agent_execute_rpc(db, "describe_project").value()["migrations"])
    return told(folder, [m for m in migrations(folder) if m.version not in applied])


def _buckets(settings: Settings, closing: ExitStack) -> tuple[Bucket, Bucket, Bucket]:
    """Return the buckets of conversation files, of logs and of datasets: a project's where its key is known."""
    if settings.supabase_url and settings.supabase_secret_key:
        from brightrun.buckets.supabase import SupabaseBucket, connect_storage

        storage = connect_storage(settings.supabase_url, settings.supabase_secret_key.get_secret_value())
        closing.callback(storage.session.close)
        return (
            SupabaseBucket(storage, CONVERSATION_FILES),
            SupabaseBucket(storage, BATCH_LOGS),
            SupabaseBucket(storage, DATASET_FILES),
        )
    folder = settings.home / "buckets"
    return (
        LocalBucket(folder, CONVERSATION_FILES),
        LocalBucket(folder, BATCH_LOGS),
        LocalBucket(folder, DATASET_FILES),
    )


def _upload(spool: Spool) -> None:
    """Pick up answers that an earlier process could not store; where the store is still down, they wait on."""
    try:
        if uploaded := spool.upload():
            log.info("%s answers that waited on this machine are in the store now", uploaded)
    except StorageFault as fault:
        log.warning("Answers wait on this machine for the store: %s", fault)


def _writers(
    settings: Settings, given: Mapping[WriterName, Writer], closing: ExitStack
) -> Callable[[WriterName], Writer]:
    """Make each writer once a process, when it is first needed: a demo needs no key."""
    made: dict[WriterName, Writer] = dict(given)
    lock = threading.Lock()

    def writer(name: WriterName) -> Writer:
        with lock:
            if name not in made:
                made[name] = _writer(name, settings, closing)
            return made[name]

    return writer


def _reader(name: WriterName, given: Mapping[WriterName, Writer]) -> Reader:
    """Return what reads a writer's answers: without its key, because nothing is called."""
    return given[name].read if name in given else read_envelope


def _writer(name: WriterName, settings: Settings, closing: ExitStack) -> Writer:
    if name is WriterName.DEMO:
        return DemoWriter(seconds=settings.demo_seconds)
    if not settings.anthropic_api_key:
        raise SetupFault(
            "There is no key for Claude.",
            remedy="Set ANTHROPIC_API_KEY, or use the demo writer.",
        )
    from brightrun.writers.claude import ClaudeWriter

    claude = ClaudeWriter(
        api_key=settings.anthropic_api_key.get_secret_value(),
        base_url=settings.anthropic_base_url,
        timeout=settings.call_timeout,
        model=settings.model,
    )
    closing.callback(claude.close)
    return claude
