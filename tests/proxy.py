"""A proxy as companies have them: it is asked for a host, and lets through what it may."""

from __future__ import annotations

import selectors
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


class Proxy:
    """Leads every host it is asked for to one port of this machine; use it as a context manager."""

    def __init__(self, port: int, *, refuses: int = 0) -> None:
        """`refuses` is the status by which it lets nobody through."""
        self.asked: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                """What was asked takes the place of the log."""

            def do_CONNECT(self) -> None:
                proxy.asked.append(self.path)
                if refuses:
                    self.send_error(refuses)
                    return
                with socket.create_connection(("127.0.0.1", port)) as server:
                    self.send_response(200)
                    self.end_headers()
                    _carry(self.connection, server)
                self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


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
