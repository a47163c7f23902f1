"""The shell as a program uses it: real processes on one data folder."""

from __future__ import annotations

import atexit
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.warm import forked, settle

LONGEST_SECONDS = 120


class Shell:
    """Runs `brightrun` on one data folder."""

    def __init__(self, home: Path, **extra: str) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home.parent),
            "BRIGHTRUN_HOME": str(home),
            "BRIGHTRUN_ACTOR": "ana",
            **extra,
        }
        self._is_warm = not {"PYTHONPATH", "LD_PRELOAD"} & extra.keys()  # which count when Python starts

    def start(self, *words: str, **extra: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "brightrun", *words],
            env={**self.environment, **extra},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        returned, out, err = self.ended(*words)
        assert returned == code, f"{words}: {returned}\n{out}\n{err}"
        return out if code == 0 else out + err

    def ended(self, *words: str, **extra: str) -> tuple[int, str, str]:
        """Run a command, however it ends, and return its exit code and what it said; `extra` is its environment's."""
        if not self._is_warm:
            process = self.start(*words, **extra)
            out, err = process.communicate(timeout=LONGEST_SECONDS)
            return process.returncode, out, err
        return _run_warm(words, {**self.environment, **extra})

    def json(self, *words: str) -> dict[str, object]:
        value: dict[str, object] = json.loads(self.run(*words, "--json"))
        return value


def _run_warm(words: tuple[str, ...], environment: Mapping[str, str]) -> tuple[int, str, str]:
    with tempfile.TemporaryDirectory() as folder:
        said = [Path(folder, name) for name in ("out", "err")]
        process = forked("tests.warm.shell", _become, words, environment, *said)
        process.join(LONGEST_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise AssertionError(f"{words}: not ended after {LONGEST_SECONDS} s")
        out, err = (place.read_text() for place in said)
    return process.exitcode, out, err


def _become(words: tuple[str, ...], environment: Mapping[str, str], out: Path, err: Path) -> None:
    """Turn into `brightrun` with these arguments."""
    settle(environment, out, err)
    sys.argv = ["brightrun", *words]
    try:
        runpy.run_module("brightrun", run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()  # which a forked process leaves out
