"""The rules of a plan as a person writes them down."""

from __future__ import annotations

import pytest

from brightrun.domain.errors import InvalidInput
from brightrun.domain.scenario import Tier
from brightrun.domain.space import AtMost, Never, Only, Space, Weight, own_axes, parse_rule


def test_every_form_of_a_rule_is_understood() -> None:
    """The four forms of a rule mean what they say, whatever their order of axes."""
    assert parse_rule("never persona=a,b topic=c") == Never({"persona": ("a", "b"), "topic": ("c",)})
    assert parse_rule("only tier=edge_case arc=d,e") == Only("tier", ("edge_case",), {"arc": ("d", "e")})
    assert parse_rule("at most 5 persona topic=c") == AtMost(5, {"persona": (), "topic": ("c",)})
    assert parse_rule("weight 2.5 persona=a") == Weight(2.5, {"persona": ("a",)})


@pytest.mark.parametrize(
    "text",
    [
        *("", "never", "never persona=a", "never persona topic", "only persona=a", "only persona arc=b"),
        *("at most persona", "at most 5", "at most -1 persona", "weight persona=a", "weight 0 persona=a"),
        *("weight 9999 persona=a", "weight nan persona=a", "sometimes persona=a topic=b", "never =a b=c"),
    ],
)
def test_a_rule_that_says_nothing_is_refused_with_an_example(text: str) -> None:
    """A rule that is cut, empty or unknown is refused, and the message shows how one looks."""
    with pytest.raises(InvalidInput) as caught:
        parse_rule(text)
    assert any(word in str(caught.value) for word in ("never ", "only ", "at most ", "weight "))


def test_a_rule_about_what_does_not_vary_is_named() -> None:
    """A misspelt axis or value is named with the rule's number and what there is, before anything is planned."""
    axes = {"persona": ("a", "b"), "topic": ("c",)}
    with pytest.raises(InvalidInput, match=r"Rule 2 speaks of 'arc'"):
        Space(axes, [parse_rule("never persona=a topic=c"), parse_rule("never arc=d topic=c")]).require()
    with pytest.raises(InvalidInput, match=r"Rule 1: persona 'z' is not among the chosen ones.*a, b"):
        Space(axes, [parse_rule("weight 2 persona=z")]).require()
    with pytest.raises(InvalidInput, match="more than can be looked through"):
        Space({name: [str(n) for n in range(300)] for name in "abc"}).require()


def test_the_tier_comes_from_the_arc_unless_it_varies() -> None:
    """A scenario has its arc's tier; where the tier is an axis of its own, that decides."""
    space = Space({}, tier_of_arc={"crisis": Tier.EDGE_CASE})
    assert space.scenario({"arc": "crisis"}).tier is Tier.EDGE_CASE
    assert space.scenario({"arc": "crisis", "tier": "template"}).tier is Tier.TEMPLATE
    assert space.scenario({"mood": "calm"}).variables == {"mood": "calm"}


def test_a_limit_knows_which_of_its_cells_a_combination_fills() -> None:
    """A limit on values counts where they stand, on an axis in each of its values, and elsewhere not at all."""
    limit = AtMost(2, {"persona": (), "tier": ("edge_case",)})
    assert limit.cell({"persona": "a", "tier": "edge_case", "arc": "d"}) == ("a", "edge_case")
    assert limit.cell({"persona": "a", "tier": "template", "arc": "d"}) is None


@pytest.mark.parametrize("text", ["mood=calm,tense", "mood: calm, tense", " mood = calm , tense, "])
def test_variables_are_read_in_either_form(text: str) -> None:
    """A variable with its values is the same with a colon and with an equals sign; empty lines say nothing."""
    assert own_axes("The list", ["", text], {}) == {"mood": ["calm", "tense"]}


def test_a_value_may_hold_the_other_sign() -> None:
    """Only the first sign parts the name from its values."""
    assert own_axes("--vary", ["at=10:30,11:00", "sum: a=b"], {}) == {
        "at": ["10:30", "11:00"],
        "sum": ["a=b"],
    }


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["mood"], "not a variable with values"),
        (["mood:"], "not a variable with values"),
        (["my mood: calm"], "not a variable with values"),
        (["mood=a", "mood: b"], "names 'mood' twice"),
        (["persona=a,b"], "names 'persona', which Bright Run gives itself. Use --persona."),
    ],
)
def test_a_variable_that_cannot_vary_is_refused_with_what_to_write(lines: list[str], said: str) -> None:
    """A line without values, a name given twice and a name of the scaffolding's are told apart."""
    with pytest.raises(InvalidInput) as caught:
        own_axes("--vary", lines, {"persona": "Use --persona."})
    assert said in str(caught.value)
