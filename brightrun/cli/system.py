"""Commands for the installation: start the web app, check what is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated

import typer
from rich.markup import escape

from brightrun.bootstrap import sweep
from brightrun.cli.console import Json, emit, err, open_settings, opened, out, reported
from brightrun.config import app_folder


def app(
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to serve on.")] = 8501,
    address: Annotated[str, typer.Option(help="The address to serve on.")] = "127.0.0.1",
    headless: Annotated[bool, typer.Option(help="Do not open a browser.")] = False,
) -> None:
    """Start the web app."""
    settings = open_settings()
    with reported():
        with opened(settings):
            err.print("The database is ready.")  # a fault is told here, not on a page
        command = [
            *(sys.executable, "-m", "streamlit", "run", str(app_folder() / "Home.py")),
            *("--server.port", str(port), "--server.address", address),
            *("--server.headless", "true" if headless or not sys.stdin.isatty() else "false"),
        ]
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
        emit([{"name": c.name, "ok": c.is_ok, "detail": c.detail, "remedy": c.remedy} for c in checks])
    else:
        for found in checks:
            mark = "[green]ok[/green]     " if found.is_ok else "[red]missing[/red]"
            out.print(f"{mark}  {escape(found.name)}: {escape(found.detail)}")
            if found.remedy:
                out.print(f"         → {escape(found.remedy)}")
    if not all(found.is_ok for found in checks):
        raise typer.Exit(1)


def _serve(command: list[str]) -> int:
    """Run the server in this process group and pass its end on."""
    with subprocess.Popen(command, cwd=app_folder(), env=os.environ.copy()) as server:
        try:
            return server.wait()
        except BaseException as end:
            # A terminal's Ctrl-C has reached it too, and a second signal would break off the steps it finishes.
            if not (isinstance(end, KeyboardInterrupt) and sys.stdin.isatty()):
                server.terminate()
            server.wait()
            raise
