"""What a caller would sensibly do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brightrun.saol.result import Failure, NextAction, Priority

MANY_ROWS = 50
EXPORTABLE_ROWS = 100


def after_query(rows: Sequence[Any], limit: int | None) -> list[NextAction]:
    """Suggest paging and exporting for large answers."""
    actions = []
    if limit is None and len(rows) > MANY_ROWS:
        actions.append(
            NextAction("ADD_PAGINATION", "Read it page by page.", "limit=50, offset=0", Priority.MEDIUM)
        )
    if len(rows) > EXPORTABLE_ROWS:
        actions.append(NextAction("EXPORT_DATA", "Export it instead of reading it."))
    return actions


def after_delete(rows: Sequence[Any], *, dry_run: bool) -> list[NextAction]:
    """Suggest confirming after a dry run."""
    if dry_run and rows:
        return [NextAction("CONFIRM_DELETE", "Delete them for good.", "confirm=True", Priority.HIGH)]
    return []


def after_failure(failure: Failure) -> list[NextAction]:
    """Suggest the remedy that goes with the code."""
    action = {
        "ERR_DB_UNIQUE_VIOLATION": "RETRY_WITH_UPSERT",
        "ERR_DB_FK_VIOLATION": "IMPORT_DEPENDENCIES_FIRST",
        "ERR_DB_NOT_NULL_VIOLATION": "FIX_REQUIRED_FIELDS",
        "ERR_CHAR_INVALID_UTF8": "ENABLE_SANITIZATION",
        "ERR_DB_TABLE_NOT_FOUND": "VERIFY_TABLE",
        "ERR_DB_COLUMN_NOT_FOUND": "VERIFY_TABLE",
        "ERR_VALIDATION_REQUIRED": "ADD_WHERE_CLAUSE",
        "ERR_DB_UNREACHABLE": "FIX_CONFIGURATION",
        "ERR_SCHEMA_ACCESS_DENIED": "CHECK_PERMISSIONS",
    }.get(failure.code)
    return [NextAction(action, failure.remediation, priority=Priority.HIGH)] if action else []
