"""What one session keeps beside Streamlit's own state: what was done, and what is still to be told or shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from brightrun.bootstrap import App
from brightrun.domain.batch import Job
from brightrun.domain.errors import BrightRunError
from brightrun.domain.ids import JobId
from brightrun.domain.person import Person
from brightrun.domain.review import Seen
from brightrun.domain.space import Rule
from brightrun.ui.opened import Opened

T = TypeVar("T")

DOUBLE_CLICK_SECONDS = 3.0
COMPLAINT_SECONDS = 15.0
"""Grids and timers redraw a page at any moment: an error must outlive that."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A message that must outlive a rerun or a change of page; its text is already safe for a label."""

    text: str
    icon: str | None = None


@dataclass(frozen=True, slots=True)
class Undo:
    """The last decision, while it can still be taken back as one."""

    operation_id: str
    label: str


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of scenarios that was brought."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Goal:
    """The page a deed leads to."""

    page: str
    query: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Editing:
    """The turn that is being edited; `row_version` is the conversation as its editor saw it."""

    conversation: str
    turn: int
    row_version: int
    is_late: bool = False
    """Whether somebody else was faster, so that the text as it stands now is shown beside the draft."""


@dataclass(frozen=True, slots=True)
class Acting:
    """Who is logged in, the app with that person's rights, and when the list of people was last asked."""

    person: Person
    app: App
    looked: float


@dataclass(slots=True)
class Desk:
    """A plain object, because every call of Streamlit may end the run, in a callback too.

    That happens whenever the browser has sent something newer. A deed that changes the database therefore
    takes the desk first and notes its outcome here before it calls Streamlit again; nothing on the desk does.
    """

    clock: Callable[[], float] = time.monotonic
    notices: list[Notice] = field(default_factory=list)
    undo: Undo | None = None
    is_undo_known: bool = False
    """Whether the database was asked what can be taken back: a page that was loaded again knows nothing of it."""
    own_deeds: set[str] = field(default_factory=set)
    """Decisions of this visit since the last correction, by operation: the key U goes no further back than these."""
    editing: Editing | None = None
    goal: Goal | None = None
    upload: Upload | None = None
    acting: Acting | None = None
    reading: Seen | None = None
    """The conversation being read, as it was when that began."""
    ahead: Opened | None = None
    """The next conversation, read before it is asked for."""
    moves: dict[str, str | None] = field(default_factory=dict)
    """Parts of the address to be changed by the next run."""
    constraints: list[Rule] = field(default_factory=list)
    """The rules of the plan that is being made."""
    heard: dict[Hashable, Any] = field(default_factory=dict)
    """The last event of each component that was acted on: components repeat it at every run."""
    adjusted: int = 0
    """How often the rest of a preview was adjusted here: what was planned before is stale."""
    published: int = 0
    """How many templates were published here: the editor of a new one begins empty after each."""
    taken: int = 0
    """How many files were imported here: the fields of the next one begin empty after each."""
    rewriting: dict[JobId, Job] = field(default_factory=dict)
    """Batches of one that were asked for while reviewing, as they were last seen, until somebody puts them away."""
    watched: set[JobId] = field(default_factory=set)
    """Jobs that were open when this session last looked at them."""
    _asked: Hashable | None = None
    _is_drawn: bool = False
    _complaints: list[tuple[float, BrightRunError]] = field(default_factory=list)
    _deeds: dict[Hashable, tuple[float, object]] = field(default_factory=dict)

    def notify(self, text: str, *, icon: str | None = None) -> None:
        """Keep a message until a run has shown it."""
        self.notices.append(Notice(text, icon))

    def complain(self, fault: BrightRunError) -> None:
        """Keep an error for the runs of the next seconds, which show it above the page."""
        self._complaints.append((self.clock(), fault))

    def settle(self) -> None:
        """Forget the errors of earlier deeds: a new one begins."""
        self._complaints.clear()

    def complaints(self) -> list[BrightRunError]:
        """Return the errors that are still to be shown."""
        since = self.clock() - COMPLAINT_SECONDS
        self._complaints = [(at, fault) for at, fault in self._complaints if at > since]
        return [fault for _, fault in self._complaints]

    def ask(self, question: Hashable) -> None:
        """Open a dialog, which a page that draws itself again must not close."""
        self._asked, self._is_drawn = question, False

    def asked(self) -> Hashable | None:
        """Return the dialog that stands open, for the run that draws it."""
        self._is_drawn = self._asked is not None
        return self._asked

    def put_away(self) -> None:
        """Close the dialog that was drawn; one that was asked for in the same breath stays."""
        if self._is_drawn:
            self._asked = None

    def once(self, deed: Hashable, do: Callable[[], T]) -> T:
        """Do something, or return what it returned a moment ago: a double click is one deed."""
        known = self._deeds.get(deed)
        if known is not None and self.clock() - known[0] < DOUBLE_CLICK_SECONDS:
            return cast("T", known[1])
        done = do()
        self._deeds = {deed: (self.clock(), done)}
        return done
