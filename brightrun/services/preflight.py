"""Preflight: what a trainer will make of a dataset, before anybody pays for a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice

from brightrun.domain.canonical import BYTES_A_TOKEN, estimate_tokens, prepare
from brightrun.domain.chat import SPECIALS, TEMPLATES, ChatTemplate, Piece
from brightrun.domain.dataset import Dataset, Row
from brightrun.domain.errors import NotAllowed, TemplateFault
from brightrun.services.datasets import Datasets, Progress

SAMPLE = 2000
"""Rows that are rendered; of a larger dataset the first ones, which is said."""


class Trainer(StrEnum):
    TRL = "TRL"
    AXOLOTL = "Axolotl"
    LLAMAFACTORY = "LLaMA-Factory"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one trainer does with the rows that were looked at."""

    trainer: Trainer
    accepted: int
    refused: int
    """The template raises an error on them."""
    shortened: int
    """Longer than the maximum: their end is cut, or they are dropped."""
    untrained: int
    """Nothing of them is trained."""
    advice: Sequence[str]


@dataclass(frozen=True, slots=True)
class Preflight:
    """A sample as the model will see it, and a verdict for each trainer; tokens are estimates."""

    rows: int
    total: int
    sample: Sequence[Piece]
    tokens: int
    trained_tokens: int
    refusals: Sequence[str]
    verdicts: Sequence[Verdict]


@dataclass(slots=True)
class _Tally:
    accepted: int = 0
    refused: int = 0
    shortened: int = 0
    untrained: int = 0
    skipped: int = 0
    """Answers that a reviewer keeps out of training though a later one is trained."""


def preflight(
    datasets: Datasets,
    dataset: Dataset,
    template: ChatTemplate,
    *,
    max_length: int,
    place: int = 0,
    merge_system: bool = False,
    progress: Progress | None = None,
) -> Preflight:
    """Render the rows with a template and say what each trainer makes of them; raises NotAllowed without rows."""
    options = replace(dataset.options, merge_system=merge_system or dataset.options.merge_system)
    found = (row for row in datasets.rows(dataset, progress) if row.decision == "approved")
    tally, refusals = _Tally(), dict[str, None]()
    sample: Row | None = None
    rows = 0
    for row in islice(found, SAMPLE):
        made = prepare(row, options).rows[0].without_tail()
        sample = made if sample is None or rows == place else sample
        rows += 1
        _count(made, template, max_length, tally, refusals)
    if sample is None:
        raise NotAllowed("No row of this dataset passed the checks, so there is nothing to look at.")
    pieces = _render(sample, template, refusals)
    total = int(datasets.report(dataset)["rows"])
    return Preflight(
        rows,
        total,
        pieces,
        sum(map(_tokens, pieces)),
        sum(_tokens(piece) for piece in pieces if piece.is_trained),
        tuple(refusals)[:3],
        tuple(_verdict(trainer, tally, template, rows) for trainer in Trainer),
    )


def built_in(name: str) -> ChatTemplate:
    """Return one of the four families' templates."""
    return ChatTemplate(TEMPLATES[name], SPECIALS[name])


def _count(row: Row, template: ChatTemplate, limit: int, tally: _Tally, refusals: dict[str, None]) -> None:
    tally.skipped += row.skipped_within
    if not _render(row, template, refusals):
        tally.refused += 1
        return
    first = next(n for n, m in enumerate(row.messages) if m["role"] == "assistant")
    if estimate_tokens(row.messages[:first]) >= limit:
        tally.untrained += 1
    elif estimate_tokens(row.messages) > limit:
        tally.shortened += 1
    else:
        tally.accepted += 1


def _render(row: Row, template: ChatTemplate, refusals: dict[str, None]) -> list[Piece]:
    try:
        return template.render(row.messages)
    except TemplateFault as fault:
        refusals[fault.message] = None
        return []


def _verdict(trainer: Trainer, tally: _Tally, template: ChatTemplate, rows: int) -> Verdict:
    advice = []
    found, said = tally, tally
    if trainer is Trainer.TRL:
        if not template.is_marked:
            advice.append(
                "The template does not mark what the assistant says, so assistant-only loss refuses to start: "
                "use one of chat_templates/ in the folder, or train on prompt_completion."
            )
            said = _Tally(refused=rows)
        if found.refused:
            advice.append("One row that the template refuses ends the whole run.")
        if found.shortened:
            advice.append("Over-long rows lose their end, and the last answers with it, without a word.")
    if trainer is Trainer.AXOLOTL:
        advice.append(
            "Where the end of a turn is another token than the end of the sequence, name it in eot_tokens, "
            "or turns are trained without their end."
        )
        if found.shortened:
            advice.append(
                "What happens to over-long rows is set by Axolotl's own options: look before you run."
            )
    if trainer is Trainer.LLAMAFACTORY:
        # It renders with templates of its own, named in the recipe; the uploaded one does not reach it.
        advice.append(
            "It brings its own template: name the model's in the recipe, where `default` stands now."
        )
        said = _Tally(found.accepted + found.refused, 0, found.shortened, found.untrained)
    advice += _of_any(trainer, found)
    return Verdict(trainer, said.accepted, said.refused, said.shortened, said.untrained, tuple(advice))


def _of_any(trainer: Trainer, found: _Tally) -> Iterator[str]:
    """Yield what is to be minded with whichever trainer."""
    if found.skipped:
        yield _about_skipped(trainer, found.skipped)
    if found.refused and trainer is not Trainer.LLAMAFACTORY:
        yield "Freeze with “merge system into the first user turn” if the system role is refused."
    if found.untrained:
        yield "Rows whose first answer lies beyond the maximum length train nothing: raise it, or cut."


def _about_skipped(trainer: Trainer, number: int) -> str:
    """Say what a trainer makes of answers that are kept out of training before one that is trained."""
    what = (
        f"{number:,} answers that reviewers keep out of training"
        if number > 1
        else "One answer kept out of training"
    )
    stand = "stand" if number > 1 else "stands"
    if trainer is Trainer.TRL:
        return f"{what} {stand} before a trained one: the recipe reads prompt_completion/, which has none of them."
    if trainer is Trainer.AXOLOTL:
        return f"{what} {stand} before a trained one: the recipe reads openai/, whose weights leave them out."
    return f"{what} {stand} before a trained one, and it has no way to skip single answers: they are trained."


def _tokens(piece: Piece) -> int:
    return -(-len(piece.text.encode()) // BYTES_A_TOKEN)
