"""`make bench-plan`: how few scenarios cover a space, how long that takes and how much memory a million combinations need.

Each figure comes from a process of its own: its time is the wall's, its memory what the process grew by (ru_maxrss)
while it planned. Whether every allowed pair and triple is there is counted one by one, beside the planner.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import combinations, product
from pathlib import Path
from typing import Any

from benchmarks.machine import described
from brightrun.domain.space import Method, Rule, Space, parse_rule
from brightrun.services.spaces import Spaces
from tests.unit.services.test_spaces import WIDE, WIDE_RULES, is_allowed, values_of

PAGE = Path(__file__).parent.parent / "docs" / "plan-benchmarks.md"
MILLION = {f"axis_{name}": [f"{name}{n}" for n in range(10)] for name in "abcdef"}
MILLION_RULES = ["never axis_a=a1,a2 axis_b=b3", "only axis_c=c0 axis_d=d0,d1"]
CASES: dict[str, tuple[Mapping[str, Sequence[str]], list[str], Method, int | None, int]] = {
    "12 × 10 × 25 × 3, every pair": (WIDE, WIDE_RULES, Method.COVER, None, 2),
    "12 × 10 × 25 × 3, every triple": (WIDE, WIDE_RULES, Method.COVER, None, 3),
    "10 × 10 × 10 × 10 × 10 × 10, every pair": (MILLION, MILLION_RULES, Method.COVER, None, 2),
    "10 × 10 × 10 × 10 × 10 × 10, a sample of 1,000": (MILLION, MILLION_RULES, Method.SAMPLE, 1_000, 2),
    "10 × 10 × 10 × 10 × 10 × 10, a sample of 50,000": (MILLION, MILLION_RULES, Method.SAMPLE, 50_000, 2),
}


def main() -> None:
    """Measure every case and write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plan")
    parser.add_argument("--case", help="Measure one case in this process and print it.")
    given = parser.parse_args()
    if given.case:
        print(json.dumps(_measure(given.case)))
        return
    figures = {}
    for case in CASES:
        command = [sys.executable, "-m", "benchmarks.plan", "--case", case]
        figures[case] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(case, figures[case])
    PAGE.write_text(_page(figures), encoding="utf-8")


def _measure(case: str) -> dict[str, Any]:
    axes, texts, method, number, strength = CASES[case]
    rules = [parse_rule(text) for text in texts]
    space = Space(axes, rules)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    chosen = Spaces(None, None).choose(space, method, number=number, strength=strength)  # type: ignore[arg-type]
    seconds = time.monotonic() - began
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    got = [values_of(scenario, axes) for scenario in chosen.scenarios]
    return {
        "total": chosen.total,
        "allowed": chosen.allowed,
        "scenarios": len(got),
        "seconds": seconds,
        "megabytes": grown / 1024,
        **(_missing(axes, rules, got, strength) if method is Method.COVER else {}),
        "broken": sum(not is_allowed(values, rules) for values in got),
    }


def _missing(
    axes: Mapping[str, Sequence[str]], rules: Sequence[Rule], got: Sequence[Mapping[str, str]], strength: int
) -> dict[str, int]:
    """Count the allowed groups of values, and those that no scenario holds, by going through every combination."""
    wanted = set()
    for row in product(*axes.values()):
        values = dict(zip(axes, row, strict=True))
        if is_allowed(values, rules):
            wanted.update(combinations(values.items(), strength))
    held = {group for values in got for group in combinations(values.items(), strength)}
    return {"groups": len(wanted), "missing": len(wanted - held)}


def _page(figures: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        f"| {case} | {f['total']:,} | {f['allowed']:,} | {f['scenarios']:,} "
        f"| {f['groups'] - f['missing']:,} of {f['groups']:,} | {f['seconds']:.2f} | {f['megabytes']:.0f} |"
        if "groups" in f
        else f"| {case} | {f['total']:,} | {f['allowed']:,} | {f['scenarios']:,} | – | {f['seconds']:.2f} | {f['megabytes']:.0f} |"
        for case, f in figures.items()
    ]
    return "\n".join(
        [
            "# What planning takes",
            "",
            f"`make bench-plan`, {datetime.now(UTC):%Y-%m-%d}, {described()}.",
            "",
            "Rules of the first space: " + "; ".join(f"`{rule}`" for rule in WIDE_RULES) + ".",
            "Rules of the million: " + "; ".join(f"`{rule}`" for rule in MILLION_RULES) + ".",
            "",
            "| space | combinations | allowed | scenarios | allowed groups held | seconds | MB more |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            "Groups are pairs or triples of values that some allowed combination holds, counted one by one over all",
            "combinations, beside the planner. No scenario broke a rule"
            + (f" but {broken}." if (broken := sum(f["broken"] for f in figures.values())) else "."),
            "A triple cover needs at least as many scenarios as its three largest axes have allowed combinations.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
