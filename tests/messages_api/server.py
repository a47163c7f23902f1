"""The server itself: routes, checks, faults on the wire, the journal."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.messages_api.allowance import Allowance
from tests.messages_api.batches import Batch, Batches, writes
from tests.messages_api.billing import Bill, PromptCache, mark_complaint
from tests.messages_api.replies import (
    complaint,
    message,
    prompt_of,
    tokens_of,
    turns_for,
    verdict_for,
    wants_verdict,
)
from tests.messages_api.script import Fault, Script

KEY = "sk-ant-test-key-0123456789"
_ON_THE_WIRE = {"reset", "cut_body", "stall", "trickle", "body", "wire"}
MODELS = ("claude-sonnet-5-5", "claude-opus-5-5", "claude-haiku-5-5", "claude-sonnet-4-5-20250929")


@dataclass
class Recorded:
    """One request, recorded as it arrives, and the status it is given; 0 for a broken connection."""

    number: int
    path: str
    headers: dict[str, str]
    """By their names in small letters."""
    body: Any
    status: int = 0


@dataclass
class Journal:
    """Every request, in order of arrival; message requests are numbered from 1."""

    entries: list[Recorded] = field(default_factory=list)
    arrived: int = 0
    at_once: int = 0
    most_at_once: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self) -> int:
        with self.lock:
            self.arrived += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            return self.arrived

    def leave(self) -> None:
        with self.lock:
            self.at_once -= 1

    def add(self, entry: Recorded) -> None:
        with self.lock:
            self.entries.append(entry)


class MessagesApi:
    """A running server; use it as a context manager."""

    def __init__(
        self,
        faults: Iterable[Fault] | Script = (),
        *,
        key: str = KEY,
        seconds: float = 0.0,
        other_seconds: float = 0.0,
        port: int = 0,
        counting: Iterable[Fault] = (),
        bill: Bill | None = None,
        allowance: Allowance | None = None,
        verdict: Callable[[str], str] = verdict_for,
        identity: tuple[str, ssl.SSLContext] | None = None,
    ):
        """`seconds` is how long each answer takes, `other_seconds` each of the calls that cost nothing.

        verdict: from the prompt of a judge to its answer's text; identity: the name it is called by over TLS, and what
        proves that.
        """
        self.verdict = verdict
        self.script = faults if isinstance(faults, Script) else Script(faults)
        self.counting = Script(counting)
        self.bill = bill or PromptCache().bill
        self.allowance = allowance
        self.journal = Journal()
        self.batches = Batches(writes(turns_for, lambda prompt: self.verdict(prompt), message))
        self.key, self.seconds, self.other_seconds = key, seconds, other_seconds
        self.stopping = threading.Event()
        api = self

        class Handler(_Handler):
            messages_api = api

        self._server = _Server(("127.0.0.1", port), Handler)
        self._name = identity[0] if identity else ""
        if identity:
            self._server.socket = identity[1].wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> MessagesApi:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        return f"https://{self._name}:{self.port}" if self._name else f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def requests(self) -> list[Recorded]:
        """The message requests that have arrived."""
        return [entry for entry in list(self.journal.entries) if entry.path == "/v1/messages"]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the tests, and no reason to print."""


class _Refused(Exception):
    def __init__(self, status: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.status, self.kind = status, kind


class _Handler(BaseHTTPRequestHandler):
    messages_api: MessagesApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """The journal takes the place of the log."""

    def do_GET(self) -> None:
        self._serve(None)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            body = json.loads(raw)
        except ValueError:
            body = raw.decode("utf-8", "replace")
        self._serve(body)

    def _serve(self, body: Any) -> None:
        path = self.path.split("?")[0]
        is_message = self.command == "POST" and path == "/v1/messages"
        number = self.messages_api.journal.enter() if is_message else 0
        self._entry = Recorded(
            number, path, {name.lower(): value for name, value in self.headers.items()}, body
        )
        self.messages_api.journal.add(self._entry)
        try:
            self._authorize(path)
            if is_message:
                self._message(body, number)
            elif path.startswith("/v1/messages/batches"):
                self._batch(path.removeprefix("/v1/messages/batches").strip("/"), body)
            else:
                self._json(200, self._other(path, body))
        except _Refused as refused:
            error = {"type": refused.kind, "message": str(refused)}
            self._json(refused.status, {"type": "error", "error": error}, number)
        finally:
            if number:
                self.messages_api.journal.leave()

    def _authorize(self, path: str) -> None:
        if path == "/journal":
            return
        given = self.headers.get("x-api-key") or (self.headers.get("authorization") or "").removeprefix(
            "Bearer "
        )
        if given != self.messages_api.key:
            raise _Refused(401, "authentication_error", "invalid x-api-key")
        if not self.headers.get("anthropic-version"):
            raise _Refused(400, "invalid_request_error", "anthropic-version: header is required")

    def _batch(self, rest: str, body: Any) -> None:
        """Answer what is asked of Message Batches: POST and GET of them, of one, of its results, its cancel."""
        batches, (key, _, deed) = self.messages_api.batches, rest.partition("/")
        if not key and self.command == "GET":
            asked = parse_qs(urlsplit(self.path).query)
            self._json(200, batches.page(*asked.get("after_id", [None]), int(asked.get("limit", ["20"])[0])))
        elif not key:
            self._take_batch(batches.create(body))
        else:
            found = batches.cancel(key) if deed == "cancel" else batches.look(key)
            if found is None or (deed == "results" and not found.ended_at):
                raise _Refused(404, "not_found_error", f"not found: {rest}")
            if deed != "results":
                self._json(200, found.tell())
                return
            data = batches.results(found)
            self._head(200, len(data), "application/binary", 0, {})
            sent = batches.cut(data)
            self.wfile.write(sent)
            self.close_connection = len(sent) < len(data)

    def _take_batch(self, taken: Batch | tuple[int, str, str]) -> None:
        if not isinstance(taken, Batch):
            raise _Refused(*taken)
        if self.messages_api.batches.loses:
            self.messages_api.batches.loses -= 1
            self._reset()
            return
        self._json(200, taken.tell())

    def _other(self, path: str, body: Any) -> Any:
        """Answer the calls that cost nothing."""
        self.messages_api.stopping.wait(self.messages_api.other_seconds)
        if path == "/journal":
            entries = list(self.messages_api.journal.entries)
            return {"requests": [{"path": e.path, "number": e.number, "status": e.status} for e in entries]}
        if path == "/v1/models":
            models = [_model(name) for name in MODELS]
            return {"data": models, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
        if path.startswith("/v1/models/") and path.removeprefix("/v1/models/") in MODELS:
            return _model(path.removeprefix("/v1/models/"))
        if path == "/v1/messages/count_tokens" and isinstance(body, dict):
            return self._count(body)
        raise _Refused(404, "not_found_error", f"not found: {path}")

    def _count(self, body: dict[str, Any]) -> Any:
        fault_text = complaint(body | {"max_tokens": 1}) if "max_tokens" not in body else "max_tokens: extra"
        if fault_text:
            raise _Refused(400, "invalid_request_error", fault_text)
        fault = self.messages_api.counting.next(0, prompt_of(body))
        if fault and fault.kind == "body":
            return json.loads(fault.message)
        if fault:
            raise _Refused(fault.status, fault.type, fault.message)
        return {"input_tokens": tokens_of(prompt_of(body))}

    def _message(self, body: Any, number: int) -> None:
        fault_text = complaint(body) or mark_complaint(body)
        if fault_text:
            raise _Refused(400, "invalid_request_error", fault_text)
        if body["model"] not in MODELS:
            raise _Refused(404, "not_found_error", f"model: {body['model']}")
        prompt = prompt_of(body)
        allowance = self.messages_api.allowance
        if allowance and not allowance.take():
            limited = Fault(
                "status", status=429, type="rate_limit_error", message="too many", retry_after="1"
            )
            self._fail(limited, number)
            return
        fault = self.messages_api.script.next(number, prompt)
        self.messages_api.stopping.wait(self.messages_api.seconds)
        text = self.messages_api.verdict(prompt) if wants_verdict(body) else turns_for(prompt)
        whole = self._billed(body, message(body["model"], prompt, text, number=number))
        if fault is None:
            self._json(200, whole, number)
        elif fault.kind in _ON_THE_WIRE:
            self._break(fault, json.dumps(whole, ensure_ascii=False).encode(), number)
        elif fault.kind == "status":
            self._fail(fault, number)
        else:
            spoiled = _spoiled(fault, body["model"], prompt, text, number)
            self._json(200, self._billed(body, spoiled), number)

    def _billed(self, body: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        return {**data, "usage": self.messages_api.bill(body, data["usage"])}

    def _fail(self, fault: Fault, number: int) -> None:
        details = {"details": {"error_code": fault.error_code}} if fault.error_code else {}
        error = {"type": fault.type, "message": fault.message, **details}
        retry = {"retry-after": fault.retry_after} if fault.retry_after is not None else {}
        self._json(fault.status, {"type": "error", "error": error}, number, retry)

    def _break(self, fault: Fault, data: bytes, number: int) -> None:
        """Do to the connection what the fault says."""
        if fault.kind == "body":
            self._send(
                200, fault.message.encode() if fault.data is None else fault.data, "text/plain", number
            )
        elif fault.kind == "wire":
            self._wire(fault.wire, data)
        elif fault.kind == "reset":
            self._reset()
        elif fault.kind == "stall":
            self.messages_api.stopping.wait(fault.seconds)
            self._send(200, data, "application/json", number)
        elif fault.kind == "cut_body":
            self._head(200, len(data), "application/json", number, {})
            self.wfile.write(data[: len(data) // 2])
            self.close_connection = True
        else:
            self._trickle(fault, data, number)

    def _wire(self, steps: Iterable[tuple[str, Any]], data: bytes) -> None:
        self.close_connection = True
        for step, value in steps:
            if step == "send":
                self.wfile.write(value.encode("latin-1"))
            elif step == "answer":
                low, high = (int(len(data) * share) for share in value)
                self.wfile.write(data[low:high])
            elif step == "trickle":
                text, seconds = value
                for character in text:
                    self.wfile.write(character.encode("latin-1"))
                    self.messages_api.stopping.wait(seconds / len(text))
            elif step == "wait":
                self.messages_api.stopping.wait(value)
            else:
                self._reset()

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _trickle(self, fault: Fault, data: bytes, number: int) -> None:
        self._head(200, len(data), "application/json", number, {})
        step = max(1, len(data) // 50)
        for start in range(0, len(data), step):
            self.wfile.write(data[start : start + step])
            self.messages_api.stopping.wait(fault.seconds / 50)

    def _json(self, status: int, data: Any, number: int = 0, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(data, ensure_ascii=False).encode(), "application/json", number, headers)

    def _send(
        self, status: int, data: bytes, kind: str, number: int = 0, headers: dict[str, str] | None = None
    ) -> None:
        self._head(status, len(data), kind, number, headers or {})
        self.wfile.write(data)

    def _head(self, status: int, length: int, kind: str, number: int, headers: dict[str, str]) -> None:
        self._entry.status = status
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(length))
        self.send_header("request-id", f"req_{number:06}")
        allowance = self.messages_api.allowance if number else None
        for name, value in (headers | (allowance.headers if allowance else {})).items():
            self.send_header(name, value)
        self.end_headers()


def _spoiled(fault: Fault, model: str, prompt: str, text: str, number: int) -> dict[str, Any]:
    """Return a message with status 200 that cannot become a conversation."""
    if fault.kind == "cut":
        return message(model, prompt, text[: len(text) * 2 // 3], "max_tokens", number)
    if fault.kind == "refusal":
        details = {"type": "refusal", "category": fault.category, "explanation": fault.explanation}
        return {**message(model, prompt, "", "refusal", number), "stop_details": details}
    if fault.kind == "broken_json":
        before, _, after = text.rpartition('", "')  # a gap within a sentence would leave it whole
        return message(model, prompt, before + after, number=number)
    if fault.kind == "text":
        return message(model, prompt, fault.message, number=number)
    return message(model, prompt, text, fault.stop_reason, number)


def _model(name: str) -> dict[str, Any]:
    deprecated = name.startswith("claude-sonnet-4-5")
    return {
        "id": name,
        "type": "model",
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "deprecated" if deprecated else "active",
        "retires_at": "2026-11-30T00:00:00Z" if deprecated else None,
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
    }
