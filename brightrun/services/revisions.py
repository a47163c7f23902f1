"""Writing a conversation again with a reviewer's feedback: a batch of one that knows its parent."""

from __future__ import annotations

from dataclasses import dataclass, replace

from brightrun import saol
from brightrun.domain.batch import Job, JobOptions, WriterName
from brightrun.domain.conversation import Conversation
from brightrun.domain.errors import InvalidInput
from brightrun.domain.ids import ConversationId, parse_uuid
from brightrun.domain.person import Action
from brightrun.domain.revision import MAX_NOTE, Again, Revision
from brightrun.domain.text import clean
from brightrun.services.batches import Batches
from brightrun.services.plans import AUTO, Plan, Planner
from brightrun.services.rights import needs
from brightrun.services.scenarios import Scenarios
from brightrun.services.templates import Templates
from brightrun.stores import batches as jobs
from brightrun.stores import conversations
from brightrun.stores import revisions as store

DEMO = "demo"


@dataclass(frozen=True, slots=True)
class Wishes:
    """How it is to be written where that is to differ from how the parent was; None means as the parent."""

    writer: WriterName | None = None
    model: str | None = None
    budget: float | None = None
    template: str | None = None


class Revisions:
    """Price, budget, retries and the ledger are those of any batch; nothing here calls a writer."""

    def __init__(
        self,
        db: saol.Database,
        planner: Planner,
        batches: Batches,
        templates: Templates,
        scenarios: Scenarios,
        standard: JobOptions,
    ) -> None:
        """`standard` is how a conversation is written that no batch of ours wrote."""
        self._db = db
        self._planner = planner
        self._batches = batches
        self._templates = templates
        self._scenarios = scenarios
        self._standard = standard

    def plan(self, conversation_id: ConversationId, note: str, wishes: Wishes | None = None) -> Plan:
        """Return the plan of one item that writes a conversation again, with its price.

        The template is the parent's in its newest version. Raises InvalidInput for a note that is empty or
        too long, and for a model without a price.
        """
        wishes = wishes or Wishes()
        said = clean(note).strip()
        if not said:
            raise InvalidInput("There is no feedback.", remedy="Say what should be otherwise.")
        if len(said) > MAX_NOTE:
            raise InvalidInput(f"Feedback may hold {MAX_NOTE:,} characters.", remedy="Shorten it.")
        parent = conversations.get(self._db, ConversationId(parse_uuid(conversation_id, "conversation")))
        if not parent.has_order and not wishes.template:
            raise InvalidInput(
                "It was imported without a scenario: there is no order to write it by again.",
                remedy="Correct its turns instead, or name a template that needs no scenario.",
            )
        turns = tuple((turn.role.value, turn.content) for turn in parent.turns)
        revision = Revision(parent.id, parent.version, said, turns)
        scenario = replace(parent.scenario, revision=revision)
        return self._planner.plan(
            [scenario], self._options(parent, wishes), template=wishes.template or self._template(parent)
        )

    @needs(Action.RUN_BATCH)
    def start(self, plan: Plan, *, actor: str) -> Job:
        """Accept such a plan as a batch of one."""
        title = self._scenarios.title(plan.items[0].scenario) if plan.items else ""
        return self._batches.create(plan, name=f"Again: {title}", actor=actor)

    def of(self, conversation_id: ConversationId) -> list[Again]:
        """Return what was ordered again because of a conversation, newest first."""
        return store.of_parent(self._db, conversation_id)

    def _template(self, parent: Conversation) -> str:
        if parent.template_version_id is None:
            return AUTO
        return self._templates.of_version(self._templates.version(parent.template_version_id)).template_key

    def _options(self, parent: Conversation, wishes: Wishes) -> JobOptions:
        """As the parent was written, but with another seed for each time it is asked for."""
        known = parent.item_id is not None and parent.job_id is not None
        options = jobs.view(self._db, parent.job_id).options if known and parent.job_id else self._standard
        writer = wishes.writer or options.writer
        turns = len(parent.turns) + len(parent.turns) % 2
        if known:
            cast = self._scenarios.cast(replace(parent.scenario, revision=None))
            turns = self._templates.turns_for(cast, options.turns, seed=options.seed)
        return replace(
            options,
            writer=writer,
            model=wishes.model or self._model(writer, options),
            turns=turns,
            seed=options.seed + 1 + len(self.of(parent.id)),
            budget=wishes.budget,
            stop_on_error=False,
        )

    def _model(self, writer: WriterName, options: JobOptions) -> str:
        if writer is WriterName.DEMO:
            return DEMO
        return options.model if options.writer is writer else self._standard.model
