"""People: who may come in, and what they may do."""

from __future__ import annotations

from brightrun import saol
from brightrun.domain.errors import NotAllowed, NotFound
from brightrun.domain.person import Action, Person, Role, RoleChange, email_of
from brightrun.domain.text import clean
from brightrun.services.rights import needs
from brightrun.stores import people as store

LONGEST_NAME = 120


class People:
    """Keeps the list of those who may come in."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db

    @needs(Action.MANAGE_PEOPLE)
    def all(self) -> list[Person]:
        """Return everybody on the list, by address."""
        return store.listed(self._db)

    @needs(Action.MANAGE_PEOPLE)
    def find(self, email: str) -> Person | None:
        """Return who comes in with this address; None for somebody who is not on the list."""
        return store.find(self._db, email_of(email))

    @needs(Action.MANAGE_PEOPLE)
    def history(self, *, limit: int = 100) -> list[RoleChange]:
        """Return who changed whose role, newest first."""
        return store.history(self._db, limit=limit)

    @needs(Action.MANAGE_PEOPLE)
    def add(self, email: str, role: Role, *, name: str = "", actor: str) -> Person:
        """Put somebody on the list, or give them another role and name; raises NotAllowed for the last admin."""
        address = email_of(email)
        _check(
            store.set_role(self._db, address, clean(name).strip()[:LONGEST_NAME], role, actor=actor), address
        )
        found = store.find(self._db, address)
        if found is None:
            raise NotFound(f"{address} was taken off the list meanwhile.")
        return found

    @needs(Action.MANAGE_PEOPLE)
    def set_role(self, email: str, role: Role, *, actor: str) -> Person:
        """Give somebody on the list another role; raises NotFound for others, NotAllowed for the last admin."""
        if self.find(email) is None:
            raise _unknown(email_of(email))
        return self.add(email, role, actor=actor)

    @needs(Action.MANAGE_PEOPLE)
    def remove(self, email: str, *, actor: str) -> None:
        """Take somebody off the list; what they did keeps their name."""
        address = email_of(email)
        if store.find(self._db, address) is None:
            raise _unknown(address)
        _check(store.set_role(self._db, address, "", None, actor=actor), address)


def _check(outcome: str, email: str) -> None:
    if outcome == "last_admin":
        raise NotAllowed(
            f"{email} is the last admin.",
            remedy="Make somebody else an admin first, or nobody could let people in.",
        )
    if outcome == "missing":
        raise _unknown(email)


def _unknown(email: str) -> NotFound:
    return NotFound(f"{email} is not on the list.", remedy="`brightrun people` lists who is.")
