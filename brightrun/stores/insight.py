"""Figures about decisions, counted in the database; what comes back is bounded, however much there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from brightrun import saol
from brightrun.domain.insight import Scope

Figures = dict[str, Any]


def decisions(db: saol.Database, scope: Scope) -> Figures:
    """Return `groups`, `left_out` and `pairs`."""
    return _figures(db, "insight_decisions", scope)


def scores(db: saol.Database, scope: Scope) -> list[Mapping[str, Any]]:
    """Return how often each score was decided how, and whether in bulk."""
    rows: list[Mapping[str, Any]] = saol.agent_execute_rpc(
        db, "insight_scores", {"p_scope": scope.to_json()}
    ).value()
    return rows


def costs(db: saol.Database, scope: Scope) -> Figures:
    """Return `lines` by template version and model, and `writers`."""
    return _figures(db, "insight_costs", scope)


def reviewers(db: saol.Database, scope: Scope) -> Figures:
    """Return `people`, and `couples` who decided on the same versions."""
    return _figures(db, "insight_reviewers", scope)


def coverage(db: saol.Database, scope: Scope) -> Figures:
    """Return `cells`, and how many were `left_out`."""
    return _figures(db, "insight_coverage", scope)


def _figures(db: saol.Database, function: str, scope: Scope) -> Figures:
    figures: Figures = saol.agent_execute_rpc(db, function, {"p_scope": scope.to_json()}).value()
    return figures
