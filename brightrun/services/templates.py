"""Templates: found, chosen by one documented ranking, rendered, published as new versions."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from brightrun import saol
from brightrun.domain.errors import AlreadyDone, InvalidInput, NotFound, TemplateFault
from brightrun.domain.ids import TemplateId, TemplateVersionId
from brightrun.domain.person import Action
from brightrun.domain.scaffolding import Kind
from brightrun.domain.scenario import Cast
from brightrun.domain.template import Choice, Prompt, Template, TemplateVersion
from brightrun.domain.text import is_blank
from brightrun.domain.variable import filled
from brightrun.services.drafts import TemplateDraft, draft_of, problems_of, unknown_keys
from brightrun.services.prompts import RESERVED, cast_variables, render
from brightrun.services.rendering import MAX_PROMPT
from brightrun.services.rights import needs
from brightrun.stores import scaffolding
from brightrun.stores import templates as store

DEFAULT_TURNS = 6
MAX_TURNS_ASKED = 200

__all__ = ["TemplateDraft", "Templates"]


class Templates:
    """Versions never change, so they are read once a process."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db
        self._versions: dict[TemplateVersionId, TemplateVersion] = {}
        self._templates: dict[TemplateId, Template] = {}

    def all(self, *, active_only: bool = True) -> list[Template]:
        """Return templates by key."""
        found = store.all_templates(self._db, active_only=active_only)
        self._templates |= {template.id: template for template in found}
        self._versions |= {template.version.id: template.version for template in found}
        return found

    def find(self, text: str) -> Template:
        """Return the template that a key, a name or an id names; raises NotFound with close matches."""
        wanted = text.strip().lower()
        every = self.all(active_only=False)
        for template in every:
            if wanted in (template.template_key, template.name.lower(), template.id):
                return template
        keys = [template.template_key for template in every]
        close = difflib.get_close_matches(wanted, keys, n=3) or keys
        raise NotFound(f"There is no template {text!r}.", remedy=f"Use `auto` or one of: {', '.join(close)}.")

    def version(self, version_id: TemplateVersionId) -> TemplateVersion:
        """Return one version, current or not; raises NotFound."""
        if version_id not in self._versions:
            self._versions[version_id] = store.version(self._db, version_id)
        return self._versions[version_id]

    def versions(self, template_id: TemplateId) -> list[TemplateVersion]:
        """Return every version of a template, newest first."""
        return store.versions_of(self._db, template_id)

    def of_version(self, version: TemplateVersion) -> Template:
        """Return the template a version belongs to."""
        if version.template_id not in self._templates:
            self.all(active_only=False)
        return self._templates[version.template_id]

    def render(self, version: TemplateVersion, cast: Cast, *, turns: int) -> Prompt:
        """Return the prompt of a scenario; raises TemplateFault or InvalidInput before any call is made."""
        name = self.of_version(version).template_key
        variables = filled(version.variables, cast_variables(cast))
        missing = [v for v in version.required if v not in variables or _is_empty(variables[v])]
        if missing:
            raise TemplateFault(
                f"Template {name} needs {', '.join(missing)}, which the scenario does not have.",
                remedy="Map a column to it, let it vary, pick the axis that gives it, or choose another template.",
                variable=missing[0],
            )
        blanks = dict.fromkeys(version.optional, "")
        revision = cast.scenario.revision
        figures = {"turns": turns, "words_min": version.words_min, "words_max": version.words_max}
        known = blanks | variables | figures
        user = render(version.user_text, known, name=name) + (revision.order() if revision else "")
        if len(user) > MAX_PROMPT:
            raise TemplateFault(
                f"The prompt of {name} would have {len(user):,} characters; {MAX_PROMPT:,} are allowed.",
                remedy="The conversation is too long to be written again as a whole: correct it by hand.",
            )
        return Prompt(
            system=render(version.system_text, known, name=name),
            user=user,
            dataset_system=render(version.dataset_system_text, known, name=name),
            turns=turns,
            words_min=version.words_min,
            words_max=version.words_max,
        )

    def turns_for(self, cast: Cast, asked: int | None, *, seed: int) -> int:
        """Return the messages to ask for: as asked (made even), or within the arc's range by scenario and seed.

        A scenario that says so itself comes before what was asked for all.
        """
        asked = cast.scenario.turns or asked
        if asked is not None:
            if not 1 <= asked <= MAX_TURNS_ASKED:
                raise InvalidInput(
                    f"{asked} turns were asked for.", remedy=f"Ask for 2 to {MAX_TURNS_ASKED}."
                )
            return asked + asked % 2
        if cast.arc is None:
            return DEFAULT_TURNS
        low, high = cast.arc.typical_turn_count_min, cast.arc.typical_turn_count_max
        steps = (high - low) // 2 + 1
        place = (int(cast.scenario.fingerprint()[:8], 16) + seed) % steps
        return low + 2 * place

    def choose(self, cast: Cast, pool: Sequence[Template]) -> Choice:
        """Choose by the one ranking, and say why; raises InvalidInput when nothing fits.

        Tier and arc must fit and every required variable be there. Among those: written for the arc
        before written for any; fitting persona, then fitting topic, before open, before another's;
        then rating, least used, and the key as the last word.
        """
        variables = {name for name, value in cast_variables(cast).items() if value not in ("", ())}
        fitting = [t for t in pool if _fits(t, cast) and not _lacking(t, variables)]
        if not fitting:
            raise InvalidInput(
                _why_none(cast, pool, variables), remedy="Name a template, or add one that fits."
            )
        best = min(fitting, key=lambda template: _rank(template, cast))
        return Choice(best, _reason(best, cast, len(fitting)))

    def problems(self, draft: TemplateDraft) -> list[str]:
        """Say what keeps a draft from being published; an empty list means nothing."""
        return problems_of(draft) + unknown_keys(draft, self._known(draft.template_key))

    def unchanged(self, draft: TemplateDraft) -> Template | None:
        """Return the template whose newest version says the same as a draft; None where anything differs."""
        before = self._by_key(draft.template_key)
        return before if before and draft_of(before, before.version) == draft else None

    @needs(Action.PUBLISH_TEMPLATE)
    def publish(self, draft: TemplateDraft, *, actor: str) -> Template:
        """Write a draft as the next version of its key; raises TemplateFault when it has problems.

        Raises AlreadyDone where the newest version says the same.
        """
        if same := self.unchanged(draft):
            raise AlreadyDone(
                f"Nothing has changed since v{same.version.version}.", remedy="Nothing was published."
            )
        problems = self.problems(draft)
        if problems:
            raise TemplateFault(" ".join(problems), remedy="Nothing was published.")
        template_id = store.publish(self._db, draft.model_dump(mode="json"), actor)
        return next(t for t in self.all(active_only=False) if t.id == template_id)

    @needs(Action.PUBLISH_TEMPLATE)
    def set_active(self, template_id: TemplateId, *, active: bool) -> None:
        """Offer a template or stop offering it; jobs that use it go on."""
        store.set_active(self._db, template_id, active=active)

    def _known(self, template_key: str) -> dict[Kind, set[str]]:
        """Return the keys a draft may name: what is there, and what the version before named already."""
        before = self._by_key(template_key)
        held: dict[Kind, tuple[str, ...]] = {}
        if before is not None:
            held = {Kind.PERSONA: before.suitable_personas, Kind.TOPIC: before.suitable_topics}
        there = {
            Kind.PERSONA: {one.persona_key for one in scaffolding.personas(self._db)},
            Kind.ARC: {one.arc_key for one in scaffolding.emotional_arcs(self._db)},
            Kind.TOPIC: {one.topic_key for one in scaffolding.training_topics(self._db)},
        }
        return {kind: keys | set(held.get(kind, ())) for kind, keys in there.items()}

    def _by_key(self, template_key: str) -> Template | None:
        return next((t for t in self.all(active_only=False) if t.template_key == template_key), None)


def _is_empty(value: object) -> bool:
    return is_blank(value) if isinstance(value, str) else value == ()


def _fits(template: Template, cast: Cast) -> bool:
    arc_key = cast.arc.arc_key if cast.arc else None
    return template.is_active and template.tier is cast.scenario.tier and template.arc_key in (None, arc_key)


def _lacking(template: Template, variables: set[str]) -> set[str]:
    """Return what a template needs, has no default for, and a scenario does not have."""
    defaults = {variable.name for variable in template.version.variables if variable.default}
    return set(template.version.required) - RESERVED - defaults - variables


def _rank(template: Template, cast: Cast) -> tuple[object, ...]:
    return (
        template.arc_key is None,
        -_suits(template.suitable_personas, cast.scenario.persona_key),
        -_suits(template.suitable_topics, cast.scenario.topic_key),
        -template.rating,
        template.usage_count,
        template.template_key,
    )


def _suits(listed: Sequence[str], key: str | None) -> int:
    """1 when listed, 0 when the list is open or there is no key, -1 when others are listed."""
    if not listed or key is None:
        return 0
    return 1 if key in listed else -1


def _reason(template: Template, cast: Cast, fitting: int) -> str:
    named = cast.arc.name if cast.arc and cast.arc.arc_key == template.arc_key else template.arc_key
    arc = f"written for {named}" if named else "written for any arc"
    tier = template.tier.value.replace("_", " ")
    return f"{template.template_key}: {arc}, tier {tier}, rating {template.rating:g}; best of {fitting} that fit."


def _why_none(cast: Cast, pool: Sequence[Template], variables: set[str]) -> str:
    arc = cast.arc.name if cast.arc else "no arc"
    near = [t for t in pool if _fits(t, cast)]
    if near:
        lacking = {t.template_key: sorted(_lacking(t, variables)) for t in near}
        listed = "; ".join(f"{key} needs {', '.join(names)}" for key, names in lacking.items())
        return f"No template can be filled: {listed}."
    return f"No template fits {arc} in the tier {cast.scenario.tier.value.replace('_', ' ')}."
