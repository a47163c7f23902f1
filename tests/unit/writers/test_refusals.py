"""What each error response means, by status, code and headers."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brightrun.domain.errors import (
    WriterBusy,
    WriterDeclined,
    WriterFault,
    WriterRejected,
    WriterUncertain,
)
from brightrun.writers.refusals import Refusal, fault_of, retry_after_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def refused(
    status: int,
    *,
    kind: str = "api_error",
    message: str = "said",
    code: str | None = None,
    wait: str | None = None,
) -> WriterFault:
    details = {"details": {"error_code": code}} if code else {}
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message, **details}}).encode()
    headers = {"retry-after": wait} if wait is not None else {}
    return fault_of(Refusal(status, headers, body, "req_1", "claude-sonnet-5-5"))


STATUSES = {
    **dict.fromkeys((401, 402, 403, 404), WriterRejected),
    **dict.fromkeys((400, 405, 412, 413, 415, 422, 431, 499), WriterDeclined),
    **dict.fromkeys((408, 409, 429, 500, 501, 502, 503, 504, 520, 524, 529, 599), WriterBusy),
    **dict.fromkeys((301, 307, 304), WriterRejected),
}


@pytest.mark.parametrize("wait", [None, "1", "3600", "garbage", "-5", "nan", "Mon, 23 Nov 2026 12:00:30 GMT"])
@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_one_meaning(status: int, wait: str | None) -> None:
    """Who is to blame decides: the account pauses the job, the request fails, the server is asked again."""
    fault = refused(status, wait=wait)
    assert type(fault) is STATUSES[status]
    assert fault.status == status
    assert fault.request_id == "req_1"
    assert fault.code
    assert fault.remedy
    assert fault.body
    if not isinstance(fault, WriterBusy):
        assert fault.retry_after is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "key_rejected"),
        (402, "spend_limit"),
        (403, "no_access"),
        (404, "model_not_found"),
        (400, "invalid_request"),
        (413, "too_large"),
        (429, "rate_limited"),
        (529, "overloaded"),
        (503, "http_503"),
        (431, "http_431"),
    ],
)
def test_codes_that_screens_and_filters_use(status: int, code: str) -> None:
    """The code on the attempt is stable, so that failures can be counted by cause."""
    assert refused(status).code == code


@pytest.mark.parametrize(
    ("status", "kind", "message", "code"),
    [
        (400, "invalid_request_error", "You have reached your specified API usage limits.", None),
        (400, "invalid_request_error", "Your credit balance is too low to access the API.", None),
        (400, "billing_error", "x", None),
        (429, "rate_limit_error", "x", "enforced_spend_limit_reached"),
        (429, "rate_limit_error", "x", "contract_spend_limit_reached"),
        (402, "billing_error", "x", "linked_organization_billing_unavailable"),
    ],
)
def test_an_empty_purse_pauses_the_job(status: int, kind: str, message: str, code: str | None) -> None:
    """A reached limit stops the whole job at once, whichever status it arrives under."""
    fault = refused(status, kind=kind, message=message, code=code)
    assert isinstance(fault, WriterRejected)
    assert fault.code == "spend_limit"


def test_the_text_of_a_message_decides_nothing_else() -> None:
    """A message that happens to hold a number or a phrase does not change what the status says."""
    assert isinstance(refused(400, message="max_tokens: 500 is too many (429)"), WriterDeclined)
    assert isinstance(refused(500, message="usage limits reached"), WriterBusy)
    assert isinstance(refused(429, message="credit balance is too low"), WriterBusy)
    assert isinstance(refused(429, code="ramp_limit_exceeded"), WriterBusy)


def test_a_page_of_a_proxy_is_a_wrong_address() -> None:
    """A 404 that is not the API's own names the address and not the model."""
    fault = fault_of(Refusal(404, {}, b"<html>not here</html>", None, "claude-sonnet-5-5"))
    assert fault.code == "wrong_address"
    assert "ANTHROPIC_BASE_URL" in str(fault)


@pytest.mark.parametrize("status", [502, 504, 520, 524])
def test_an_answer_lost_behind_a_gateway_may_have_been_paid(status: int) -> None:
    """A proxy's own page says that the call was passed on; the API's own error says that it was not answered."""
    page = Refusal(status, {"retry-after": "7"}, b"<html>Bad Gateway</html>", None, "m")
    fault = fault_of(page)
    assert isinstance(fault, WriterUncertain)
    assert fault.retry_after == 7
    assert isinstance(refused(status), WriterBusy)
    assert isinstance(fault_of(Refusal(503, {}, b"<html>", None, "m")), WriterBusy)


def test_what_the_database_cannot_hold_is_taken_out_of_a_message() -> None:
    """The message of an error goes into a row, whatever the server put into it."""
    said = str(refused(400, message="a\0b\ud800c"))
    assert "ab\ufffdc" in said


def test_an_organization_on_hold_pauses_the_job() -> None:
    """Items are not failed one by one for what concerns the account."""
    assert isinstance(refused(400, code="organization_on_hold"), WriterRejected)


def test_a_declined_request_says_why() -> None:
    """What the API says about the request itself reaches the item, shortened and on one line."""
    assert "max_tokens:  too large" not in str(refused(400, message="max_tokens:\n too large"))
    assert "max_tokens: too large." in str(refused(400, message="max_tokens:\n too large"))
    assert len(str(refused(422, message="x" * 10_000))) < 600


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("1", 1.0),
        ("2.5", 2.5),
        (" 30 ", 30.0),
        ("3600", 900.0),
        ("4294967", 900.0),
        ("1e300", 900.0),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        ("soon", None),
        ("Thu, 99 Foo 2026", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW + timedelta(days=2), usegmt=True), 900.0),
        (format_datetime(NOW - timedelta(hours=1), usegmt=True), 0.0),
        ("Mon, 23 Nov 2026 12:00:10 -0000", 10.0),
    ],
)
def test_retry_after_in_all_its_forms(text: str, seconds: float | None) -> None:
    """Seconds and dates are understood, a quarter of an hour is the most, and nonsense is ignored."""
    assert retry_after_of({"retry-after": text}, now=NOW) == seconds


@pytest.mark.parametrize("days", [-1, 1])
def test_a_wrong_clock_does_not_change_a_wait(days: int) -> None:
    """A date is held against the date of the response itself, not against this machine's clock."""
    headers = {
        "date": format_datetime(NOW, usegmt=True),
        "retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True),
    }
    assert retry_after_of(headers, now=NOW + timedelta(days=days)) == 90.0


@given(st.text(max_size=60))
def test_no_retry_after_can_crash(text: str) -> None:
    """Whatever a server sends, the wait is a number between nothing and a quarter of an hour, or absent."""
    seconds = retry_after_of({"retry-after": text})
    assert seconds is None or 0 <= seconds <= 900


@given(st.binary(max_size=200), st.integers(300, 599))
def test_no_error_body_can_crash(body: bytes, status: int) -> None:
    """Whatever stands in an error's body, the fault is made and tells what to do."""
    assert fault_of(Refusal(status, {}, body, None, "m")).remedy
