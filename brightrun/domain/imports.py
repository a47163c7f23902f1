"""Imports: conversations from a file, read from the shapes that are in use, each entry accounted for."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from brightrun.domain.conversation import MAX_TURNS, Role, Turn
from brightrun.domain.errors import InvalidInput
from brightrun.domain.ids import ConversationId, ImportId
from brightrun.domain.scenario import Scenario, Tier
from brightrun.domain.text import UNSTORABLE, clean, counted, is_storable

IMPORT_WRITER = "import"
"""Who wrote an imported conversation, in the place where a batch names its writer."""
UNKNOWN_MODEL = "not given"
MAX_VARIABLES = 50
MAX_VARIABLE = 4000

_ROLES = {
    "user": Role.USER,
    "human": Role.USER,
    "assistant": Role.ASSISTANT,
    "gpt": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
}
_TALK = frozenset({"messages", "conversations", "conversation", "instruction", "input", "output", "history"})
_KEYS = {
    "persona": ("persona_key", "persona"),
    "arc": ("arc_key", "emotional_arc", "arc"),
    "topic": ("topic_key", "training_topic", "topic"),
}
REMEDY = (
    "Read are `messages` with role and content, `conversations` with from and value, and `instruction` with `output`, "
    "each entry a whole conversation."
)
NAMED = 6
"""Fields of an entry that are named where none of them is read."""


class Outcome(StrEnum):
    """What became of one entry of a file."""

    IMPORTED = "imported"
    REFUSED = "refused"
    DUPLICATE = "duplicate"
    BLANK = "blank"


@dataclass(frozen=True, slots=True)
class Import:
    """One file taken in, and how far it is."""

    id: ImportId
    name: str
    file_name: str
    status: str
    """`processing` or `completed`."""
    entries: int
    imported: int
    refused: int
    duplicates: int
    blank: int
    created_by: str
    created_at: datetime
    completed_at: datetime | None

    @property
    def unit(self) -> str:
        """What its entries are counted by: in a JSON list by their place, in any other file by their line."""
        return "entry" if self.file_name.lower().removesuffix(".gz").endswith(".json") else "line"

    def told(self, line: ImportLine) -> str:
        """Return what is said of an entry; the database calls the place of another one in this file its line."""
        return re.sub(r"is line (\d+) of this file", rf"is {self.unit} \1 of this file", line.reason or "")


@dataclass(frozen=True, slots=True)
class ImportLine:
    """One entry of a file: where it begins, what became of it, and why."""

    line: int
    outcome: Outcome
    reason: str | None
    conversation_id: ConversationId | None
    """What it became, or for a duplicate the conversation that was first."""


@dataclass(frozen=True, slots=True)
class Told:
    """A conversation as an entry tells it."""

    system: str
    turns: tuple[Turn, ...]
    scenario: Scenario
    model: str
    note: str | None = None
    """What had to be changed in its text to keep it; None where nothing was."""

    def digest(self) -> str:
        """Return a hash that two conversations share exactly when they say the same."""
        said = [self.system.strip(), *([t.role.value, t.content.strip()] for t in self.turns)]
        return hashlib.sha256(json.dumps(said, ensure_ascii=False).encode()).hexdigest()


def read_entry(entry: Any, known: Mapping[str, Collection[str]]) -> Told:
    """Return the conversation of one entry; raises InvalidInput saying why it is none.

    `known` names the keys of personas, arcs and topics there are; other values become variables.
    """
    if isinstance(entry, list):
        entry = {"messages": entry}
    if not isinstance(entry, Mapping):
        raise InvalidInput("It is no object.", remedy=REMEDY)
    system, turns = _talk(entry)
    if not turns:
        raise InvalidInput("It has no turns.", remedy=REMEDY)
    if len(turns) > MAX_TURNS:
        raise InvalidInput(f"It has {len(turns):,} turns; {MAX_TURNS} are allowed.")
    model = entry.get("model")
    return Told(
        system,
        tuple(turns),
        _scenario(entry, known),
        clean(model).strip()[:200] or UNKNOWN_MODEL if isinstance(model, str) else UNKNOWN_MODEL,
        _note(entry),
    )


def _note(entry: Any) -> str | None:
    """Say what no database and no trainer can hold and is therefore not as the file has it; None for nothing."""
    odd = [found for text in _texts(entry) if not is_storable(text) for found in UNSTORABLE.findall(text)]
    halves = sum(found >= "\ud800" for found in odd)
    told = []
    if controls := len(odd) - halves:
        told.append(f"{controls:,} control character{'s were' if controls > 1 else ' was'} taken out")
    if halves:
        told.append(f"{counted(halves, 'half character')} became \ufffd")
    return f"Taken with changes: {' and '.join(told)}." if told else None


def _texts(value: Any) -> Iterator[str]:
    """Yield every text within a value, names of fields too."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, Mapping):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one


def _talk(entry: Mapping[str, Any]) -> tuple[str, list[Turn]]:
    system = _text(entry.get("system"), "`system`") if entry.get("system") else ""
    for name in ("messages", "conversations", "conversation"):
        if entry.get(name) is not None:
            return _messages(_listed(entry[name], name), system)
    if entry.get("instruction") is not None or entry.get("output") is not None:
        return system, _alpaca(entry)
    raise InvalidInput(f"It has no messages{_instead(entry)}.", remedy=REMEDY)


def _instead(entry: Mapping[str, Any]) -> str:
    """Say what an entry has in their place: who gave another shape sees that it is one."""
    names = [f"`{clean(str(name))[:40]}`" for name in entry]
    if not names:
        return ""
    if {"role", "content"} <= entry.keys():
        return ": it is one turn of a conversation"
    rest = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f", but {', '.join(names[:NAMED])}{rest}"


def _messages(listed: Sequence[Any], system: str) -> tuple[str, list[Turn]]:
    turns: list[Turn] = []
    for number, message in enumerate(listed, 1):
        if not isinstance(message, Mapping):
            raise InvalidInput(f"Message {number} is no object.", remedy=REMEDY)
        role = message.get("role", message.get("from"))
        text = _content(message.get("content", message.get("value")), number)
        if isinstance(role, str) and role.lower() in ("system", "developer"):
            if turns or (system and number > 1):
                raise InvalidInput(f"Message {number} is a second or late system message.")
            system = text
        elif isinstance(role, str) and role.lower() in _ROLES:
            turns.append(Turn(_ROLES[role.lower()], text))
        else:
            given = repr(role[:40]) if isinstance(role, str) else "none"
            raise InvalidInput(f"Message {number} has the role {given}; system, user or assistant is read.")
    return system, turns


def _content(value: Any, number: int) -> str:
    """Return a message's text, also where it comes as a list of text parts."""
    if isinstance(value, list) and value and all(_is_text_part(part) for part in value):
        value = "\n".join(part["text"] for part in value)
    return _text(value, f"Message {number}")


def _is_text_part(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _alpaca(entry: Mapping[str, Any]) -> list[Turn]:
    turns: list[Turn] = []
    history = entry.get("history")
    for number, pair in enumerate(_listed(history, "history") if history else (), 1):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise InvalidInput(f"Entry {number} of `history` is no pair of question and answer.")
        turns.append(Turn(Role.USER, _text(pair[0], f"Entry {number} of `history`")))
        turns.append(Turn(Role.ASSISTANT, _text(pair[1], f"Entry {number} of `history`")))
    asked = [_text(entry[name], f"`{name}`") for name in ("instruction", "input") if entry.get(name)]
    if not asked:
        raise InvalidInput("`instruction` is empty.", remedy=REMEDY)
    if not entry.get("output"):
        raise InvalidInput("`output` is empty.", remedy=REMEDY)
    turns.append(Turn(Role.USER, "\n".join(asked)))
    turns.append(Turn(Role.ASSISTANT, _text(entry["output"], "`output`")))
    return turns


def _listed(value: Any, name: str) -> list[Any]:
    """Return a list; a table's cell holds it as JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as fault:
            raise InvalidInput(f"`{name}` is no JSON list.") from fault
    if not isinstance(value, list):
        raise InvalidInput(f"`{name}` is no list.", remedy=REMEDY)
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"{what} has no text.", remedy=REMEDY)
    text = clean(value)
    return text if text.strip() else ""  # an indented beginning is a line of code, and stays


def _scenario(entry: Mapping[str, Any], known: Mapping[str, Collection[str]]) -> Scenario:
    """Return what the entry says beside its messages; a key that is not ours stays as a variable."""
    rest = {str(name): value for name, value in entry.items() if name not in _TALK | {"system", "model"}}
    found: dict[str, str | None] = {}
    for axis, names in _KEYS.items():
        found[axis] = None
        for name in names:
            if isinstance(rest.get(name), str) and rest[name] in known[axis]:
                found[axis] = str(rest.pop(name))
                break
    tier = Tier.SCENARIO
    if rest.get("tier") in tuple(Tier):
        tier = Tier(str(rest.pop("tier")))
    variables = {clean(name)[:100]: _value(value) for name, value in rest.items()}
    kept = {name: value for name, value in variables.items() if value}
    return Scenario(
        tier=tier,
        persona_key=found["persona"],
        arc_key=found["arc"],
        topic_key=found["topic"],
        variables=dict(list(kept.items())[:MAX_VARIABLES]),
    )


def _value(value: Any) -> str:
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, list) and all(isinstance(part, str) for part in value):
        text = ", ".join(value)
    elif isinstance(value, str):
        text = value
    else:
        text = "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return clean(text).strip()[:MAX_VARIABLE]
