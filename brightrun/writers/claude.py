"""Conversations written by Claude: one call, no retry, and the bytes before anything is read."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2

from brightrun.domain.errors import (
    WriterDeclined,
    WriterFault,
)
from brightrun.domain.template import Prompt
from brightrun.domain.text import clean
from brightrun.domain.writing import Answer, Order, RawAnswer
from brightrun.writers import connections
from brightrun.writers.address import checked_address, checked_key
from brightrun.writers.allowance import allowed
from brightrun.writers.batches import Call, MessageBatches
from brightrun.writers.calls import Calls, deadline
from brightrun.writers.deadline import DeadlinePassed, within
from brightrun.writers.envelope import MOST_BYTES, read_envelope
from brightrun.writers.refusals import Refusal, fault_of
from brightrun.writers.request import count_request, message_request

_CHECK_SECONDS = 20.0
_NAMING_SECONDS = 1.0
"""What the list of models may take when it only helps a message: an item waits for it."""
_GRACE_SECONDS = 0.5
"""A socket's own time-out says more than the deadline of the whole call, and comes first by this much."""
_COUNT_SECONDS = 5.0
_MODELS_NAMED = 12
_ERROR_BYTES = 64_000
_ERROR_SECONDS = 2.0
"""What an error's text may take among many calls: its status says the most of it, and is there already."""


@dataclass(frozen=True, slots=True)
class _Response:
    """A response of any status, as far as it was received."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def request_id(self) -> str | None:
        return clean((self.headers.get("request-id") or "")[:120]) or None


class _ErrorStatus(Exception):
    """An error response whose body was not read yet."""

    def __init__(self, response: httpx2.Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class ClaudeWriter(MessageBatches):
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
            timeout=connections.limits(timeout),
            http_client=connections.alone(self._address, timeout),
            middleware=[_hand_over_errors],
            open_telemetry=False,  # spans that nobody collects, made for every call
        )
        self._calls = Calls()
        self._many: anthropic.AsyncAnthropic | None = None
        self._given_up: anthropic.AsyncAnthropic | None = None
        self._is_strict = True

    def write(self, order: Order) -> RawAnswer:
        """Call once; whatever body arrives with a 200 is returned as it is, for `read` to judge."""
        started = time.monotonic()
        response = self._send(
            lambda: self._client.messages.with_streaming_response.create(
                **message_request(order), timeout=connections.limits(self._timeout)
            ),
            order.model,
            self._timeout,
        )
        return RawAnswer(
            response.body, response.request_id, time.monotonic() - started, allowed(response.headers)
        )

    def begin(self, order: Order, told: Callable[[RawAnswer | Exception], object]) -> None:
        """Begin a call and return at once; `told` is called from another thread with what `write` would end in."""
        self._calls.begin(self._written(order), told)

    def read(self, body: bytes) -> Answer:
        return read_envelope(body)

    def count(self, prompt: Prompt, model: str) -> int:
        """Return the input tokens of a prompt as Claude counts them; free, but limited in rate."""
        response = self._send(
            lambda: self._client.messages.with_streaming_response.count_tokens(
                **count_request(prompt, model), timeout=connections.limits(_COUNT_SECONDS)
            ),
            model,
            _COUNT_SECONDS,
        )
        number = _object(response.body).get("input_tokens")
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise WriterDeclined("The server does not count tokens.", code="no_count")
        return number

    def check(self) -> str:
        """Ask for the model, which costs nothing, and say that key and model are accepted."""
        if not self._model:
            self._models(_CHECK_SECONDS)
            return "Claude accepts the key."
        info = _object(self._send(self._retrieve(self._model), self._model, _CHECK_SECONDS).body)
        if info.get("lifecycle") in {"deprecated", "retired"}:
            until = str(info.get("retires_at") or "")[:10]
            return f"Claude accepts the key; {self._model} is {info['lifecycle']}{f' until {until}' * bool(until)}."
        return f"Claude accepts the key and knows the model {self._model}."

    def close(self) -> None:
        """Give up what is out, and give the connections back."""
        self._calls.close(self._close_many)
        self._client.close()

    def _data(
        self,
        call: Call,
        model: str,
        seconds: float,
    ) -> dict[str, Any]:
        return _object(self._send(call, model, seconds).body)

    def _fault(self, broke: BaseException, seconds: float) -> WriterFault:
        if isinstance(broke, _ErrorStatus):
            return self._refused(_error_of(broke, time.monotonic() + _NAMING_SECONDS), "")
        cause = broke.__cause__ if isinstance(broke, anthropic.APIConnectionError) else None
        return connections.fault_of(cause or broke, seconds)

    def _retrieve(self, model: str) -> Call:
        return lambda: self._client.models.with_streaming_response.retrieve(
            model, timeout=connections.limits(_CHECK_SECONDS)
        )

    def _models(self, seconds: float) -> list[str]:
        """Return the ids of the models the key can use."""
        response = self._send(
            lambda: self._client.models.with_streaming_response.list(
                limit=100, timeout=connections.limits(seconds)
            ),
            "",
            seconds,
        )
        data = _object(response.body).get("data")
        models = data if isinstance(data, list) else []
        return [
            clean(m["id"][:80])
            for m in models
            if isinstance(m, dict) and isinstance(m.get("id"), str) and m.get("lifecycle") != "retired"
        ]

    async def _written(self, order: Order) -> RawAnswer:
        """Do what `write` does, on the event loop."""
        started = time.monotonic()
        seconds = self._timeout
        client = self._many = self._many or self._client_of_many()
        call = client.messages.with_streaming_response.create(
            **message_request(order), timeout=connections.limits(seconds)
        )
        with _faults(seconds):
            try:
                async with deadline(seconds + _GRACE_SECONDS):
                    response = await _received_soon(call)
            except anthropic.APIConnectionError as fault:
                if self._is_strict and connections.is_too_strict(fault):
                    self._is_strict, self._many, self._given_up = (
                        False,
                        None,
                        self._many,
                    )  # for the calls to come
                raise
        if not 200 <= response.status < 300:
            # Which models there are may have to be asked for, and the others are not kept waiting by that.
            raise await asyncio.to_thread(self._refused, response, order.model)
        return RawAnswer(
            response.body, response.request_id, time.monotonic() - started, allowed(response.headers)
        )

    def _client_of_many(self) -> anthropic.AsyncAnthropic:
        return anthropic.AsyncAnthropic(
            api_key=self._key,
            base_url=self._address,
            max_retries=0,
            timeout=connections.limits(self._timeout),
            http_client=connections.many(self._address, self._timeout, is_strict=self._is_strict),
            middleware=[_hand_over_errors_soon],
            open_telemetry=False,
        )

    async def _close_many(self) -> None:
        for client in (self._many, self._given_up):
            if client is not None:
                await client.close()

    def _send(
        self,
        call: Call,
        model: str,
        seconds: float,
    ) -> _Response:
        """Make one call and return its response; every way in which it can fail leaves as a WriterFault."""
        with _faults(seconds):
            response = within(seconds + _GRACE_SECONDS, lambda abandoned: _received(call, seconds, abandoned))
        if 200 <= response.status < 300:
            return response
        raise self._refused(response, model)

    def _refused(self, response: _Response, model: str) -> WriterFault:
        fault = fault_of(
            Refusal(
                status=response.status,
                headers=response.headers,
                body=response.body.replace(self._key.encode(), b"***"),
                request_id=response.request_id,
                model=model,
            )
        )
        fault.limits = allowed(response.headers)
        if fault.code == "model_not_found" and model:
            fault.remedy = self._named_models() or fault.remedy
        return fault

    def _named_models(self) -> str:
        try:
            models = self._models(_NAMING_SECONDS)
        except WriterFault:
            return ""  # the list is only a help; the fault that led here is the one to report
        return f"Make the job with one of: {', '.join(models[:_MODELS_NAMED])}." if models else ""


@contextmanager
def _faults(seconds: float) -> Iterator[None]:
    """Turn every way in which a call can break into a WriterFault."""
    try:
        yield
    except DeadlinePassed:
        raise connections.too_slow(seconds) from None
    except anthropic.APIConnectionError as exc:
        raise connections.fault_of(exc.__cause__ or exc, seconds) from exc
    except connections.BROKEN as exc:
        raise connections.fault_of(exc, seconds) from exc


def _hand_over_errors(request: Any, call_next: Callable[[Any], Any]) -> Any:
    """Keep the SDK from reading an error's body: without limit, and losing the status where it breaks."""
    response = call_next(request)
    if not response.http_response.is_success:
        raise _ErrorStatus(response.http_response)
    return response


def _received(
    call: Call,
    seconds: float,
    abandoned: threading.Event,
) -> _Response:
    """Read a response in pieces, so that neither its length nor its slowness is without limit.

    Of an answer everything counts: where it breaks, that is raised. Of an error its status does.
    """
    until = time.monotonic() + seconds
    received = bytearray()
    try:
        with call() as response:
            for piece in response.iter_bytes():
                received += piece
                if abandoned.is_set():
                    raise DeadlinePassed
                if len(received) > MOST_BYTES:
                    break
            return _Response(response.status_code, response.headers, bytes(received))
    except _ErrorStatus as exc:
        return _error_of(exc, until)


def _error_of(exc: _ErrorStatus, until: float) -> _Response:
    refused, received = exc.response, bytearray()
    with suppress(httpx2.HTTPError):
        for piece in refused.iter_bytes():
            received += piece
            if len(received) > _ERROR_BYTES or time.monotonic() > until:
                break
    refused.close()
    return _Response(refused.status_code, refused.headers, bytes(received[:_ERROR_BYTES]))


async def _hand_over_errors_soon(request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
    response = await call_next(request)
    if not response.http_response.is_success:
        raise _ErrorStatus(response.http_response)
    return response


async def _received_soon(
    call: AbstractAsyncContextManager[anthropic.AsyncAPIResponse[Any]],
) -> _Response:
    """Do what `_received` does, on the event loop."""
    received = bytearray()
    try:
        async with call as response:
            async for piece in response.iter_bytes():
                received += piece
                if len(received) > MOST_BYTES:
                    break
            return _Response(response.status_code, response.headers, bytes(received))
    except _ErrorStatus as exc:
        refused = exc.response
        with suppress(*connections.BROKEN, TimeoutError):
            async with asyncio.timeout(_ERROR_SECONDS):
                async for piece in refused.aiter_bytes():
                    received += piece
                    if len(received) > _ERROR_BYTES:
                        break
        await refused.aclose()
        return _Response(refused.status_code, refused.headers, bytes(received[:_ERROR_BYTES]))


def _object(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}
