"""Recipes: what to type or run so that a trainer takes the folder as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from brightrun.domain.chat import TEMPLATES


def recipes(manifest: Mapping[str, Any]) -> dict[str, str]:
    """Return the small files of the folder by path: recipes, training chat templates, dataset_info.json."""
    length = _length(manifest["report"])
    has_validation = bool(manifest["report"]["splits"]["validation"])
    skips = bool(manifest["report"].get("skipped_within"))
    files = {
        "recipes/README.md": _README,
        "recipes/trl_sft.sh": _trl_command(length, has_validation=has_validation, skips=skips),
        "recipes/trl_sft.py": _trl_script(length, has_validation=has_validation, skips=skips),
        "recipes/axolotl.yaml": _axolotl(length, has_validation=has_validation, skips=skips),
        "recipes/llamafactory.yaml": _llamafactory(length, has_validation=has_validation),
        "llamafactory/dataset_info.json": dataset_info(manifest["report"]),
    }
    files |= {f"chat_templates/{name}.jinja": source for name, source in TEMPLATES.items()}
    return files


def dataset_info(report: Mapping[str, Any]) -> str:
    """Return LLaMA-Factory's index of the files beside it."""
    found: dict[str, Any] = {}
    for split, rows in report["splits"].items():
        if rows:
            found[f"brightrun_{split}"] = {
                "file_name": f"{split}.jsonl",
                "formatting": "sharegpt",
                "columns": {"messages": "conversations", "system": "system"},
                "tags": {
                    "role_tag": "from",
                    "content_tag": "value",
                    "user_tag": "human",
                    "assistant_tag": "gpt",
                },
            }
    return orjson.dumps(found, option=orjson.OPT_INDENT_2).decode() + "\n"


def _length(report: Mapping[str, Any]) -> int:
    """Return the smallest usual sequence length that holds the longest conversation with a third to spare."""
    wanted = report["tokens"]["longest"] * 4 / 3 + 64
    return next((length for length in (1024, 2048, 4096, 8192, 16384, 32768) if length >= wanted), 65536)


_README = """\
# Recipes

Run each from the folder above this one; `MODEL` is a model's id or path.

| file | trainer | run |
|---|---|---|
| `trl_sft.sh` | TRL's own command | `MODEL=... sh recipes/trl_sft.sh` |
| `trl_sft.py` | TRL from Python | `MODEL=... python recipes/trl_sft.py` |
| `axolotl.yaml` | Axolotl | `axolotl train recipes/axolotl.yaml --base-model MODEL` |
| `llamafactory.yaml` | LLaMA-Factory | `llamafactory-cli train recipes/llamafactory.yaml model_name_or_path=MODEL` |

The loss is on the assistant's turns only. TRL needs a chat template that marks them: it brings such templates for the
usual model families; for any other set `CHAT_TEMPLATE=chat_templates/chatml.jinja` (or another of that folder that fits
the model). The learning rate and the rank are the usual start for LoRA, not a finding about these rows.
"""


def _trl_command(length: int, *, has_validation: bool, skips: bool) -> str:
    rows = "prompt_completion" if skips else "messages"
    loss = "" if skips else "  --assistant_only_loss \\\n"
    evaluation = " \\\n  --dataset_test_split validation --eval_strategy epoch" if has_validation else ""
    return f"""\
#!/bin/sh
# LoRA on the assistant's turns, by TRL's own command. MODEL is required; further options are passed on.
set -eu
cd "$(dirname "$0")/.."
exec trl sft \\
  --model_name_or_path "$MODEL" \\
  --dataset_name "$PWD" --dataset_config {rows} \\
  ${{CHAT_TEMPLATE:+--chat_template_path "$CHAT_TEMPLATE"}} \\
{loss}  --use_peft --lora_r 16 --lora_alpha 32 --lora_target_modules all-linear \\
  --max_length {length} --learning_rate 2e-4 --num_train_epochs 3 \\
  --per_device_train_batch_size 2 --gradient_accumulation_steps 4{evaluation} \\
  --output_dir "${{OUTPUT:-adapter}}" "$@"
"""


def _trl_script(length: int, *, has_validation: bool, skips: bool) -> str:
    rows = "prompt_completion" if skips else "messages"
    loss = "" if skips else "\n        assistant_only_loss=True,"
    evaluation = 'rows["validation"]' if has_validation else "None"
    return f'''\
"""LoRA on the assistant's turns with TRL; MODEL names the model, STEPS cuts the run short."""

import os
from pathlib import Path

from datasets import load_dataset
from peft import LoraConfig
from trl import SFTConfig, SFTTrainer

folder = Path(__file__).resolve().parent.parent
rows = load_dataset(str(folder), "{rows}")
trainer = SFTTrainer(
    model=os.environ["MODEL"],
    train_dataset=rows["train"],
    eval_dataset={evaluation},
    peft_config=LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"),
    args=SFTConfig(
        output_dir=os.environ.get("OUTPUT", "adapter"),{loss}
        chat_template_path=os.environ.get("CHAT_TEMPLATE"),
        max_length={length},
        learning_rate=float(os.environ.get("LEARNING_RATE", "2e-4")),
        num_train_epochs=3,
        max_steps=int(os.environ.get("STEPS", "-1")),
        per_device_train_batch_size=2,
        gradient_accumulation_steps=4,
        report_to="none",
    ),
)
trainer.train()
trainer.save_model()
'''


def _axolotl(length: int, *, has_validation: bool, skips: bool) -> str:
    folder, weight = ("openai", "    message_field_training: weight\n") if skips else ("messages", "")

    def entry(split: str) -> str:
        return f"""\
  - path: {folder}/{split}.jsonl
    ds_type: json
    type: chat_template
    field_messages: messages
    roles_to_train: [assistant]
{weight}    train_on_eos: turn
"""

    evaluation = "test_datasets:\n" + entry("validation").replace(
        "    ds_type: json\n", "    ds_type: json\n    split: train\n"
    )
    return f"""\
base_model: MODEL
datasets:
{entry("train")}{evaluation if has_validation else ""}\
# Where the model's template has an end-of-turn token that is not its end-of-sequence token, name it,
# or turns are trained without an end: eot_tokens: ["<|im_end|>"]
sequence_len: {length}
adapter: lora
lora_r: 16
lora_alpha: 32
lora_target_linear: true
learning_rate: 2.0e-4
num_epochs: 3
micro_batch_size: 2
gradient_accumulation_steps: 4
optimizer: adamw_torch
lr_scheduler: cosine
output_dir: adapter
"""


def _llamafactory(length: int, *, has_validation: bool) -> str:
    evaluation = "eval_dataset: brightrun_validation\n" if has_validation else ""
    return f"""\
model_name_or_path: MODEL
stage: sft
do_train: true
finetuning_type: lora
lora_rank: 16
lora_alpha: 32
lora_target: all
dataset_dir: llamafactory
dataset: brightrun_train
{evaluation}template: default
cutoff_len: {length}
output_dir: adapter
per_device_train_batch_size: 2
gradient_accumulation_steps: 4
learning_rate: 2.0e-4
num_train_epochs: 3
lr_scheduler_type: cosine
report_to: none
"""
