"""Exports killed in the middle: no partial file is ever seen, and the finished one has the right hash.

BRIGHTRUN_FAULTS says how often: twice that number of kills.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from pathlib import Path

import pytest

from brightrun.bootstrap import open_app
from brightrun.config import Settings
from brightrun.domain.formats import Format
from brightrun.domain.review import ConversationFilter
from tests.seed import Seed, seed_conversations
from tests.shell import Shell

TIMES = 2 * int(os.environ.get("BRIGHTRUN_FAULTS", "2"))
SEED = int(os.environ.get("BRIGHTRUN_FAULT_SEED", "20261124"))
ROWS = 400
WRITE_SECONDS = 0.8
"""About as long as a new process writes for, once it has begun."""


@pytest.mark.parametrize("chosen", [Format.FOLDER, Format.ZIP])
def test_an_export_killed_in_the_middle_leaves_nothing_to_be_seen(
    dsn: str, tmp_path: Path, chosen: Format
) -> None:
    """Whatever moment kill -9 comes at, a listing shows nothing or the whole, and the next try succeeds."""
    seed_conversations(dsn, [Seed(number=n, words=60) for n in range(ROWS)])
    app = open_app(Settings(home=tmp_path / "home", database_url=dsn, actor="ana"))
    dataset = app.datasets.freeze(ConversationFilter(), name="killed", actor="ana")
    app.exports.write(dataset, chosen, tmp_path / "sound")
    app.close()
    sound = _seen(tmp_path / "sound")
    shell = Shell(tmp_path / "home", DATABASE_URL=dsn)
    chance = random.Random(SEED)
    out = tmp_path / "out"
    in_time, whole = 0, 0
    for number in range(TIMES // 2):
        target = out / str(number)
        process = shell.start(
            "export", "--dataset", dataset.id, "--format", chosen.value, "--out", str(target), "--json"
        )
        ends = time.monotonic() + 60
        while not _has_begun(target) and process.poll() is None:
            assert time.monotonic() < ends, "The export never began."
            time.sleep(0.005)
        if number:  # the first one at once, so that there is always one in the middle
            time.sleep(chance.uniform(0, WRITE_SECONDS))
        in_time += process.poll() is None
        process.kill()
        process.communicate()
        seen = _seen(target)
        assert seen in ({}, sound), f"kill {number} left {sorted(seen)}"
        whole += bool(seen)
        if number == 0:
            again = shell.json(
                "export", "--dataset", dataset.id, "--format", chosen.value, "--out", str(target)
            )
            assert again["rows"] == ROWS
            assert _seen(target) == sound
    print(f"{chosen.value}: {in_time} of {TIMES // 2} kills in the middle, {whole} found the whole there")
    assert in_time
    for path in (tmp_path / "sound").glob("*/manifest.json"):
        files = json.loads(path.read_text())["files"]
        assert all(_sha256(path.parent / f["path"]) == f["sha256"] for f in files)


def _has_begun(folder: Path) -> bool:
    try:
        return any(folder.glob(".brightrun-*/*"))
    except FileNotFoundError:  # the try-out of the folder, gone while we looked
        return False


def _seen(folder: Path) -> dict[str, str]:
    """What a listing without hidden names shows, each file with its hash."""
    return {
        path.relative_to(folder).as_posix(): _sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
