"""The web app as a service starts and ends it: real processes, and the database they share."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from brightrun.saol.server.account import clients_folder
from brightrun.saol.server.launcher import EmbeddedServer
from tests.shell import Shell

ROOT = Path(__file__).parents[3]
APP = ["brightrun", "app", "--headless", "--port"]
STREAMLIT = ["streamlit", "run", "Home.py", "--server.headless", "true", "--server.port"]
READY_SECONDS = 60


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder for all of these tests: each leaves its database stopped."""
    return tmp_path_factory.mktemp("served") / "home"


def until(is_so: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    ends = time.monotonic() + READY_SECONDS
    while not is_so():
        assert process.poll() is None
        assert time.monotonic() < ends
        time.sleep(0.05)


@contextmanager
def serving(home: Path, command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Start the web app and look at its first page, so that it uses the database."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    environment = {"HOME": str(home.parent), "BRIGHTRUN_HOME": str(home), "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", *command, port],
        cwd=ROOT,
        env=environment | {"PATH": os.environ["PATH"]},
        start_new_session=True,
    )

    def is_healthy() -> bool:
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health") as answer:
            return bool(answer.status == 200)
        return False

    try:
        until(is_healthy, process)
        look = BackMsg()
        look.rerun_script.query_string = ""
        before = users(home)
        address = f"ws://127.0.0.1:{port}/_stcore/stream"
        with connect(address, subprotocols=[Subprotocol("streamlit")]) as page:
            page.send(look.SerializeToString())
            until(lambda: users(home) > before and EmbeddedServer(home).is_running(), process)
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        EmbeddedServer(home).stop_unused()


def users(home: Path) -> int:
    """Return how many processes use the database of a data folder."""
    return len(list(clients_folder(EmbeddedServer(home).cluster).glob("*.client")))


@pytest.mark.parametrize(
    ("command", "code"), [(APP, 128 + signal.SIGTERM), (STREAMLIT, 0)], ids=["app", "run"]
)
def test_a_termination_signal_leaves_no_database_running(home: Path, command: list[str], code: int) -> None:
    """A service that is stopped leaves nothing behind, started by our command or by Streamlit's."""
    with serving(home, command) as process:
        process.terminate()
        assert process.wait(READY_SECONDS) == code
        assert not EmbeddedServer(home).is_running()


def test_an_app_that_ends_leaves_the_database_to_who_still_uses_it(home: Path) -> None:
    """Stopping the web app takes nothing from a worker on the same data folder."""
    worker = EmbeddedServer(home)
    worker.acquire()
    with serving(home, APP) as process:
        process.terminate()
        process.wait(READY_SECONDS)
        assert worker.is_running()
    worker.release()
    assert not worker.is_running()


def test_killed_pages_leave_no_database_running(home: Path) -> None:
    """Where memory runs out and the pages' own process is killed, the command that started it puts the database away."""
    with serving(home, APP) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if not children.exists():
            pytest.skip("Nothing here says which process the command has started.")
        os.kill(int(children.read_text().split()[0]), signal.SIGKILL)
        process.wait(READY_SECONDS)
        assert not EmbeddedServer(home).is_running()


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells a process that its parent is gone.")
def test_a_killed_command_leaves_no_pages_that_go_on_writing(home: Path) -> None:
    """Whoever kills `brightrun app` outright has ended its pages too, and the port is free for the next one."""
    with serving(home, APP) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if not children.exists():
            pytest.skip("Nothing here says which process the command has started.")
        pages = Path("/proc") / children.read_text().split()[0]
        process.kill()
        ends = time.monotonic() + READY_SECONDS
        while pages.exists() and "Z" not in (pages / "stat").read_text().rpartition(")")[2].split()[0]:
            assert time.monotonic() < ends
            time.sleep(0.05)


def test_a_port_that_is_taken_is_told_with_another(tmp_path: Path) -> None:
    """Whoever starts a second app reads which port is taken and how to take another, before a database is started."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, _, said = Shell(tmp_path / "home").ended("app", "--headless", "--port", str(port))
    assert code == 1
    assert f"127.0.0.1:{port} cannot be served: another program, or another Bright Run, has the port" in said
    assert "brightrun app --port" in said
    assert not (tmp_path / "home").exists()
