"""What has become of scenarios, by their fingerprints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from brightrun import saol
from brightrun.domain.ids import JobId
from brightrun.domain.scenario import Scenario


@dataclass(frozen=True, slots=True)
class State:
    """How many conversations of one scenario are on their way, written, approved and rejected."""

    waiting: int
    written: int
    approved: int
    rejected: int

    @property
    def is_taken(self) -> bool:
        """Whether another conversation of it would be one too many."""
        return self.waiting > 0 or self.written > self.rejected


def states(db: saol.Database, fingerprints: Sequence[str]) -> dict[str, State]:
    """Return the state of each scenario that was ever planned in a job."""
    value = saol.agent_execute_rpc(db, "scenario_states", {"p_fingerprints": list(fingerprints)}).value()
    return {fingerprint: State(**found) for fingerprint, found in value.items()}


def emptied(db: saol.Database, job_id: JobId | None, *, limit: int) -> list[Scenario]:
    """Return the scenarios whose every conversation was rejected, none being on its way."""
    params = {"p_job": job_id, "p_limit": limit}
    value = saol.agent_execute_rpc(db, "emptied_scenarios", params).value()
    return [Scenario.from_json(parameters) for parameters in value]
