"""Who works at an item, and when another process may say that they no longer do."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from brightrun.services.workers import has_ended, worker

NAMED = "from brightrun.services.workers import worker; print(worker())"


@pytest.fixture
def ended() -> str:
    """The name of a worker whose process has ended."""
    return subprocess.run(
        [sys.executable, "-c", NAMED], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says within what processes are numbered")
def test_a_process_of_this_machine_that_is_gone_is_known_to_have_ended(ended: str) -> None:
    """What a killed process held is free at once, and what a living one holds is not."""
    assert has_ended(ended)
    assert not has_ended(worker())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says within what processes are numbered")
def test_one_whose_parent_has_not_heard_of_its_end_has_ended() -> None:
    """In a container nobody may collect what has ended: its number is still there, and it does nothing any more."""
    told, tells = os.pipe()
    child = os.fork()
    if not child:  # pragma: no cover
        os.write(tells, worker().encode())
        os._exit(0)
    os.close(tells)
    name = os.read(told, 200).decode()
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert has_ended(name)
    os.waitpid(child, 0)
    os.close(told)


def test_of_workers_elsewhere_nothing_is_known(ended: str) -> None:
    """Another machine, another container, and one that an older version named may live, whatever has their number here."""
    name, _, numbering = ended.rpartition(":")
    assert not has_ended(f"{name}:{'0' * len(numbering)}")
    assert not has_ended(":".join(ended.split(":")[:3]))
    for odd in ("", ":::", f"host:x:1:{numbering}", f"host:1:1:{numbering}"):  # the first process never ends
        assert not has_ended(odd)
