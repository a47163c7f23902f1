"""`make bench-peers`: the same calls through Bright Run, the bare SDK and the tools a team might take instead, in turns.

Each tool has an environment of its own in `.peers/`, made at the first run: four gigabytes in all. A tool that fails is
named on the page with its error, and the others are measured all the same; Bright Run or the bare SDK may not fail.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

import altair as alt
import pandas as pd

from benchmarks import slots
from benchmarks.machine import described
from brightrun.cli.processes import crew_of

ROOT = Path(__file__).parents[2]
PLACE = ROOT / ".peers"
SLOTS = 32
ITEMS = {0.05: 1_024, 0.3: 640}
ROUNDS = 3
PATIENCE = 300.0
OWN_CALLS = 4
"""A tool may ask the server for its limits first."""


@dataclass(frozen=True)
class Peer:
    """A tool: what is installed for it, and what it does beside the calls."""

    name: str
    packages: Sequence[str]
    keeps: str


PEERS = (
    Peer(
        "curator",
        ["bespokelabs-curator==0.1.31"],
        "appends answers to a file, no wait for the disk; no tokenizer",
    ),
    Peer(
        "litellm",
        ["litellm==1.106.2"],
        "`batch_completion`, a thread a call, `client=` one that closes no connection; keeps nothing",
    ),
    Peer(
        "distilabel",
        ["distilabel==1.5.3", "anthropic==0.125.0", "requests"],
        "`AnthropicLLM` in blocks of 32; keeps nothing",
    ),
    Peer("kiln", ["kiln-ai==1.2.0", "mcp<2"], "job runner and litellm adapter; no run saved, no score"),
    Peer("designer", ["data-designer==0.9.6"], "Data Designer `create`: Parquet, column profiles"),
)
OURS, BARE = "Bright Run", "bare SDK"
SHIELDED = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "TELEMETRY_ENABLED": "false",
    "CURATOR_VIEWER": "0",
    "CURATOR_DISABLE_RICH_DISPLAY": "1",
    "HF_HUB_OFFLINE": "1",
    "ANTHROPIC_API_KEY": slots.KEY,
}
"""Nothing is told home or fetched while it is timed."""
ERROR = re.compile(r"ERROR: |(\w+\.)*\w+(Error|Exception)\b")
"""How pip's last word on an error begins, or a traceback's. What else a tool says as it ends may come after it."""
WIDTH = 160
"""Letters of an error that a cell has room for."""


class Unfinished(Exception):
    """A tool could not be installed, or did not do what it was asked for."""


@dataclass
class Times:
    """Seconds by tool, for calls of one latency."""

    latency: float
    items: int
    taken: dict[str, list[float]] = field(default_factory=dict)
    unfinished: dict[str, str] = field(default_factory=dict)
    """The error by tool. Its other rounds do not count: they would be the ones that went well."""

    @property
    def ideal(self) -> float:
        return self.items * self.latency / SLOTS

    def median(self, tool: str) -> float:
        return statistics.median(self.taken[tool])

    def cells(self, tool: str) -> str:
        """Return the tool's three cells of the table."""
        if tool in self.unfinished:
            return f" did not finish: {self.unfinished[tool]} | | |"
        taken = self.median(tool)
        return f" {taken:.2f} | {self.ideal / taken:.2f} | {taken / self.median(BARE):.2f} |"


def main() -> None:
    """Install what is missing, measure, write the page and its plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    given = parser.parse_args()
    absent = _installed()
    found = [_measured(latency, items, given.rounds, absent) for latency, items in ITEMS.items()]
    text = _page(found, given.rounds)
    (given.out / "images").mkdir(parents=True, exist_ok=True)
    (given.out / "images" / "peers.svg").write_text(_plot(found), encoding="utf-8")
    (given.out / "peers-benchmarks.md").write_text(text, encoding="utf-8")
    print(text)


def _installed() -> dict[str, str]:
    """Install every peer that is missing; return the error of each that could not be."""
    absent = {}
    for peer in PEERS:
        try:
            _install(peer)
        except Unfinished as error:
            absent[peer.name] = str(error)
    return absent


def _install(peer: Peer) -> None:
    """Make a peer's environment where it is not there, and anew where it was made of other packages."""
    folder = PLACE / peer.name
    done = folder / "installed"
    packages = "\n".join(peer.packages)
    if done.exists() and done.read_text() == packages:
        return
    print(f"installing {peer.name}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _finished(peer, [sys.executable, "-m", "venv", folder])
    _finished(peer, [folder / "bin" / "pip", "install", "-q", *peer.packages])
    done.write_text(packages)


def _measured(latency: float, items: int, rounds: int, absent: dict[str, str]) -> Times:
    names = (OURS, BARE, *(peer.name for peer in PEERS))
    times = Times(latency, items, {name: [] for name in names}, dict(absent))
    with (
        TemporaryDirectory(prefix="br") as home,
        slots.served(latency) as url,
        slots.opened(Path(home), url) as app,
        crew_of(app, SLOTS, slots.nobody, slots.nobody) as crew,
    ):
        slots.timed_ours(app, crew, 2 * SLOTS)
        slots.timed_bare(url, 2 * SLOTS, SLOTS)
        for number in range(rounds):
            times.taken[OURS].append(slots.timed_ours(app, crew, items))
            times.taken[BARE].append(slots.timed_bare(url, items, SLOTS))
            for peer in PEERS:
                _take_turn(peer, times, url, Path(home))
            print(f"{latency * 1e3:.0f} ms, round {number + 1}: {times.taken}", flush=True)
    return times


def _take_turn(peer: Peer, times: Times, url: str, home: Path) -> None:
    """Time a peer's round, unless it has failed in one: the next might take as long again to fail."""
    if peer.name in times.unfinished:
        return
    try:
        times.taken[peer.name].append(_peer(peer, url, times.items, home))
    except Unfinished as error:
        times.unfinished[peer.name] = str(error)


def _peer(peer: Peer, url: str, items: int, home: Path) -> float:
    before = _served(url)
    words = [PLACE / peer.name / "bin" / "python", "-m", f"benchmarks.peers.with_{peer.name}"]
    environment = {**os.environ, **SHIELDED, "PYTHONPATH": str(ROOT), "HOME": str(home)}
    said = _finished(peer, [*words, url, str(items), str(SLOTS)], cwd=home, env=environment, timeout=PATIENCE)
    more = _served(url) - before - items - 2 * SLOTS
    if not 0 <= more <= OWN_CALLS:
        raise Unfinished(f"made {more} calls more than it was asked for")
    lines = [line for line in said.splitlines() if line.startswith('{"seconds"')]
    if not lines:
        raise Unfinished("ended without a word on its time")
    return float(json.loads(lines[-1])["seconds"])


def _finished(peer: Peer, words: Sequence[str | Path], **how: Any) -> str:
    """Run a command of a peer's and return what it said; an error is printed whole before it is raised in short."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, **how)
    except subprocess.TimeoutExpired as error:
        print(f"{peer.name} was ended after {error.timeout:.0f} s", file=sys.stderr, flush=True)
        raise Unfinished(f"not done after {error.timeout:.0f} s") from error
    if done.returncode:
        print(f"{peer.name}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}", file=sys.stderr, flush=True)
        raise Unfinished(_in_short(done.stderr))
    return done.stdout


def _in_short(said: str) -> str:
    """Return the line that names the error, fit for a cell of a table and without folders of this machine."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"]
    line = next((line for line in reversed(lines) if ERROR.match(line)), lines[-1])
    bare = re.sub(r"(?<![\w/:])/[^\s'\"]*/", "", line).replace("|", "/")
    return textwrap.shorten(bare, WIDTH, placeholder=" …")


def _served(url: str) -> int:
    with urlopen(f"{url}/served") as answer:
        return int(answer.read())


def _page(found: list[Times], rounds: int) -> str:
    keeps = {
        OURS: "claims, keeps each raw answer on disk, validates, scores, enriches, records: all waited for",
        BARE: "AsyncAnthropic; keeps nothing",
    } | {peer.name: f"{' '.join(peer.packages)}: {peer.keeps}" for peer in PEERS}
    heads = "".join(
        f" {t.latency * 1e3:.0f} ms, {t.items:,} calls: s | of the ideal | : bare |" for t in found
    )
    rows = [f"| {name} |{''.join(t.cells(name) for t in found)} {kept} |" for name, kept in keeps.items()]
    return f"""# Beside other tools

The same calls, {SLOTS} out at a time, to one server in a process of its own that answers each after the time stated; medians of
{rounds} rounds in which all take turns (`make bench-peers`), after a warm-up of {2 * SLOTS} calls each; imports and starts are not counted.
{datetime.now(UTC):%Y-%m-%d}, {described()}. The server's count of calls is checked against what each was asked for.

| tool |{heads} what it does beside |
|---|{"---|---|---|" * len(found)}---|
{chr(10).join(rows)}

![Share of the ideal](images/peers.svg)

They do not do equal work: none of the others has a transaction for an item, so a process that is killed loses or pays again
for what it had in hand. distilabel runs with an older `anthropic`, whose call takes the arguments it gives, and without its
list of models; kiln with `mcp<2`, without which it cannot be imported; curator and Data Designer want a tokenizer from the
internet, which curator is given as a count of words and Data Designer does without. litellm is given an HTTP client whose
pool closes no connection: the pool of its own keeps 20, and with more threads it may close one that is in use (httpcore 1.0.9).
"""


def _plot(found: list[Times]) -> str:
    import vl_convert

    frame = pd.DataFrame(
        [
            {
                "tool": name,
                "call": f"{t.latency * 1e3:.0f} ms a call",
                "share of the ideal": t.ideal / t.median(name),
            }
            for t in found
            for name in t.taken
            if name not in t.unfinished
        ]
    )
    chart = (
        alt.Chart(frame, width=260)
        .mark_bar()
        .encode(
            x=alt.X("share of the ideal:Q"),
            y=alt.Y("tool:N", title=None, sort=[OURS, BARE]),
            color=alt.condition(alt.datum.tool == OURS, alt.value("#4c78a8"), alt.value("#bab0ac")),
            column=alt.Column("call:N", title=None, sort=None),
        )
    )
    return str(vl_convert.vegalite_to_svg(chart.to_dict()))


if __name__ == "__main__":
    main()
