"""Scenarios: from the scaffolding's axes, or from an uploaded sheet."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from brightrun import saol
from brightrun.domain.errors import InvalidInput
from brightrun.domain.scenario import Cast, EmotionalArc, Persona, Scenario, Tier, Topic, fits
from brightrun.domain.text import for_example
from brightrun.services.sheets import Sheet, read_sheet, variable_name
from brightrun.stores import scaffolding

__all__ = ["Axes", "Planned", "Scenarios", "guess_mapping", "read_sheet"]

SHOWN_DOUBLES = 5
AXES = {
    "persona": ("persona", "persona_key"),
    "arc": ("arc", "arc_key", "emotional_arc", "emotional_arc_key"),
    "topic": ("topic", "topic_key", "training_topic", "training_topic_key"),
    "tier": ("tier",),
}
"""Column names that mean scaffolding and not a variable of the scenario's own."""

AXIS_NAMES = {"persona": "Persona", "arc": "Emotional arc", "topic": "Topic"}


@dataclass(frozen=True, slots=True)
class Axes:
    """The scaffolding a scenario can be drawn from."""

    personas: Sequence[Persona]
    arcs: Sequence[EmotionalArc]
    topics: Sequence[Topic]


@dataclass(frozen=True, slots=True)
class Planned:
    """Distinct scenarios, how many were left out as duplicates, and what was noticed."""

    scenarios: Sequence[Scenario]
    duplicates: int = 0
    notes: Sequence[str] = ()


class Scenarios:
    """Scaffolding is read once and again on request or when a key is not in it."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._axes: Axes | None = None
        self._by_key: dict[tuple[str, str], Persona | EmotionalArc | Topic] = {}

    def axes(self, *, active_only: bool = True) -> Axes:
        """Return personas, arcs and topics by key, fresh from the database."""
        axes = self.refresh()
        if not active_only:
            return axes
        return Axes(
            [p for p in axes.personas if p.is_active],
            [a for a in axes.arcs if a.is_active],
            [t for t in axes.topics if t.is_active],
        )

    def refresh(self) -> Axes:
        """Read the scaffolding again."""
        axes = Axes(
            scaffolding.personas(self._db),
            scaffolding.emotional_arcs(self._db),
            scaffolding.training_topics(self._db),
        )
        by_key: dict[tuple[str, str], Persona | EmotionalArc | Topic] = {}
        by_key |= {("persona", p.persona_key): p for p in axes.personas}
        by_key |= {("arc", a.arc_key): a for a in axes.arcs}
        by_key |= {("topic", t.topic_key): t for t in axes.topics}
        with self._lock:
            self._axes, self._by_key = axes, by_key
        return axes

    def title(self, scenario: Scenario) -> str:
        """Return a scenario's short name by what its parts are called; what is no longer there goes by its key."""
        return scenario.title(self._names(scenario))

    def parts(self, scenario: Scenario) -> dict[str, str]:
        """Return what a scenario's persona, arc and topic are called, by the name of the axis; open ones are left out."""
        names = self._names(scenario)
        return {AXIS_NAMES[axis]: name for (axis, _), name in names.items()}

    def called(self, axis: str, key: str) -> str:
        """Return what a persona, an arc or a topic is called; one that is no longer there goes by its key."""
        if self._axes is None:
            self.refresh()
        found = self._by_key.get((axis, key))
        return found.name if found else key.replace("_", " ")

    def _names(self, scenario: Scenario) -> dict[tuple[str, str], str]:
        return {part: self.called(*part) for part in scenario.parts}

    def keys(self) -> dict[str, frozenset[str]]:
        """Return the keys of personas, arcs and topics as they were read last."""
        axes = self._axes or self.refresh()
        return {
            "persona": frozenset(p.persona_key for p in axes.personas),
            "arc": frozenset(a.arc_key for a in axes.arcs),
            "topic": frozenset(t.topic_key for t in axes.topics),
        }

    def cast(self, scenario: Scenario) -> Cast:
        """Look a scenario's keys up; raises InvalidInput for an unknown one, with close matches."""
        persona = self._find("persona", scenario.persona_key)
        arc = self._find("arc", scenario.arc_key)
        topic = self._find("topic", scenario.topic_key)
        assert persona is None or isinstance(persona, Persona)
        assert arc is None or isinstance(arc, EmotionalArc)
        assert topic is None or isinstance(topic, Topic)
        return Cast(scenario, persona, arc, topic)

    def fitting(self, scenarios: Iterable[Scenario]) -> list[Scenario]:
        """Return the scenarios whose persona, arc and topic are made for each other."""
        return [scenario for scenario in scenarios if fits(self.cast(scenario))]

    def product(
        self,
        persona_keys: Sequence[str],
        arc_keys: Sequence[str],
        topic_keys: Sequence[str],
        *,
        tier: Tier | None = None,
        variables: Mapping[str, str] | None = None,
        limit: int | None = None,
    ) -> list[Scenario]:
        """Return every combination in the order personas, arcs, topics; an empty axis is left open."""
        open_axis: tuple[str | None, ...] = (None,)
        combinations = product(persona_keys or open_axis, arc_keys or open_axis, topic_keys or open_axis)
        if not (persona_keys or arc_keys or topic_keys):
            return []
        return [
            Scenario(tier or self._tier(arc), persona, arc, topic, dict(variables or {}))
            for persona, arc, topic in islice(combinations, limit)
        ]

    def from_sheet(
        self, sheet: Sheet, mapping: Mapping[str, str] | None = None, *, limit: int | None = None
    ) -> Planned:
        """Return a sheet's scenarios; `mapping` sends columns to variables, and '' or '-' drops one.

        Raises InvalidInput for a column that is not there, two columns on one variable, or a value that
        is not in the scaffolding, naming the line of the file.
        """
        places = _places(sheet, mapping or {})
        rows = sheet.rows if limit is None else sheet.rows[:limit]
        seen: dict[str, tuple[int, Scenario]] = {}
        doubled = []
        for line, row in zip(sheet.lines[: len(rows)], rows, strict=True):
            values = {variable: row[place] for variable, place in places.items()}
            scenario = self._scenario(f"{sheet.name}, line {line}", values)
            first, _ = seen.setdefault(scenario.fingerprint(), (line, scenario))
            if first != line:
                doubled.append(f"line {line} is line {first} again")
        notes = [*sheet.notes, *_left_out(doubled)]
        return Planned([scenario for _, scenario in seen.values()], len(doubled), notes)

    def _scenario(self, where: str, values: Mapping[str, str]) -> Scenario:
        keys = {axis: values[axis].strip() or None for axis in ("persona", "arc", "topic") if axis in values}
        for axis, key in keys.items():
            try:
                self._find(axis, key)
            except InvalidInput as fault:
                raise InvalidInput(f"{where}: {fault.message}", remedy=fault.remedy) from fault
        own = {name: value.strip() for name, value in values.items() if name not in AXES}
        tier = _tier(where, values["tier"]) if values.get("tier", "").strip() else self._tier(keys.get("arc"))
        return Scenario(tier, keys.get("persona"), keys.get("arc"), keys.get("topic"), own)

    def _tier(self, arc_key: str | None) -> Tier:
        arc = self._find("arc", arc_key)
        return arc.tier if isinstance(arc, EmotionalArc) else Tier.SCENARIO

    def _find(self, axis: str, key: str | None) -> Persona | EmotionalArc | Topic | None:
        if key is None:
            return None
        if (axis, key) not in self._by_key:
            self.refresh()
        found = self._by_key.get((axis, key))
        if found is None:
            known = [known_key for known_axis, known_key in self._by_key if known_axis == axis]
            raise InvalidInput(f"There is no {axis} {key!r}.", remedy=for_example(key, known))
        return found


def guess_mapping(columns: Iterable[str]) -> dict[str, str]:
    """Return the variable each column means by its own name; scaffolding axes by their usual names."""
    meant = {}
    for column in columns:
        name = variable_name(column)
        axis = next((axis for axis, names in AXES.items() if name in names), None)
        meant[column] = axis or name
    return meant


def _places(sheet: Sheet, mapping: Mapping[str, str]) -> dict[str, int]:
    missing = [column for column in mapping if column not in sheet.columns]
    if missing:
        raise InvalidInput(
            f"{sheet.name} has no column {', '.join(map(repr, missing))}.",
            remedy=f"Its columns are: {', '.join(sheet.columns)}.",
        )
    meant = guess_mapping(sheet.columns)
    for column, variable in mapping.items():
        meant[column] = "" if variable.strip() in ("", "-") else guess_mapping([variable])[variable]
    places: dict[str, int] = {}
    for place, column in enumerate(sheet.columns):
        variable = meant[column]
        if not variable:
            continue
        if variable in places:
            other = sheet.columns[places[variable]]
            raise InvalidInput(
                f"The columns {other!r} and {column!r} both go to {variable!r}.",
                remedy="Send one of them to another variable, or drop it.",
            )
        places[variable] = place
    if not places:
        raise InvalidInput("No column is used.", remedy="Map at least one.")
    return places


def _left_out(doubled: Sequence[str]) -> list[str]:
    if not doubled:
        return []
    more = f", and {len(doubled) - SHOWN_DOUBLES:,} more" if len(doubled) > SHOWN_DOUBLES else ""
    return [f"Left out: {', '.join(doubled[:SHOWN_DOUBLES])}{more}."]


def _tier(where: str, text: str) -> Tier:
    try:
        return Tier(text.strip().lower())
    except ValueError as fault:
        raise InvalidInput(
            f"{where}: There is no tier {text!r}.", remedy=f"Use one of: {', '.join(Tier)}."
        ) from fault
