"""Stored answers read again, for nothing: after the parser or a rule has improved."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from brightrun import saol
from brightrun.domain.batch import Assignment, JobOptions
from brightrun.domain.conversation import EnrichmentStatus
from brightrun.domain.enrichment import Record
from brightrun.domain.errors import AnswerFault, InvalidInput, NotAllowed
from brightrun.domain.ids import ConversationId, ItemId, JobId
from brightrun.domain.person import Action
from brightrun.services.answers import Answers, conversation_row, document_keys, raw_key
from brightrun.services.rights import needs
from brightrun.services.spool import Spool
from brightrun.stores import answers as store
from brightrun.stores import batches, conversations
from brightrun.stores.answers import StoredAnswer

PAGE = 200


class Found(StrEnum):
    """What an item's stored answer was found to be."""

    COMPLETED = "completed"
    """The item had failed, and is a conversation now."""
    RESCORED = "rescored"
    """Its conversation reads or scores otherwise now."""
    SAME = "same"
    """Its conversation is as it would be written today."""
    DECIDED = "decided"
    """A person has decided on its conversation, which is left as they saw it."""
    CORRECTED = "corrected"
    """A person has corrected its conversation, which is left as they wrote it."""
    USELESS = "useless"
    """Its answer is still of no use."""
    CHANGED = "changed"
    """Somebody changed or retried it meanwhile: it is left to them."""
    MISSING = "missing"
    """No bytes of it are stored, or it was deleted."""


WORDS = {
    Found.COMPLETED: "failed items completed",
    Found.RESCORED: "conversations scored anew",
    Found.SAME: "as they were",
    Found.DECIDED: "left as decided",
    Found.CORRECTED: "left as corrected",
    Found.USELESS: "still of no use",
    Found.CHANGED: "changed meanwhile",
    Found.MISSING: "without a stored answer",
}


@dataclass(frozen=True, slots=True)
class Reread:
    """One item after its answer was read again."""

    item_id: ItemId
    found: Found
    message: str = ""
    """Why it is still of no use; what is wrong with a conversation that a person has decided on."""


class Reparsing:
    """Nothing is called and nothing is paid; what is interrupted is simply done again."""

    def __init__(self, db: saol.Database, answers: Answers, spool: Spool, *, page: int = PAGE) -> None:
        self._db = db
        self._answers = answers
        self._spool = spool
        self._page = page

    @needs(Action.REPARSE)
    def reparse_item(self, item_id: ItemId, *, actor: str) -> Reread:
        """Read one item's stored answers again, newest first; raises NotAllowed where there is none."""
        answers = store.of_item(self._db, item_id)
        if not answers:
            raise NotAllowed("The item has no stored answer.", remedy="Retry it, which calls and pays again.")
        done = self._reread(answers, batches.view(self._db, answers[0].job_id).options)
        store.note(self._db, answers[0].job_id, f"Stored answer read again by {actor}: {WORDS[done.found]}")
        return done

    @needs(Action.REPARSE)
    def reparse_job(self, job_id: JobId, *, actor: str) -> Iterator[Reread]:
        """Read every stored answer of a job again, one item a step, so that progress can be shown."""
        options = batches.view(self._db, job_id).options
        counts: Counter[Found] = Counter()
        for answers in self._by_item(job_id):
            done = self._reread(answers, options)
            counts[done.found] += 1
            yield done
        store.note(self._db, job_id, f"Stored answers read again by {actor}: {summary(counts)}")

    def _by_item(self, job_id: JobId) -> Iterator[list[StoredAnswer]]:
        """Yield the answers item by item; a page's last item is left to the next page, which has all of it."""
        after, limit = 0, self._page
        while True:
            rows = store.of_job(self._db, job_id, after=after, limit=limit)
            items = [list(group) for _, group in itertools.groupby(rows, lambda row: row.position)]
            if len(rows) < limit:
                yield from items
                return
            if len(items) == 1:
                limit *= 2  # one item with more answers than a page holds
                continue
            yield from items[:-1]
            after, limit = items[-2][0].position, self._page

    def _reread(self, answers: Sequence[StoredAnswer], options: JobOptions) -> Reread:
        """Take the first answer of an item that is of use."""
        worst = Reread(answers[0].item_id, Found.MISSING)
        for answer in answers:
            assignment = Assignment(
                answer.item_id,
                answer.job_id,
                answer.scenario,
                answer.template_version_id,
                options,
                answer.created_at or answer.started_at,
            )
            key = answer.raw_path or raw_key(assignment, answer.number)
            body = self._spool.find(key)
            if body is None:
                continue
            ledger: dict[str, object] = {"number": answer.number, "outcome": "stored", "raw_path": key}
            try:
                record = self._answers.read(assignment, self._answers.asked(assignment), body, ledger)
            except (AnswerFault, InvalidInput) as fault:
                if worst.found is Found.MISSING:
                    worst = Reread(answer.item_id, Found.USELESS, str(fault))
                continue
            return self._record(answer, record, ledger)
        return worst

    def _record(self, answer: StoredAnswer, record: Record, ledger: dict[str, object]) -> Reread:
        """Write what was read, and its documents once the row is there: they must never be older than it."""
        row = conversation_row(record, ledger) | {"enrichment_status": EnrichmentStatus.NOT_STARTED.value}
        conversation_id = answer.conversation_id
        if conversation_id is None:
            outcome, conversation_id = store.reparse(self._db, answer, ledger, row)
        else:
            outcome = store.rescore(self._db, answer, row)
        found = Found(outcome)
        if found in (Found.COMPLETED, Found.RESCORED):
            assert conversation_id
            self._write_documents(conversation_id, record)
        message = ""
        if found is Found.DECIDED and record.assessment.blockers:
            message = f"It was decided on, and a rule would block it: {record.assessment.blockers[0].message}"
        return Reread(answer.item_id, found, message)

    def _write_documents(self, conversation_id: ConversationId, record: Record) -> None:
        self._answers.store_documents(record)
        _, enriched = document_keys(record.key)
        conversations.set_enrichment(self._db, conversation_id, EnrichmentStatus.COMPLETED, path=enriched)


def summary(counts: Counter[Found]) -> str:
    """Return what was found in one sentence."""
    told = [f"{counts[found]:,} {WORDS[found]}" for found in Found if counts[found]]
    return ", ".join(told) or "there is none"
