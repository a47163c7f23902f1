"""Templates as a person edits them, what is wrong with them, and the file they travel in."""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from brightrun.domain.errors import InvalidInput, TemplateFault
from brightrun.domain.scaffolding import NAMED, Kind, faults_of
from brightrun.domain.scenario import Tier
from brightrun.domain.template import Template, TemplateVersion
from brightrun.domain.text import for_example, without_nul
from brightrun.domain.variable import Variable
from brightrun.services.prompts import BUILT_IN, RESERVED, made_up, render, variables_of

T = TypeVar("T")
FILE_KIND = "brightrun-template"
FILE_FORM = 1
MAX_FILE_BYTES = 1_000_000
MAX_KEY, MAX_NAME, MAX_WORDS = 80, 120, 4000
MAX_TOLD = 5
TEXTS = ("system_text", "user_text", "dataset_system_text")
TRIED = ("a text", "1")
"""What variables are given on trial: a text that neither a word nor a number makes can be made by nothing."""


class TemplateDraft(BaseModel):
    """A template as a person edits it; publishing makes it the next version of its key."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    template_key: str = Field(pattern=r"^[a-z0-9_]+$", max_length=MAX_KEY)
    name: str = Field(min_length=1, max_length=MAX_NAME)
    description: str = ""
    category: str = ""
    tier: Tier = Tier.TEMPLATE
    arc_key: str | None = None
    suitable_personas: tuple[str, ...] = ()
    suitable_topics: tuple[str, ...] = ()
    rating: float = Field(5.0, ge=0, le=10)
    system_text: str = Field(min_length=1, max_length=60_000)
    user_text: str = Field(min_length=1, max_length=60_000)
    dataset_system_text: str = Field("", max_length=20_000)
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    variables: tuple[Variable, ...] = Field((), max_length=200)
    """Its own variables, described."""
    words_min: int = Field(60, ge=1)
    words_max: int = Field(180, ge=1, le=MAX_WORDS)

    @field_validator("*")
    @classmethod
    def _storable(cls, value: T) -> T:
        return without_nul(value)

    @field_validator("arc_key", mode="before")
    @classmethod
    def _no_arc(cls, value: object) -> object:
        return value or None


def problems_of(draft: TemplateDraft) -> list[str]:
    """Say what keeps a draft from being published; an empty list means nothing."""
    found: list[str] = []
    used: set[str] = set()
    for field in TEXTS:
        try:
            used |= variables_of(getattr(draft, field), name=field)
        except TemplateFault as fault:
            found.append(str(fault))
    declared = set(draft.required) | set(draft.optional) | RESERVED
    found += [
        f"{{{{ {name} }}}} is used but not declared.{_meant(name, draft)}" for name in sorted(used - declared)
    ]
    found += [
        f"{name} is declared as required but never used." for name in sorted(set(draft.required) - used)
    ]
    if spare := sorted(set(draft.optional) - used):
        found.append(f"Declared as something it may do without, and never used: {', '.join(spare)}.")
    both = sorted(set(draft.required) & set(draft.optional))
    found += [f"{name} is declared both as needed and as something it may do without." for name in both]
    found += _described(draft)
    found += [] if found else _never_rendered(draft)
    if draft.words_min > draft.words_max:
        found.append("The fewest words are more than the most.")
    return found


def unknown_keys(draft: TemplateDraft, known: Mapping[Kind, Collection[str]]) -> list[str]:
    """Say which arc, personas and topics a draft names that are not there, each with those that look like it."""
    return [
        f"{field}: there is no {kind.value} {key!r}.{_alike(key, known[kind])}"
        for field, kind, keys in _named(draft)
        for key in keys
        if key not in known[kind]
    ]


def draft_of(template: Template, version: TemplateVersion) -> TemplateDraft:
    """Return one version of a template as a draft of its next one."""
    return TemplateDraft(
        template_key=template.template_key,
        name=template.name,
        description=template.description,
        category=template.category,
        tier=template.tier,
        arc_key=template.arc_key,
        suitable_personas=template.suitable_personas,
        suitable_topics=template.suitable_topics,
        rating=template.rating,
        system_text=version.system_text,
        user_text=version.user_text,
        dataset_system_text=version.dataset_system_text,
        required=version.required,
        optional=version.optional,
        variables=version.variables,
        words_min=version.words_min,
        words_max=version.words_max,
    )


def own_variables(version: TemplateVersion) -> list[str]:
    """Return the variables a version reads that Bright Run does not give, in their order."""
    given = {*BUILT_IN, *RESERVED}
    return [name for name in (*version.required, *version.optional) if name not in given]


def to_file(draft: TemplateDraft) -> bytes:
    """Return a draft as the file that `from_file` reads anywhere."""
    held = {"kind": FILE_KIND, "form": FILE_FORM, **draft.model_dump(mode="json")}
    return json.dumps(held, ensure_ascii=False, indent=2).encode() + b"\n"


def from_file(data: bytes, name: str) -> TemplateDraft:
    """Return the draft a file holds; raises InvalidInput naming the field that is wrong."""
    if len(data) > MAX_FILE_BYTES:
        raise InvalidInput(f"{name} has {len(data) / 1e6:.1f} MB; a template's file has at most 1 MB.")
    try:
        held = json.loads(data)
    except (ValueError, RecursionError) as fault:
        raise InvalidInput(f"{name} is not JSON: {fault}.", remedy=_EXPECTED) from fault
    if not isinstance(held, dict) or held.pop("kind", None) != FILE_KIND:
        raise InvalidInput(f"{name} is not a template's file.", remedy=_EXPECTED)
    if held.pop("form", None) != FILE_FORM:
        raise InvalidInput(f"{name} was written by a newer Bright Run.", remedy="Bring this one up to date.")
    try:
        return TemplateDraft.model_validate(held)
    except ValidationError as fault:
        wrong = " ".join(f"{found.placed(found.field)}." for found in faults_of(fault)[:MAX_TOLD])
        raise InvalidInput(f"{name}: {wrong}", remedy="Correct the file; nothing was published.") from fault


_EXPECTED = "Use a file that the Templates page or `brightrun templates export` has written."


def _named(draft: TemplateDraft) -> list[tuple[str, Kind, tuple[str, ...]]]:
    arcs = (draft.arc_key,) if draft.arc_key else ()
    held = [(field, kind, getattr(draft, field, ())) for field, kind in NAMED.items()]
    return [("arc_key", Kind.ARC, arcs), *held]


def _alike(key: str, known: Collection[str]) -> str:
    return f" {for_example(key, sorted(known))}" if known else ""


def _never_rendered(draft: TemplateDraft) -> list[str]:
    """Say which texts fail whatever a scenario holds: every batch would, and what is published stays as it is."""
    found: list[str] = []
    for field in TEXTS:
        told = ""
        for value in TRIED:
            own = dict.fromkeys((*draft.required, *draft.optional), value)
            own |= {one.name: one.default or one.sample(value) for one in draft.variables}
            try:
                render(getattr(draft, field), own | made_up(value), name=field)
            except TemplateFault as fault:
                if fault.variable is not None:  # another value may do
                    break
                told = str(fault)
            else:
                break
        else:
            found.append(told)
    return found


def _described(draft: TemplateDraft) -> list[str]:
    """Say what is wrong with the descriptions: each is of a declared variable that is the template's own."""
    names = [variable.name for variable in draft.variables]
    found = [f"{name} is described twice." for name in sorted({n for n in names if names.count(n) > 1})]
    for name in names:
        if name in {*BUILT_IN, *RESERVED}:
            found.append(f"{name} is described, but Bright Run gives it.")
        elif name not in {*draft.required, *draft.optional}:
            found.append(f"{name} is described, but neither needed nor something it may do without.")
    return found


_FUNCTIONS = frozenset({"range", "dict", "lipsum", "cycler", "joiner", "namespace"})


def _meant(name: str, draft: TemplateDraft) -> str:
    if name in _FUNCTIONS:
        return " Functions are not there: loop over a list or a text."
    known = {*draft.required, *draft.optional, *RESERVED, *BUILT_IN}
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.75)
    return f" Did you mean {close[0]}?" if close else ""
