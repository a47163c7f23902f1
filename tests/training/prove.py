"""Train a tiny random model on an exported folder by its own recipe, and see the loss fall; then DPO and KTO.

Runs in an environment with torch, trl and peft; knows nothing of Bright Run but the folder. The model has
random weights, so this proves format, mask and gradient, never quality.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

STEPS = 20
SFT_DROP = 0.3
"""How far the held-out loss must fall in 20 steps at a learning rate of 1e-2."""
LOUD = ("--learning_rate", "1e-2", "--max_steps", str(STEPS), "--use_cpu", "--bf16", "False")
QUIET = ("--report_to", "none", "--logging_steps", "1", "--seed", "7")


def main(folder: Path, work: Path, page: Path) -> None:
    """Run the three trainings and write the page of figures; exits with an error where a loss does not fall."""
    model = work / "model"
    tiny_model(folder, model)
    found = [_sft(folder, model, work), _preference("dpo", folder, model, work), _kto(folder, model, work)]
    page.write_text(_page(folder, found), encoding="utf-8")
    print(page.read_text(encoding="utf-8"))
    failed = [f["what"] for f in found if not f["falls"]]
    if failed:
        raise SystemExit(f"No fall of the loss: {failed}")


def tiny_model(folder: Path, model: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, set_seed

    set_seed(7)
    texts = [m["content"] for row in _rows(folder / "messages" / "train.jsonl") for m in row["messages"]]
    raw = Tokenizer(models.BPE(unk_token=None))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    special = ["<|im_start|>", "<|im_end|>", "<|pad|>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    raw.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=800, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|im_end|>", pad_token="<|pad|>", clean_up_tokenization_spaces=False
    )
    tokenizer.chat_template = (folder / "chat_templates" / "chatml.jinja").read_text(encoding="utf-8")
    tokenizer.save_pretrained(model)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        initializer_range=0.1,  # wide enough that an adapter can move the output of frozen random weights
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=4096,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(model)


def _sft(folder: Path, model: Path, work: Path) -> dict[str, Any]:
    """The folder's own command, only louder and shorter."""
    out = work / "sft"
    evaluation = ("--eval_strategy", "steps", "--eval_steps", str(STEPS), "--eval_on_start", "True")
    batch = ("--per_device_train_batch_size", "4", "--gradient_accumulation_steps", "1")
    command = ["sh", str(folder / "recipes" / "trl_sft.sh"), *LOUD, *QUIET, *batch, *evaluation]
    seconds = _run(command, model, out)
    losses = [entry["eval_loss"] for entry in _log(out) if "eval_loss" in entry]
    trained = [entry["loss"] for entry in _log(out) if "loss" in entry]
    assert (out / "adapter_model.safetensors").is_file(), "no adapter was written"
    return {
        "what": f"SFT, `recipes/trl_sft.sh`, {STEPS} steps",
        "first": losses[0],
        "last": losses[-1],
        "train": (trained[0], trained[-1]),
        "seconds": seconds,
        "falls": losses[0] - losses[-1] >= SFT_DROP,
    }


def _preference(kind: str, folder: Path, model: Path, work: Path) -> dict[str, Any]:
    out = work / kind
    command = [
        *("trl", kind, "--model_name_or_path", str(model), "--dataset_name", str(folder)),
        *("--dataset_config", kind, "--use_peft", "--lora_target_modules", "all-linear"),
        *("--per_device_train_batch_size", "4", "--output_dir", str(out), *LOUD, *QUIET),
    ]
    seconds = _run(command, model, out)
    losses = [entry["loss"] for entry in _log(out) if "loss" in entry]
    return {
        "what": f"{kind.upper()}, `trl {kind}`, {STEPS} steps",
        "first": losses[0],
        "last": losses[-1],
        "train": (losses[0], losses[-1]),
        "seconds": seconds,
        "falls": losses[-1] < losses[0],
    }


def _kto(folder: Path, model: Path, work: Path) -> dict[str, Any]:
    return _preference("kto", folder, model, work)


def _run(command: list[str], model: Path, out: Path) -> float:
    binaries = str(Path(sys.executable).parent)
    environment = {
        **os.environ,
        "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
        "MODEL": str(model),
        "OUTPUT": str(out),
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_CACHE": str(out.parent / "cache"),
        "CUDA_VISIBLE_DEVICES": "",
        "TRL_EXPERIMENTAL_SILENCE": "1",
        "OMP_NUM_THREADS": "1",  # threads that wait for each other cost more than they bring on so small a model
    }
    started = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return time.monotonic() - started


def _log(out: Path) -> list[dict[str, Any]]:
    (state,) = sorted(out.glob("checkpoint-*/trainer_state.json"))[-1:]
    found: list[dict[str, Any]] = json.loads(state.read_text())["log_history"]
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _page(folder: Path, found: list[dict[str, Any]]) -> str:
    manifest = json.loads((folder / "manifest.json").read_text())
    splits = manifest["report"]["splits"]
    names = ("torch", "transformers", "trl", "peft", "datasets")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    lines = [
        f"| {f['what']} | {f['train'][0]:.3f} to {f['train'][1]:.3f} | {f['first']:.3f} to {f['last']:.3f} | {f['seconds']:.0f} s |"
        for f in found
    ]
    table = "\n".join(lines)
    return f"""# What trainers made of an exported folder

By `make train-proof`: {time.strftime("%Y-%m-%d")}, {platform.system()} {platform.machine()}, {os.cpu_count()} cores, no GPU;
{versions}. A batch of the demo writer, {splits["train"]} rows to train and {splits["validation"]} to validate, exported as
a folder. The model is a Llama of two layers with random weights (spread 0.1) and a tokenizer made from the same texts; LoRA on all
linear layers, learning rate 1e-2. It proves that format, mask and gradient are right, and nothing about quality: the text
such a model writes is gibberish.

| run | loss, first to last step | held out (SFT) or the same (DPO, KTO) | whole process |
|---|---|---|---|
{table}

The held-out loss of SFT must fall by at least {SFT_DROP} for the proof to pass; DPO and KTO must fall.
"""


if __name__ == "__main__":
    # The recipes change into the folder: a relative path would lead nowhere from there.
    main(*(Path(path).resolve() for path in sys.argv[1:]))
