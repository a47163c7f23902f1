"""What an error response of the Messages API means for the item and its job."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from brightrun.domain.errors import (
    WriterBusy,
    WriterDeclined,
    WriterFault,
    WriterRejected,
    WriterUncertain,
)
from brightrun.domain.text import clean

RETRY_CAP_SECONDS = 900.0
_BODY_KEPT = 64_000
_MESSAGE_SHOWN = 300

_WAIT_AND_SEE = {408, 409, 429}
_LOST_BEHIND = {502, 504, 520, 524}
"""What a gateway says when it had passed the call on and got no answer: behind it, it may have been paid."""
_MONEY_CODES = {
    "contract_spend_limit_reached",
    "enforced_spend_limit_reached",
    "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable",
}
_MONEY_TEXT = re.compile(r"usage limit|spend(?:ing)? limit|credit balance is too low", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error response: its status, what its headers and body say, without the key."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    request_id: str | None
    model: str

    @property
    def error(self) -> dict[str, Any]:
        """The `error` object of the body; empty where the answer is not the API's own."""
        try:
            data = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        error = data.get("error") if isinstance(data, dict) else None
        return error if isinstance(error, dict) else {}

    @property
    def error_code(self) -> str:
        details = self.error.get("details")
        return _text(details.get("error_code")) if isinstance(details, dict) else ""

    @property
    def message(self) -> str:
        text = " ".join(clean(_text(self.error.get("message"))).split())
        return text if len(text) <= _MESSAGE_SHOWN else f"{text[: _MESSAGE_SHOWN - 1]}…"

    def is_about_money(self) -> bool:
        """Say whether a limit on spending was reached.

        Most of these have a code or a type of their own. Some 400s only say it in words, which is
        the one place where the text of a message decides.
        """
        if self.status == 402 or self.error.get("type") == "billing_error" or self.error_code in _MONEY_CODES:
            return True
        return self.status == 400 and bool(_MONEY_TEXT.search(_text(self.error.get("message"))))


def fault_of(refusal: Refusal) -> WriterFault:
    """Return the fault a refused call must end in."""
    status = refusal.status
    if refusal.is_about_money():
        return _rejected(
            refusal,
            "spend_limit",
            "Claude's spending or usage limit is reached.",
            "Raise the limit or add credit in the Claude Console, then resume the job.",
        )
    if refusal.error_code == "organization_on_hold":
        remedy = "Follow the appeal named in the Claude Console; the job can be resumed afterwards."
        return _rejected(refusal, "organization_on_hold", "The Claude organization is on hold.", remedy)
    if status == 401:
        remedy = "Set ANTHROPIC_API_KEY to a key that is active, then resume the job."
        return _rejected(refusal, "key_rejected", "Claude rejected the key.", remedy)
    if status == 403:
        message = f"The key has no access to the model {refusal.model}."
        return _rejected(
            refusal, "no_access", message, "Use a key or a model that has access, then resume the job."
        )
    if status == 404:
        return _not_found(refusal)
    if status in _LOST_BEHIND and not refusal.error:
        return _lost(refusal)
    if status in _WAIT_AND_SEE or status >= 500:
        return _busy(refusal)
    if status < 200:
        return _lost(refusal)
    if status < 400:
        remedy = "Set ANTHROPIC_BASE_URL to the address it leads to; a key does not follow redirects."
        return _rejected(refusal, "redirected", f"The server answered {status}, a redirect.", remedy)
    return _declined(refusal)


def retry_after_of(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Return the seconds a response asks to wait, at most 15 minutes; None when it says nothing usable.

    A date is held against the response's own: the clock of this machine may be wrong by any amount.
    """
    text = (headers.get("retry-after") or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        until = _date(text)
        now = _date(headers.get("date") or "") or now or datetime.now(UTC)
        seconds = max(0.0, (until - now).total_seconds()) if until else math.nan
    if not math.isfinite(seconds) or seconds < 0:
        return None
    return min(seconds, RETRY_CAP_SECONDS)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _not_found(refusal: Refusal) -> WriterFault:
    if not refusal.error:
        message = "There is no Messages API at ANTHROPIC_BASE_URL."
        return _rejected(refusal, "wrong_address", message, "Correct the address, without /v1 at its end.")
    message = f"There is no model {refusal.model}."
    return _rejected(
        refusal, "model_not_found", message, "Choose a model the key can use, then make the job again."
    )


def _rejected(refusal: Refusal, code: str, message: str, remedy: str) -> WriterRejected:
    return WriterRejected(message, remedy=remedy, code=code, **_origin(refusal))


def _busy(refusal: Refusal) -> WriterBusy:
    names = {429: ("rate_limited", "too many calls"), 529: ("overloaded", "it is overloaded")}
    code, why = names.get(refusal.status, (f"http_{refusal.status}", "it could not answer"))
    return WriterBusy(
        f"Claude asks to try again later: {why} ({refusal.status}).",
        remedy="No answer came, so nothing is counted as paid.",
        code=code,
        retry_after=retry_after_of(refusal.headers),
        **_origin(refusal),
    )


def _lost(refusal: Refusal) -> WriterUncertain:
    return WriterUncertain(
        f"A gateway on the way to Claude lost the answer ({refusal.status}).",
        remedy="The call may have been paid for. If it happens often, check ANTHROPIC_BASE_URL and the proxy.",
        code=f"http_{refusal.status}",
        retry_after=retry_after_of(refusal.headers),
        **_origin(refusal),
    )


def _declined(refusal: Refusal) -> WriterDeclined:
    names = {400: "invalid_request", 413: "too_large", 422: "invalid_request"}
    said = f": {refusal.message}" if refusal.message else ""
    return WriterDeclined(
        f"Claude does not accept this request ({refusal.status}){said}".rstrip(".") + ".",
        remedy="Shorten or change the template or the scenario; the same request will not be accepted.",
        code=names.get(refusal.status, f"http_{refusal.status}"),
        **_origin(refusal),
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _origin(refusal: Refusal) -> dict[str, Any]:
    return {
        "status": refusal.status,
        "request_id": refusal.request_id,
        "body": refusal.body[:_BODY_KEPT],
    }
