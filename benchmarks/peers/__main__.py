"""`make bench-peers`: the same calls through Bright Run, the bare SDK and the tools a team might take instead, in turns.

Each tool has an environment of its own in `.peers/`, made at the first run: four gigabytes in all.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
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
    Peer("litellm", ["litellm==1.106.2"], "`batch_completion`, a thread a call; keeps nothing"),
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


@dataclass
class Times:
    """Seconds by tool, for calls of one latency."""

    latency: float
    items: int
    taken: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ideal(self) -> float:
        return self.items * self.latency / SLOTS

    def median(self, tool: str) -> float:
        return statistics.median(self.taken[tool])


def main() -> None:
    """Install what is missing, measure, write the page and its plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=ROOT / "docs")
    given = parser.parse_args()
    for peer in PEERS:
        _install(peer)
    found = [_measured(latency, items, given.rounds) for latency, items in ITEMS.items()]
    text = _page(found, given.rounds)
    (given.out / "images").mkdir(parents=True, exist_ok=True)
    (given.out / "images" / "peers.svg").write_text(_plot(found), encoding="utf-8")
    (given.out / "peers-benchmarks.md").write_text(text, encoding="utf-8")
    print(text)


def _install(peer: Peer) -> None:
    """Make a peer's environment where it is not there."""
    folder = PLACE / peer.name
    done = folder / "installed"
    if not done.exists():
        print(f"installing {peer.name}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([folder / "bin" / "pip", "install", "-q", *peer.packages], check=True)
        done.write_text("\n".join(peer.packages))


def _measured(latency: float, items: int, rounds: int) -> Times:
    times = Times(latency, items, {name: [] for name in (OURS, BARE, *(peer.name for peer in PEERS))})
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
                times.taken[peer.name].append(_peer(peer, url, items, Path(home)))
            print(f"{latency * 1e3:.0f} ms, round {number + 1}: {times.taken}", flush=True)
    return times


def _peer(peer: Peer, url: str, items: int, home: Path) -> float:
    before = _served(url)
    words = [PLACE / peer.name / "bin" / "python", "-m", f"benchmarks.peers.with_{peer.name}"]
    environment = {**os.environ, **SHIELDED, "PYTHONPATH": str(ROOT), "HOME": str(home)}
    done = subprocess.run(
        [*words, url, str(items), str(SLOTS)],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, f"{peer.name}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    more = _served(url) - before - items - 2 * SLOTS
    assert 0 <= more <= OWN_CALLS, f"{peer.name} made {more} calls more than it was asked for"
    line = next(line for line in reversed(done.stdout.splitlines()) if line.startswith('{"seconds"'))
    return float(json.loads(line)["seconds"])


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
    rows = [
        f"| {name} |"
        + "".join(
            f" {t.median(name):.2f} | {t.ideal / t.median(name):.2f} | {t.median(name) / t.median(BARE):.2f} |"
            for t in found
        )
        + f" {kept} |"
        for name, kept in keeps.items()
    ]
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
internet, which curator is given as a count of words and Data Designer does without.
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
