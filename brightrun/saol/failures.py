"""What a database error means: a code a program can act on, and a remedy a person can."""

from __future__ import annotations

from dataclasses import dataclass

from brightrun.saol.result import Failure


class Refused(Exception):
    """SAOL itself will not do it: a wrong name, operator or argument. Nothing was sent."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


ROLE_HINT = "It takes the role"
"""How the database's own hint begins where a person lacks a right (`private.require_role`)."""


class Rejected(Exception):
    """The database said no, with an SQLSTATE or a PostgREST code."""

    def __init__(self, state: str, message: str, details: str | None = None) -> None:
        super().__init__(message)
        self.state = state
        self.message = message
        self.details = details


class Unreachable(Exception):
    """The database could not be reached, or went away."""


@dataclass(frozen=True, slots=True)
class Kind:
    code: str
    category: str
    remediation: str
    is_transient: bool = False


UNREACHABLE = Kind(
    "ERR_DB_UNREACHABLE", "DB", "Check that the database runs and can be reached, then try again.", True
)
FATAL = Kind("ERR_FATAL", "FATAL", "Look at the details and the database's own log.")

BY_STATE: dict[str, Kind] = {
    "23505": Kind("ERR_DB_UNIQUE_VIOLATION", "DB", "Use an upsert, or another key."),
    "23503": Kind(
        "ERR_DB_FK_VIOLATION", "DB", "Create the row it refers to first; or, deleting, what refers to it."
    ),
    "23502": Kind("ERR_DB_NOT_NULL_VIOLATION", "DB", "Give every required column a value."),
    "23514": Kind("ERR_DB_CHECK_VIOLATION", "DB", "Give a value that the column's check allows."),
    "23001": Kind("ERR_DB_CHECK_VIOLATION", "DB", "The row may not change; add one that corrects it."),
    "21000": Kind("ERR_DB_UNIQUE_VIOLATION", "DB", "Two rows of one upsert have the same key: send one."),
    "22P02": Kind("ERR_CAST_INVALID_INPUT", "CAST", "Give a value of the column's type."),
    "22003": Kind("ERR_CAST_INVALID_INPUT", "CAST", "Give a number within the column's range."),
    "22007": Kind("ERR_CAST_INVALID_INPUT", "CAST", "Give a date or time as ISO 8601."),
    "22008": Kind("ERR_CAST_INVALID_INPUT", "CAST", "Give a date or time within range."),
    "22P05": Kind("ERR_CHAR_INVALID_UTF8", "CHAR", "Remove NUL and other characters text cannot hold."),
    "22021": Kind("ERR_CHAR_INVALID_UTF8", "CHAR", "Remove NUL and other characters text cannot hold."),
    "42P01": Kind("ERR_DB_TABLE_NOT_FOUND", "DB", "Check the table's name, or apply the migrations."),
    "42703": Kind("ERR_DB_COLUMN_NOT_FOUND", "DB", "Check the column's name against the schema."),
    "42883": Kind(
        "ERR_RPC_NOT_FOUND",
        "DB",
        "Check the function or operator and its values' types, or apply the migrations.",
    ),
    "42501": Kind("ERR_SCHEMA_ACCESS_DENIED", "AUTH", "Use the secret key, or grant the role what it lacks."),
    "42601": Kind("ERR_DDL_SYNTAX", "VALIDATION", "Mend the statement."),
    "25006": Kind(
        "ERR_READ_ONLY",
        "VALIDATION",
        "Say write=True: without it the database itself holds reading to reading.",
    ),
    "2BP01": Kind(
        "ERR_DB_DEPENDENT", "DB", "Drop first what depends on it, or say `cascade` in the statement."
    ),
    "42P07": Kind("ERR_INDEX_EXISTS", "DB", "Take another name, or drop the one that is there first."),
    "42710": Kind("ERR_INDEX_EXISTS", "DB", "Take another name, or drop the one that is there first."),
    "42704": Kind("ERR_INDEX_NOT_FOUND", "DB", "Check the name against agent_introspect_schema."),
    "42804": Kind("ERR_CAST_INVALID_INPUT", "CAST", "Give a value of the column's type."),
    "25P02": Kind("ERR_TRANSACTION_FAILED", "DB", "Start again; the transaction was rolled back.", True),
    "40001": Kind("ERR_TRANSACTION_FAILED", "DB", "Try again: another transaction was in the way.", True),
    "40P01": Kind("ERR_TRANSACTION_FAILED", "DB", "Try again: another transaction was in the way.", True),
    "55P03": Kind("ERR_TRANSACTION_FAILED", "DB", "Try again: a row is locked.", True),
    "57014": Kind("ERR_RPC_TIMEOUT", "DB", "Narrow the statement down, or raise the time-out."),
    "53100": Kind("ERR_DISK_FULL", "DB", "Free disk space on the database's machine.", True),
    "53300": Kind("ERR_DB_UNREACHABLE", "DB", "Too many connections; try again.", True),
    "28P01": Kind("ERR_AUTH_INVALID_KEY", "AUTH", "Check the password in the connection string."),
    "28000": Kind("ERR_AUTH_INVALID_KEY", "AUTH", "Check the user in the connection string."),
    "PGRST202": Kind(
        "ERR_RPC_NOT_FOUND", "DB", "Check the function's name and arguments, or apply the migrations."
    ),
    "PGRST204": Kind("ERR_DB_COLUMN_NOT_FOUND", "DB", "Check the column's name against the schema."),
    "PGRST205": Kind("ERR_DB_TABLE_NOT_FOUND", "DB", "Check the table's name, or apply the migrations."),
    "3xx": Kind(
        "ERR_ADDRESS_REDIRECTED",
        "AUTH",
        "Set SUPABASE_URL to the address it leads to; a key does not follow redirects.",
    ),
    "PGRST301": Kind("ERR_AUTH_INVALID_KEY", "AUTH", "Check the project's secret key."),
    "PGRST302": Kind("ERR_AUTH_RLS_DENIED", "AUTH", "Use the secret key."),
    "ERR_VALIDATION_SCHEMA": Kind(
        "ERR_VALIDATION_SCHEMA", "VALIDATION", "Check names and operators against the schema."
    ),
    "ERR_CONFIRMATION_REQUIRED": Kind(
        "ERR_CONFIRMATION_REQUIRED", "VALIDATION", "Look with dry_run=True, then say confirm=True."
    ),
    "ERR_STATEMENT_ELSEWHERE": Kind(
        "ERR_STATEMENT_ELSEWHERE", "VALIDATION", "Use the function that is meant for it."
    ),
    "ERR_TRANSPORT_UNSUPPORTED": Kind(
        "ERR_TRANSPORT_UNSUPPORTED",
        "VALIDATION",
        "Use the postgres transport: set DATABASE_URL to the project's connection string.",
    ),
    "ERR_FILE": Kind("ERR_FILE", "VALIDATION", "Check the file's path, its format and your rights."),
    "ERR_IMPORT_ROWS": Kind(
        "ERR_IMPORT_ROWS", "VALIDATION", "Mend the rows that the report names and import those again."
    ),
    "ERR_VALIDATION_REQUIRED": Kind(
        "ERR_VALIDATION_REQUIRED", "VALIDATION", "Give what is required; nothing was changed."
    ),
}


def explain(fault: Refused | Rejected | Unreachable) -> Failure:
    """Return what a fault means."""
    if isinstance(fault, Unreachable):
        kind, state, message, details = UNREACHABLE, None, str(fault), None
    elif isinstance(fault, Refused):
        kind, state, message, details = BY_STATE.get(fault.code, FATAL), None, fault.message, None
        if fault.code.startswith(("42", "PGRST")):
            state = fault.code
    else:
        kind, state, message, details = _kind(fault.state), fault.state, fault.message, fault.details
    remedy = kind.remediation
    if details and details.startswith(ROLE_HINT):
        remedy = details
    return Failure(kind.code, message, remedy, kind.category, state, details, kind.is_transient)


def _kind(state: str) -> Kind:
    if state in BY_STATE:
        return BY_STATE[state]
    if state.startswith(("08", "57P")):
        return UNREACHABLE
    return FATAL
