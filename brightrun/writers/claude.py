"""Conversations written by Claude: one call, no retry, and the bytes before anything is read."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import anthropic
import httpx2

from brightrun.domain.errors import WriterBusy, WriterFault, WriterRejected, WriterUncertain
from brightrun.domain.writing import Answer, Order, RawAnswer
from brightrun.writers.address import checked_address, checked_key, is_this_machine
from brightrun.writers.envelope import TURNS_SCHEMA, read_envelope
from brightrun.writers.refusals import Refusal, fault_of

_CONNECT_SECONDS = 10.0
_CHECK_SECONDS = 20.0
_MODELS_NAMED = 12

_NOTHING_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)


class ClaudeWriter:
    """Writes with the Messages API of Anthropic, or of any server that speaks it; safe between threads."""

    name = "claude"

    def __init__(
        self,
        api_key: str,
        base_url: str | None = None,
        *,
        timeout: float = 180.0,
        model: str | None = None,
        allow_private: bool = False,
    ) -> None:
        self._key = checked_key(api_key)
        self._address = checked_address(base_url, allow_private=allow_private)
        self._timeout = timeout
        self._model = model
        self._client = anthropic.Anthropic(
            api_key=self._key,
            base_url=self._address,
            max_retries=0,  # the SDK would wait as long as a server says, and pay up to three times
            timeout=_limits(timeout),
            http_client=_connections(self._address, timeout),
        )

    def write(self, order: Order) -> RawAnswer:
        """Call once; whatever body arrives with a 200 is returned as it is, for `read` to judge."""
        started = time.monotonic()
        body, request_id = self._bytes(
            lambda: self._client.messages.with_streaming_response.create(
                model=order.model,
                max_tokens=order.max_tokens,
                system=_sendable(order.prompt.system) or anthropic.omit,
                messages=[{"role": "user", "content": _sendable(order.prompt.user)}],
                output_config={"format": {"type": "json_schema", "schema": TURNS_SCHEMA}},
                timeout=_limits(self._timeout),
            ),
            order.model,
            self._timeout,
        )
        return RawAnswer(body, request_id, time.monotonic() - started)

    def read(self, body: bytes) -> Answer:
        return read_envelope(body)

    def check(self) -> str:
        """Ask for the model, which costs nothing, and say that key and model are accepted."""
        if not self._model:
            self._models()
            return "Claude accepts the key."
        body, _ = self._bytes(self._retrieve(self._model), self._model, _CHECK_SECONDS)
        info = _object(body)
        if info.get("lifecycle") in {"deprecated", "retired"}:
            until = str(info.get("retires_at") or "")[:10]
            return f"Claude accepts the key; {self._model} is {info['lifecycle']}{f' until {until}' * bool(until)}."
        return f"Claude accepts the key and knows the model {self._model}."

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _retrieve(self, model: str) -> Callable[[], AbstractContextManager[anthropic.APIResponse[Any]]]:
        return lambda: self._client.models.with_streaming_response.retrieve(
            model, timeout=_limits(_CHECK_SECONDS)
        )

    def _models(self) -> list[str]:
        """Return the ids of the models the key can use."""
        body, _ = self._bytes(
            lambda: self._client.models.with_streaming_response.list(
                limit=100, timeout=_limits(_CHECK_SECONDS)
            ),
            "",
            _CHECK_SECONDS,
        )
        data = _object(body).get("data")
        models = data if isinstance(data, list) else []
        return [
            str(m["id"])
            for m in models
            if isinstance(m, dict) and m.get("id") and m.get("lifecycle") != "retired"
        ]

    def _bytes(
        self,
        call: Callable[[], AbstractContextManager[anthropic.APIResponse[Any]]],
        model: str,
        seconds: float,
    ) -> tuple[bytes, str | None]:
        """Make one call and return its bytes; every way in which it can fail leaves as a WriterFault.

        The body is read in pieces, because a server that trickles would stay below any time-out
        between two pieces for ever.
        """
        until = time.monotonic() + seconds
        received = bytearray()
        try:
            with call() as response:
                for piece in response.iter_bytes():
                    received += piece
                    if time.monotonic() > until:
                        raise _too_slow(f"Claude's answer took longer than {seconds:g} s.")
                return bytes(received), response.request_id
        except anthropic.APIStatusError as exc:
            # a server that echoes the key would put it into the traceback of the cause
            raise self._refused(exc, model) from (None if self._key in str(exc) else exc)
        except anthropic.APIConnectionError as exc:
            raise fault_of_transport(exc.__cause__ or exc, seconds) from exc
        except httpx2.HTTPError as exc:
            raise fault_of_transport(exc, seconds) from exc

    def _refused(self, exc: anthropic.APIStatusError, model: str) -> WriterFault:
        fault = fault_of(
            Refusal(
                status=exc.status_code,
                headers=exc.response.headers,
                body=exc.response.content.replace(self._key.encode(), b"***"),
                request_id=exc.request_id,
                model=model,
            )
        )
        if fault.code == "model_not_found" and model:
            fault.remedy = self._named_models() or fault.remedy
        return fault

    def _named_models(self) -> str:
        try:
            models = self._models()
        except WriterFault:
            return ""  # the list is only a help; the fault that led here is the one to report
        return f"Make the job with one of: {', '.join(models[:_MODELS_NAMED])}." if models else ""


def _connections(address: str, timeout: float) -> httpx2.Client:
    """Return connections that follow no redirect, and take no proxy on the way to this very machine."""
    if is_this_machine(address):  # the SDK's own client reads the shell's proxies whatever it is told
        return httpx2.Client(timeout=_limits(timeout), trust_env=False)
    return anthropic.DefaultHttpxClient(timeout=_limits(timeout), follow_redirects=False)


def _limits(seconds: float) -> httpx2.Timeout:
    return httpx2.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds))


def fault_of_transport(cause: BaseException, seconds: float) -> WriterFault:
    """Tell a call that never left from one that may have been paid for."""
    kind = type(cause).__name__
    if isinstance(cause, _NOTHING_SENT):
        return WriterBusy(
            f"Claude could not be reached ({kind}).",
            remedy="See that this machine is online and ANTHROPIC_BASE_URL is right; it is tried again by itself.",
            code="unreachable",
        )
    if isinstance(cause, httpx2.LocalProtocolError | httpx2.UnsupportedProtocol):
        remedy = "Check ANTHROPIC_API_KEY and ANTHROPIC_BASE_URL, then resume the job."
        return WriterRejected(f"The request could not be made ({kind}).", remedy=remedy, code="setup")
    if isinstance(cause, httpx2.TimeoutException):
        return _too_slow(f"Claude did not answer within {seconds:g} s.")
    return WriterUncertain(
        f"The connection to Claude broke ({kind}).",
        remedy="The call may have been paid for. See that the network holds; the Console shows what was used.",
        code="connection_broken",
    )


def _too_slow(message: str) -> WriterUncertain:
    return WriterUncertain(
        message,
        remedy="The call may have been paid for. If it happens often, raise BRIGHTRUN_CALL_TIMEOUT.",
        code="timeout",
    )


def _sendable(text: str) -> str:
    """Replace halves of characters, which cannot be sent, by the mark for an unknown one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
