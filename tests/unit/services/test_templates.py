"""Templates: one ranking, nothing left unfilled, versions that never change, no way out of the sandbox."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from brightrun.bootstrap import App
from brightrun.domain.errors import AlreadyDone, InvalidInput, NotFound, TemplateFault
from brightrun.domain.ids import CHOOSE_FOR_ME, TemplateId
from brightrun.domain.scenario import Scenario, Tier
from brightrun.domain.template import Template
from brightrun.services.drafts import draft_of, from_file, to_file
from brightrun.services.prompts import render
from brightrun.services.templates import TemplateDraft
from tests.fakes import options, scenarios


def draft(**changes: Any) -> TemplateDraft:
    values: dict[str, Any] = {
        "template_key": "mine",
        "name": "Mine",
        "system_text": "You write conversations.",
        "user_text": "{{ turns }} turns about {{ scenario }}{{ extra }}.",
        "required": ("scenario",),
        "optional": ("extra",),
        "tier": Tier.SCENARIO,
    }
    return TemplateDraft.model_validate(values | changes)


def pool(app: App) -> list[Template]:
    """Templates that differ in one thing each, all fit for the scenario below."""
    base = app.templates.publish(draft(), actor="ana")
    return [
        replace(base, id=TemplateId(f"00000000-0000-4000-8000-00000000000{n}"), template_key=key, **changes)
        for n, (key, changes) in enumerate(
            {
                "zz_plain": {"rating": 5.0},
                "rated": {"rating": 6.0},
                "for_persona": {"rating": 1.0, "suitable_personas": ("marcus_chen",)},
                "for_other": {"rating": 10.0, "suitable_personas": ("somebody_else",)},
                "wrong_tier": {"rating": 10.0, "tier": Tier.EDGE_CASE},
                "used_more": {"rating": 6.0, "usage_count": 5},
                "switched_off": {"rating": 10.0, "is_active": False},
            }.items()
        )
    ]


def test_the_ranking_is_the_documented_one(app: App) -> None:
    """Tier must fit; then who it is for, then rating, then least used, then the key, whatever the order given."""
    offered = pool(app)
    persona = app.scenarios.axes().personas[0].persona_key
    offered = [
        replace(t, suitable_personas=(persona,)) if t.template_key == "for_persona" else t for t in offered
    ]
    scenario = Scenario(Tier.SCENARIO, persona_key=persona, variables={"scenario": "x"})
    cast = app.scenarios.cast(scenario)
    order = []
    left = list(reversed(offered))
    while True:
        try:
            choice = app.templates.choose(cast, left)
        except InvalidInput:
            break
        order.append(choice.template.template_key)
        assert choice.reason
        left = [t for t in left if t.template_key != order[-1]]
    assert order == ["for_persona", "rated", "used_more", "zz_plain", "for_other"]


def test_nothing_that_fits_is_an_error_that_says_why(app: App) -> None:
    """With no template for a scenario the plan names the scenario and what is missing; nothing is created."""
    plan = app.planner.plan([Scenario(Tier.SCENARIO, variables={"weather": "rain"})], options())
    assert not plan.items
    assert "scenario" in plan.problems[0]
    with pytest.raises(InvalidInput):
        app.batches.create(plan, name="x", actor="ana")
    assert app.batches.count() == 0


def test_all_zeros_means_choose_for_me(app: App) -> None:
    """The id of all zeros is the same as leaving the choice to Bright Run."""
    plan = app.planner.plan(scenarios(2), options(), template=CHOOSE_FOR_ME)
    assert plan.template_id == CHOOSE_FOR_ME
    assert {item.choice.template.template_key for item in plan.items} == {"task_dialogue"}


def test_a_missing_value_is_an_error_before_any_call(app: App) -> None:
    """A variable that a scenario does not have, or has empty, is named; no placeholder is ever left in a prompt."""
    template = app.templates.publish(draft(), actor="ana")
    for variables in ({}, {"scenario": ""}):
        cast = app.scenarios.cast(Scenario(Tier.SCENARIO, variables=variables))
        with pytest.raises(TemplateFault, match="scenario"):
            app.templates.render(template.version, cast, turns=4)
    cast = app.scenarios.cast(Scenario(Tier.SCENARIO, variables={"scenario": "a {{ trap }}"}))
    prompt = app.templates.render(template.version, cast, turns=4)
    assert prompt.user == "4 turns about a {{ trap }}.", "a value is never read as a template"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ scenario.__init__.__globals__ }}",
        "{{ self._TemplateReference__context }}",
        "{% include 'secrets' %}",
        "{% for x in range(10**9) %}x{% endfor %}",
        "{{ unknown }}",
        "{{ unclosed",
        "{% if %}",
    ],
)
def test_a_template_cannot_leave_its_sandbox(text: str) -> None:
    """Text that reaches for Python, files, endless work or nothing is an error, not an answer."""
    with pytest.raises(TemplateFault):
        render(text, {"scenario": "x"}, name="mine")


def test_publishing_makes_the_next_version_and_keeps_the_last(app: App) -> None:
    """A published version never changes: the next one stands beside it, and jobs keep what they were made with."""
    first = app.templates.publish(draft(), actor="ana")
    second = app.templates.publish(draft(user_text="Other: {{ scenario }}{{ extra }}"), actor="ben")
    assert (first.id, first.version.version, second.version.version) == (second.id, 1, 2)
    assert [v.version for v in app.templates.versions(first.id)] == [2, 1]
    assert app.templates.version(first.version.id).user_text == draft().user_text


def test_a_draft_with_problems_is_not_published(app: App) -> None:
    """Undeclared, unused and unclosed variables are listed together, and nothing is written."""
    bad = draft(user_text="{{ scnario }}{{ extra }}", words_min=9, words_max=3)
    problems = "\n".join(app.templates.problems(bad))
    assert "{{ scnario }} is used but not declared. Did you mean scenario?" in problems
    assert "scenario is declared as required but never used" in problems
    assert "fewest words" in problems
    with pytest.raises(TemplateFault):
        app.templates.publish(bad, actor="ana")
    with pytest.raises(NotFound):
        app.templates.find("mine")


def test_an_arc_or_a_persona_that_is_not_there_is_named_before_publishing(app: App) -> None:
    """A misspelt key in a template's file is told with the keys that look like it, not in the words of the database."""
    arc = app.scenarios.axes().arcs[0].arc_key
    persona = app.scenarios.axes().personas[0].persona_key
    bad = draft(arc_key=f"{arc}x", suitable_personas=(f"{persona}x", persona), suitable_topics=("zzzz",))
    first, second, third = app.templates.problems(bad)
    assert first.startswith(f"arc_key: there is no arc '{arc}x'. For example: {arc}")
    assert second.startswith(f"suitable_personas: there is no persona '{persona}x'. For example: {persona}")
    assert third.startswith("suitable_topics: there is no topic 'zzzz'. For example: ")
    with pytest.raises(TemplateFault, match="there is no arc"):
        app.templates.publish(bad, actor="ana")
    assert app.templates.problems(draft(arc_key=arc, suitable_personas=(persona,))) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"user_text": "{{ scenario + 1 }}{{ extra }}"}, "user_text: can only concatenate"),
        ({"dataset_system_text": "{{ ''.__class__.__mro__ }}"}, "dataset_system_text: access to attribute"),
        ({"system_text": "{{ arc_strategy / 2 }}"}, "system_text: unsupported operand"),
    ],
)
def test_a_text_that_no_scenario_could_fill_is_not_published(
    app: App, changes: dict[str, str], said: str
) -> None:
    """What would fail with every scenario is told before it is a version that never changes again."""
    bad = draft(**changes, optional=("extra", "arc_strategy") if "system_text" in changes else ("extra",))
    (problem,) = app.templates.problems(bad)
    assert said in problem
    with pytest.raises(TemplateFault, match="Nothing was published"):
        app.templates.publish(bad, actor="ana")


def test_a_text_that_some_scenario_fills_is_published(app: App) -> None:
    """Arithmetic on a number that is written as text, and a part that not everybody has, are no fault."""
    for part in (
        "10 / (scenario | int)",
        "persona_demographics.age",
        "extra.split('-')[2]",
        "extra.index(':')",
    ):
        text = f"{{{{ scenario }}}}{{{{ extra }}}}{{{{ persona_demographics }}}}{{{{ {part} }}}}"
        fine = draft(user_text=text, optional=("extra", "persona_demographics"))
        assert app.templates.problems(fine) == [], part


def test_a_template_switched_off_is_not_chosen_and_comes_back(app: App) -> None:
    """Switching a template off keeps it for running jobs and out of new choices."""
    template = app.templates.find("task_dialogue")
    app.templates.set_active(template.id, active=False)
    plan = app.planner.plan(scenarios(1), options())
    assert all(item.choice.template.id != template.id for item in plan.items)
    app.templates.set_active(template.id, active=True)
    assert app.planner.plan(scenarios(1), options()).items[0].choice.template.id == template.id


def test_a_misspelt_template_gets_close_names(app: App) -> None:
    """An unknown template is answered with the ones that look like it."""
    with pytest.raises(NotFound) as caught:
        app.templates.find("task_dialog")
    assert "task_dialogue" in caught.value.remedy


def test_the_same_scenario_always_asks_for_the_same_length(app: App) -> None:
    """Without a number of messages the arc's own range decides, the same way each time, always even."""
    arc = app.scenarios.axes().arcs[0]
    cast = app.scenarios.cast(Scenario(Tier.TEMPLATE, arc_key=arc.arc_key))
    lengths = {app.templates.turns_for(cast, None, seed=seed) for seed in range(40)}
    assert all(n % 2 == 0 for n in lengths)
    assert min(lengths) == arc.typical_turn_count_min
    assert max(lengths) == arc.typical_turn_count_max
    assert len({app.templates.turns_for(cast, None, seed=3) for _ in range(3)}) == 1


def test_a_template_travels_as_a_file(app: App) -> None:
    """A template written to a file and read again elsewhere is the same, and becomes the next version here."""
    template = app.templates.find("task_dialogue")
    again = from_file(to_file(draft_of(template, template.version)), "mine.json")
    assert again == draft_of(template, template.version)
    published = app.templates.publish(again.model_copy(update={"rating": 9.0}), actor="ana")
    assert (published.id, published.version.version) == (template.id, template.version.version + 1)
    assert published.version.user_text == template.version.user_text


def test_what_has_not_changed_is_not_published_again(app: App) -> None:
    """A version that says what the last one says is refused, so that each stands for something somebody changed."""
    first = app.templates.publish(draft(), actor="ana")
    with pytest.raises(AlreadyDone, match=r"Nothing has changed since v1\. Nothing was published\."):
        app.templates.publish(draft(), actor="ben")
    assert [v.version for v in app.templates.versions(first.id)] == [1]
    assert app.templates.publish(draft(name="Renamed"), actor="ben").version.version == 2


def test_a_field_of_a_file_is_refused_in_plain_words(app: App) -> None:
    """Whoever wrote a name that is too long reads how long it is and may be, for every field that is wrong."""
    held = json.loads(to_file(draft())) | {"name": "n" * 121, "rating": 11}
    with pytest.raises(InvalidInput) as refused:
        from_file(json.dumps(held).encode(), "mine.json")
    assert refused.value.message == (
        "mine.json: name: it has 121 characters; 120 are allowed. rating: 11 is more than 10."
    )


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\x00", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[1]", "is not a template's file"),
        (b"{}", "is not a template's file"),
        (b'{"kind": "brightrun-template", "form": 2}', "newer Bright Run"),
        (b'{"kind": "brightrun-template", "form": 1, "template_key": "No!"}', "template_key"),
        (b" " * 1_000_001, "at most 1 MB"),
    ],
)
def test_a_file_that_is_no_template_is_refused(data: bytes, said: str) -> None:
    """What is not a template's file, or not whole, is refused with what is wrong."""
    with pytest.raises(InvalidInput, match=said):
        from_file(data, "mine.json")
