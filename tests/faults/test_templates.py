"""Templates that mean harm: whatever they try, the app goes on, soon and with its memory."""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Callable
from contextlib import suppress

import pytest

from brightrun.domain.errors import TemplateFault
from brightrun.services.prompts import render, variables_of

FUZZED = int(os.environ.get("BRIGHTRUN_TEMPLATES", "200"))
SEED = int(os.environ.get("BRIGHTRUN_FAULT_SEED", "20261125"))
SECONDS = 5.0
MEGABYTES = 200
VALUES = {
    "scenario": "A tenant asks about a leak. " * 20,
    "persona_name": "Ana",
    "topics": ("rent", "repair"),
    "facts": {"age": "40", "city": "Graz"},
}
HOSTILE = {
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "class by filter": "{{ ''|attr('__class__') }}",
    "class by item": "{{ scenario['__class__'] }}",
    "globals": "{{ scenario.__init__.__globals__ }}",
    "self": "{{ self._TemplateReference__context }}",
    "format": "{{ '{0.__class__}'.format(scenario) }}",
    "map attribute": "{{ topics|map(attribute='__class__')|list }}",
    "namespace": "{% set ns = namespace(x=1) %}{{ ns.__class__ }}",
    "import": "{% import 'os' as os %}{{ os }}",
    "include": "{% include '/etc/passwd' %}",
    "extends": "{% extends 'base' %}",
    "mutation": "{{ facts.update({'age': 1}) }}",
    "long range": "{% for x in range(10**9) %}x{% endfor %}",
    "nested loops": "{% for a in scenario %}{% for b in scenario %}{% for c in scenario %}{% for d in scenario %}"
    "{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
    "endless filter": "{% for a in scenario %}{% for b in scenario %}{{ scenario|wordcount and '' }}{% endfor %}"
    "{% endfor %}" * 40,
    "giant string": "{{ 'x' * 10**10 }}",
    "giant join": "{{ (scenario * 20000)|list|join('x' * 5000) }}",
    "giant power": "{{ 9**(9**9) }}",
    "giant centre": "{{ 'x'|center(10**10) }}",
    "giant format": "{{ '%2000000000d'|format(1) }}",
    "doubling": "{% set a = scenario %}" + "{% set a = a ~ a %}" * 60 + "{{ a }}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "deep brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "deep ifs": "{% if 1 %}" * 3000 + "{% endif %}" * 3000,
    "lorem": "{{ lipsum(n=100000) }}",
    "long output": "{% for a in scenario %}" + "x" * 5000 + "{% endfor %}",
    "regex": "{{ ('a' * 40)|urlize|striptags }}" * 200,
}
HARMLESS = {"regex": "aaaa", "map attribute": "[Undefined, Undefined]"}
"""What is within its limits may be done: nothing but this comes of it."""


@pytest.fixture
def measured() -> Callable[[Callable[[], object]], None]:
    def run(work: Callable[[], object]) -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.monotonic()
        work()
        assert time.monotonic() - started < SECONDS
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        assert grown < MEGABYTES, f"{grown:.0f} MB"

    return run


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_an_error_and_no_more(
    name: str, measured: Callable[[Callable[[], object]], None]
) -> None:
    """Escapes, endless work and giant texts end as a sentence within seconds; looking for variables does too."""
    text = HOSTILE[name]

    def try_it() -> None:
        if name in HARMLESS:
            assert HARMLESS[name] in render(text, VALUES, name="mine")
            return
        with pytest.raises(TemplateFault) as caught:
            render(text, VALUES, name="mine")
        assert str(caught.value).startswith("Template mine")

    def look() -> None:
        with suppress(TemplateFault):
            variables_of(text, name="mine")

    measured(try_it)
    measured(look)
    loop = "{% for t in topics %}{{ t }}{% endfor %}"
    assert render(loop, VALUES, name="next") == "rentrepair", "the next one is rendered"


def test_a_loop_within_its_limits_is_rendered() -> None:
    """Loops, macros and assignments work as Jinja2 says; only what takes too much is refused."""
    text = "{% for t in topics %}{{ loop.index }}. {{ t }}{{ '; ' if not loop.last }}{% endfor %}"
    assert render(text, VALUES, name="mine") == "1. rent; 2. repair"
    assert render("{% set a = 'b' %}{{ a * 3 }}", VALUES, name="mine") == "bbb"
    assert variables_of("{% for t in topics %}{{ t }}{{ more }}{% endfor %}") == {"topics", "more"}
    with pytest.raises(TemplateFault, match="'missing' is undefined") as caught:
        render("{% for t in topics %}{{ missing }}{% endfor %}", VALUES, name="mine")
    assert caught.value.variable == "missing"


def test_fuzzed_templates_end_as_text_or_as_an_error() -> None:
    """Random pieces of Jinja2 in random order never crash the app, hold it up or fill its memory."""
    pieces = [
        *(
            "{{ ",
            " }}",
            "{% ",
            " %}",
            "for x in ",
            "if ",
            "endfor",
            "endif",
            "else",
            "set a = ",
            "macro m(x)",
            "endmacro",
        ),
        *(
            "scenario",
            "topics",
            "facts",
            "x",
            "loop",
            "range(9**9)",
            "range(50)",
            "'y'",
            "*",
            "**",
            "~",
            "|",
            "10**8",
        ),
        *(
            "join",
            "list",
            "length",
            "upper",
            "replace('a', 'b' * 10**6)",
            "center(10**9)",
            "(",
            ")",
            "[",
            "]",
            ".",
            "9",
        ),
        *(
            "__class__",
            "is defined",
            "in",
            "not",
            "\n",
            "word ",
            "{# ",
            " #}",
            "{%- ",
            " -%}",
            "call ",
            "filter upper",
        ),
    ]
    chosen = random.Random(SEED)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    longest, rendered = 0.0, 0
    for number in range(FUZZED):
        whole = (
            number % 2 and "{% for x in range(30) %}{{ " + chosen.choice(pieces[12:37]) + " }}{% endfor %}"
        )
        text = whole or "".join(chosen.choice(pieces) for _ in range(chosen.randint(1, 25)))
        started = time.monotonic()
        try:
            render(text, VALUES, name="mine")
            rendered += 1
        except TemplateFault:
            continue
        finally:
            longest = max(longest, time.monotonic() - started)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"{FUZZED:,} templates: {rendered:,} rendered, the longest took {longest:.2f} s, {grown:.0f} MB grown"
    )
    assert rendered > FUZZED / 50
    assert longest < SECONDS
    assert grown < MEGABYTES
