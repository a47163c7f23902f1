"""What was spent: by item, job, template version and model, and for each approved conversation."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC

from brightrun import saol
from brightrun.domain.cost import JobCost, LedgerEntry, VersionCost
from brightrun.domain.errors import InvalidInput
from brightrun.domain.ids import ItemId, JobId, TemplateId
from brightrun.domain.price import Price, price_for, saving_of
from brightrun.stores import costs as store
from brightrun.stores import prices


class Costs:
    """Looks at the ledger; nothing here is kept up to date at each step."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db

    def of_job(self, job_id: JobId) -> JobCost:
        """Return everything about the money of one job; raises NotFound."""
        return store.of_job(self._db, job_id)

    def by_version(self, *, template_id: TemplateId | None = None) -> list[VersionCost]:
        """Return what each template version cost with each model, dearest first."""
        return store.by_version(self._db, template_id=template_id)

    def ledger(self, item_id: ItemId) -> list[LedgerEntry]:
        """Return every call that was made for one item, with what caching spared."""
        entries = store.ledger(self._db, item_id)
        if not any(e.usage.cache_read_tokens or e.usage.cache_write_tokens for e in entries):
            return entries
        known = prices.all_prices(self._db)
        return [replace(entry, saved_usd=_saved(entry, known)) for entry in entries]


def _saved(entry: LedgerEntry, known: list[Price]) -> float:
    usage = entry.usage
    if entry.started_at is None or not (usage.cache_read_tokens or usage.cache_write_tokens):
        return 0.0
    total = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    day = entry.started_at.astimezone(UTC).date()
    try:
        return saving_of(usage, price_for(known, entry.model, on=day, input_tokens=total))
    except InvalidInput:
        return 0.0  # its price was removed since; the cost on record stays what it was
