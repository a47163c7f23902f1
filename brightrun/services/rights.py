"""Asks the policy before a service does anything; the database asks again."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from brightrun import saol
from brightrun.domain.person import Action, Role, require


class _Service(Protocol):
    _db: saol.Database


S = TypeVar("S", bound=_Service)
P = ParamSpec("P")
R = TypeVar("R")

Method = Callable[Concatenate[S, P], R]


def needs(action: Action) -> Callable[[Method[S, P, R]], Method[S, P, R]]:
    """Let a method run only for whom the policy lets; it raises NotAllowed before anything has happened."""

    def guard(method: Method[S, P, R]) -> Method[S, P, R]:
        @wraps(method)
        def guarded(service: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
            require(role_of(service._db), action)
            return method(service, *args, **kwargs)

        return guarded

    return guard


def role_of(db: saol.Database) -> Role:
    """Return the role of who acts; the server itself, its shell and the person of this machine are admins."""
    return Role(db.claims["person_role"]) if db.claims is not None else Role.ADMIN
