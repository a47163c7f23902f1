"""The pinned versions are versions Bright Run may run on."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    """A container is built from known versions, and none of them is one that pyproject.toml rules out."""
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line[:80] and line[0] != "#"
    ]
    pins = dict(line.split("==") for line in lines)
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for needed in map(Requirement, wanted):
        if needed.marker is None or needed.marker.evaluate({"extra": ""}):
            version = pins[canonicalize_name(needed.name)]
            assert needed.specifier.contains(version, prereleases=True), f"{needed} is pinned to {version}"
