"""What a claimed item asks of a writer: to be written, or to be judged."""

from __future__ import annotations

from brightrun.domain.batch import Claim
from brightrun.services.answers import Answers, Errand
from brightrun.services.judging import Judging


class Errands:
    """Knows both kinds of items, so that generating need not."""

    def __init__(self, answers: Answers, judging: Judging) -> None:
        self._answers = answers
        self._judging = judging

    def errand(self, claim: Claim) -> Errand:
        """Return what the item asks for, and what its answer becomes; raises InvalidInput where it cannot be asked."""
        return self._judging.errand(claim) if claim.subject else self._answers.errand(claim)
