"""Rendering text with Jinja2: sandboxed, strict about what is undefined, and never longer than allowed.

This module is all that a cell (see `cell`) imports, so it knows nothing of the rest of Bright Run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2 import Template as Compiled
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_PROMPT = 256_000
"""Characters a text may render to."""
PLAIN_FILTERS = frozenset(
    [
        "capitalize",
        "count",
        "d",
        "default",
        "first",
        "float",
        "int",
        "join",
        "last",
        "length",
        "lower",
        "round",
        "string",
        "title",
        "trim",
        "upper",
    ]
)
PLAIN_TESTS = frozenset(
    ["defined", "undefined", "none", "string", "number", "mapping", "sequence", "boolean"]
)
LONGEST_CONSTANT = 200
"""In a filter's argument, which a list repeats."""
_PLAIN_NODES = (
    *(nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.If, nodes.CondExpr),
    *(nodes.Compare, nodes.Operand, nodes.Not, nodes.And, nodes.Or),
)
FAULTS = (
    SecurityError,
    TemplateError,
    TypeError,
    ValueError,
    ArithmeticError,
    LookupError,
    MemoryError,
    RecursionError,
)


class TooLong(ValueError):
    """A text renders to more than is allowed."""


def _environment() -> ImmutableSandboxedEnvironment:
    """No loader, so nothing is included; no globals, so nothing can be called."""
    made = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    made.globals.clear()
    return made


_ENVIRONMENT = _environment()


def parsed(text: str) -> nodes.Template:
    """Return the syntax tree of a text; raises TemplateSyntaxError with its line."""
    return _ENVIRONMENT.parse(text)


@lru_cache(maxsize=256)
def is_plain(text: str) -> bool:
    """Whether rendering takes time and room that only grow with the text and its values.

    No loop, no macro, no assignment, no arithmetic, and only filters that make little of much. Everything
    else may be harmless too, but nobody can know that without trying it.
    """
    return all(_is_plain(node) for node in _walk(parsed(text)))


def finished(text: str, variables: Mapping[str, Any]) -> str:
    """Return the rendered text; raises one of FAULTS."""
    parts: list[str] = []
    length = 0
    for part in _compiled(text).generate(variables):
        length += len(part)
        if length > MAX_PROMPT:
            raise TooLong(f"it renders to more than {MAX_PROMPT:,} characters")
        parts.append(part)
    return "".join(parts).strip()


def names(text: str) -> set[str]:
    """Return the variables a text reads; works out constants, so for one that is not plain only in a cell."""
    return set(meta.find_undeclared_variables(parsed(text)))


def told(fault: Exception) -> tuple[str, str | None]:
    """Return what went wrong in one sentence's worth of words, and the variable it is about.

    The variable is empty where another value of one might do, and None where the text itself is at fault.
    """
    if isinstance(fault, UndefinedError):
        message = str(fault.message)
        parts = message.split("'")
        return message, parts[1] if len(parts) > 2 else ""
    if isinstance(fault, TemplateSyntaxError):
        return f"line {fault.lineno}: {fault.message}", None
    if isinstance(fault, MemoryError):
        return "it takes more memory than it may", None
    if isinstance(fault, RecursionError):
        return "it calls itself too often", None
    depends = isinstance(fault, ValueError | LookupError | ArithmeticError)
    return str(fault) or type(fault).__name__, "" if depends else None


@lru_cache(maxsize=256)
def _compiled(text: str) -> Compiled:
    return _ENVIRONMENT.from_string(text)


def _walk(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _walk(child)


def _is_plain(node: nodes.Node) -> bool:
    if isinstance(node, nodes.Filter):
        arguments = [*node.args, *(pair.value for pair in node.kwargs)]
        return (
            node.name in PLAIN_FILTERS
            and node.dyn_args is node.dyn_kwargs is None
            and all(isinstance(a, nodes.Const) and len(str(a.value)) <= LONGEST_CONSTANT for a in arguments)
        )
    if isinstance(node, nodes.Keyword):
        return True
    if isinstance(node, nodes.Test):
        return node.name in PLAIN_TESTS and not node.args
    if isinstance(node, nodes.Getattr):
        return not node.attr.startswith("_")
    if isinstance(node, nodes.Getitem):
        return isinstance(node.arg, nodes.Const)
    return isinstance(node, _PLAIN_NODES)
