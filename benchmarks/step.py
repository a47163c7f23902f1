"""The durable step beside plain three-commit scripts on the same server, in turns.

Each script does for one item: claim it, keep the raw answer, finish. `bare` keeps a queue, the answers and
the turns, and nothing else. `same rows` writes by hand what our step leaves behind in the database: the
attempt with its request, a conversation in a table like ours with its indexes, and the log line. `rows and
files` goes on to write the two documents of the bucket, of the same bytes. `same work` leaves the same and
comes by it as ours does: it renders the prompt, keeps the raw answer as a file, parses, validates, scores and
enriches, with the package's own functions. What ours does beyond that is what makes it a batch job: leases,
retries, budgets, counters, events, and figures for a screen. The writer's own time is taken off. What was
done is counted and checked on every side.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.scripts import Scripts, TimedDemo
from brightrun.bootstrap import App, open_app
from brightrun.buckets.local import LocalBucket
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, StepOutcome, WriterName
from brightrun.domain.bucket import CONVERSATION_FILES
from brightrun.domain.ids import JobId
from brightrun.domain.scenario import Scenario, Tier
from brightrun.saol.server.launcher import EmbeddedServer

SIZES = (100, 1_000, 10_000)
SAMPLE = 200
WARM_UP = 60
"""Items all sides do before anything is measured: imports, connections and plans are made once a process."""
FEWEST = 100
"""Items a place is measured with at least: a tenth of a small job is too few, so several are written."""
ROUND = 20
"""Items one side does before the other has its turn, so that both see the same disk."""


@dataclass(frozen=True)
class Figure:
    """Milliseconds an item took outside the writer, at one place of a job of one size."""

    size: int
    place: str
    ours: float
    bare: float
    rows: float
    files: float
    work: float


@dataclass
class Times:
    """Seconds each item took, by side."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    rows: list[float] = field(default_factory=list)
    files: list[float] = field(default_factory=list)
    work: list[float] = field(default_factory=list)

    def figure(self, size: int, place: str) -> Figure:
        sides = (self.ours, self.bare, self.rows, self.files, self.work)
        return Figure(size, place, *(statistics.median(times) * 1e3 for times in sides))


def measure(place: Path, sizes: tuple[int, ...] = SIZES, sample: int = SAMPLE) -> list[Figure]:
    """Run every size at its start and at 90 % done in a folder of `place`, and return what an item took."""
    figures = []
    with opened(Path(mkdtemp(prefix="step", dir=place))) as (app, dsn, writer):
        with closing(Scripts(app, dsn, writer)) as scripts:
            _compare(app, scripts, _prepare(app, scripts, WARM_UP), writer, WARM_UP, Times())
        for size in sizes:
            with closing(Scripts(app, dsn, writer)) as scripts:
                figures += _at_both_places(app, scripts, writer, size, sample)
    return figures


def _at_both_places(app: App, scripts: Scripts, writer: TimedDemo, size: int, sample: int) -> list[Figure]:
    """Measure a tenth of a job at most at its start and at 90 %, in as many jobs as give enough items."""
    share = min(sample, size // 10)
    start, late = Times(), Times()
    for _ in range(max(1, min(sample, FEWEST) // share)):
        job = _prepare(app, scripts, size)
        _compare(app, scripts, job, writer, share, start)
        scripts.skip(job, int(size * 0.9))
        _compare(app, scripts, job, writer, share, late)
    return [start.figure(size, "start"), late.figure(size, "90 %")]


@contextmanager
def opened(home: Path) -> Iterator[tuple[App, str, TimedDemo]]:
    """Open an app on its own embedded database, with the timed writer in place of the demo."""
    writer = TimedDemo()
    server = EmbeddedServer(home, None)
    dsn = server.acquire()
    app = open_app(Settings(home=home, writer=WriterName.DEMO), writers={WriterName.DEMO: writer})
    try:
        yield app, dsn, writer
    finally:
        app.close()
        server.release()


def _prepare(app: App, scripts: Scripts, size: int) -> JobId:
    axes = app.scenarios.axes()
    arcs = [arc for arc in axes.arcs if arc.tier is Tier.TEMPLATE]
    scenarios = []
    for n in range(size):
        arc = arcs[n % len(arcs)]
        persona, topic = axes.personas[n % len(axes.personas)], axes.topics[n % len(axes.topics)]
        note = {"note": f"This is case {n}."}
        scenarios.append(Scenario(arc.tier, persona.persona_key, arc.arc_key, topic.topic_key, note))
    options = JobOptions(writer=WriterName.DEMO, model="demo", max_tokens=16_000)
    job = app.batches.create(app.planner.plan(scenarios, options), name=f"step {size}", actor="benchmark")
    scripts.queue(job.id)
    return job.id


def _compare(app: App, scripts: Scripts, job: JobId, writer: TimedDemo, wanted: int, times: Times) -> None:
    """Add what `wanted` items of one job took on each side, in turns."""
    done = 0
    while done < wanted:
        share = min(ROUND, wanted - done)
        times.ours += [_our_item(app, job, writer) for _ in range(share)]
        times.work += [scripts.work(job) for _ in range(share)]
        times.bare += [scripts.bare(job) for _ in range(share)]
        left = scripts.left(job)
        same = [scripts.same(job, left) for _ in range(share)]
        times.rows += [before for before, _ in same]
        times.files += [whole for _, whole in same]
        done += share
    assert scripts.ended(job) >= wanted, "the scripts did their share"


def _our_item(app: App, job: JobId, writer: TimedDemo) -> float:
    writer.spent = 0.0
    started = time.perf_counter()
    step = app.batches.process_next(job)
    took = time.perf_counter() - started - writer.spent
    assert step.outcome is StepOutcome.COMPLETED, step.outcome
    return took


def file_costs(place: Path, count: int = 300, size: int = 7_000) -> tuple[float, float]:
    """Return the median milliseconds of keeping a raw answer and of writing one document of `size` bytes."""
    body = os.urandom(size)
    kept: list[float] = []
    written: list[float] = []
    bucket = LocalBucket(Path(mkdtemp(prefix="files", dir=place)), CONVERSATION_FILES)
    for number in range(count):
        started = time.perf_counter()
        bucket.put(f"raw/job/{number}.json", body)
        middle = time.perf_counter()
        bucket.put(f"final/{number}.json", body, overwrite=True, durable=False)
        kept.append(middle - started)
        written.append(time.perf_counter() - middle)
    return statistics.median(kept) * 1e3, statistics.median(written) * 1e3


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    sides = ("bare", "rows", "files", "work")
    heads = ("bare", "same rows", "rows and files", "same work")
    lines = [
        f"| items | place | ours, ms | {', ms | '.join(heads)}, ms | ours : {' | : '.join(heads)} |",
        "|---" * (3 + 2 * len(heads)) + "|",
    ]
    for f in figures:
        theirs = [float(getattr(f, side)) for side in sides]
        cells = [f"{f.ours:.2f}", *(f"{ms:.2f}" for ms in theirs), *(f"{f.ours / ms:.2f}" for ms in theirs)]
        lines.append(f"| {f.size:,} | {f.place} | {' | '.join(cells)} |")
    return "\n".join(lines)
