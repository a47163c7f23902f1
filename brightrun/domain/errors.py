"""Every error of Bright Run.

BrightRunError
├── InvalidInput            what a person or a file gave cannot be used
│   └── TemplateFault       a template does not compile or render
├── NotFound                an id or prefix names nothing, or more than one thing
├── Conflict                somebody else changed it first
├── NotAllowed              the state does not permit the action
│   └── AlreadyDone         somebody has done it before
├── SetupFault              this machine or project is not ready (folder, server, key, migration)
├── DatabaseFault           the database refused or could not be reached
├── StorageFault            the object store refused or could not be reached
│   ├── ObjectMissing
│   ├── AnswerElsewhere     a stored answer is kept on another machine, not yet in the store
│   └── ObjectExists        a write-once key was written already
├── AnswerFault             an answer arrived, was paid for, and cannot be used
│   ├── AnswerUnreadable    not JSON, or not of the asked shape
│   ├── AnswerCut           stopped at the token limit
│   ├── AnswerIncomplete    stopped for a reason that is no end
│   └── AnswerRefused       the model declined
└── WriterFault             no answer arrived
    ├── WriterRejected      the account or model is refused: pause the whole job
    ├── WriterDeclined      this request is refused for good: fail the item
    ├── WriterBusy          not paid, try again later
    │   └── WriterUnreachable   nothing got through
    └── WriterUncertain     the call may have been paid for
"""

from __future__ import annotations

from brightrun.domain.limits import UNKNOWN


class BrightRunError(Exception):
    """Something went wrong; the message says what, `remedy` says what to do."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class InvalidInput(BrightRunError):
    """What a person or a file gave cannot be used."""


class TemplateFault(InvalidInput):
    """A template does not compile or render."""

    def __init__(
        self, message: str, *, remedy: str = "", line: int | None = None, variable: str | None = None
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.line = line
        self.variable = variable


class NotFound(BrightRunError):
    """An id or prefix names nothing, or more than one thing."""


class Conflict(BrightRunError):
    """Somebody else changed it first."""


class NotAllowed(BrightRunError):
    """The present state does not permit the action."""


class AlreadyDone(NotAllowed):
    """Somebody has done it before: what was wanted is so."""


class SetupFault(BrightRunError):
    """This machine or project is not ready."""


class DatabaseFault(BrightRunError):
    """The database refused or could not be reached."""

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        code: str = "ERR_FATAL",
        sqlstate: str | None = None,
        is_transient: bool = False,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.code = code
        self.sqlstate = sqlstate
        self.is_transient = is_transient
        """Whether the same statement may succeed in a moment: unreachable, deadlock, restart."""


class StorageFault(BrightRunError):
    """The object store refused or could not be reached."""

    def __init__(self, message: str, *, remedy: str = "", bucket: str = "", key: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.bucket = bucket
        self.key = key


class ObjectMissing(StorageFault):
    """No object stands at that key."""


class ObjectExists(StorageFault):
    """A write-once key was written already."""


class AnswerElsewhere(StorageFault):
    """A stored answer is kept on another machine and not in the store yet."""


class AnswerFault(BrightRunError):
    """An answer arrived, was paid for, and cannot be used; `code` is stored on the item."""

    code = "answer_fault"


class AnswerUnreadable(AnswerFault):
    """The answer is not JSON of the asked shape."""

    code = "unreadable_answer"


class AnswerCut(AnswerFault):
    """The answer stopped at the token limit."""

    code = "answer_cut"


class AnswerIncomplete(AnswerFault):
    """The answer stopped for a reason that is no end."""

    code = "incomplete_answer"


class AnswerRefused(AnswerFault):
    """The model declined to write it."""

    code = "refusal"

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        category: str | None = None,
        explanation: str | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.category = category
        self.explanation = explanation


class WriterFault(BrightRunError):
    """No usable response arrived from the writer; `code` is stored on the attempt."""

    def __init__(
        self,
        message: str,
        *,
        remedy: str = "",
        code: str,
        status: int | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
        body: bytes | None = None,
    ) -> None:
        super().__init__(message, remedy=remedy)
        self.code = code
        self.status = status
        self.request_id = request_id
        self.retry_after = retry_after
        self.body = body
        self.limits = UNKNOWN


class WriterRejected(WriterFault):
    """The account, key, limit or model is refused: the whole job must pause."""


class WriterDeclined(WriterFault):
    """This one request is refused for good."""


class WriterBusy(WriterFault):
    """Nothing was paid; the same request may succeed later."""


class WriterUnreachable(WriterBusy):
    """The call never left: no item is at fault, and the next one would not get through either."""


class WriterUncertain(WriterFault):
    """The connection broke or timed out: the call may have been paid for."""
