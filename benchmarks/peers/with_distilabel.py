"""distilabel: AnthropicLLM in blocks of as many prompts as may be out, without its pipeline, which takes longer; keeps nothing.

Run with a version of anthropic whose call still takes the arguments it gives, and without its list of models.
"""

from __future__ import annotations

from distilabel.models.llms import AnthropicLLM

from benchmarks.peers.task import KEY, MODEL, run


class Unlisted(AnthropicLLM):
    def _check_model_exists(self) -> None:
        """Ask for a model that is newer than the library."""


def main(url: str, prompts: list[str], slots: int) -> int:
    model = Unlisted(model=MODEL, base_url=url, api_key=KEY, max_retries=0)
    model.load()
    found = 0
    for start in range(0, len(prompts), slots):
        block = [[{"role": "user", "content": prompt}] for prompt in prompts[start : start + slots]]
        answers = model.generate_outputs(inputs=block, max_tokens=8000)
        found += sum(bool(answer["generations"][0]) for answer in answers)
    return found


if __name__ == "__main__":
    run(main)
