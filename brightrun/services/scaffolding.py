"""Scaffolding: personas, emotional arcs and topics edited, brought from a table and taken along as one."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

from pydantic import ValidationError

from brightrun import saol
from brightrun.domain.errors import Conflict, InvalidInput, NotFound
from brightrun.domain.person import Action
from brightrun.domain.scaffolding import (
    DRAFTS,
    NAMED,
    Draft,
    Kind,
    faults_of,
    key_of,
    lines_of,
    pairs_of,
    text_of,
)
from brightrun.domain.scenario import EmotionalArc, Persona, Topic
from brightrun.domain.spreadsheet import BYTE_ORDER_MARK, cell, unguarded
from brightrun.domain.text import for_example
from brightrun.services.rights import needs
from brightrun.services.scenarios import Scenarios
from brightrun.services.sheets import Sheet, read_sheet
from brightrun.stores import scaffolding as store

MAX_ERRORS = 20
DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+")
TRUTHS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}


class Removal(StrEnum):
    """What became of what was to be taken away."""

    REMOVED = "removed"
    """Nothing used it, and it is gone."""
    DEACTIVATED = "deactivated"
    """It is used, so it stays readable and is not offered any more."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a file would do to the scaffolding."""

    drafts: Sequence[Draft]
    before: Sequence[Draft]
    """Those of them that are there, as they are."""
    new: Sequence[str]
    changed: Sequence[str]
    same: Sequence[str]
    notes: Sequence[str] = ()


class Scaffolding:
    """Whatever changes here is read again at once by this process; what waits is written with it."""

    def __init__(self, db: saol.Database, scenarios: Scenarios) -> None:
        self._db = db
        self._scenarios = scenarios

    def all(self, kind: Kind) -> list[Draft]:
        """Return everything of a kind, offered or not, by key."""
        axes = self._scenarios.axes(active_only=False)
        every: dict[Kind, Sequence[Persona | EmotionalArc | Topic]] = {
            Kind.PERSONA: axes.personas,
            Kind.ARC: axes.arcs,
            Kind.TOPIC: axes.topics,
        }
        fields = DRAFTS[kind].model_fields
        return [
            DRAFTS[kind].model_construct(**{n: v for n, v in asdict(one).items() if n in fields})
            for one in every[kind]
        ]

    def uses(self, kind: Kind) -> Counter[str]:
        """Return how many items, imports, templates and other scaffolding use each key."""
        return Counter(store.uses(self._db, kind))

    @needs(Action.EDIT_SCAFFOLDING)
    def save(self, kind: Kind, drafts: Sequence[Draft], *, seen: Sequence[Draft] = ()) -> int:
        """Write drafts by their keys, all or none, over those that are as they were `seen`; the others are new.

        Raises InvalidInput where one names a key that is not there, and Conflict where one was changed since, or a
        new one has a key that is taken.
        """
        self._require_known(kind, drafts)
        data = store.save(self._db, kind, _held(drafts), _held(seen))
        self._scenarios.refresh()
        if data["outcome"] == "taken":
            raise Conflict(
                f"There is a {kind.value} {data['key']!r} already; nothing was saved.",
                remedy="Choose it to change it, or give another key.",
            )
        if data["outcome"] == "changed":
            raise Conflict(
                f"Somebody has changed the {kind.value} {data['key']!r} since you opened it; nothing was saved.",
                remedy="Keep what you typed elsewhere, load the page again, and put it in.",
            )
        return int(data["saved"])

    @needs(Action.EDIT_SCAFFOLDING)
    def offer(self, kind: Kind, key: str, *, active: bool) -> None:
        """Offer one, or stop offering it; raises NotFound."""
        draft = self._find(kind, key)
        self.save(kind, [draft.model_copy(update={"is_active": active})], seen=[draft])

    @needs(Action.EDIT_SCAFFOLDING)
    def remove(self, kind: Kind, key: str) -> tuple[Removal, int]:
        """Take one away, or stop offering it while it is used; returns that and its uses. Raises NotFound."""
        data = store.remove(self._db, kind, key)
        if data["outcome"] == "missing":
            self._find(kind, key)
        self._scenarios.refresh()
        return Removal(data["outcome"]), int(data["uses"])

    def to_csv(self, kind: Kind) -> bytes:
        """Return everything of a kind as a table that `from_csv` reads and a spreadsheet opens harmlessly."""
        return to_csv(kind, self.all(kind))

    def from_csv(self, kind: Kind, data: bytes, name: str) -> Change:
        """Say what a table would change; raises InvalidInput naming row and column of what is wrong."""
        sheet = read_sheet(data, name)
        before = {key_of(draft): draft for draft in self.all(kind)}
        drafts = _drafts(kind, sheet, before)
        self._require_known(kind, drafts, sheet.lines)
        new = [key_of(draft) for draft in drafts if key_of(draft) not in before]
        known = [draft for draft in drafts if key_of(draft) in before]
        changed = [key_of(draft) for draft in known if _differs(before[key_of(draft)], draft)]
        same = [key_of(draft) for draft in known if key_of(draft) not in changed]
        notes = (*sheet.notes, *_namesakes(drafts, before))
        return Change(drafts, [before[key_of(draft)] for draft in known], new, changed, same, notes)

    def _find(self, kind: Kind, key: str) -> Draft:
        every = {key_of(draft): draft for draft in self.all(kind)}
        if key not in every:
            raise NotFound(f"There is no {kind.value} {key!r}.", remedy=for_example(key, every))
        return every[key]

    def _require_known(self, kind: Kind, drafts: Sequence[Draft], lines: Sequence[int] = ()) -> None:
        """Raise InvalidInput where a draft names what is not there; `lines` are theirs in a table."""
        known = {other: {key_of(draft) for draft in self.all(other)} for other in Kind}
        known[kind] |= {key_of(draft) for draft in drafts}
        places = [f"Line {line}, " for line in lines] or [""] * len(drafts)
        wrong = [
            f"{place}{key_of(draft)}, column {field}: there is no {other.value} {key!r}."
            for draft, place in zip(drafts, places, strict=True)
            for field, other in NAMED.items()
            for key in getattr(draft, field, ())
            if key not in known[other]
        ]
        _refuse(wrong)


def _namesakes(drafts: Sequence[Draft], before: Mapping[str, Draft]) -> list[str]:
    """Say where a new key has the name of one that is there: a key that was changed makes a second one."""
    named = {str(draft.model_dump()["name"]): key for key, draft in before.items()}
    return [
        f"{key_of(draft)} is new and has the name of {named[name]}, which stays as it is: a changed key is another one."
        for draft in drafts
        if key_of(draft) not in before and (name := str(draft.model_dump()["name"])) in named
    ]


def to_csv(kind: Kind, drafts: Sequence[Draft]) -> bytes:
    """Return drafts as a table: one a row, what is a list with one thing a line in its cell."""
    fields = list(DRAFTS[kind].model_fields)
    lines = [",".join(map(cell, fields))]
    lines += [",".join(cell(_text(getattr(draft, field))) for field in fields) for draft in drafts]
    return BYTE_ORDER_MARK + "".join(f"{line}\r\n" for line in lines).encode()


def _held(drafts: Sequence[Draft]) -> list[dict[str, object]]:
    return [draft.model_dump(mode="json") for draft in drafts]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return text_of(value)


def _drafts(kind: Kind, sheet: Sheet, before: Mapping[str, Draft]) -> list[Draft]:
    """Return what the rows say; what the table has no column for is as before, and the default where it is new."""
    _require_columns(kind, sheet, before)
    drafts: list[Draft] = []
    wrong: list[str] = []
    seen: dict[str, int] = {}
    for line, row in zip(sheet.lines, sheet.rows, strict=True):
        try:
            draft = _draft(kind, _cells(sheet, row), before)
        except ValidationError as fault:
            wrong += [f"Line {line}, {found.placed(f'column {found.field}')}." for found in faults_of(fault)]
            continue
        key = key_of(draft)
        if key in seen:
            wrong.append(f"Line {line}, column {kind.key}: {key!r} stands in line {seen[key]} already.")
        seen.setdefault(key, line)
        drafts.append(draft)
    _refuse(wrong)
    return drafts


def _cells(sheet: Sheet, row: Sequence[str]) -> dict[str, str]:
    return {column: unguarded(text) for column, text in zip(sheet.columns, row, strict=True)}


def _draft(kind: Kind, cells: Mapping[str, str], before: Mapping[str, Draft]) -> Draft:
    """Return one row as a draft; raises ValidationError for what its cells hold."""
    held = before.get(cells[kind.key].strip())
    kept = {} if held is None else {n: v for n, v in held.model_dump().items() if n not in cells}
    known = {name: _value(kind, name, _text(value)) for name, value in kept.items()}
    said = {name: _value(kind, name, text) for name, text in cells.items()}
    return DRAFTS[kind].model_validate(known | said).model_copy(update=kept)


def _require_columns(kind: Kind, sheet: Sheet, before: Mapping[str, Draft]) -> None:
    """Raise InvalidInput for a column that is unknown, or lacking; only what is new needs more than its key."""
    fields = list(DRAFTS[kind].model_fields)
    for column in sheet.columns:
        if column not in fields:
            close = difflib.get_close_matches(column, fields, n=1)
            raise InvalidInput(
                f"{sheet.name}: {kind.value}s have no column {column!r}.",
                remedy=f"Did you mean {close[0]}?" if close else f"There are: {', '.join(fields)}.",
            )
    needed = [name for name, field in DRAFTS[kind].model_fields.items() if field.is_required()]
    missing = [name for name in needed if name not in sheet.columns]
    if kind.key in missing or (missing and _has_new(kind, sheet, before)):
        raise InvalidInput(
            f"{sheet.name} lacks the column {', '.join(missing)}.", remedy="Export once, and begin from that."
        )


def _has_new(kind: Kind, sheet: Sheet, before: Mapping[str, Draft]) -> bool:
    return any(_cells(sheet, row)[kind.key].strip() not in before for row in sheet.rows)


def _value(kind: Kind, name: str, text: str) -> object:
    """Return what a cell means: a list a line each, a mapping `name: value` a line, yes or no; empty is the default."""
    field = DRAFTS[kind].model_fields[name]
    default = field.get_default(call_default_factory=True)
    if not text.strip() and not field.is_required():
        return default
    if field.annotation is float and DECIMAL_COMMA.fullmatch(text.strip()):
        return text.strip().replace(",", ".")
    if isinstance(default, bool):
        return TRUTHS.get(text.strip().lower(), text)
    if isinstance(default, tuple):
        return lines_of(text)
    if isinstance(default, dict):
        return pairs_of(text)
    return text.strip()


def _differs(before: Draft, after: Draft) -> bool:
    return before.model_dump(mode="json") != after.model_dump(mode="json")


def _refuse(wrong: Sequence[str]) -> None:
    if wrong:
        listed = list(wrong[:MAX_ERRORS])
        if len(wrong) > MAX_ERRORS:
            listed.append(f"{len(wrong) - MAX_ERRORS} more.")
        raise InvalidInput("\n".join(listed), remedy="Correct it; nothing was saved.")
