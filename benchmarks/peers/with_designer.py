"""Data Designer: one text column, written to Parquet and profiled, as its `create` does."""

from __future__ import annotations

import tempfile

import data_designer.config as dd
from data_designer.interface import DataDesigner

from benchmarks.peers.task import KEY, MODEL, run


def main(url: str, prompts: list[str], slots: int) -> int:
    designer = DataDesigner(
        artifact_path=tempfile.mkdtemp(prefix="designer"),
        model_providers=[
            dd.ModelProvider(name="local", endpoint=url, provider_type="anthropic", api_key=KEY)
        ],
    )
    builder = dd.DataDesignerConfigBuilder(
        model_configs=[
            dd.ModelConfig(
                alias="writer",
                model=MODEL,
                provider="local",
                skip_health_check=True,
                inference_parameters=dd.ChatCompletionInferenceParams(
                    max_tokens=8000, max_parallel_requests=slots
                ),
            )
        ]
    )
    builder.add_column(
        dd.SamplerColumnConfig(
            name="prompt",
            sampler_type=dd.SamplerType.CATEGORY,
            params=dd.CategorySamplerParams(values=prompts),
        )
    )
    builder.add_column(dd.LLMTextColumnConfig(name="answer", model_alias="writer", prompt="{{ prompt }}"))
    found = designer.create(builder, num_records=len(prompts)).load_dataset()
    return int(found["answer"].astype(bool).sum())


if __name__ == "__main__":
    run(main)
