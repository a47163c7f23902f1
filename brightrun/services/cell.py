"""A process of its own for templates that nobody can vouch for: little time, little memory, no surroundings.

A process pool of a library would import the program that started it, Streamlit and all, which takes longer
and more memory than a template may have. This one imports Jinja2 and reads lines of JSON.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from brightrun.domain.errors import TemplateFault
from brightrun.services import rendering

PROCESSOR_SECONDS = 1.0
"""For one text; the system ends the cell that takes longer."""
WALL_SECONDS = 3.0
"""For one text on a busy machine, after which the cell is ended from outside."""
START_SECONDS = 30.0
MEMORY_BYTES = 160 * 1024 * 1024
"""Address space beyond what the cell has once it is ready."""
STATM = Path("/proc/self/statm")
LONGEST_LINE = 4 * rendering.MAX_PROMPT * 6
"""A character takes at most six in JSON; an answer cannot be longer, whatever a template does."""


class Cell:
    """Renders one text at a time; a cell that is ended is made anew by the next text."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def render(self, text: str, variables: Mapping[str, Any]) -> str:
        """Return the rendered text; raises TemplateFault, also for one that takes too much."""
        return str(self._ask({"do": "render", "text": text, "variables": variables}))

    def names(self, text: str) -> set[str]:
        """Return the variables a text reads; raises TemplateFault."""
        return set(self._ask({"do": "names", "text": text}))

    def close(self) -> None:
        """End the process; the next text starts another one."""
        with self._lock:
            self._end()

    def _ask(self, asked: Mapping[str, Any]) -> Any:
        line = json.dumps(asked, default=list).encode() + b"\n"
        with self._lock:
            answer = self._answer(line)
        if answer is None:
            raise TemplateFault(
                f"It takes more than {PROCESSOR_SECONDS:g} s of computing, or more memory than it may.",
                remedy="Take the long loop out of the template.",
            )
        if "fault" in answer:
            raise TemplateFault(f"{answer['fault']}.", variable=answer["variable"])
        return answer["found"]

    def _answer(self, line: bytes) -> dict[str, Any] | None:
        """Return what the cell says, or None where it was ended over this text."""
        process = self._process or self._start()
        assert process.stdin
        try:
            process.stdin.write(line)
            process.stdin.flush()
        except OSError:  # it had ended while nothing was asked of it
            self._end()
            process = self._start()
            assert process.stdin
            process.stdin.write(line)
            process.stdin.flush()
        said = self._line(process, WALL_SECONDS)
        if said is None:
            self._end()
            return None
        answer: dict[str, Any] = json.loads(said)
        return answer

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONDONTWRITEBYTECODE": "1"}
        if "SYSTEMROOT" in os.environ:  # without it no Python starts on Windows
            environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
        process = subprocess.Popen(
            [sys.executable, "-c", "from brightrun.services.cell import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        self._process = process
        atexit.register(process.kill)
        if self._line(process, START_SECONDS) is None:
            self._end()
            raise TemplateFault(
                "The process that renders templates with loops does not start.",
                remedy="Try again; a template without loops needs none.",
            )
        return process

    def _line(self, process: subprocess.Popen[bytes], seconds: float) -> bytes | None:
        """Return the next line, or None where it does not come."""
        out = process.stdout
        assert out
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            line = out.readline(LONGEST_LINE)
        finally:
            timer.cancel()
        return line if line.endswith(b"\n") else None

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        atexit.unregister(process.kill)
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                try:
                    pipe.close()
                except OSError:
                    continue  # what it had not read yet is lost with it
        process.wait()


def serve() -> NoReturn:
    """Answer lines of JSON until there are no more: what a cell does."""
    limit = _limits()
    out = sys.stdout
    out.write("ready\n")
    out.flush()
    for line in sys.stdin:
        asked = json.loads(line)
        limit(PROCESSOR_SECONDS)
        try:
            answer: dict[str, object] = {"found": _done(asked)}
        except rendering.FAULTS as fault:
            message, variable = rendering.told(fault)
            answer = {"fault": message[:2000], "variable": variable}
        limit(0)
        out.write(json.dumps(answer) + "\n")
        out.flush()
    sys.exit(0)


def _done(asked: Mapping[str, Any]) -> object:
    if asked["do"] == "names":
        return sorted(rendering.names(asked["text"]))
    return rendering.finished(asked["text"], asked["variables"])


def _limits() -> Any:
    """Bound this process' memory where its system can, and return what bounds the time of one text."""
    try:
        import resource
        import signal
    except ImportError:  # Windows: the time on the wall is left
        return lambda seconds: None
    has = _address_space(resource)
    if has:
        resource.setrlimit(resource.RLIMIT_AS, (has + MEMORY_BYTES, has + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    return lambda seconds: signal.setitimer(
        signal.ITIMER_PROF, seconds
    )  # unhandled, its signal ends the process


def _address_space(resource: Any) -> int:
    """Return the bytes this process has mapped; 0 where the system does not say."""
    try:
        return int(STATM.read_text(encoding="ascii").split()[0]) * int(resource.getpagesize())
    except OSError:
        return 0
