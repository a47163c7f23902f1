"""Estimates: what they rest on is counted where it can be, and said either way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brightrun.bootstrap import App
from brightrun.domain.batch import JobStatus, WriterName
from brightrun.domain.errors import WriterBusy
from brightrun.domain.price import token_bound
from brightrun.domain.scenario import Scenario, Tier
from brightrun.services.estimates import ENOUGH, SAMPLE
from brightrun.services.templates import TemplateDraft
from tests.fakes import ScriptedWriter, options, scenarios

OPUS = "claude-opus-5-5"
LONG = "A standing sentence that every prompt of this template begins with. " * 60
"""Some thousand tokens: more than any model asks for that caches at all."""


def claude(**changes: object) -> object:
    return options(WriterName.CLAUDE, **changes)


def draft(
    system: str = "Write dialogues.", user: str = "{{ scenario }}\nWrite exactly {{ turns }} turns."
) -> TemplateDraft:
    return TemplateDraft(
        template_key="standing",
        name="Standing",
        tier=Tier.SCENARIO,
        system_text=system,
        user_text=user,
        required=("scenario",),
        optional=("mood",) if "mood" in system + user else (),
    )


def test_prompts_are_counted_by_the_api_and_only_a_sample_of_them(app: App, writer: ScriptedWriter) -> None:
    """Some prompts are counted, the rest is in proportion; looking again asks for nothing."""
    plan = app.planner.plan(scenarios(40), claude())
    assert writer.counted == SAMPLE
    assert f"counted by Claude for {SAMPLE} of 40 prompts" in plan.estimate.method
    exact = sum(len(i.prompt.system + i.prompt.user) / 3 for i in plan.items)
    assert plan.estimate.input_tokens == pytest.approx(exact, rel=0.01)
    app.planner.plan(scenarios(40), claude())
    assert writer.counted == SAMPLE


def test_where_the_api_cannot_be_asked_the_estimate_says_so(app: App, writer: ScriptedWriter) -> None:
    """A rate limit or a key that is refused leaves the stated approximation, with the reason, and is not repeated."""
    writer.cannot_count = WriterBusy("Claude asks to try again later.", code="rate_limited", status=429)
    plan = app.planner.plan(scenarios(10), claude())
    assert "approximated, 4 characters a token" in plan.estimate.method
    assert "try again later" in plan.estimate.method
    assert plan.estimate.input_tokens == sum(
        -(-len(i.prompt.system + i.prompt.user) // 4) for i in plan.items
    )
    app.planner.plan(scenarios(12), claude())
    assert writer.counted == 1, "a server that just refused is not asked again for each look"


def test_lengths_come_from_what_the_same_template_took_before(app: App) -> None:
    """From some answers on, the template's own history replaces the words it asks for, for that model alone."""
    before = app.planner.plan(scenarios(20), claude()).estimate
    assert "approximated from the words" in before.method
    job = app.batches.create(app.planner.plan(scenarios(ENOUGH), claude()), name="first", actor="ana")
    while app.batches.process_next(job.id).job.is_open:
        continue
    assert app.batches.get(job.id).status is JobStatus.COMPLETED
    after = app.planner.plan(scenarios(20), claude()).estimate
    assert f"from {ENOUGH} earlier answers of claude-sonnet-5-5" in after.method
    assert after.output_tokens == 20 * 500
    assert after.expected_usd == pytest.approx(after.high_usd), "every answer was equally long"
    other = app.planner.plan(scenarios(20), claude(model=OPUS)).estimate
    assert "approximated from the words" in other.method


def test_the_three_figures_are_in_order_and_the_worst_is_what_is_reserved(app: App) -> None:
    """Expected, long and worst case grow in this order; a job reserves exactly the worst."""
    plan = app.planner.plan(scenarios(7), claude())
    estimate = plan.estimate
    assert 0 < estimate.expected_usd < estimate.high_usd < estimate.worst_usd
    job = app.batches.create(plan, name="worst", actor="ana")
    assert app.budgets.outlook(job.id).worst_usd == pytest.approx(estimate.worst_usd, abs=1e-5)


def test_the_reserve_rests_on_bytes_and_not_on_an_approximation(app: App) -> None:
    """Text that takes more tokens than characters is covered too."""
    plain, signs = (
        Scenario(Tier.SCENARIO, variables={"scenario": text * 500}) for text in ("book", "\ufdfa🙂漢字")
    )
    few, many = (app.planner.plan([one], claude()) for one in (plain, signs))
    (kept,) = many.terms.values()
    prompt = many.items[0].prompt
    assert kept.input_bound >= token_bound(prompt.system, prompt.user) > 20_000
    assert many.estimate.worst_usd > few.estimate.worst_usd


def test_a_standing_beginning_is_cached_where_it_is_long_enough_and_used_again(app: App) -> None:
    """A long system prompt that every item shares is cached, from the second item on, and the estimate says so."""
    app.templates.publish(draft(system=LONG), actor="ana")
    plan = app.planner.plan(scenarios(10), claude(), template="standing")
    (kept,) = plan.terms.values()
    assert kept.standing == 0
    assert "Prompt caching: 10 prompts begin with" in plan.estimate.method
    bare = plan.estimate.expected_usd + plan.estimate.saved_usd
    assert 0 < plan.estimate.saved_usd < bare
    assert plan.estimate.worst_usd > bare
    alone = app.planner.plan(scenarios(1), claude(), template="standing")
    assert [t.standing for t in alone.terms.values()] == [None], "what is sent once is not worth a write"


def test_a_beginning_that_is_too_short_for_the_model_is_not_marked(app: App, writer: ScriptedWriter) -> None:
    """700 tokens are enough for Opus and too short for Sonnet; the price table says which."""
    app.templates.publish(draft(system=LONG[:2100]), actor="ana")
    sonnet = app.planner.plan(scenarios(5), claude(), template="standing")
    opus = app.planner.plan(scenarios(5), claude(model=OPUS), template="standing")
    assert [t.standing for t in sonnet.terms.values()] == [None]
    assert [t.standing for t in opus.terms.values()] == [0]
    assert sonnet.estimate.saved_usd == 0


def test_the_part_of_the_message_that_stands_still_is_cached_with_the_system(app: App) -> None:
    """What a template puts before its first variable belongs to the cached beginning, in whole lines."""
    app.templates.publish(
        draft(user=f"{LONG}\nAbout: {{{{ scenario }}}}\nWrite exactly {{{{ turns }}}} turns."), actor="ana"
    )
    plan = app.planner.plan(scenarios(5), claude(), template="standing")
    (kept,) = plan.terms.values()
    assert kept.standing == len(LONG.strip()) + 1 or kept.standing == len(LONG) + 1
    for item in plan.items:
        assert item.prompt.user[: kept.standing] == plan.items[0].prompt.user[: kept.standing]
        assert item.prompt.user[kept.standing :].startswith("About: ")


def test_systems_that_differ_are_not_cached(app: App) -> None:
    """A variable in the system prompt moves everything after it: nothing stands still."""
    app.templates.publish(draft(system=f"{{{{ mood }}}} {LONG}"), actor="ana")
    moods = [replace(s, variables={**s.variables, "mood": str(n)}) for n, s in enumerate(scenarios(5))]
    plan = app.planner.plan(moods, claude(), template="standing")
    assert [t.standing for t in plan.terms.values()] == [None]


def test_a_demo_is_never_counted(app: App, writer: ScriptedWriter) -> None:
    """The demo costs nothing, so nobody is asked."""
    estimate = app.planner.plan(scenarios(3), options()).estimate
    assert (estimate.expected_usd, estimate.high_usd, estimate.worst_usd) == (0, 0, 0)
    assert writer.counted == 0
