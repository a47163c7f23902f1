"""Supabase's Storage API over HTTP, in memory: the calls Bright Run makes and their recorded answers.

The real server wraps most errors in HTTP 400 and names the true status inside the body.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import unquote, urlsplit

SECRET_KEY = "sb_secret_for_tests"
PUBLISHABLE_KEY = "sb_publishable_for_tests"

_KEY = re.compile(r"[\w/!\-.*'() &$@=;:+,?]+", re.ASCII)
_DEFAULT_LIMIT = 100


@dataclass
class StorageApi:
    """A running server; `buckets` may be looked into and changed while it runs."""

    bucket_names: tuple[str, ...] = ("conversation-files", "batch-logs", "datasets")
    size_limit: int = 52_428_800
    """What the migrations give each bucket."""
    mime_types: tuple[str, ...] = ("application/json", "text/plain", "application/octet-stream")
    largest_page: int = 1000
    """A server may give fewer entries than a page asks for."""
    fault: str | None = None
    """What every call meets: `html` (a proxy's 502 page), `drop` (a closed connection)."""
    buckets: dict[str, dict[str, bytes]] = field(default_factory=dict)
    calls: list[tuple[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> StorageApi:
        self.buckets = {name: {} for name in self.bucket_names}
        api = self

        class Handler(_Handler):
            storage = api

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The address a project would have: Storage lies below `/storage/v1`."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64  # the default of 5 makes many clients at once wait a second


class _Refusal(Exception):
    def __init__(self, http: int, status: str, error: str, message: str) -> None:
        super().__init__(message)
        self.http, self.body = http, {"statusCode": status, "error": error, "message": message}


_NOT_FOUND = (400, "404", "not_found", "Object not found")
_UNAUTHORIZED = (400, "403", "Unauthorized", "new row violates row-level security policy")


class _Handler(BaseHTTPRequestHandler):
    storage: StorageApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test output quiet."""

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = unquote(urlsplit(self.path).path).removeprefix("/storage/v1/")
        self.storage.calls.append((self.command, path))
        if self.storage.fault == "drop":
            self.close_connection = True
            return
        if self.storage.fault == "html":
            self._send(502, b"<html>Bad gateway</html>", "text/html")
            return
        try:
            with self.storage.lock:
                answer = self._route(path.split("/"), body)
        except _Refusal as refusal:
            self._send(refusal.http, json.dumps(refusal.body).encode(), "application/json")
            return
        if isinstance(answer, bytes):
            self._send(200, answer, "application/octet-stream")
        else:
            self._send(200, json.dumps(answer).encode(), "application/json")

    def _route(self, parts: list[str], body: bytes) -> object:
        secret = self._is_secret()
        match (self.command, parts):
            case ("POST", ["object", "list", bucket]):
                return _list(self._bucket(bucket) if secret else {}, json.loads(body), self.storage)
            case ("GET", ["object", "info", bucket, *key]):
                data = self._readable(bucket, "/".join(key), secret)
                return {"name": "/".join(key), "size": len(data)}
            case ("GET", ["object", bucket, *key]):
                return self._readable(bucket, "/".join(key), secret)
            case ("DELETE", ["object", bucket]):
                return self._remove(bucket, json.loads(body)["prefixes"] if secret else [])
            case ("POST" | "PUT", ["object", bucket, *key]):
                return self._upload(bucket, "/".join(key), body, secret)
        raise _Refusal(404, "404", "Not Found", f"Route {self.command} {self.path} not found")

    def _is_secret(self) -> bool:
        key = self.headers.get("apikey")
        if self.headers.get("authorization") != f"Bearer {key}" or key not in {SECRET_KEY, PUBLISHABLE_KEY}:
            raise _Refusal(400, "403", "Unauthorized", "Invalid Compact JWS")
        return key == SECRET_KEY

    def _bucket(self, name: str) -> dict[str, bytes]:
        if name not in self.storage.buckets:
            raise _Refusal(400, "404", "Bucket not found", "Bucket not found")
        return self.storage.buckets[name]

    def _readable(self, bucket: str, key: str, secret: bool) -> bytes:
        data = self._bucket(bucket).get(key)
        if data is None or not secret:  # row level security hides what it forbids
            raise _Refusal(*_NOT_FOUND)
        return data

    def _upload(self, bucket: str, key: str, body: bytes, secret: bool) -> object:
        objects = self._bucket(bucket)
        if not _KEY.fullmatch(key):
            raise _Refusal(400, "400", "InvalidKey", f"Invalid key: {key}")
        if not secret:
            raise _Refusal(*_UNAUTHORIZED)
        kind, data = _file_of(self.headers["content-type"], body)
        if kind.split(";")[0] not in self.storage.mime_types:
            raise _Refusal(400, "415", "invalid_mime_type", f"mime type {kind} is not supported")
        if len(data) > self.storage.size_limit:
            raise _Refusal(400, "413", "Payload too large", "The object exceeded the maximum allowed size")
        replaces = self.command == "PUT" or self.headers.get("x-upsert") == "true"
        if key in objects and not replaces:
            raise _Refusal(400, "409", "Duplicate", "The resource already exists")
        objects[key] = data
        return {"Key": f"{bucket}/{key}", "Id": str(uuid.uuid4())}

    def _remove(self, bucket: str, keys: list[str]) -> object:
        objects = self._bucket(bucket)
        return [{"name": key} for key in keys if objects.pop(key, None) is not None]

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _file_of(content_type: str, body: bytes) -> tuple[str, bytes]:
    """Return the content type and bytes of the file in a multipart form."""
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    assert boundary, f"not a form: {content_type}"
    for part in body.split(b"--" + boundary[1].encode())[1:-1]:
        head, _, data = part.partition(b"\r\n\r\n")
        if b'name="file"' in head:
            kind = re.search(rb"content-type: *([^\r\n]+)", head, re.IGNORECASE)
            return (kind[1].decode() if kind else ""), data.removesuffix(b"\r\n")
    raise _Refusal(400, "400", "invalid_request", "no file in the form")


def _list(objects: dict[str, bytes], query: dict[str, object], api: StorageApi) -> list[object]:
    """Return one page of a folder's own entries; a folder is an entry without an id."""
    prefix = str(query.get("prefix") or "")
    if prefix and not prefix.endswith("/"):
        prefix += "/"
    limit = min(int(str(query.get("limit") or _DEFAULT_LIMIT)), api.largest_page)
    offset = int(str(query.get("offset") or 0))
    return list(_entries(objects, prefix))[offset : offset + limit]


def _entries(objects: dict[str, bytes], prefix: str) -> Iterator[object]:
    names: dict[str, bool] = {}
    for key in objects:
        if key.startswith(prefix):
            name, slash, _ = key[len(prefix) :].partition("/")
            names[name] = bool(slash)
    for name, is_folder in sorted(names.items()):
        yield {"name": name, "id": None if is_folder else str(uuid.uuid4()), "metadata": None}
