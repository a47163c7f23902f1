"""What every writer must do, whichever runs."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from llmock.pytest_plugin import LLMock

from brightrun.domain.errors import AnswerUnreadable, WriterBusy
from brightrun.domain.writing import Writer
from brightrun.writers.claude import ClaudeWriter
from brightrun.writers.demo import DemoWriter
from tests.messages_api import KEY, MessagesApi
from tests.unit.writers.orders import CORE_ARCS, arc, order, persona, topic


@pytest.fixture(params=["demo", "claude"])
def writer(request: pytest.FixtureRequest) -> Iterator[Writer]:
    if request.param == "demo":
        yield DemoWriter()
        return
    with MessagesApi() as api:
        claude = ClaudeWriter(KEY, api.url, timeout=10, model="claude-sonnet-5-5")
        yield claude
        claude.close()


@pytest.mark.parametrize("turns", [4, 10])
def test_writes_the_asked_turns(writer: Writer, turns: int) -> None:
    """An order comes back as the asked number of turns, user first, each with its feeling."""
    each = order(topic=topic(), turns=turns, user=f"Write exactly {turns} messages of 60 to 150 words.")
    answer = writer.read(writer.write(each).body)
    written = json.loads(answer.text)["turns"]
    assert answer.stop_reason == "end_turn"
    assert [turn["role"] for turn in written] == ["user", "assistant"] * (turns // 2)
    for number, turn in enumerate(written, start=1):
        assert set(turn) == {"turn_number", "role", "content", "emotional_context"}
        assert turn["turn_number"] == number
        assert turn["content"].strip()
        assert 0 <= turn["emotional_context"]["intensity"] <= 1
        assert turn["emotional_context"]["primary_emotion"]


def test_says_which_model_wrote(writer: Writer) -> None:
    """The row tells a demo from Claude by what the answer itself says."""
    answer = writer.read(writer.write(order(topic=topic(), model="claude-sonnet-5-5")).body)
    assert answer.model == ("demo" if writer.name == "demo" else "claude-sonnet-5-5")


def test_reading_is_pure(writer: Writer) -> None:
    """Stored bytes can be read again at any time, for nothing, with the same result."""
    body = writer.write(order(persona=persona(), arc=arc(*CORE_ARCS[0]), topic=topic())).body
    assert writer.read(body) == writer.read(body)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'"text"', b"{}", b"<html>502</html>", b"[" * 100_000, b"\xff\xfe"]
)
def test_what_is_no_message_is_unreadable(writer: Writer, body: bytes) -> None:
    """Bytes that are no message are said to be unreadable, with what to do, and never crash."""
    with pytest.raises(AnswerUnreadable) as caught:
        writer.read(body)
    assert caught.value.remedy


def test_check_says_one_sentence(writer: Writer) -> None:
    """The System page can say in a sentence that the writer is ready."""
    said = writer.check()
    assert said.endswith(".")
    assert writer.name in said.lower()


def test_halves_of_characters_are_no_obstacle(writer: Writer) -> None:
    """A lone surrogate from a broken file neither crashes the call nor is lost silently."""
    each = order(
        variables={"request": "Book a table \ud800 for two people tonight."}, user="exactly 4 turns \udfff \0"
    )
    assert writer.read(writer.write(each).body).text


def test_llmock_agrees_with_our_own_server(llmock: LLMock) -> None:
    """Claude's writer works against a server of another maker: an answer, a 529 and a 429."""
    claude = ClaudeWriter("llmock-test-key", llmock.base_url("anthropic"), timeout=10)
    llmock.reply('{"turns": []}')
    answer = claude.read(claude.write(order(model="claude-opus-4-8")).body)
    assert answer.text == '{"turns": []}'
    assert answer.stop_reason == "end_turn"
    assert answer.usage
    assert answer.usage.output_tokens > 0
    for status, wait in ((529, 2.0), (429, 3.0)):
        llmock.fail(status, retry_after=wait)
        with pytest.raises(WriterBusy) as caught:
            claude.write(order(model="claude-opus-4-8"))
        assert (caught.value.status, caught.value.retry_after) == (status, wait)
    assert len(llmock.requests) == 3
    claude.close()
