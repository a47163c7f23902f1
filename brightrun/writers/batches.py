"""Message Batches: many orders handed over at once, answered within a day, at a share of the price."""

from __future__ import annotations

import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from datetime import datetime
from typing import Any, cast

import anthropic
import httpx2

from brightrun.domain.errors import WriterFault, WriterUncertain
from brightrun.domain.ids import ItemId
from brightrun.domain.part import Remote, Result
from brightrun.domain.text import clean
from brightrun.domain.writing import Order
from brightrun.writers.envelope import MOST_BYTES
from brightrun.writers.request import message_request

_PATH = "/v1/messages/batches"
_LOOK_SECONDS = 30.0
_RESULTS_SECONDS = 300.0
_PAGE = 100
_FRAME_BYTES = 200
"""What stands around a request in the body, and more."""
_REMOTE_ID = re.compile(r"[A-Za-z0-9_-]{1,200}")
_AS_STREAM = {"X-Stainless-Raw-Response": "stream"}

Call = Callable[[], AbstractContextManager[anthropic.APIResponse[Any]]]
"""A call of the SDK that is about to be made, its response read by whoever makes it."""


class MessageBatches(ABC):
    """The part of a Claude writer that speaks to Message Batches."""

    _client: anthropic.Anthropic
    _timeout: float

    @abstractmethod
    def _data(self, call: Call, model: str, seconds: float) -> dict[str, Any]:
        """Make one call and return its object; every way in which it can fail leaves as a WriterFault."""

    @abstractmethod
    def _fault(self, broke: BaseException, seconds: float) -> WriterFault:
        """Return the fault in which a broken stream must end."""

    def submit(self, orders: Sequence[tuple[ItemId, Order]]) -> Remote:
        """Hand orders over, once; raises WriterFault."""
        requests = [{"custom_id": item, "params": message_request(order)} for item, order in orders]
        data = self._data(
            lambda: self._client.messages.batches.with_streaming_response.create(
                requests=cast(Any, requests), timeout=self._timeout
            ),
            orders[0][1].model,
            self._timeout,
        )
        return _remote(data)

    def size_of(self, order: Order) -> int:
        """Return the bytes an order takes in a batch's body, or a little more."""
        return len(json.dumps(message_request(order)).encode()) + _FRAME_BYTES

    def look(self, remote_id: str) -> Remote:
        """Return how far a batch is; raises WriterFault."""
        return _remote(
            self._data(
                lambda: self._client.messages.batches.with_streaming_response.retrieve(
                    remote_id, timeout=_LOOK_SECONDS
                ),
                "",
                _LOOK_SECONDS,
            )
        )

    def call_off(self, remote_id: str) -> None:
        """Ask for a batch to be cancelled; what is written already still comes. Raises WriterFault."""
        self._data(
            lambda: self._client.messages.batches.with_streaming_response.cancel(
                remote_id, timeout=_LOOK_SECONDS
            ),
            "",
            _LOOK_SECONDS,
        )

    def newest(self, since: datetime) -> list[Remote]:
        """Return the batches of the key's workspace that are not older; raises WriterFault."""
        found: list[Remote] = []
        after: str | anthropic.Omit = anthropic.omit
        while True:
            page = self._page(after)
            fresh = [
                remote for remote in map(_remote, page) if not remote.created_at or remote.created_at >= since
            ]
            found += fresh
            if len(page) < _PAGE or len(fresh) < len(page):
                return found
            after = found[-1].id

    def results(self, remote_id: str) -> Iterator[Result | bytes]:
        """Yield an ended batch's results in any order; bytes where a line is no result.

        They are read at the address that everything else is sent to: the one a batch names could be another's.
        Raises WriterFault, in the middle of it where the connection breaks.
        """
        try:
            response = self._client.get(
                f"{_PATH}/{remote_id}/results",
                cast_to=cast(Any, object),
                options={"headers": _AS_STREAM, "timeout": httpx2.Timeout(_LOOK_SECONDS)},
            )
            with closing(cast(anthropic.APIResponse[Any], response)) as stream:
                yield from map(_result, _lines(stream.iter_bytes()))
        except WriterFault:
            raise
        except Exception as broke:
            raise self._fault(broke, _LOOK_SECONDS) from broke

    def _page(self, after: str | anthropic.Omit) -> list[Mapping[str, Any]]:
        data = self._data(
            lambda: self._client.messages.batches.with_streaming_response.list(
                limit=_PAGE, after_id=after, timeout=_LOOK_SECONDS
            ),
            "",
            _LOOK_SECONDS,
        )
        page = data.get("data")
        if not isinstance(page, list):
            raise _no_batch()
        return [each for each in page if isinstance(each, dict)]


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield lines without their ends; one that is too long, or comes too slowly, ends in a fault."""
    until = time.monotonic() + _RESULTS_SECONDS
    rest = bytearray()
    for piece in pieces:
        rest += piece
        *whole, last = rest.split(b"\n")
        yield from (bytes(line) for line in whole if line.strip())
        rest = bytearray(last)
        if len(rest) > MOST_BYTES or time.monotonic() > until:
            raise WriterUncertain(
                "The results of a batch do not end.",
                remedy="What has come is kept; the rest is fetched at the next look.",
                code="results_cut",
            )
    if rest.strip():
        yield bytes(rest)


def _result(line: bytes) -> Result | bytes:
    try:
        data = json.loads(line)
        item, result = data["custom_id"], data["result"]
        kind = result["type"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return line
    if not isinstance(item, str) or not isinstance(kind, str):
        return line
    error = _mapping(_mapping(result.get("error")).get("error"))
    return Result(
        ItemId(item),
        kind,
        line,
        clean(str(error.get("type") or "")[:80]),
        " ".join(clean(str(error.get("message") or "")[:300]).split()),
    )


def _remote(data: Mapping[str, Any]) -> Remote:
    """Read a batch; raises WriterUncertain for what is none, because one may stand behind it."""
    key, status, counts = data.get("id"), data.get("processing_status"), _mapping(data.get("request_counts"))
    if not isinstance(key, str) or not _REMOTE_ID.fullmatch(key) or not isinstance(status, str):
        raise _no_batch()
    numbers = [n for n in counts.values() if isinstance(n, int) and not isinstance(n, bool)]
    return Remote(
        id=key,
        size=sum(numbers),
        created_at=_time(data.get("created_at")),
        expires_at=_time(data.get("expires_at")),
        is_ended=status == "ended",
        is_archived=data.get("archived_at") is not None,
        is_cancelling=data.get("cancel_initiated_at") is not None,
    )


def _no_batch() -> WriterUncertain:
    return WriterUncertain(
        "The answer about a batch is none.",
        remedy="If a proxy stands at ANTHROPIC_BASE_URL, see that it passes Message Batches on.",
        code="unreadable_batch",
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _time(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo else None
