"""Described variables where they count: published, chosen by, planned, rendered and taken along."""

from __future__ import annotations

from brightrun.bootstrap import App
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.scenario import Scenario, Tier
from brightrun.domain.variable import Variable, VariableType
from brightrun.services.drafts import TemplateDraft, from_file, own_variables, problems_of, to_file
from tests.fakes import options

MOOD = Variable(name="mood", type=VariableType.CHOICE, choices=("calm", "tense"), default="calm")
DRAFT = TemplateDraft(
    template_key="harbour",
    name="Harbour",
    tier=Tier.EDGE_CASE,
    rating=10,
    system_text="You write.",
    user_text="The visitor is {{ mood }} and speaks of {{ topic_name }}.",
    required=("mood", "topic_name"),
    variables=(MOOD,),
)


def test_a_described_variable_reaches_the_prompt_with_its_default(app: App) -> None:
    """A scenario without a value can be written, by the template or by the choice; a misspelt one is a problem."""
    template = app.templates.publish(DRAFT, actor="ana")
    assert template.version.variables == (MOOD,)
    assert own_variables(app.templates.version(template.version.id)) == ["mood"]
    topic = app.scenarios.axes().topics[0].topic_key
    scenarios = [
        Scenario(Tier.EDGE_CASE, topic_key=topic, variables=own)
        for own in ({}, {"mood": "tense"}, {"mood": "tens"})
    ]
    plan = app.planner.plan(scenarios, options(), template="harbour")
    assert [item.prompt.user.split()[3] for item in plan.items] == ["calm", "tense"]
    assert "Did you mean tense?" in plan.problems[0]
    chosen = app.planner.plan(scenarios[:1], options())
    assert chosen.items[0].choice.template.template_key == "harbour"


def test_descriptions_travel_and_are_linted() -> None:
    """A file keeps them; one of an undeclared or a built-in variable keeps a draft from being published."""
    assert from_file(to_file(DRAFT), "x.json") == DRAFT
    wrong = DRAFT.model_copy(
        update={"variables": (MOOD, MOOD, Variable(name="colour"), Variable(name="topic_name"))}
    )
    problems = " ".join(problems_of(wrong.model_copy(update={"optional": ("tone",)})))
    for said in (
        "mood is described twice",
        "colour is described, but neither",
        "topic_name is described, but Bright",
        "Declared as something it may do without, and never used: tone",
    ):
        assert said in problems


def test_one_conversation_has_a_price_before_anything_is_planned(app: App) -> None:
    """The studio names tokens and dollars of a single prompt by the chosen model."""
    template = app.templates.publish(DRAFT, actor="ana")
    topic = app.scenarios.axes().topics[0].topic_key
    cast = app.scenarios.cast(Scenario(Tier.EDGE_CASE, topic_key=topic))
    prompt = app.templates.render(template.version, cast, turns=4)
    estimate = app.planner.price(
        template.version, prompt, JobOptions(WriterName.CLAUDE, "claude-sonnet-5-5", 4000)
    )
    assert (estimate.items, estimate.input_tokens > 0) == (1, True)
    assert 0 < estimate.expected_usd < estimate.worst_usd
