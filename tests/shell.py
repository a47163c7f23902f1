"""The shell as a program uses it: real processes on one data folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path


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

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "brightrun", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, code: int = 0) -> str:
        process = self.start(*words)
        out, err = process.communicate(timeout=120)
        assert process.returncode == code, f"{words}: {process.returncode}\n{out}\n{err}"
        return out if code == 0 else out + err

    def json(self, *words: str) -> dict[str, object]:
        value: dict[str, object] = json.loads(self.run(*words, "--json"))
        return value
