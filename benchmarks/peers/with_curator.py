"""curator: its own asynchronous requests to the Messages API; appends each answer to a file, without waiting for the disk.

Its limits are set out of the way: unset, it assumes so few tokens a minute that it would mostly wait. Its tokenizer is a
file from the internet; here it counts words instead, which takes less time.
"""

from __future__ import annotations

import tempfile
from typing import Any

from bespokelabs import curator
from bespokelabs.curator.request_processor.online.anthropic_online_request_processor import (
    AnthropicOnlineRequestProcessor,
)

from benchmarks.peers.task import KEY, MODEL, run

UNBOUND = 1_000_000_000


class Words:
    """What it asks of a tokenizer."""

    def encode(self, text: str, **_: object) -> list[str]:
        return text.split()


AnthropicOnlineRequestProcessor.get_token_encoding = lambda self: Words()


class Asked(curator.LLM):
    def prompt(self, row: dict[str, Any]) -> str:
        return str(row["prompt"])

    def parse(self, row: dict[str, Any], response: str) -> dict[str, str]:
        return {"prompt": row["prompt"], "answer": response}


def main(url: str, prompts: list[str], slots: int) -> int:
    asked = Asked(
        model_name=MODEL,
        backend="anthropic",
        generation_params={"max_tokens": 8000},
        backend_params={
            "base_url": f"{url}/v1",
            "api_key": KEY,
            "max_concurrent_requests": slots,
            "max_requests_per_minute": UNBOUND,
            "max_input_tokens_per_minute": UNBOUND,
            "max_output_tokens_per_minute": UNBOUND,
        },
    )
    found = asked([{"prompt": prompt} for prompt in prompts], working_dir=tempfile.mkdtemp(prefix="curator"))
    rows = getattr(found, "dataset", found)
    return sum(bool(row["answer"]) for row in rows)


if __name__ == "__main__":
    run(main)
