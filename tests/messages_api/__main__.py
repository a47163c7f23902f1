"""Run the server by itself until Ctrl-C: for the shell, the browser tests and the curious."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path

from tests.messages_api.script import KINDS, Script
from tests.messages_api.server import KEY, MessagesApi


def main() -> None:
    kinds = "; ".join(f"{kind}: {what}" for kind, what in KINDS.items())
    parser = argparse.ArgumentParser(prog="python -m tests.messages_api", description=__doc__, epilog=kinds)
    parser.add_argument("--port", type=int, default=8089)
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--seconds", type=float, default=0.0, help="how long each answer takes")
    parser.add_argument("--script", type=Path, help="a JSON list of faults")
    given = parser.parse_args()
    script = Script.read(given.script) if given.script else Script()
    with MessagesApi(script, key=given.key, seconds=given.seconds, port=given.port) as api:
        sys.stdout.write(f"{api.url} (key {given.key}); requests so far: {api.url}/journal\n")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            sys.stdout.write("stopped\n")


if __name__ == "__main__":
    main()
