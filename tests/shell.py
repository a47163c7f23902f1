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

from tests.warm import Forked

LONGEST_SECONDS = 120
COLD = {"PYTHONPATH", "LD_PRELOAD"}
"""Where one of these is given a command is started anew: they count when Python starts."""
Started = subprocess.Popen[str] | Forked


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
        self._place = next(folder for folder in home.parents if folder.is_dir())

    def start(self, *words: str, **extra: str) -> Started:
        """Start a command; `extra` is its environment's."""
        environment = {**self.environment, **extra}
        if COLD & environment.keys():
            return subprocess.Popen(
                [sys.executable, "-m", "brightrun", *words],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        said = Path(tempfile.mkdtemp(dir=self._place))
        return start_warm("brightrun", *words, environment=environment, out=said / "out", err=said / "err")

    def run(self, *words: str, code: int = 0) -> str:
        returned, out, err = self.ended(*words)
        assert returned == code, f"{words}: {returned}\n{out}\n{err}"
        return out if code == 0 else out + err

    def ended(self, *words: str, **extra: str) -> tuple[int, str, str]:
        """Run a command, however it ends, and return its exit code and what it said; `extra` is its environment's."""
        process = self.start(*words, **extra)
        try:
            out, err = process.communicate(timeout=LONGEST_SECONDS)
        except subprocess.TimeoutExpired as late:
            process.kill()
            process.wait()
            raise AssertionError(f"{words}: not ended after {LONGEST_SECONDS} s") from late
        assert process.returncode is not None
        return process.returncode, out, err

    def json(self, *words: str) -> dict[str, object]:
        value: dict[str, object] = json.loads(self.run(*words, "--json"))
        return value


def start_warm(module: str, *words: str, environment: Mapping[str, str], out: Path, err: Path) -> Forked:
    """Do what `python -m module` does, without the second that reading its modules takes."""
    return Forked("tests.warm.shell", _become, module, words, environment=environment, out=out, err=err)


def _become(module: str, words: tuple[str, ...]) -> None:
    """Turn into a module's program with these arguments."""
    sys.argv = [module, *words]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        atexit._run_exitfuncs()  # which a forked process leaves out
