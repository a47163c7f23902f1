"""What a batch will cost: tokens counted where the API counts them, lengths from what was written before."""

from __future__ import annotations

import json
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from brightrun import saol
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.caching import pays, saving, standing_characters, standing_text
from brightrun.domain.errors import BrightRunError
from brightrun.domain.estimate import Estimate, OutputHistory, Terms, approximate_output
from brightrun.domain.ids import TemplateId, TemplateVersionId
from brightrun.domain.part import Delivery
from brightrun.domain.price import (
    CHARACTERS_PER_TOKEN,
    Price,
    Tariff,
    cost_of,
    dollars,
    token_bound,
)
from brightrun.domain.template import Prompt, TemplateVersion
from brightrun.domain.writing import TokenCounter, Usage, Writer
from brightrun.stores import costs, prices
from brightrun.writers.envelope import SCHEMAS

SAMPLE = 4
"""Prompts that are counted: the shortest, the longest and two between; the rest is in proportion."""
ENOUGH = 5
"""Earlier answers below which a template's history says nothing yet."""
ASK_AGAIN_SECONDS = 60.0
KEPT_COUNTS = 500

_SHAPE = max((json.dumps(schema) for schema in SCHEMAS.values()), key=len)
"""The longest that is sent with a prompt and read by the model as part of it."""

Planned = tuple[TemplateVersion, Prompt]
TermsByVersion = dict[TemplateVersionId, Terms]
History = Mapping[TemplateVersionId | TemplateId, OutputHistory]


@dataclass(frozen=True, slots=True)
class _Length:
    """How many tokens prompts take, and how that is known."""

    per_character: float
    how: str

    def of(self, text: str) -> int:
        return math.ceil(len(text) * self.per_character - 1e-9)


def most_tokens(prompt: Prompt) -> int:
    """Return a number of input tokens that a call with this prompt cannot exceed."""
    return token_bound(prompt.system, prompt.user, _SHAPE)


class Estimator:
    """Remembers what it counted, so that looking again costs nothing."""

    def __init__(self, db: saol.Database, writers: Callable[[WriterName], Writer]) -> None:
        self._db = db
        self._writers = writers
        self._counts: dict[tuple[str, str], int] = {}
        self._unable: dict[str, tuple[float, str]] = {}
        self._lock = threading.Lock()

    def estimate(
        self, items: Sequence[Planned], options: JobOptions, known: Sequence[Price]
    ) -> tuple[Estimate, TermsByVersion]:
        """Return what items will cost, and what the prompts of each template version keep to."""
        groups: dict[TemplateVersionId, list[Prompt]] = defaultdict(list)
        for version, prompt in items:
            groups[version.id].append(prompt)
        terms = {key: Terms(max(map(most_tokens, prompts))) for key, prompts in groups.items()}
        if options.writer is not WriterName.CLAUDE:
            return _free(items, options), terms
        tariff = Tariff(known, options.model, on=prices.today(self._db))
        length = self._length([prompt for _, prompt in items], options.model)
        history = self._history(groups, options.model)
        share = tariff.batch_share() if options.delivery is Delivery.OVERNIGHT else 1.0
        saved, note = _cache(groups, terms, length, tariff.price(0)) if share == 1.0 else _overnight(share)
        expected = high = 0.0
        tokens_in = tokens_out = 0
        for version, prompt in items:
            size = length.of(prompt.system + prompt.user)
            usual, long = _outputs(version, prompt, history, options.max_tokens)
            price = tariff.price(size)
            expected += cost_of(Usage(size, usual), price)
            high += cost_of(Usage(size, long), price)
            tokens_in, tokens_out = tokens_in + size, tokens_out + usual
        figures = Estimate(
            items=len(items),
            input_tokens=tokens_in,
            output_tokens=tokens_out,
            expected_usd=expected * share - saved,
            high_usd=high * share - saved,
            worst_usd=share
            * sum(
                len(groups[key]) * tariff.ceiling(kept.input_bound, options.max_tokens)
                for key, kept in terms.items()
            ),
            saved_usd=saved,
            basis=(length.how, _how_long(items, history, options.model), *note),
        )
        return figures, terms

    def _length(self, prompts: Sequence[Prompt], model: str) -> _Length:
        """Count a sample by the API where it can be asked, else by the stated approximation."""
        sample = _spread(prompts)
        counted = [number for p in sample if (number := self._count(p, model)) is not None]
        if not sample or len(counted) < len(sample):
            return _approximate(self._reason(model))
        share = sum(counted) / max(1, sum(len(p.system) + len(p.user) for p in sample))
        rest = ", the others in proportion" if len(sample) < len(prompts) else ""
        return _Length(
            share, f"Input: counted by Claude for {len(sample)} of {len(prompts):,} prompts{rest}."
        )

    def _count(self, prompt: Prompt, model: str) -> int | None:
        key = (model, prompt.digest())
        with self._lock:
            if key in self._counts:
                return self._counts[key]
        if self._reason(model):
            return None
        try:
            writer = self._writers(WriterName.CLAUDE)
            if not isinstance(writer, TokenCounter):
                raise BrightRunError("The writer does not count.")
            number = writer.count(prompt, model)
        except BrightRunError as fault:
            with self._lock:
                self._unable[model] = (time.monotonic(), fault.message)
            return None
        with self._lock:
            if len(self._counts) >= KEPT_COUNTS:
                self._counts.clear()
            self._counts[key] = number
        return number

    def _reason(self, model: str) -> str:
        """Return why Claude could not count a moment ago; empty when there is no reason not to ask."""
        with self._lock:
            at, reason = self._unable.get(model, (0.0, ""))
        return reason if reason and time.monotonic() - at < ASK_AGAIN_SECONDS else ""

    def _history(self, versions: Iterable[TemplateVersionId], model: str) -> History:
        wanted = sorted(versions)
        found = costs.output_history(self._db, model, wanted) if wanted else {}
        return {key: history for key, history in found.items() if history.answers >= ENOUGH}


def _overnight(share: float) -> tuple[float, list[str]]:
    """Batches are not marked for caching: whether its reads come is a matter of luck there."""
    return 0.0, [f"Overnight: at {share:.0%} of every price."]


def _free(items: Sequence[Planned], options: JobOptions) -> Estimate:
    length = _approximate("")
    return Estimate(
        items=len(items),
        input_tokens=sum(length.of(prompt.system + prompt.user) for _, prompt in items),
        output_tokens=sum(min(options.max_tokens, approximate_output(prompt)[0]) for _, prompt in items),
        expected_usd=0.0,
        high_usd=0.0,
        worst_usd=0.0,
        basis=("The demo writer costs nothing.",),
    )


def _spread(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Return the shortest, the longest and some between."""
    ordered = sorted(prompts, key=lambda p: len(p.system) + len(p.user))
    if len(ordered) <= SAMPLE:
        return ordered
    last = len(ordered) - 1
    return [ordered[round(step * last / (SAMPLE - 1))] for step in range(SAMPLE)]


def _approximate(reason: str) -> _Length:
    why = f" (Claude could not be asked: {reason.rstrip('.')})" if reason else ""
    how = f"Input: approximated, {CHARACTERS_PER_TOKEN} characters a token{why}."
    return _Length(1 / CHARACTERS_PER_TOKEN, how)


def _known(version: TemplateVersion, history: History) -> OutputHistory | None:
    """Return what this version's answers took, else what those of its template did."""
    return history.get(version.id) or history.get(version.template_id)


def _outputs(
    version: TemplateVersion,
    prompt: Prompt,
    history: History,
    max_tokens: int,
) -> tuple[int, int]:
    found = _known(version, history)
    usual, long = (
        (round(found.p50 * prompt.turns), round(found.p90 * prompt.turns))
        if found
        else approximate_output(prompt)
    )
    return min(usual, max_tokens), min(max(usual, long), max_tokens)


def _how_long(items: Sequence[Planned], history: History, model: str) -> str:
    """Say how many of the answers' lengths rest on earlier answers, and how many on words."""
    used = {v.id: found for v, _ in items if (found := _known(v, history))}
    covered = sum(1 for version, _ in items if version.id in used)
    words = "the words each template asks for"
    if not covered:
        return f"Output: approximated from {words}, as fewer than {ENOUGH} earlier answers are known."
    answers = sum(found.answers for found in {id(found): found for found in used.values()}.values())
    start = f"Output: from {answers:,} earlier answers of {model} to the same templates"
    if covered == len(items):
        return f"{start} (middle and longest tenth)."
    return f"{start} for {covered:,} conversations, approximated from {words} for the others."


def _cache(
    groups: Mapping[TemplateVersionId, Sequence[Prompt]],
    terms: TermsByVersion,
    length: _Length,
    price: Price,
) -> tuple[float, list[str]]:
    """Note in the terms which beginnings are worth caching; returns what that spares and says so."""
    saved, prompts, tokens = 0.0, 0, 0
    for key, group in groups.items():
        standing = standing_characters(group)
        if standing is None:
            continue
        size = length.of(standing_text(group[0], standing))
        if pays(price, uses=len(group), tokens=size):
            terms[key] = replace(terms[key], standing=standing)
            saved += saving(price, uses=len(group), tokens=size)
            prompts += len(group)
            tokens += size * len(group)
    if not prompts:
        return 0.0, []
    note = (
        f"Prompt caching: {prompts:,} prompts begin with about {tokens // prompts:,} tokens that stand still; "
        f"reading them from the cache spares about {dollars(saved)}."
    )
    return saved, [note]
