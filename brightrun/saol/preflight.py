"""Looking before acting: would rows of this shape fit, and is a table what somebody expects."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from brightrun.saol import advice
from brightrun.saol.database import Database
from brightrun.saol.failures import Refused
from brightrun.saol.outcome import Outcome, outcome
from brightrun.saol.result import Result

UNIQUE = re.compile(r"^(?:PRIMARY KEY|UNIQUE(?: NULLS NOT DISTINCT)?) \(([^)]*)\)")
UNIQUE_INDEX = re.compile(r"^CREATE UNIQUE INDEX .* USING \w+ \(([^()]*)\)$", re.DOTALL)

OK, WARNING, CRITICAL, BLOCKING = 1, 2, 3, 4


def agent_preflight(
    db: Database, table: str, *, columns: Iterable[str] = (), on_conflict: Sequence[str] = ()
) -> Result:
    """Say whether rows with these columns can be written; data are the issues, count how many, none is good."""

    def run() -> Outcome:
        issues = _issues(db.describe().entry(table), list(columns), tuple(on_conflict))
        transport = db.transport.name
        data = {"ok": not issues, "issues": issues, "transport": transport}
        done = "is ready" if not issues else f"is not ready (obstacles: {len(issues)})"
        return data, len(issues), f"{table} {done} over {transport}"

    return outcome("preflight", run, lambda data: advice.after_preflight(data["issues"]))


def agent_verify_table(
    db: Database,
    table: str,
    *,
    columns: Mapping[str, str] | None = None,
    indexes: Iterable[str] = (),
    constraints: Iterable[str] = (),
) -> Result:
    """Compare a table with what is expected: columns with their types, indexes and constraints by name.

    Data hold `exists`, `issues`, `category` (1 as expected, 2 a warning, 3 critical, 4 no such table) and
    `can_proceed`, which is a category of at most 2.
    """

    def run() -> Outcome:
        entry = _entry(db, table)
        issues = [] if entry is None else _differences(entry, columns or {}, indexes, constraints)
        category = BLOCKING if entry is None else max([OK, *(issue["category"] for issue in issues)])
        data = {
            "exists": entry is not None,
            "issues": issues,
            "category": category,
            "can_proceed": category <= WARNING,
        }
        found = "is missing" if entry is None else f"differs from what is expected (points: {len(issues)})"
        return data, len(issues), f"{table} {found if category > OK else 'is as expected'}"

    return outcome("verify", run)


def require_ready(entry: Mapping[str, Any], columns: Sequence[str], on_conflict: Sequence[str]) -> None:
    """Raise Refused when rows with these columns could never be written to the table so described."""
    for issue in _issues(entry, list(columns), tuple(on_conflict)):
        raise Refused(issue["code"], issue["message"])


def _issues(
    entry: Mapping[str, Any], columns: list[str], on_conflict: tuple[str, ...]
) -> list[dict[str, str]]:
    table, known = entry["name"], {column["name"] for column in entry["columns"]}
    issues = [
        _issue("42703", f"{table} has no column {name!r}.")
        for name in [*columns, *on_conflict]
        if name not in known
    ]
    if entry["kind"] != "table":
        issues.append(_issue("ERR_VALIDATION_SCHEMA", f"{table} is a view and takes no rows."))
    if on_conflict and set(on_conflict) <= known and frozenset(on_conflict) not in _keys(entry):
        listed = ", ".join(on_conflict)
        issues.append(_issue("ERR_VALIDATION_SCHEMA", f"No key of {table} consists of {listed}."))
    return issues


def _keys(entry: Mapping[str, Any]) -> set[frozenset[str]]:
    """Return the sets of columns that are unique together, without a condition."""
    texts = [match for k in entry["constraints"] if (match := UNIQUE.match(k["definition"]))]
    texts += [match for text in entry["indexes"] if (match := UNIQUE_INDEX.match(text))]
    return {frozenset(part.strip().strip('"') for part in match.group(1).split(",")) for match in texts}


def _entry(db: Database, table: str) -> Mapping[str, Any] | None:
    try:
        return db.describe().entry(table)
    except Refused:
        return None


def _differences(
    entry: Mapping[str, Any], columns: Mapping[str, str], indexes: Iterable[str], constraints: Iterable[str]
) -> list[dict[str, Any]]:
    types = {column["name"]: column["type"] for column in entry["columns"]}
    have_indexes = " ".join(entry["indexes"])
    have_constraints = {constraint["name"] for constraint in entry["constraints"]}
    issues: list[dict[str, Any]] = []
    for name, kind in columns.items():
        if name not in types:
            issues.append({"category": CRITICAL, "message": f"The column {name} is missing."})
        elif types[name] != kind:
            issues.append({"category": CRITICAL, "message": f"{name} is {types[name]}, not {kind}."})
    issues += [
        {"category": WARNING, "message": f"The index {name} is missing."}
        for name in indexes
        if not re.search(rf' INDEX "?{re.escape(name)}"? ON ', have_indexes)
    ]
    issues += [
        {"category": CRITICAL, "message": f"The constraint {name} is missing."}
        for name in constraints
        if name not in have_constraints
    ]
    if not entry["rls_enabled"] and entry["kind"] == "table":
        issues.append({"category": WARNING, "message": "Row Level Security is off."})
    return issues


def _issue(code: str, message: str) -> dict[str, str]:
    return {"code": code, "message": message}
