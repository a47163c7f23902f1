"""What the server answers: checks of a request, and a conversation of the asked number of turns."""

from __future__ import annotations

import json
import re
from typing import Any

from brightrun.domain.ids import TopicId
from brightrun.domain.scenario import Cast, Scenario, Topic
from brightrun.domain.template import Prompt
from brightrun.domain.writing import Order
from brightrun.writers.demo import demo_turns

KNOWN_FIELDS = {
    *("model", "max_tokens", "messages", "system", "output_config", "metadata", "stop_sequences", "stream"),
    *("thinking", "tools", "tool_choice", "cache_control", "service_tier", "container", "inference_geo"),
}
REMOVED_FIELDS = {"temperature", "top_p", "top_k"}
MOST_TOKENS = 128_000

_TURNS = re.compile(r"exactly (\d+) (?:messages|turns)", re.IGNORECASE)
_ANY_TURNS = re.compile(r"(\d+) (?:messages|turns)", re.IGNORECASE)
_WORDS = re.compile(r"(\d+) (?:to|and|-|–) (\d+) words", re.IGNORECASE)
_CATEGORIES = (
    "retirement",
    "investment",
    "insurance",
    "debt",
    "cash_flow",
    "tax",
    "estate",
    "family",
    "career",
)


def complaint(request: Any) -> str | None:
    """Return what the real API would refuse a request for, or None."""
    if not isinstance(request, dict):
        return "the body is not an object"
    for field in sorted(request.keys() & REMOVED_FIELDS):
        return f"{field}: this parameter is no longer supported"
    for field in sorted(request.keys() - KNOWN_FIELDS):
        return f"{field}: Extra inputs are not permitted"
    tokens, messages = request.get("max_tokens"), request.get("messages")
    if not isinstance(tokens, int) or not 1 <= tokens <= MOST_TOKENS:
        return f"max_tokens: {tokens} is not between 1 and {MOST_TOKENS}"
    if not isinstance(messages, list) or not messages:
        return "messages: at least one message is required"
    for number, message in enumerate(messages):
        if message.get("role") != ("user" if number % 2 == 0 else "assistant"):
            return f"messages.{number}.role: roles must alternate, beginning with user"
        if not message.get("content"):
            return f"messages.{number}.content: must not be empty"
    output = (request.get("output_config") or {}).get("format")
    return _schema_complaint(output.get("schema"), "schema") if output else None


def _schema_complaint(schema: Any, path: str) -> str | None:
    if not isinstance(schema, dict):
        return f"output_config.format.{path}: must be an object"
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        return f"output_config.format.{path}: additionalProperties must be false"
    for keyword in ("minimum", "maximum", "minLength", "maxLength", "pattern", "maxItems"):
        if keyword in schema:
            return f"output_config.format.{path}: {keyword} is not supported"
    if schema.get("minItems", 0) > 1:
        return f"output_config.format.{path}: minItems above 1 is not supported"
    parts = dict(schema.get("properties") or {})
    if "items" in schema:
        parts["items"] = schema["items"]
    found = (_schema_complaint(part, f"{path}.{name}") for name, part in parts.items())
    return next((each for each in found if each), None)


def prompt_of(request: dict[str, Any]) -> str:
    """Return everything the request asks in words, system and messages."""
    pieces = [request.get("system") or "", *(message["content"] for message in request["messages"])]
    texts = [p if isinstance(p, str) else " ".join(str(b.get("text", "")) for b in p) for p in pieces]
    return "\n".join(texts)


def turns_for(prompt: str) -> str:
    """Return JSON turns as the prompt asks for them, another text for another prompt."""
    asked = _TURNS.search(prompt) or _ANY_TURNS.search(prompt)
    words = _WORDS.search(prompt)
    limits = (int(words[1]), int(words[2])) if words else (40, 120)
    count = max(2, int(asked[1]) // 2 * 2) if asked else 6
    seed = sum(prompt.encode("utf-8", "replace"))
    category = _CATEGORIES[seed % len(_CATEGORIES)]
    topic = Topic(TopicId("t"), category, category, category, "", "beginner", (), ())
    cast = Cast(Scenario(topic_key=category), None, None, topic)
    order = Order(Prompt("", prompt, "", count, *limits), cast, "", 1, seed)
    return json.dumps({"turns": demo_turns(order)}, ensure_ascii=False)


def verdict_for(prompt: str) -> str:
    """Return a verdict on the conversation in a prompt: 4 for everything, each with words that stand in it."""
    turns, asked = judged(prompt)
    said = " ".join(str(turns[-1]["content"]).split()[:8])
    scores = [{"dimension": d, "score": 4, "evidence": said, "reason": "It is so."} for d in asked]
    return json.dumps({"scores": scores}, ensure_ascii=False)


def judged(prompt: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the turns that a prompt gives to be judged, and the dimensions it asks about."""
    turns = json.loads(prompt.split("<conversation>")[1].split("</conversation>")[0])
    asked = prompt.rsplit("Judge ", 1)[1].split(", in this order")[0]
    return turns, asked.split(", ")


def wants_verdict(request: dict[str, Any]) -> bool:
    """Return whether a request asks for scores, by its schema."""
    schema = ((request.get("output_config") or {}).get("format") or {}).get("schema") or {}
    return "scores" in (schema.get("properties") or {})


def message(
    model: str, prompt: str, text: str, stop_reason: str | None = "end_turn", number: int = 0
) -> dict[str, Any]:
    """Return a message object with plausible figures of usage."""
    return {
        "id": f"msg_{number:06}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [{"type": "text", "text": text}] if text else [],
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "stop_details": None,
        "usage": {
            "input_tokens": tokens_of(prompt),
            "output_tokens": tokens_of(text),
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
        },
    }


def tokens_of(text: str) -> int:
    return -(-len(text) // 4)
