"""People, their roles, and the one table of which role may do what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from brightrun.domain.errors import InvalidInput, NotAllowed

LONGEST_EMAIL: Final = 254
MADE_BY: Final = "brightrun"
"""What tells our claims from those of a token that somebody got elsewhere."""


class Role(StrEnum):
    """From the least to the most; each may do what those before it may."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    AUTHOR = "author"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Its place, from 1."""
        return list(Role).index(self) + 1


class Action(StrEnum):
    """What a person may be kept from, in the words of a refusal."""

    READ = "read"
    CHOOSE_COLUMNS = "choose columns"
    REVIEW = "review conversations"
    CORRECT = "correct conversations"
    SAVE_VIEW = "change saved views"
    RUN_BATCH = "write, run or change batches"
    SET_BUDGET = "change a budget"
    IMPORT = "import conversations"
    REPARSE = "read answers again"
    ENRICH = "enrich conversations"
    PUBLISH_TEMPLATE = "change templates"
    EDIT_SCAFFOLDING = "change personas, arcs and topics"
    FREEZE_DATASET = "freeze datasets"
    PUSH_DATASET = "hand datasets to others"
    SET_PRICE = "change prices"
    SET_REASONS = "change the reasons for rejecting"
    MANAGE_PEOPLE = "manage people"


LOWEST: Final[Mapping[Action, Role]] = {
    Action.READ: Role.VIEWER,
    Action.CHOOSE_COLUMNS: Role.VIEWER,
    Action.REVIEW: Role.REVIEWER,
    Action.CORRECT: Role.REVIEWER,
    Action.SAVE_VIEW: Role.REVIEWER,
    Action.RUN_BATCH: Role.AUTHOR,
    Action.SET_BUDGET: Role.AUTHOR,
    Action.IMPORT: Role.AUTHOR,
    Action.REPARSE: Role.AUTHOR,
    Action.ENRICH: Role.REVIEWER,
    Action.PUBLISH_TEMPLATE: Role.AUTHOR,
    Action.EDIT_SCAFFOLDING: Role.AUTHOR,
    Action.FREEZE_DATASET: Role.AUTHOR,
    Action.PUSH_DATASET: Role.AUTHOR,
    Action.SET_PRICE: Role.ADMIN,
    Action.SET_REASONS: Role.ADMIN,
    Action.MANAGE_PEOPLE: Role.ADMIN,
}
"""The policy: the lowest role for each action. The database holds the same by table and operation."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on the list."""

    email: str
    name: str
    role: Role
    granted_by: str = ""
    granted_at: datetime | None = None

    def claims(self) -> dict[str, str]:
        """Return what the database is told about who acts; the role it looks up by itself."""
        return {"made_by": MADE_BY, "role": "authenticated", "email": self.email, "person_role": self.role}


@dataclass(frozen=True, slots=True)
class RoleChange:
    """One line of the history of people."""

    email: str
    before: Role | None
    after: Role | None
    changed_by: str
    changed_at: datetime


def may(role: Role | None, action: Action) -> bool:
    """Whether a role may do something; nobody's role may nothing."""
    return role is not None and role.rank >= LOWEST[action].rank


def require(role: Role, action: Action) -> None:
    """Raise NotAllowed where a role may not do something."""
    if not may(role, action):
        raise NotAllowed(
            f"{role.title()}s may not {action.value}.",
            remedy=way_to(action),
        )


def way_to(action: Action) -> str:
    """Say what it takes to do something."""
    return f"It takes the role {LOWEST[action].value}; an admin gives it (page People)."


def email_of(text: str) -> str:
    """Return an address as the list keeps it; raises InvalidInput for what is none."""
    found = text.strip().lower()
    if len(found) > LONGEST_EMAIL or not re.fullmatch(r"[^\s@\x00-\x1f<>\"']+@[^\s@\x00-\x1f<>\"']+", found):
        raise InvalidInput(
            f"{text.strip()[:80]!r} is no e-mail address.",
            remedy="Give the address that the login knows the person by, such as ana@example.org.",
        )
    return found


def role_of(text: str) -> Role:
    """Return a role by its name; raises InvalidInput for another word."""
    try:
        return Role(text.strip().lower())
    except ValueError as fault:
        known = ", ".join(Role)
        raise InvalidInput(
            f"There is no role {text.strip()[:40]!r}.", remedy=f"Give one of: {known}."
        ) from fault
