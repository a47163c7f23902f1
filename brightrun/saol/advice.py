"""What a caller would sensibly do next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from brightrun.saol.result import Failure, NextAction, Priority

MANY_ROWS = 50
EXPORTABLE_ROWS = 100
LARGE_BYTES = 1_000_000

BY_CODE = {
    "ERR_DB_UNIQUE_VIOLATION": "RETRY_WITH_UPSERT",
    "ERR_DB_FK_VIOLATION": "IMPORT_DEPENDENCIES_FIRST",
    "ERR_DB_NOT_NULL_VIOLATION": "FIX_REQUIRED_FIELDS",
    "ERR_CHAR_INVALID_UTF8": "ENABLE_SANITIZATION",
    "ERR_DB_TABLE_NOT_FOUND": "VERIFY_TABLE",
    "ERR_DB_COLUMN_NOT_FOUND": "VERIFY_TABLE",
    "ERR_VALIDATION_REQUIRED": "ADD_WHERE_CLAUSE",
    "ERR_DB_UNREACHABLE": "FIX_CONFIGURATION",
    "ERR_SCHEMA_ACCESS_DENIED": "CHECK_PERMISSIONS",
    "ERR_CONFIRMATION_REQUIRED": "RUN_DRY_RUN_FIRST",
    "ERR_TRANSPORT_UNSUPPORTED": "CHANGE_TRANSPORT",
    "ERR_STATEMENT_ELSEWHERE": "CHANGE_FUNCTION",
    "ERR_RPC_NOT_FOUND": "VERIFY_FUNCTION",
    "ERR_IMPORT_ROWS": "REVIEW_ERRORS",
}
OF_MANY, OF_SOME = 0.5, 0.05
"""Shares of an import above which a cause of failures is urgent, or worth a look."""


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


def after_rehearsal(*, dry_run: bool) -> list[NextAction]:
    """Suggest running for good what a dry run took back."""
    return [NextAction("RUN_FOR_GOOD", "Run it for good.", "dry_run=False", Priority.HIGH)] if dry_run else []


def after_failure(failure: Failure) -> list[NextAction]:
    """Suggest the remedy that goes with the code."""
    action = BY_CODE.get(failure.code)
    return [NextAction(action, failure.remediation, priority=Priority.HIGH)] if action else []


def after_export(data: Mapping[str, Any]) -> list[NextAction]:
    """Suggest compressing a large file, and another look where rows came or went meanwhile."""
    actions = [NextAction("VALIDATE_EXPORT", "Compare the file with its checksum.", data["sha256"])]
    if data["bytes"] > LARGE_BYTES:
        actions.append(NextAction("COMPRESS_FILE", "Compress it before it travels.", f"gzip {data['path']}"))
    return actions


def after_import(by_code: Mapping[str, int], total: int) -> list[NextAction]:
    """Suggest a remedy for each cause of failures, the most frequent one first."""
    actions = []
    for code, number in sorted(by_code.items(), key=lambda pair: -pair[1]):
        share = number / total
        urgency = Priority.HIGH if share > OF_MANY else Priority.MEDIUM if share > OF_SOME else Priority.LOW
        actions.append(NextAction(BY_CODE.get(code, "REVIEW_ERRORS"), f"{number} rows: {code}.", "", urgency))
    return actions


def after_preflight(issues: Sequence[Mapping[str, str]]) -> list[NextAction]:
    """Suggest going on, or mending each obstacle first."""
    if not issues:
        return [NextAction("RUN_IMPORT", "Nothing is in the way.", priority=Priority.MEDIUM)]
    return [NextAction("FIX_CONFIGURATION", issue["message"], priority=Priority.HIGH) for issue in issues]
