"""`make bench-growth`: what takes longer with a million conversations than with ten thousand.

Each size is a database of one server: conversations with their texts to search in, the items and attempts they
came from in batches of ten thousand, log lines and decisions. The sizes take turns, so that each sees the same machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import altair as alt
import pandas as pd
import psycopg
import vl_convert
from playwright.sync_api import Page

from benchmarks.crowd import KINDS, RARE, fill
from benchmarks.grid import copied, staged
from benchmarks.machine import described
from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.conversation import ConversationStatus
from brightrun.domain.insight import Scope
from brightrun.domain.review import ConversationFilter
from brightrun.domain.scenario import Scenario, Tier
from tests.e2e.conftest import SIZE, Site, serving

DOCS = Path(__file__).parent.parent / "docs"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
BASE = 10_000
"""The size that the others are held against."""
ROUNDS = 3
STEPS = 40
PATIENCE = 120_000
PAGES = (
    *("", "generate", "batches", "batch", "review", "imports", "insight", "datasets"),
    *("templates", "scaffolding", "people", "system"),
)
REST = """
document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'
  && !document.querySelector('[data-testid=stSkeleton]')
"""

# What a batch leaves behind for each conversation; keys are derived from the conversation's number.
ORIGIN = """
set session_replication_role = replica;
insert into public.batch_jobs (id, name, status, template_id, writer, model, max_tokens, total_items, created_by,
  created_at, started_at, completed_at)
select md5('job' || j)::uuid, 'Batch ' || j, 'completed', '00000000-0000-0000-0000-000000000000', 'claude',
  'claude-sonnet-5-5', 8000, count(*), 'ana', now() - make_interval(hours => j::integer), now(), now()
from generate_series(1, {size}) n, lateral (select n / 10000 as j) x group by j;
insert into public.batch_counts (job_id, completed, spent_usd)
select id, total_items, total_items * 0.02 from public.batch_jobs;
insert into public.batch_items (id, job_id, position, status, parameters, fingerprint, template_version_id,
  attempts, conversation_id, cost_usd, claimed_at, ended_at)
select md5('item' || n)::uuid, md5('job' || n / 10000)::uuid, 1 + n % 10000, 'completed', c.parameters,
  md5('print' || n), v.ids[1 + n % cardinality(v.ids)], 1, c.id, 0.02, c.created_at - interval '9 s', c.created_at
from public.conversations c, lateral (select substr(c.name, 8)::integer as n) x,
  (select array_agg(id order by id) as ids from public.template_versions) v;
insert into public.attempts (item_id, job_id, number, token, model, outcome, cost_usd, input_tokens, output_tokens,
  stop_reason, started_at, ended_at)
select id, job_id, 1, id, 'claude-sonnet-5-5', 'stored', 0.02, 900, 1400, 'end_turn', claimed_at, ended_at
from public.batch_items;
insert into public.job_log (job_id, item_id, message)
select job_id, id, 'Item ' || left(id::text, 8) || '... completed' from public.batch_items;
insert into public.reviews (conversation_id, version, reviewer, previous_status, operation_id, decision, created_at, pause)
select id, version, r.reviewer, 'pending_review', gen_random_uuid(), status, created_at, n % 600 / 10.0
from public.conversations, lateral (select substr(name, 8)::integer as n) x,
  lateral (select (array['ana', 'ben', 'cleo'])[1 + n % 3] as reviewer union all select 'dora' where n % 20 = 7) r
where status in ('approved', 'rejected');
update public.conversations c set item_id = i.id, job_id = i.job_id, template_version_id = i.template_version_id
from public.batch_items i where i.conversation_id = c.id;
set session_replication_role = origin;
"""


@dataclass
class Place:
    """One size: its app here, its site in the browser, and what was measured in both."""

    size: int
    app: App
    site: Site
    page: Page
    gigabytes: float
    times: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def time(self, what: str, act: Callable[[], object]) -> None:
        began = time.perf_counter()
        act()
        self.times[what].append((time.perf_counter() - began) * 1e3)


def main() -> None:
    """Measure every size in turns and write the page with its plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=DOCS)
    given = parser.parse_args()
    with opened(given.sizes) as places:
        for number in range(given.rounds + 1):
            for place in places:
                one_round(place)
                if not number:  # the first round warms caches and is not counted
                    place.times.clear()
        text = page_of(places, given.rounds)
        (given.out / "images").mkdir(parents=True, exist_ok=True)
        (given.out / "images" / "growth.svg").write_text(plot(places), encoding="utf-8")
        (given.out / "growth-benchmarks.md").write_text(text, encoding="utf-8")
        print(text)


@contextmanager
def opened(sizes: list[int]) -> Iterator[list[Place]]:
    """Fill a database for each size and open an app and a tab on each."""
    with staged() as (stack, dsn, folder, browser):
        places = []
        for size in sizes:
            target = copied(dsn, f"growth_{size}")
            gigabytes = grown(target, size)
            home = folder / str(size)
            home.mkdir()
            site = stack.enter_context(serving(target, home, "ana"))
            app = open_app(Settings(home=home, database_url=target, actor="ana"))
            stack.callback(app.close)
            places.append(Place(size, app, site, browser.new_context(viewport=SIZE).new_page(), gigabytes))  # type: ignore[arg-type]
        yield places


def grown(dsn: str, size: int) -> float:
    """Fill a database; returns its size in gigabytes."""
    began = time.perf_counter()
    fill(dsn, size)
    with psycopg.connect(dsn, autocommit=True) as sql:
        sql.execute(ORIGIN.format(size=size))
        sql.execute(KINDS)
        sql.execute("vacuum analyze")
        found = sql.execute("select pg_database_size(current_database())").fetchone()
    print(f"{size:,} conversations put in, {time.perf_counter() - began:.0f} s", flush=True)
    return float(found[0]) / 1e9 if found else 0.0


def one_round(place: Place) -> None:
    """Do once what pages and workers do all day."""
    app, waiting = place.app, ConversationFilter(status=ConversationStatus.PENDING_REVIEW)
    reviews, everything = app.reviews, Scope()
    for what, act in {
        "grid: first page": lambda: reviews.page(waiting, limit=50),
        "grid: by score": lambda: reviews.page(waiting, limit=50, sort="worst"),
        "grid: in the middle": lambda: reviews.page(waiting, limit=50, offset=place.size // 3),
        "grid: a rare word": lambda: reviews.page(ConversationFilter(text=RARE), limit=50),
        "count: what waits": lambda: reviews.count(waiting),
        "count: every status": lambda: reviews.count_statuses(ConversationFilter()),
        "filter values": reviews.facets,
        "batches: first page": lambda: app.batches.page(limit=12),
        "insight: decisions": lambda: app.insight.decisions(everything),
        "insight: costs": lambda: app.insight.costs(everything),
        "insight: score": lambda: app.insight.scores(everything),
        "insight: reviewers": lambda: app.insight.reviewers(everything),
        "insight: coverage": lambda: app.insight.coverage(everything),
        "costs by version": app.costs.by_version,
        "release: what matches": lambda: app.datasets.matching(
            ConversationFilter(status=ConversationStatus.APPROVED)
        ),
    }.items():
        place.time(what, act)
    step(place)
    for name in PAGES:
        job = place.app.batches.page(limit=1, offset=1)
        address = f"batch?job={job[0].id}" if name == "batch" and job else name
        place.time(f"page: {name or 'home'}", lambda address=address: open_page(place, address))  # type: ignore[misc]


def step(place: Place) -> None:
    """Write a small batch with the demo writer; what counts is the median of its steps."""
    plan = place.app.planner.plan(
        [Scenario(tier=Tier.SCENARIO, variables={"scenario": f"Ask for {n} chairs."}) for n in range(STEPS)],
        JobOptions(WriterName.DEMO, "demo", 8000),
    )
    job = place.app.batches.create(plan, name="Growth", actor="ana")
    taken = []
    for _ in range(STEPS):
        began = time.perf_counter()
        place.app.batches.process_next(job.id)
        taken.append((time.perf_counter() - began) * 1e3)
    place.times["process_next"].append(statistics.median(taken))


def open_page(place: Place, address: str) -> None:
    place.page.goto(f"{place.site.url}/{address}")
    place.page.wait_for_function(REST, polling="raf", timeout=PATIENCE)


def median(place: Place, what: str) -> float:
    return statistics.median(place.times[what])


def page_of(places: list[Place], rounds: int) -> str:
    base = next((place for place in places if place.size == BASE), places[0])
    largest = places[-1]
    head = "".join(f" {place.size:,} |" for place in places)
    rows = []
    for what in largest.times:
        cells = "".join(f" {median(place, what):,.1f} |" for place in places)
        rows.append(f"| {what} |{cells} {median(largest, what) / median(base, what):.2f} |")
    sizes = ", ".join(f"{place.size:,}: {place.gigabytes:.1f} GB" for place in places)
    return f"""# What grows with the number of conversations

Milliseconds, medians of {rounds} rounds in which the sizes take turns (`make bench-growth`), on one machine:
{datetime.now(UTC):%Y-%m-%d}, {described()}, embedded PostgreSQL. A database holds each conversation's text to search in, its
item, attempt, log line and decision ({sizes}). *process_next* is the median of {STEPS} steps of the demo writer. A page
is opened by its address in a new Chromium document until it rests.

| what | {head} {largest.size:,} : {base.size:,} |
|---|{"---|" * (len(places) + 1)}
{chr(10).join(rows)}

![Times beside those of {base.size:,} conversations](images/growth.svg)
""".replace("| what | ", "| what |")


def plot(places: list[Place]) -> str:
    base = next((place for place in places if place.size == BASE), places[0])
    frame = pd.DataFrame(
        [
            {
                "what": what,
                "conversations": f"{place.size:,}",
                "ratio": median(place, what) / median(base, what),
            }
            for place in places
            for what in place.times
            if place is not base
        ]
    )
    chart = (
        alt.Chart(frame, width=460)
        .mark_point(filled=True, size=60)
        .encode(
            x=alt.X("ratio:Q", title=f"times what it takes with {base.size:,}", scale=alt.Scale(type="log")),
            y=alt.Y("what:N", title=None, sort=None),
            color=alt.Color("conversations:N", sort=None),
        )
    )
    return str(vl_convert.vegalite_to_svg(chart.to_dict()))


if __name__ == "__main__":
    main()
