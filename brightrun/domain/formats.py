"""The shapes trainers load: each a small writer from the canonical row to the lines of a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from brightrun.domain.correction import is_preference
from brightrun.domain.dataset import Message, Row

BREAKS = {"\u2028": b"\\u2028", "\u2029": b"\\u2029", "\u0085": b"\\u0085"}
"""Line ends to Python's splitlines and to some readers, though not to JSON."""
BEDROCK_RESERVED = re.compile(r"\b(?:User|Bot|Assistant|System):|<image>|<video>|\[EOS\]")
"""Words that make a Nova training job fail."""

Line = Mapping[str, Any]


class Format(StrEnum):
    """What a dataset can be written as."""

    MESSAGES = "messages"
    """JSONL with `messages`: the one shape that TRL, Axolotl, LLaMA-Factory and Unsloth all load."""
    PROMPT_COMPLETION = "prompt_completion"
    """JSONL with `prompt` and `completion`, one row an assistant turn: only answers are trained."""
    SHAREGPT = "sharegpt"
    """JSONL with `conversations` of `from` and `value`."""
    ALPACA = "alpaca"
    """JSONL with `instruction`, `input`, `output`, `system` and `history`."""
    LLAMAFACTORY = "llamafactory"
    """ShareGPT with the system text beside, and the `dataset_info.json` that names it."""
    OPENAI = "openai"
    """OpenAI's chat fine-tuning JSONL, with `weight`."""
    BEDROCK = "bedrock"
    """Amazon Bedrock's conversation JSONL (Nova)."""
    GEMINI = "gemini"
    """Gemini's supervised tuning JSONL."""
    DPO = "dpo"
    """Preference pairs: what a person corrected, and what the writer had written."""
    KTO = "kto"
    """Answers with a label: true where the conversation was approved, false where it was rejected."""
    PARQUET = "parquet"
    """`messages` as a Parquet file."""
    JSON = "json"
    """The full Bright Run training file: training pairs with scaffolding and metadata."""
    CSV = "csv"
    """One turn a row, for people and spreadsheets."""
    FOLDER = "folder"
    """Everything: each format by its splits, with card, manifest, sidecar and recipes."""
    ZIP = "zip"
    """The folder as one file."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the lines of one JSONL format are made of one row."""

    lines: Callable[[Row], Iterator[Line]]
    decisions: frozenset[str] = frozenset({"approved"})
    """The decisions whose rows it is made of."""
    can_skip: bool = False
    """Whether it can keep a single answer out of training; where not, what follows the last trained one is cut."""

    def encode(self, row: Row) -> Iterator[bytes]:
        if row.decision not in self.decisions:
            return iter(())
        return map(one_line, self.lines(row if self.can_skip else row.without_tail()))


def one_line(data: Line) -> bytes:
    """Return one line of JSON that is one line to every reader."""
    line = orjson.dumps(data)
    if not line.isascii():
        for character, escaped in BREAKS.items():
            line = line.replace(character.encode(), escaped)
    return line + b"\n"


def sidecar_line(row: Row) -> bytes:
    """Return one line of metadata, keyed by the row's id: decision, score, scaffolding, provenance."""
    return one_line(
        {
            "id": row.id,
            "conversation_id": row.key,
            "version": row.version,
            "split": row.split,
            "writer": row.writer,
            "model": row.model,
            "template": row.template,
            "persona_key": row.persona_key,
            "arc_key": row.arc_key,
            "topic_key": row.topic_key,
            "tier": row.tier,
            "variables": dict(row.variables),
            "quality_score": row.quality_score,
            "flags": list(row.flags),
            "decision": row.decision,
            "reviewer": row.reviewer,
            "reviewed_at": row.reviewed_at,
            "reason": row.reason,
            "cost_usd": row.cost,
            "job_id": row.job_id,
            "created_at": row.created_at,
        }
        | ({"skipped": sorted(place + 1 for place in row.skipped_messages)} if row.skipped else {})
    )


def _messages(row: Row) -> Iterator[Line]:
    yield {"id": row.id, "writer": row.writer, "messages": row.messages}


def _prompt_completion(row: Row) -> Iterator[Line]:
    for place, message in enumerate(row.messages):
        if message["role"] == "assistant" and place not in row.skipped_messages:
            yield {
                "id": f"{row.id}/{place + 1}",
                "writer": row.writer,
                "prompt": row.messages[:place],
                "completion": [message],
            }


_SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt"}


def _from_value(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"from": _SHAREGPT[m["role"]], "value": m["content"]} for m in messages]


def _sharegpt(row: Row) -> Iterator[Line]:
    yield {"id": row.id, "writer": row.writer, "conversations": _from_value(row.messages)}


def _alpaca(row: Row) -> Iterator[Line]:
    said = [m["content"] for m in row.spoken]
    pairs = [[said[at], said[at + 1]] for at in range(0, len(said), 2)]
    yield {
        "id": row.id,
        "writer": row.writer,
        "instruction": pairs[-1][0],
        "input": "",
        "output": pairs[-1][1],
        "system": row.system,
        "history": pairs[:-1],
    }


def _llamafactory(row: Row) -> Iterator[Line]:
    yield {
        "id": row.id,
        "writer": row.writer,
        "conversations": _from_value(row.spoken),
        "system": row.system,
    }


def _openai(row: Row) -> Iterator[Line]:
    yield {
        "messages": [
            {**m, "weight": int(place not in row.skipped_messages)} if m["role"] == "assistant" else m
            for place, m in enumerate(row.messages)
        ]
    }


def _bedrock(row: Row) -> Iterator[Line]:
    if is_reserved(row):
        return
    data: dict[str, Any] = {"schemaVersion": "bedrock-conversation-2024"}
    if row.system:
        data["system"] = [{"text": row.system}]
    data["messages"] = [{"role": m["role"], "content": [{"text": m["content"]}]} for m in row.spoken]
    yield data


def is_reserved(row: Row) -> bool:
    """Whether a text holds a word that makes a Nova job fail; such a row is left out of that file alone."""
    return any(BEDROCK_RESERVED.search(m["content"]) for m in row.messages)


def _gemini(row: Row) -> Iterator[Line]:
    data: dict[str, Any] = {}
    if row.system:
        data["systemInstruction"] = {"role": "system", "parts": [{"text": row.system}]}
    roles = {"user": "user", "assistant": "model"}
    data["contents"] = [{"role": roles[m["role"]], "parts": [{"text": m["content"]}]} for m in row.spoken]
    yield data


def _dpo(row: Row) -> Iterator[Line]:
    """One pair for each answer that a person changed while the question stayed as it was."""
    if row.first_messages is None or row.part > 1:
        return
    first = [m for m in row.first_messages if m["role"] != "system"]
    head = len(row.messages) - len(row.spoken)
    for place in range(1, min(len(row.spoken), len(first)), 2):
        if place in row.skipped:
            continue
        before, now = first[place], row.spoken[place]
        question = first[place - 1]["content"], row.spoken[place - 1]["content"]
        if before["role"] == "assistant" and is_preference(
            question=question, answer=(before["content"], now["content"])
        ):
            yield {
                "id": f"{row.id}/{head + place + 1}",
                "writer": row.writer,
                "prompt": row.messages[: head + place],
                "chosen": [now],
                "rejected": [{"role": "assistant", "content": before["content"]}],
            }


def _kto(row: Row) -> Iterator[Line]:
    yield {
        "id": row.id,
        "writer": row.writer,
        "prompt": row.messages[:-1],
        "completion": [row.messages[-1]],
        "label": row.decision == "approved",
    }


SHAPES: Mapping[Format, Shape] = {
    Format.MESSAGES: Shape(_messages),
    Format.PROMPT_COMPLETION: Shape(_prompt_completion, can_skip=True),
    Format.SHAREGPT: Shape(_sharegpt),
    Format.ALPACA: Shape(_alpaca),
    Format.LLAMAFACTORY: Shape(_llamafactory),
    Format.OPENAI: Shape(_openai, can_skip=True),
    Format.BEDROCK: Shape(_bedrock),
    Format.GEMINI: Shape(_gemini),
    Format.DPO: Shape(_dpo, can_skip=True),
    Format.KTO: Shape(_kto, frozenset({"approved", "rejected"})),
}
"""The formats that are lines of JSON."""


UNEVEN = (Format.PROMPT_COMPLETION, Format.DPO, Format.KTO, Format.BEDROCK)
"""Those whose rows are not one for each conversation."""


def verdicts_by_format(within: int) -> dict[str, str]:
    """Return, by format, what becomes of answers that a reviewer keeps out of training.

    `within` is how many of them stand before an answer that is trained.
    """
    ways = {
        Format.PROMPT_COMPLETION: "left out: no row has one as its completion",
        Format.OPENAI: "kept with weight 0",
        Format.DPO: "left out: none is chosen",
        Format.KTO: "left out: the last answer that is trained carries the label",
        Format.JSON: "left out of the training pairs, kept in their history",
        Format.CSV: "marked in the column `skipped`",
    }
    trained = (
        f"cut off at the end; {within} before a trained answer are trained all the same"
        if within
        else "cut off"
    )
    others = [chosen for chosen in (*SHAPES, Format.PARQUET) if chosen not in ways]
    return {chosen.value: way for chosen, way in ways.items()} | {chosen.value: trained for chosen in others}
