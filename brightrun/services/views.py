"""Views: what a list shows, kept under a name for everybody, and the columns each person wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from brightrun import saol
from brightrun.domain.errors import NotAllowed
from brightrun.domain.person import Action
from brightrun.domain.text import clean
from brightrun.domain.view import SavedView, view_name
from brightrun.services.rights import needs
from brightrun.stores import views as store


class Views:
    """Keeps lists as people left them."""

    def __init__(self, db: saol.Database) -> None:
        self._db = db

    def all(self) -> list[SavedView]:
        """Return every saved view, by name."""
        return store.saved(self._db)

    @needs(Action.SAVE_VIEW)
    def save(self, name: str, query: Mapping[str, str], *, person: str, replaces: bool = False) -> SavedView:
        """Keep a view under a name, in place of one of that name only where it `replaces` it; case makes no other name.

        Raises InvalidInput for an unusable name, and NotAllowed for one that is taken.
        """
        view = SavedView(view_name(name), {clean(n): clean(v) for n, v in query.items()}, person)
        taken = self.named(view.name)
        if taken and not replaces:
            raise NotAllowed(
                f"There is a view {taken.name!r} already, saved by {taken.saved_by}.",
                remedy="Choose another name, or replace it.",
            )
        if taken:
            view = replace(view, name=taken.name)
        store.save(self._db, view)
        return view

    def named(self, name: str) -> SavedView | None:
        """Return the view of a name, in whatever case; None where there is none."""
        wanted = " ".join(name.split()).casefold()
        return next((view for view in self.all() if view.name.casefold() == wanted), None)

    @needs(Action.SAVE_VIEW)
    def forget(self, name: str) -> None:
        store.forget(self._db, name)

    def columns(
        self, listed: str, known: Sequence[str], *, person: str, first: Sequence[str] | None = None
    ) -> list[str]:
        """Return which of the known columns a person wants to see, in the list's order.

        first: those shown until they chose; None means all.
        """
        chosen = store.columns(self._db, person=person, listed=listed)
        wanted = known if first is None else first
        kept = [name for name in known if name in (wanted if chosen is None else chosen)]
        return kept or [name for name in known if name in wanted]

    @needs(Action.CHOOSE_COLUMNS)
    def set_columns(self, listed: str, names: Sequence[str], *, person: str) -> None:
        """Remember the columns a person wants to see in a list."""
        store.set_columns(self._db, names, person=person, listed=listed)
