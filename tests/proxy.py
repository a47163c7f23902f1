"""A proxy as companies have them: it is asked for a host, and lets through what it may."""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Proxy:
    """Where it is, and the hosts it was asked for."""

    url: str
    asked: list[str]


@contextmanager
def proxy_to(port: int, *, refuses: int = 0) -> Iterator[Proxy]:
    """Run a proxy that leads every host to one port of this machine, or refuses everybody by a status."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """What was asked takes the place of the log."""

        def do_CONNECT(self) -> None:
            asked.append(self.path)
            if refuses:
                self.send_error(refuses)
                return
            with socket.create_connection(("127.0.0.1", port)) as there:
                self.send_response(200)
                self.end_headers()
                _carry(self.connection, there)
            self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield Proxy(f"http://127.0.0.1:{server.server_address[1]}", asked)
        finally:
            server.shutdown()


def _carry(one: socket.socket, other: socket.socket) -> None:
    """Carry what comes from either side to the other, until one of them closes."""
    ways = {one: other, other: one}
    with selectors.DefaultSelector() as ready:
        for end in ways:
            ready.register(end, selectors.EVENT_READ, end)
        while True:
            for key, _ in ready.select():
                data = key.data.recv(65_536)
                if not data:
                    return
                ways[key.data].sendall(data)
