"""The dataset card: what a loader and a reader must know, in the README of the folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from brightrun.domain.dataset import Split
from brightrun.domain.diversity import Figure

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
HUB_CONFIGS = ("messages", "prompt_completion", "dpo", "kto")
"""The folders a loader finds as configurations, in the order of the card; the first is the default."""


def card(manifest: Mapping[str, Any], splits: Mapping[str, Sequence[str]]) -> str:
    """Return README.md; `splits` names for each configuration the splits that have a file."""
    report = manifest["report"]
    return f"---\n{_front(manifest, splits)}---\n\n{_body(manifest, report)}"


def _front(manifest: Mapping[str, Any], splits: Mapping[str, Sequence[str]]) -> str:
    rows = manifest["report"]["rows"]
    size = next((name for limit, name in SIZES if rows < limit), "n>1M")
    lines = [
        f"pretty_name: {_quoted(manifest['name'])}",
        "task_categories:\n- text-generation",
        f"size_categories:\n- {size}",
        *_origin(manifest["report"]),
        "configs:",
    ]
    for config in HUB_CONFIGS:
        if splits.get(config):
            lines.append(f"- config_name: {config}")
            if config == HUB_CONFIGS[0]:
                lines.append("  default: true")
            lines.append("  data_files:")
            lines += [f"  - split: {split}\n    path: {config}/{split}.jsonl" for split in splits[config]]
    return "\n".join(lines) + "\n"


def _body(manifest: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    demo = ""
    if manifest["demo_rows"]:
        demo = (
            f"\n> **{manifest['demo_rows']} of these conversations were made up by rule by the demo writer.** "
            "They show the format; no model should be trained on them.\n"
        )
    return f"""# {manifest["name"]}, version {manifest["version"]}
{demo}
{report["rows"]:,} approved multi-turn conversations with {report["assistant_turns"]:,} assistant turns, for supervised
fine-tuning with LoRA. {_made(report)}{_skipped(report)}

```python
from datasets import load_dataset

rows = load_dataset("PATH OR HUB ID OF THIS FOLDER", "messages")
```

| | |
|---|---|
| written by | {_listed(report["strata"]["writer"])} |
| models | {_listed(report["strata"]["model"])} |
| templates | {_listed(report["strata"]["template"])} |
| scores (0 to 10) | average {report["scores"]["average"]}, {report["scores"]["minimum"]} to {report["scores"]["maximum"]} |
| cost of generation | ${report["cost_usd"]:.4f} |
| length | median {report["tokens"]["median"]:,}, 95 % up to {report["tokens"]["p95"]:,} tokens (estimate: {report["tokens"]["estimate"]}) |
| generator | {manifest["generator"]} |{_variety(report)}

## Splits

{_splits(report)}

{_sides(manifest)}

## How rows were chosen

Filter: `{orjson.dumps(manifest["filter"], option=orjson.OPT_SORT_KEYS).decode()}`{", status approved" * _is_older(report)}.
{manifest["duplicates"]} exact duplicates were left out, the oldest kept.{_near(manifest)}
{_dropped(report)}

## Files

`messages/` is the default configuration. `prompt_completion/`, `dpo/` and `kto/` are further ones where they have
rows. The other folders hold the same rows in the shapes of other trainers, `recipes/` what runs them, and
`chat_templates/` training templates with generation markers. `sidecar.ndjson` has one line of metadata for each row,
joined by `id`; `manifest.json` names every file with its SHA-256.

## Limits

{_writing(report)} Token counts are estimates. A licence for the outputs is for the owner to state.
"""


def _origin(report: Mapping[str, Any]) -> list[str]:
    """Say in a loader's words who made the rows: what was imported is found, and its source is not ours to state."""
    imported = report.get("imported", 0)
    is_generated = imported < report["rows"]
    tags = ["synthetic"] * is_generated + ["conversational"]
    creators = ["machine-generated"] * is_generated + ["found"] * bool(imported) + ["expert-generated"]
    lines = ["\n- ".join(["tags:", *tags]), "\n- ".join(["annotations_creators:", *creators])]
    return lines if imported else [*lines, "source_datasets:\n- original"]


def _made(report: Mapping[str, Any]) -> str:
    imported = report.get("imported", 0)
    return _by_origin(
        report,
        generated="Every row was generated, checked by rules and approved in a review.",
        imported="Every row was imported from a file, checked by rules and approved in a review.",
        both=f"Rows by origin: {report['rows'] - imported:,} generated, {imported:,} imported from files.\n"
        "Every one was checked by rules and approved in a review.",
    )


def _writing(report: Mapping[str, Any]) -> str:
    return _by_origin(
        report,
        generated="The text is synthetic.",
        imported="The text was imported; who wrote it is for the owner to state.",
        both="Generated text is synthetic; who wrote what was imported is for the owner to state.",
    )


def _by_origin(report: Mapping[str, Any], *, generated: str, imported: str, both: str) -> str:
    number = report.get("imported", 0)
    if not number:
        return generated
    return imported if number == report["rows"] else both


def _skipped(report: Mapping[str, Any]) -> str:
    if not report.get("skipped_turns"):
        return ""
    return (
        f"\n\nReviewers keep {report['skipped_turns']:,} of the answers out of training. `prompt_completion/`, `dpo/` and "
        "`openai/` do so exactly; `manifest.json` says for each format what becomes of them."
    )


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name.replace('|', '/')} ({count:,})" for name, count in counts.items()) or "none"


def _splits(report: Mapping[str, Any]) -> str:
    total = max(report["rows"], 1)
    lines = ["| split | rows | share |", "|---|---|---|"]
    for split in Split:
        count = report["splits"][split.value]
        lines.append(f"| {split.value} | {count:,} | {100 * count / total:.1f} % |")
    return "\n".join(lines)


def _variety(report: Mapping[str, Any]) -> str:
    figures = report.get("variety", {}).get("figures")
    if not figures:
        return ""
    # What is kept as JSON comes back in an order of its own.
    names = list(figures) if _is_older(report) else [figure for figure in Figure if figure in figures]
    listed = ", ".join(f"{name.replace('_', ' ')} {figures[name]['value']}" for name in names)
    return (
        f"\n| variety | {report['variety']['verdict']} Of {report['variety']['sample_rows']} rows: {listed} |"
    )


def _is_older(report: Mapping[str, Any]) -> bool:
    """Whether it was counted when the set's figures stood there twice: its card stays, byte for byte, as it left."""
    return "set" in report


def _sides(manifest: Mapping[str, Any]) -> str:
    if "near_duplicates" not in manifest:
        return (
            "The side is decided by a hash of the scenario, so that one scenario never stands on two sides, and rows that "
            f"come\nlater never move these{_while(manifest)}."
        )
    return (
        "The side is decided by a hash of the scenario; scenarios told in nearly the same words stand on one side. So no\n"
        f"scenario and no near-duplicate stands on two sides, and rows that come later never move these{_while(manifest)}."
    )


def _while(manifest: Mapping[str, Any]) -> str:
    """Say what the promise hangs on; a report from before imports were counted keeps the card it left with."""
    if "imported" not in manifest["report"]:
        return ""
    shares = manifest["options"]
    return (
        f"\nin a dataset of the same shares (validation {100 * shares['validation']:g} %, "
        f"test {100 * shares['test']:g} %); with other shares rows change sides"
    )


def _near(manifest: Mapping[str, Any]) -> str:
    near = manifest.get("near_duplicates")
    if not near or not near["left_out"] + near["labels_left_out"]:
        return ""
    return (
        f"\n{near['left_out'] + near['labels_left_out']} that nearly repeat conversations of another side were left out; "
        "the manifest names them."
    )


def _dropped(report: Mapping[str, Any]) -> str:
    if not report["left_out"]:
        return "Every one of them passed the checks."
    reasons = ", ".join(f"{rule.replace('_', ' ')}: {count}" for rule, count in report["dropped"].items())
    return f"{report['left_out']} did not pass the checks and were left out ({reasons}); the manifest names them."
