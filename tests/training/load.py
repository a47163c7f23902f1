"""Give an exported folder to LLaMA-Factory or Axolotl by the folder's own recipe, and read back what they made of it.

Runs in that trainer's environment and knows nothing of Bright Run but the folder. The trainer's own command loads,
tokenizes and trains; afterwards the labels it made are held against the assistant's texts in the folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

STEPS = 10
IGNORED = -100
"""The label of a token that is not trained."""
NO_GPU_KERNELS = ("--no-lora-mlp-kernel", "--no-lora-qkv-kernel", "--no-lora-o-kernel")
"""Axolotl takes its fused LoRA kernels where nothing is said; they are written for GPUs."""
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "AXOLOTL_DO_NOT_TRACK": "1",
    "DO_NOT_TRACK": "1",
    "ACCELERATE_USE_CPU": "true",
    "OMP_NUM_THREADS": "1",  # threads that wait for each other cost more than they bring on so small a model
}


def main(trainer: str, folder: Path, work: Path, found: Path) -> None:
    """Write what the trainer made of the folder as JSON to a file."""
    os.environ.update(ENVIRONMENT, HF_DATASETS_CACHE=str(work / "cache"))
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    sys.path.insert(0, str(Path(__file__).parent))
    from prove import tiny_model

    work.mkdir(parents=True)
    model = work / "model"
    tiny_model(folder, model)
    run, packages = TRAINERS[trainer]
    result = run(folder, model, work)
    result["versions"] = {name: version(name) for name in packages}
    found.write_text(json.dumps(result, indent=1), encoding="utf-8")
    print(json.dumps(result, indent=1))


def _llamafactory(folder: Path, model: Path, work: Path) -> dict[str, Any]:
    """Train by `llamafactory-cli train` on the recipe, then load the rows once more to look at their labels."""
    import yaml

    own = {
        "model_name_or_path": str(model),
        "output_dir": str(work / "adapter"),
        "max_steps": STEPS,
        "gradient_accumulation_steps": 1,
        "learning_rate": 1e-2,
        "logging_steps": 1,
        "use_cpu": True,
        "overwrite_cache": True,
    }
    options = [f"{name}={value}" for name, value in own.items()]
    recipe = folder / "recipes" / "llamafactory.yaml"
    seconds = _run(["llamafactory-cli", "train", str(recipe), *options], folder)
    state = json.loads((work / "adapter" / "trainer_state.json").read_text())["log_history"]
    losses = [entry["loss"] for entry in state if "loss" in entry]

    os.chdir(folder)
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    arguments = yaml.safe_load(recipe.read_text(encoding="utf-8")) | own
    model_args, data_args, training_args, _, _ = get_train_args(arguments)
    tools = load_tokenizer(model_args)
    template = get_template_and_fix_tokenizer(tools["tokenizer"], data_args)
    rows = get_dataset(template, model_args, data_args, training_args, stage="sft", **tools)
    splits = {"train": rows["train_dataset"], "validation": rows.get("eval_dataset") or []}
    if isinstance(splits["validation"], dict):
        splits["validation"] = next(iter(splits["validation"].values()))
    return {
        "trainer": "LLaMA-Factory",
        "command": "llamafactory-cli train recipes/llamafactory.yaml",
        "losses": [losses[0], losses[-1]],
        "seconds": seconds,
        "splits": {name: _count(folder, name, part, tools["tokenizer"]) for name, part in splits.items()},
    }


def _axolotl(folder: Path, model: Path, work: Path) -> dict[str, Any]:
    """Prepare and train by Axolotl's own commands on the recipe, and look at the labels of what it prepared."""
    prepared, adapter = work / "prepared", work / "adapter"
    recipe = str(folder / "recipes" / "axolotl.yaml")
    paths = (
        "--base-model",
        str(model),
        "--dataset-prepared-path",
        str(prepared),
        "--output-dir",
        str(adapter),
    )
    seconds = _run(["axolotl", "preprocess", recipe, *paths], folder)
    loud = ("--learning-rate", "0.01", "--max-steps", str(STEPS), "--logging-steps", "1")
    seconds += _run(["axolotl", "train", recipe, *paths, *loud, *NO_GPU_KERNELS], folder)
    assert (adapter / "adapter_model.safetensors").is_file(), "no adapter was written"
    (state,) = sorted(adapter.glob("checkpoint-*/trainer_state.json"))[-1:]
    losses = [
        float(entry["loss"]) for entry in json.loads(state.read_text())["log_history"] if "loss" in entry
    ]

    from datasets import load_from_disk
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    parts = [load_from_disk(str(path.parent)) for path in sorted(prepared.rglob("dataset_info.json"))]
    parts.sort(key=len, reverse=True)
    return {
        "trainer": "Axolotl",
        "command": "axolotl train recipes/axolotl.yaml",
        "losses": [losses[0], losses[-1]],
        "seconds": seconds,
        "splits": {
            name: _count(folder, name, part, tokenizer)
            for name, part in zip(("train", "validation"), parts, strict=True)
        },
    }


def _count(folder: Path, split: str, rows: Iterable[Any], tokenizer: Any) -> dict[str, int]:
    """Count rows and tokens, and the rows of which exactly the assistant's words are trained."""
    wanted = sorted(
        _bare(m["content"] for m in json.loads(line)["messages"] if m["role"] == "assistant")
        for line in (folder / "messages" / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    )
    made, tokens, trained = [], 0, 0
    for row in rows:
        labels = [label for label in row["labels"] if label != IGNORED]
        made.append(_bare([tokenizer.decode(labels, skip_special_tokens=True)]))
        tokens, trained = tokens + len(row["labels"]), trained + len(labels)
    left = list(wanted)
    exact = 0
    for text in made:
        if text in left:
            left.remove(text)
            exact += 1
    return {"written": len(wanted), "rows": len(made), "exact": exact, "tokens": tokens, "trained": trained}


def _bare(texts: Iterable[str]) -> str:
    """Words without the space between them: where a turn ends is a matter of each template."""
    return "".join("".join(texts).split())


def _run(command: list[str], folder: Path) -> float:
    started = time.monotonic()
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return time.monotonic() - started


TRAINERS: dict[str, tuple[Callable[[Path, Path, Path], dict[str, Any]], tuple[str, ...]]] = {
    "llamafactory": (
        _llamafactory,
        ("llamafactory", "torch", "transformers", "trl", "peft", "datasets"),
    ),
    "axolotl": (_axolotl, ("axolotl", "torch", "transformers", "trl", "peft", "datasets")),
}

if __name__ == "__main__":
    name, *paths = sys.argv[1:]
    main(name, *(Path(path).resolve() for path in paths))
