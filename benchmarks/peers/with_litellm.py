"""litellm: batch_completion, a thread for each call that is out; keeps nothing."""

from __future__ import annotations

import litellm

from benchmarks.peers.task import KEY, MODEL, run

litellm.suppress_debug_info = True


def main(url: str, prompts: list[str], slots: int) -> int:
    found = litellm.batch_completion(
        model=f"anthropic/{MODEL}",
        messages=[[{"role": "user", "content": prompt}] for prompt in prompts],
        max_workers=slots,
        api_base=url,
        api_key=KEY,
        max_tokens=8000,
    )
    return sum(bool(one.choices[0].message.content) for one in found)


run(main)
