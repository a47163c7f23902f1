"""Commands for the installation: start the web app, check what is missing."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import subprocess
import sys
from functools import partial
from typing import Annotated

import typer
from rich.markup import escape

from brightrun.bootstrap import sweep
from brightrun.cli.console import Json, emit, err, open_settings, opened, out, reported
from brightrun.config import app_folder
from brightrun.domain.errors import SetupFault

PR_SET_PDEATHSIG = 1
"""Linux, prctl(2)."""


def app(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to serve on.")] = 8501,
    address: Annotated[str, typer.Option(help="The address to serve on.")] = "127.0.0.1",
    headless: Annotated[bool, typer.Option(help="Do not open a browser.")] = False,
    as_json: Json = False,
) -> None:
    """Start the web app."""
    settings = open_settings()
    with reported(as_json=as_json):
        _require_free(address, port)
        with opened(settings):
            err.print("The database is ready.")  # a fault is told here, not on a page
        command = [
            *(sys.executable, "-m", "streamlit", "run", str(app_folder() / "Home.py")),
            *("--server.port", str(port), "--server.address", address),
            *("--server.headless", "true" if headless or not sys.stdin.isatty() else "false"),
        ]
        if as_json:  # at once: the app is there until somebody stops it
            emit({"address": f"http://{address}:{port}"})
            sys.stdout.flush()
        err.print(f"Bright Run: http://{address}:{port}  (Ctrl-C stops it)")
        try:
            code = _serve(command)
        finally:
            sweep(settings)  # whatever ended the server process: nobody else would notice
        raise typer.Exit(code)


def check(as_json: Json = False) -> None:
    """Say whether everything a batch needs is there, and the remedy where it is not."""
    with reported(as_json=as_json), opened(open_settings()) as brightrun:
        checks = brightrun.system.checks()
    if as_json:
        rows = [{"name": c.name, "ok": c.is_ok, "detail": c.detail, "remedy": c.remedy} for c in checks]
        emit({"checks": rows})
    else:
        for found in checks:
            mark = "[green]ok[/green]     " if found.is_ok else "[red]missing[/red]"
            mark = "[yellow]notice[/yellow] " if found.is_notice else mark
            out.print(f"{mark}  {escape(found.name)}: {escape(found.detail)}")
            if found.remedy:
                out.print(f"         → {escape(found.remedy)}")
    if not all(found.is_ok for found in checks):
        raise typer.Exit(1)


def _require_free(address: str, port: int) -> None:
    """Raise SetupFault where nothing can be served at an address, before a database is started for it."""
    faults = _faults(address, port)
    hard = [fault for fault in faults if fault and fault.errno in (errno.EADDRINUSE, errno.EACCES)]
    # A name may stand for addresses this machine has and one it has not, as localhost does without IPv6.
    fault = next(iter(hard), faults[0] if all(faults) else None)
    if fault is not None:
        reason, remedy = _obstacle(address, port, fault)
        raise SetupFault(f"{address}:{port} cannot be served: {reason}.", remedy=remedy) from fault


def _faults(address: str, port: int) -> list[OSError | None]:
    """Return what happens where a server takes each of the addresses that a name stands for."""
    try:
        places = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)
    except OSError as fault:
        return [fault]
    faults: list[OSError | None] = []
    for family, kind, protocol, _, place in places:
        try:
            with socket.socket(family, kind, protocol) as probe:
                if os.name != "nt":  # where a server that has just ended is an obstacle without it
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(place)
            faults.append(None)
        except OSError as fault:
            faults.append(fault)
    return faults


def _obstacle(address: str, port: int, fault: OSError) -> tuple[str, str]:
    """Say what stands in the way of serving an address, and the remedy."""
    if fault.errno == errno.EADDRINUSE:
        remedy = (
            f"Stop it, or take another port: brightrun app --port {port + 1 if port < 65535 else port - 1}"
        )
        return f"another program, or another Bright Run, has the port {port}", remedy
    if isinstance(fault, PermissionError):
        return f"you have no right to the port {port}", "Take one above 1023, such as --port 8501."
    reason = fault.strerror or str(fault)
    return f"{reason[:1].lower()}{reason[1:]}", "Give --address one that this machine has, such as 127.0.0.1."


def _serve(command: list[str]) -> int:
    """Run the server in this process group and pass its end on; where the kernel can, a killed shell ends it too."""
    before = partial(_end_with, os.getpid()) if sys.platform == "linux" else None
    with subprocess.Popen(command, cwd=app_folder(), env=os.environ.copy(), preexec_fn=before) as server:
        try:
            return server.wait()
        except BaseException as end:
            # A terminal's Ctrl-C has reached it too, and a second signal would break off the steps it finishes.
            if not (isinstance(end, KeyboardInterrupt) and sys.stdin.isatty()):
                server.terminate()
            server.wait()
            raise


def _end_with(parent: int) -> None:
    """Ask the kernel to end this process as soon as its parent is gone, however that went.

    A kernel that refuses leaves it as it is elsewhere: only a parent that is killed outright leaves it behind.
    """
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # gone before it was asked
        os._exit(1)
