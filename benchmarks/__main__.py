"""`make bench-step`: measure the step and the slots, and write docs/benchmarks.md with their plots."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import altair as alt
import pandas as pd

from benchmarks import slots, step
from benchmarks.machine import described

DOCS = Path(__file__).parent.parent / "docs"


def main() -> None:
    """Measure, write the table and the plot, print both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("--sizes", type=int, nargs="+", default=list(step.SIZES))
    parser.add_argument("--sample", type=int, default=step.SAMPLE)
    parser.add_argument("--out", type=Path, default=DOCS, help="where benchmarks.md and its plot go")
    given = parser.parse_args()
    # One place for all, removed at the end: where files were deleted a moment ago, ext4 takes long to make new ones.
    with TemporaryDirectory(prefix="br") as folder:
        place = Path(folder)
        figures = step.measure(place, tuple(given.sizes), given.sample)
        table = step.table(figures)
        kept, written = step.file_costs(place)
        at_once = slots.measure(place)
    print(table, slots.table(at_once), f"\nraw answer's file {kept:.2f} ms, a document {written:.2f} ms")
    (given.out / "images").mkdir(parents=True, exist_ok=True)
    (given.out / "images" / "step.svg").write_text(_plot(figures), encoding="utf-8")
    (given.out / "images" / "slots.svg").write_text(_shares(at_once), encoding="utf-8")
    text = _page(table, kept, written) + _at_once(slots.table(at_once)) + OTHERS
    (given.out / "benchmarks.md").write_text(text, encoding="utf-8")


def _plot(figures: list[step.Figure]) -> str:
    frame = pd.DataFrame(
        [
            {"job": f"{f.size:,} items, {f.place}", "what": what, "milliseconds": value}
            for f in figures
            for what, value in (
                ("Bright Run", f.ours),
                ("same work", f.work),
                ("rows and files", f.files),
                ("same rows", f.rows),
                ("bare script", f.bare),
            )
        ]
    )
    chart = (
        alt.Chart(frame, width=420, height=220)
        .mark_bar()
        .encode(
            x=alt.X("milliseconds:Q", title="ms an item, outside the writer"),
            y=alt.Y("what:N", title=None),
            row=alt.Row("job:N", title=None, sort=None, header=alt.Header(labelAngle=0, labelAlign="left")),
            color=alt.Color("what:N", legend=None),
        )
        .properties(height=30)
    )
    return _svg(chart)


def _shares(figures: list[slots.Figure]) -> str:
    frame = pd.DataFrame(
        [
            {
                "call": f"{f.latency * 1e3:,.0f} ms a call",
                "slots": str(f.slots),
                "what": what,
                "share": f.ideal / taken,
            }
            for f in figures
            for what, taken in (("Bright Run", f.ours), ("bare SDK", f.bare))
        ]
    )
    chart = (
        alt.Chart(frame, width=190, height=160)
        .mark_bar()
        .encode(
            x=alt.X("slots:N", sort=None, title="slots"),
            xOffset="what:N",
            y=alt.Y("share:Q", title="share of the ideal"),
            color=alt.Color("what:N", title=None),
            column=alt.Column("call:N", title=None, sort=None),
        )
    )
    return _svg(chart)


def _svg(chart: alt.Chart) -> str:
    import vl_convert

    return str(vl_convert.vegalite_to_svg(chart.to_dict()))


def _page(table: str, kept: float, written: float) -> str:
    return f"""# Benchmarks

Ratios, measured in one run on one machine by `make bench-step`; the absolute figures are that machine's.
{datetime.now(UTC):%Y-%m-%d}, {described()}, embedded PostgreSQL with fsync and synchronous_commit on.

## The durable step

Time per item outside the writer's call (median), beside plain scripts that do three commits for an item (claim, keep
the raw answer, finish) on the same server in the same run, in turns of {step.ROUND} items; a place of a small job is measured in several jobs.
*Bare* keeps a queue, the answers and the turns. *Same rows* leaves what our step leaves in the database: the attempt
with its request, the conversation with its indexes, the log line. *Rows and files* writes the two documents too.
*Same work* leaves the same and comes by it as ours does: it renders the prompt, keeps the raw answer as a file that is
waited for (the other scripts: as a row), parses, validates, scores and enriches, with the package's own functions. What
ours does beyond that is what makes it a batch job: leases, retries, budgets, counters, events, and figures for a screen.

{table}

Of our time, in the same run: {kept:.2f} ms to make and wait for the raw answer's file, {written:.2f} ms for each of the two
documents. A disk that takes longer to confirm a commit brings every ratio nearer to one, since ours waits for two
commits and one file where the scripts wait for three commits. What *same work* takes beside *bare* is what any step
that renders, reads and assesses must take: no bookkeeping, however cheap, could come nearer to *bare* than that.

![Milliseconds per item beside the plain script](images/step.svg)
"""


def _at_once(table: str) -> str:
    return f"""
## Many at a time

The same calls through `brightrun work --slots N`, from 32 slots on in one process more than there are cores, durable as
ever, and through a bare loop of AsyncAnthropic that keeps nothing, one after the other in the same run; what would take
less than {slots.SHORT_SECONDS:g} s at best is the median of {slots.ROUNDS} runs in turns. No two answers of a run have five
words in a row in common, and both sides are warm: starting the processes is not counted, nor are imports. A server in a
process of its own answers each call after the time stated. *Ideal* is calls x latency / slots. Server, database, both sides: all on this machine's cores.

{table}

![Share of the ideal, by latency and slots](images/slots.svg)
"""


OTHERS = """
## The others

Each has a page of its own, made by a target of its own; `make bench` runs all of them, one after the other.

| what | target | page |
|---|---|---|
| many calls at a time beside five other tools | `make bench-peers` | [peers](peers-benchmarks.md) |
| the review in a real Chromium, 1,000 to 100,000 rows | `make benchgrid` | [grid](grid-benchmarks.md) |
| every page, the step and counts, 1,000 to 1,000,000 rows | `make bench-growth` | [growth](growth-benchmarks.md) |
| exports beside plain scripts and the disk | `make benchexport` | [exports](export-benchmarks.md) |
| rules, score, near-duplicates | `make bench-quality` | [quality](quality-benchmarks.md) |
| the planner | `make bench-plan` | [plan](plan-benchmarks.md) |
| figures of the insight page | `make bench-insight` | [insight](insight-benchmarks.md) |
"""


if __name__ == "__main__":
    main()
