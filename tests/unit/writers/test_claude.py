"""Claude's writer against a strict server, a broken network, and hostile answers."""

from __future__ import annotations

import json
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from brightrun.domain.errors import (
    AnswerUnreadable,
    SetupFault,
    WriterBusy,
    WriterDeclined,
    WriterFault,
    WriterRejected,
    WriterUncertain,
)
from brightrun.writers.claude import ClaudeWriter
from brightrun.writers.envelope import MOST_BYTES
from tests.many import AmongMany
from tests.messages_api import KEY, Fault, MessagesApi
from tests.unit.writers.orders import order

Claude = Callable[..., AbstractContextManager[tuple[ClaudeWriter, MessagesApi]]]


@pytest.fixture(params=[ClaudeWriter, AmongMany], ids=["alone", "among many"])
def claude(request: pytest.FixtureRequest) -> Claude:
    """Either way of calling, beside a server with faults."""

    @contextmanager
    def beside(
        *faults: Fault, key: str = KEY, timeout: float = 5.0, other_seconds: float = 0.0
    ) -> Iterator[tuple[ClaudeWriter, MessagesApi]]:
        with MessagesApi(faults, other_seconds=other_seconds) as api:
            writer: ClaudeWriter = request.param(key, api.url, timeout=timeout, model="claude-sonnet-5-5")
            try:
                yield writer, api
            finally:
                writer.close()

    return beside


@pytest.fixture
def nobody() -> Iterator[str]:
    """An address at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_sends_what_the_api_accepts_and_nothing_else(claude: Claude) -> None:
    """The system prompt goes as system prompt, the turns' shape as schema, and no old sampling fields."""
    with claude() as (writer, api):
        writer.write(order(user="Write exactly 4 turns.", max_tokens=60_000))
    (sent,) = api.requests
    assert sent.status == 200
    assert sent.body["system"] == "You write dialogues for training."
    assert sent.body["messages"] == [{"role": "user", "content": "Write exactly 4 turns."}]
    assert sent.body["max_tokens"] == 60_000
    assert sent.body["output_config"]["format"]["schema"]["required"] == ["turns"]
    assert not sent.body.keys() & {"temperature", "top_p", "top_k", "stream"}
    assert sent.headers["authorization"] == f"Bearer {KEY}"


def test_the_environment_does_not_decide(monkeypatch: pytest.MonkeyPatch, claude: Claude) -> None:
    """Key and address come from the settings alone, whatever else the shell holds for other tools."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "another")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "another")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with claude() as (writer, api):
        writer.write(order())
    assert api.requests[0].headers["authorization"] == f"Bearer {KEY}"


BODIES = [
    "",
    "null",
    "[]",
    '"text"',
    "12",
    "{}",
    "<html>502 Bad Gateway</html>",
    '{"type": "mess',
    "\ud7ff\x00",
]


@pytest.mark.parametrize("body", BODIES)
def test_whatever_was_paid_for_is_handed_over(body: str, claude: Claude) -> None:
    """An answer with status 200 is returned byte for byte, and only reading it says that it is unusable."""
    with claude(Fault("body", message=body)) as (writer, api):
        raw = writer.write(order())
        assert raw.body == body.encode()
        assert raw.request_id == "req_000001"
        with pytest.raises(AnswerUnreadable):
            writer.read(raw.body)
    assert len(api.requests) == 1


def test_reads_why_an_answer_stopped(claude: Claude) -> None:
    """A cut, a refusal and a whole answer can be told apart, with usage and the refusal's reason."""
    refusal = Fault("refusal", at=2, category="frontier_llm", explanation="It could train a competitor.")
    with claude(Fault("cut", at=1), refusal) as (writer, _):
        cut, refused, whole = (writer.read(writer.write(order()).body) for _ in range(3))
    assert cut.stop_reason == "max_tokens"
    assert cut.usage
    assert cut.usage.output_tokens > 0
    assert (refused.stop_reason, refused.text) == ("refusal", "")
    assert refused.refusal_category == "frontier_llm"
    assert refused.refusal_explanation == "It could train a competitor."
    assert whole.stop_reason == "end_turn"
    assert whole.usage
    assert whole.usage.input_tokens > 0


@pytest.mark.parametrize(
    "message",
    [
        {"stop_reason": "end_turn"},
        {"content": [{"type": "text", "text": "x"}]},
        {"content": [None, 3, {"type": "thinking", "thinking": "?"}, {"type": "text"}], "stop_reason": None},
        {"content": [{"type": "text", "text": "a"}, {"type": "novel"}, {"type": "text", "text": "b"}]},
        {"content": [], "stop_reason": "refusal", "stop_details": "?", "usage": [1]},
        {"content": None, "stop_reason": "end_turn", "usage": {"input_tokens": -1, "output_tokens": 1e400}},
    ],
)
def test_reading_forgives_missing_and_unknown_parts(message: dict[str, object]) -> None:
    """New kinds of blocks and missing fields do not make a paid answer unreadable; no usage is not zero."""
    answer = ClaudeWriter(KEY, "https://example.com").read(json.dumps(message).encode())
    assert answer.text in {"", "x", "ab"}
    assert answer.usage is None


@pytest.mark.parametrize("count", [-1, 2**31, 10**400, 1.5, True, "7", None, [1]])
def test_what_is_no_count_of_tokens_is_not_taken_for_one(count: object) -> None:
    """A figure that no column can hold, or that no call can use, leaves the usage unknown."""
    message = {"content": [], "stop_reason": "end_turn", "usage": {"input_tokens": 5, "output_tokens": count}}
    assert ClaudeWriter(KEY, "https://example.com").read(json.dumps(message).encode()).usage is None


def test_what_a_message_says_of_itself_is_cut_and_cleaned() -> None:
    """Model, stop reason and refusal go into columns: no NUL, no half character, no novel."""
    hostile = "a\0\ud800" + "b" * 100_000
    details = {"category": hostile, "explanation": hostile}
    message = {"content": [], "stop_reason": hostile, "model": hostile, "stop_details": details}
    answer = ClaudeWriter(KEY, "https://example.com").read(json.dumps(message).encode())
    for text in (answer.stop_reason, answer.model, answer.refusal_category, answer.refusal_explanation):
        assert text is not None
        assert text.startswith("a\ufffdb")
        assert len(text) < 400


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, WriterRejected),
        (402, WriterRejected),
        (403, WriterRejected),
        (400, WriterDeclined),
        (413, WriterDeclined),
        (408, WriterBusy),
        (409, WriterBusy),
        (429, WriterBusy),
        (500, WriterBusy),
        (503, WriterBusy),
        (529, WriterBusy),
    ],
)
@pytest.mark.parametrize("wait", [None, "1", "3600"])
def test_one_call_and_no_waiting(
    status: int, kind: type[WriterFault], wait: str | None, claude: Claude
) -> None:
    """Each refusal comes back at once as its fault: the SDK neither waits nor calls a second time."""
    with claude(Fault("status", status=status, retry_after=wait, times=None)) as (writer, api):
        started = time.monotonic()
        with pytest.raises(kind) as caught:
            writer.write(order())
        assert time.monotonic() - started < 2
    assert len(api.requests) == 1
    assert caught.value.request_id == "req_000001"
    assert caught.value.retry_after == (min(float(wait), 900) if wait and kind is WriterBusy else None)


@pytest.mark.parametrize("kind", ["reset", "cut_body"])
def test_a_broken_connection_is_uncertain(kind: str, claude: Claude) -> None:
    """When the connection breaks the call may have been paid for, and nobody repeats it unasked."""
    with claude(Fault(kind, times=None)) as (writer, api):
        with pytest.raises(WriterUncertain, match="may have been paid") as caught:
            writer.write(order())
        assert caught.value.code == "connection_broken"
    assert len(api.requests) == 1


@pytest.mark.parametrize("kind", ["stall", "trickle"])
def test_a_slow_answer_ends_in_time(kind: str, claude: Claude) -> None:
    """Neither silence nor a trickle of bytes holds an item longer than the time-out."""
    with claude(Fault(kind, seconds=20), timeout=0.6) as (writer, api):
        started = time.monotonic()
        with pytest.raises(WriterUncertain) as caught:
            writer.write(order())
        assert time.monotonic() - started < 3
        assert caught.value.code == "timeout"
    assert len(api.requests) == 1


HEAD = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9000\r\n"


@pytest.mark.parametrize(
    "wire",
    [
        [("trickle", ["HTTP/1.1 200 OK\r\nx: " + "y" * 50_000, 20])],
        [("send", HEAD + "\r\n"), ("answer", [0, 0.5]), ("wait", 20)],
        [("send", HEAD + "\r\n"), ("wait", 0.55), ("answer", [0, 0.5]), ("wait", 20)],
        [("trickle", ["HTTP/1.1 100 Continue\r\n\r\n" * 500, 20])],
        [("send", "HTTP/1.1 500 No\r\ncontent-length: 9000\r\n\r\n"), ("trickle", ["x" * 9000, 20])],
    ],
)
def test_no_way_of_being_slow_holds_an_item(wire: list[tuple[str, object]], claude: Claude) -> None:
    """A server may be slow in its status line, its headers or its body: the call ends with its time-out."""
    with claude(Fault("wire", wire=wire), timeout=0.6) as (writer, api):
        started = time.monotonic()
        with pytest.raises((WriterUncertain, WriterBusy)):
            writer.write(order())
        assert time.monotonic() - started < 1.6
    assert len(api.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(401, WriterRejected), (413, WriterDeclined), (529, WriterBusy)]
)
@pytest.mark.parametrize("length", ["content-length: 9000", "transfer-encoding: chunked"])
def test_a_status_counts_although_its_body_breaks(
    length: str, status: int, kind: type[WriterFault], claude: Claude
) -> None:
    """An error response that is cut off is still that error, and no call that may have been paid for."""
    head = f"HTTP/1.1 {status} No\r\nretry-after: 7\r\n{length}\r\n\r\n"
    breaks = [("send", "2\r\n{}\r\n"), ("wait", 0.1), ("send", "zz\r\n"), ("wait", 0.1), ("reset", None)]
    with claude(Fault("wire", wire=[("send", head), *breaks])) as (writer, _):
        with pytest.raises(kind) as caught:
            writer.write(order())
        assert caught.value.retry_after == (7 if kind is WriterBusy else None)


def test_an_endless_body_is_received_only_so_far(claude: Claude) -> None:
    """A body beyond any answer neither fills the memory nor is taken for an answer."""
    with claude(Fault("body", data=b"x" * (MOST_BYTES + 5_000_000)), timeout=20) as (writer, _):
        raw = writer.write(order())
        assert MOST_BYTES < len(raw.body) < MOST_BYTES + 1_000_000
        with pytest.raises(AnswerUnreadable, match="larger than"):
            writer.read(raw.body)


def test_a_slow_list_of_models_is_not_waited_for(claude: Claude) -> None:
    """The list is a help for the message; an item is not held up by it."""
    with claude(other_seconds=20) as (writer, _):
        started = time.monotonic()
        with pytest.raises(WriterRejected) as caught:
            writer.write(order(model="claude-sonet"))
        assert time.monotonic() - started < 2
        assert caught.value.code == "model_not_found"
        assert caught.value.remedy


@pytest.mark.parametrize("kind", [ClaudeWriter, AmongMany])
def test_nobody_there_means_not_paid(nobody: str, kind: type[ClaudeWriter]) -> None:
    """A refused connection is no call: the item may be tried again without doubt."""
    writer = kind(KEY, nobody, timeout=2)
    with pytest.raises(WriterBusy, match="could not be reached") as caught:
        writer.write(order())
    assert caught.value.code == "unreachable"
    writer.close()


@pytest.mark.parametrize("kind", [ClaudeWriter, AmongMany])
def test_an_unknown_name_means_not_paid(kind: type[ClaudeWriter]) -> None:
    """A host that does not exist is no call either."""
    writer = kind(KEY, "https://no-such-host.invalid", timeout=5)
    with pytest.raises(WriterBusy) as caught:
        writer.write(order())
    assert caught.value.code == "unreachable"
    writer.close()


def test_a_redirect_is_not_followed(claude: Claude) -> None:
    """Neither key nor prompt follows a redirect to another server."""
    with MessagesApi() as elsewhere, claude(Fault("status", status=307)) as (writer, _):
        with pytest.raises(WriterRejected) as caught:
            writer.write(order())
        assert caught.value.code == "redirected"
        assert not elsewhere.requests


def test_an_unknown_model_names_the_ones_there_are(claude: Claude) -> None:
    """A mistyped model pauses the job and lists the models the key can use."""
    with claude() as (writer, _), pytest.raises(WriterRejected) as caught:
        writer.write(order(model="claude-sonet"))
    assert caught.value.code == "model_not_found"
    assert "claude-sonet" in caught.value.message
    assert "claude-opus-5-5" in caught.value.remedy


def test_no_secret_in_any_error(claude: Claude) -> None:
    """A server that echoes the key does not get it into messages, stored bodies or tracebacks."""
    echo = Fault("status", status=400, message=f"bad header {KEY}")
    with claude(echo) as (writer, _), pytest.raises(WriterDeclined) as caught:
        writer.write(order())
    fault = caught.value
    shown = "".join(traceback.format_exception(fault)) + repr(fault) + str(fault) + repr(fault.body)
    assert "bad header ***" in shown
    assert KEY not in shown


def test_check_costs_nothing_and_says_what_is_wrong(nobody: str, claude: Claude) -> None:
    """The System page learns about key and model without a paid call."""
    with claude() as (writer, api):
        assert "claude-sonnet-5-5" in writer.check()
        retiring = ClaudeWriter(KEY, api.url, model="claude-sonnet-4-5-20250929")
        assert "until 2026-11-30" in retiring.check()
        missing = ClaudeWriter(KEY, api.url, model="claude-none")
        with pytest.raises(WriterRejected, match="claude-haiku-5-5"):
            missing.check()
        anything = ClaudeWriter(KEY, api.url)
        assert anything.check() == "Claude accepts the key."
        wrong = ClaudeWriter("sk-ant-wrong", api.url, model="claude-sonnet-5-5")
        with pytest.raises(WriterRejected, match="ANTHROPIC_API_KEY") as caught:
            wrong.check()
        assert "sk-ant-wrong" not in str(caught.value)
        assert api.requests == []
        for each in (retiring, missing, anything, wrong):
            each.close()
    with pytest.raises(WriterBusy):
        ClaudeWriter(KEY, nobody, model="m").check()


def test_an_unusable_setting_is_said_before_any_call() -> None:
    """An empty key or a plain http address stops the writer from being made."""
    with pytest.raises(SetupFault):
        ClaudeWriter(" \n", "https://example.com")
    with pytest.raises(SetupFault):
        ClaudeWriter(KEY, "http://example.com")


def test_one_writer_serves_many_threads(claude: Claude) -> None:
    """Ten workers share one writer, and each gets the answer to its own order."""
    with claude() as (writer, api):
        turns: dict[int, int] = {}

        def work(number: int) -> None:
            asked = 4 + 2 * number
            answer = writer.read(writer.write(order(user=f"exactly {asked} messages")).body)
            turns[asked] = len(json.loads(answer.text)["turns"])

        threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert turns == {4 + 2 * n: 4 + 2 * n for n in range(10)}
    assert len(api.requests) == 10
