"""The page that says what LLaMA-Factory and Axolotl made of an exported folder."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from tests.training.load import STEPS


def main(page: Path, found: list[dict[str, Any]]) -> None:
    """Write the page of figures; exits with an error where a row is missing or something else is trained."""
    lines, versions, bad = [], [], []
    for result in found:
        losses = result["losses"]
        fell = f"{losses[0]:.3f} to {losses[1]:.3f}"
        bad += [] if losses[1] < losses[0] else [f"{result['trainer']}: the loss went from {fell}"]
        versions.append(
            f"- {result['trainer']}: " + ", ".join(f"{k} {v}" for k, v in result["versions"].items())
        )
        for split, part in result["splits"].items():
            whole = part["written"] == part["rows"] == part["exact"]
            bad += [] if whole else [f"{result['trainer']}, {split}: {part}"]
            lines.append(
                f"| {result['trainer']} | {split} | {part['rows']} of {part['written']} | {part['exact']} |"
                f" {part['trained']:,} of {part['tokens']:,} | {fell} | {result['seconds']:.0f} s |"
            )
    commands = "\n".join(f"- {r['trainer']}: `{r['command']}`" for r in found)
    listed, table = "\n".join(versions), "\n".join(lines)
    page.write_text(
        f"""# What LLaMA-Factory and Axolotl made of an exported folder

By `make trainers`, {time.strftime("%Y-%m-%d")}, on a machine without a GPU, each trainer in an environment of its own:

{listed}

The folder is a batch of the demo writer, exported as **Everything**. Each trainer ran the folder's own recipe by its own
command, changed only in the model (the random one of [training](training.md)), the number of steps ({STEPS}), the learning
rate and LLaMA-Factory's batch; Axolotl's fused LoRA kernels, which are written for GPUs, are switched off by its options:

{commands}

| trainer | split | rows taken | rows of which exactly the assistant's words are trained | tokens trained | loss, first to last step | whole process |
|---|---|---|---|---|---|---|
{table}

Words are compared without the space between them: where a turn ends, and whether its end is trained, is a matter of each
trainer's template.

In an environment without a GPU, LLaMA-Factory runs without `torchvision` and with an empty `torchaudio`: PyPI's builds of
both want a GPU's libraries, and serve pictures and sound alone. Axolotl is installed with its own pins, without those of
its packages that neither loading nor training by this recipe asks for.
""",
        encoding="utf-8",
    )
    print(page.read_text(encoding="utf-8"))
    if bad:
        raise SystemExit(f"Not every row is taken as it was written: {bad}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [json.loads(Path(path).read_text(encoding="utf-8")) for path in sys.argv[2:]])
