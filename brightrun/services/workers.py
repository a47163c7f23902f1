"""Who works at an item: named so that another process of the same machine can tell whether it still lives."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path


def worker() -> str:
    """Return this thread's name, `host:process:thread`, and what its process's number counts in, where the system says."""
    own = f"{process()}:{threading.get_ident()}"
    return f"{own}:{_numbering()}" if _numbering() else own


def process() -> str:
    """Return this process's name, `host:process`."""
    return f"{_host()}:{os.getpid()}"


def has_ended(name: str) -> bool:
    """Whether a worker's process is known to have ended: one of this machine that is no longer there.

    Of other machines and containers, and on systems that do not say, nothing is known.
    """
    parts = name.rsplit(":", 3)
    if len(parts) != 4 or not _numbering() or parts[3] != _numbering() or not parts[1].isdigit():
        return False
    number = int(parts[1])
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is somebody else's
        return False
    return _is_zombie(number)


def _is_zombie(number: int) -> bool:
    """Whether a process has ended, and only waits for its parent to hear of it."""
    with suppress(OSError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] in ("Z", "X")
    return False


@cache
def _host() -> str:
    return socket.gethostname()


@cache
def _numbering() -> str:
    """Return what tells apart within what processes are numbered: since which start, and in which container."""
    try:
        start = Path("/proc/sys/kernel/random/boot_id").read_text()
        return hashlib.sha256(f"{start} {Path('/proc/self/ns/pid').readlink()}".encode()).hexdigest()[:8]
    except OSError:
        return ""
