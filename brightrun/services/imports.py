"""Imports: existing conversations from a file into the same review, every entry accounted for."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import orjson

from brightrun import saol
from brightrun.domain.bucket import Bucket
from brightrun.domain.conversation import Conversation
from brightrun.domain.enrichment import Record, enrich, final_document
from brightrun.domain.errors import InvalidInput, NotAllowed, NotFound, ObjectExists, StorageFault
from brightrun.domain.ids import ConversationKey, ImportId, parse_uuid
from brightrun.domain.imports import IMPORT_WRITER, Import, ImportLine, Outcome, Told, read_entry
from brightrun.domain.person import Action
from brightrun.domain.quality import assess
from brightrun.domain.scenario import Cast
from brightrun.domain.standard import STANDARD, Standard
from brightrun.domain.template import Prompt
from brightrun.events.event import Event, emit
from brightrun.services.answers import conversation_row, document_keys
from brightrun.services.datasets import Progress
from brightrun.services.entries import Entry, digest_of, entries, require_content
from brightrun.services.rights import needs
from brightrun.services.scenarios import Scenarios
from brightrun.stores import conversations
from brightrun.stores import imports as store

CHUNK = 100
"""Entries that one step takes, all or none."""
MAX_NAME = 255
DELETES = 8
"""So many files are deleted at the same time: over a network each waits for an answer."""

Watch = Callable[[Import], None]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Read:
    """One entry on its way into the database, with the files to write before."""

    line: int
    outcome: Outcome
    reason: str | None = None
    row: dict[str, Any] | None = None
    files: Sequence[tuple[str, bytes]] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "line": self.line,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "conversation": self.row,
        }


class Imports:
    """Takes files in; a broken-off import of the same file and name goes on where it stood."""

    def __init__(
        self,
        db: saol.Database,
        scenarios: Scenarios,
        files: Bucket,
        standard: Standard = STANDARD,
        *,
        after_end: Callable[[Import], object] | None = None,
    ) -> None:
        """`after_end` is told of an import that was taken whole."""
        self._db = db
        self._after_end = after_end
        self._standard = standard
        self._scenarios = scenarios
        self._files = files

    @needs(Action.IMPORT)
    def take(
        self,
        path: Path,
        *,
        actor: str,
        name: str | None = None,
        file_name: str | None = None,
        watch: Watch | None = None,
    ) -> Import:
        """Import a file and return what became of it; raises InvalidInput where the file is of no kind we read.

        Safe to kill and to call again, also in two processes at once: no entry is taken twice.
        """
        shown = Path(file_name or path.name).name[:MAX_NAME]
        title = " ".join((name or shown).replace("\0", "").split())
        if not title or len(title) > MAX_NAME:
            raise InvalidInput(f"An import's name has 1 to {MAX_NAME} characters.", remedy="Give another.")
        digest = digest_of(path)
        require_content(path, shown)
        found = store.open_import(self._db, name=title, file_name=shown, digest=digest, actor=actor)
        for after, chunk in _chunks(entries(path)):
            if after + len(chunk) <= found.entries:
                continue
            found = self._take_chunk(found, after, chunk)
            if watch:
                watch(found)
            if found.status != "processing":
                return found
        done = store.complete(self._db, found.id)
        while conversations.index_texts(self._db, CHUNK):
            pass
        if self._after_end:
            self._after_end(done)
        return done

    @needs(Action.IMPORT)
    def withdraw(self, import_id: ImportId, *, actor: str, progress: Progress | None = None) -> int:
        """Take an import back whole, its files too, and return how many conversations are gone.

        Raises NotFound, and NotAllowed where it is not whole, or somebody has used what it brought.
        """
        found = self.get(import_id)
        told = store.withdraw(self._db, import_id)
        if told["outcome"] == "missing":
            raise NotFound(f"There is no import {import_id}.", remedy="Go back to the list.")
        if told["outcome"] == "open":
            raise NotAllowed(
                "It was broken off, so nothing was removed.",
                remedy="Import the same file under the same name to its end; then withdraw it.",
            )
        if told["outcome"] == "used":
            raise NotAllowed(
                f"{told['used']:,} of its conversations were decided on, corrected, judged, written again or frozen, "
                "so nothing was removed.",
                remedy="Reject what is not to be used: the filter of the review takes the import.",
            )
        emit(Event.IMPORT_WITHDRAWN, import_id=import_id, actor=actor, conversations=found.imported)
        self._delete(told["files"], progress)
        return found.imported

    def page(self, *, limit: int = 50, offset: int = 0) -> list[Import]:
        """Return imports, newest first."""
        return store.page(self._db, limit=limit, offset=offset)

    def get(self, import_id: str) -> Import:
        """Return one import; raises NotFound, or InvalidInput where that is no id."""
        found = store.get(self._db, ImportId(parse_uuid(import_id, "import")))
        if found is None:
            raise NotFound(f"There is no import {import_id}.", remedy="Go back to the list.")
        return found

    def find(self, text: str) -> ImportId:
        """Return the import that a name, an id or an unambiguous beginning of one names; raises NotFound."""
        wanted = text.strip()
        found = store.ids_named(self._db, wanted, limit=6)
        digits = wanted.lower().replace("-", "")
        if not found and 0 < len(digits) <= 32 and all(c in "0123456789abcdef" for c in digits):
            low, high = (parse_uuid(digits.ljust(32, fill), "import") for fill in "0f")
            found = store.ids_between(self._db, low, high, limit=6)
        if not found:
            raise NotFound(f"There is no import {text!r}.", remedy="`brightrun imports` lists them.")
        if len(found) > 1:
            listed = ", ".join(import_id[:13] for import_id in found[:5])
            raise NotFound(
                f"{text!r} fits more than one import: {listed}{'…' if len(found) > 5 else ''}",
                remedy="Give the beginning of one's id.",
            )
        return found[0]

    def lines(
        self, import_id: ImportId, outcome: Outcome, *, limit: int = 100, noted: bool = False
    ) -> list[ImportLine]:
        """Return the entries that became this, in the file's order; `noted` leaves out what nothing is said of."""
        return store.lines(self._db, import_id, outcome, limit=limit, noted=noted)

    def _take_chunk(self, found: Import, after: int, chunk: Sequence[Entry]) -> Import:
        """Take what of a chunk is not taken yet; whoever else did so meanwhile is believed."""
        skip = max(0, found.entries - after)
        read = [
            self._read(found, after + number, entry) for number, entry in enumerate(chunk, 1) if number > skip
        ]
        read = self._without_known(read)
        for entry in read:
            for key, data in entry.files:
                self._put(key, data)
        taken = store.take(self._db, found.id, after + skip, [entry.to_json() for entry in read])
        if taken.conversations is None:
            return self._elsewhere(taken.found, after, chunk)
        for entry in read:
            if entry.row and entry.row.get("conversation_id") not in taken.conversations:
                for key, _ in entry.files:
                    self._files.delete(key)
        return taken.found

    def _elsewhere(self, found: Import, after: int, chunk: Sequence[Entry]) -> Import:
        """Go on behind another process; where it stopped within this chunk, the rest of it is taken here."""
        if found.status == "processing" and after < found.entries < after + len(chunk):
            return self._take_chunk(found, after, chunk)
        return found

    def _read(self, found: Import, number: int, entry: Entry) -> _Read:
        if not entry.raw and not entry.fault:
            return _Read(entry.line, Outcome.BLANK)
        try:
            axes = self._scenarios.keys()
            told = read_entry(entry.read(), axes)
        except InvalidInput as fault:
            remedy = f" {fault.remedy}" if fault.remedy else ""
            return _Read(entry.line, Outcome.REFUSED, f"{fault.message}{remedy}"[:1000])
        key = ConversationKey(str(uuid5(UUID(found.id), str(number))))
        cast = self._scenarios.cast(told.scenario)
        record = _record(found, entry.line, key, told, cast, self._standard)
        raw = f"raw/{found.id}/{number}.json"
        final, enriched = document_keys(key)
        row = conversation_row(record, {"raw_path": raw}) | {
            "writer": IMPORT_WRITER,
            "content_digest": told.digest(),
        }
        files = (
            (raw, entry.raw),
            (final, orjson.dumps(final_document(record))),
            (enriched, orjson.dumps(enrich(record))),
        )
        return _Read(entry.line, Outcome.IMPORTED, told.note, row=row, files=files)

    def _without_known(self, read: Sequence[_Read]) -> list[_Read]:
        """Turn what is here already into duplicates before any of its files is written."""
        digests = [entry.row["content_digest"] for entry in read if entry.row]
        known = store.known(self._db, digests) if digests else set()
        return [
            _Read(entry.line, Outcome.DUPLICATE, row={"content_digest": entry.row["content_digest"]})
            if entry.row and entry.row["content_digest"] in known
            else entry
            for entry in read
        ]

    def _delete(self, keys: Sequence[str], progress: Progress | None) -> None:
        """Delete files that no row names any more; one that stays is told in the log, and in nobody's way."""
        with ThreadPoolExecutor(DELETES, thread_name_prefix="brightrun-delete") as pool:
            for done, fault in enumerate(pool.map(self._deleted, keys), 1):
                if fault is not None:
                    log.warning("a file of a withdrawn import stays: %s", fault)
                if progress:
                    progress(done, len(keys))

    def _deleted(self, key: str) -> StorageFault | None:
        try:
            self._files.delete(key)
        except StorageFault as fault:
            return fault
        return None

    def _put(self, key: str, data: bytes) -> None:
        """Write a file that is the same whenever this entry is read again."""
        is_raw = key.startswith("raw/")
        with suppress(ObjectExists):
            self._files.put(key, data, overwrite=not is_raw, durable=is_raw)


def imported_record(conversation: Conversation, found: Import, cast: Cast, standard: Standard) -> Record:
    """Return what an imported conversation's documents are made of."""
    told = Told(conversation.system, tuple(conversation.turns), conversation.scenario, conversation.model)
    line = conversation.import_line or 0
    return _record(found, line, conversation.key, told, cast, standard, conversation.created_at)


def _record(
    found: Import,
    line: int,
    key: ConversationKey,
    told: Told,
    cast: Cast,
    standard: Standard,
    created_at: datetime | None = None,
) -> Record:
    return Record(
        key=key,
        item_id=None,
        job_id=None,
        created_at=(created_at or datetime.now(UTC)).isoformat(),
        cast=cast,
        prompt=Prompt("", "", told.system, len(told.turns), 0, 0),
        turns=told.turns,
        assessment=assess(told.turns, cast=cast, prompt=None, standard=standard),
        writer=IMPORT_WRITER,
        model=told.model,
        template_key=None,
        template_version=None,
        source={"import_id": found.id, "import": found.name, "file": found.file_name, "line": line},
    )


def _chunks(read: Iterator[Entry]) -> Iterator[tuple[int, list[Entry]]]:
    """Yield entries by the chunk, with how many came before."""
    after = 0
    while chunk := list(islice(read, CHUNK)):
        yield after, chunk
        after += len(chunk)
