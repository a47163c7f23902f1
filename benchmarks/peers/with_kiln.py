"""kiln: its job runner over its litellm adapter, without saving the runs and without scores."""

from __future__ import annotations

import asyncio

from kiln_ai.adapters.model_adapters.base_adapter import AdapterConfig
from kiln_ai.adapters.model_adapters.litellm_adapter import LiteLlmAdapter
from kiln_ai.adapters.model_adapters.litellm_config import LiteLlmConfig
from kiln_ai.datamodel import StructuredOutputMode, Task
from kiln_ai.datamodel.datamodel_enums import ModelProviderName
from kiln_ai.datamodel.run_config import KilnAgentRunConfigProperties
from kiln_ai.utils.async_job_runner import AsyncJobRunner

from benchmarks.peers.task import KEY, run

NAME = "claude_sonnet_4_5"
"""A model that kiln knows; the server does not care."""


def main(url: str, prompts: list[str], slots: int) -> int:
    config = LiteLlmConfig(
        run_config_properties=KilnAgentRunConfigProperties(
            model_name=NAME,
            model_provider_name=ModelProviderName.anthropic,
            prompt_id="simple_prompt_builder",
            structured_output_mode=StructuredOutputMode.default,
        ),
        base_url=url,
        additional_body_options={"api_key": KEY},
    )
    task = Task(name="Asked", instruction="Answer.")
    found = 0

    async def one(prompt: str) -> bool:
        nonlocal found
        adapter = LiteLlmAdapter(config, task, AdapterConfig(allow_saving=False))
        done = await adapter.invoke(prompt)
        found += bool(done.output.output)
        return True

    async def all_of_them() -> None:
        async for _ in AsyncJobRunner(prompts, one, concurrency=slots).run():
            pass

    asyncio.run(all_of_them())
    return found


if __name__ == "__main__":
    run(main)
