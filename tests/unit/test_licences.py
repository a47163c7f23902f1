"""The page of licences: an audit that looked nothing up never reads like one that found nothing."""

from __future__ import annotations

from tests.licences import page

BSD = (
    "Copyright © 2025, somebody.\nRedistribution and use in source and binary forms, with or without\n"
    "modification, are permitted. Nobody's name may be used to endorse or promote products."
)
PACKAGES = [
    {"Name": "psycopg", "Version": "3.3", "License": "LGPL-3.0-only", "URL": "https://psycopg.org"},
    {"Name": "wordy", "Version": "1", "License": "Long\ntext | of a licence", "URL": "UNKNOWN"},
    {"Name": "untitled", "Version": "2", "License": BSD, "URL": "UNKNOWN"},
    {"Name": "brightrun", "Version": "0.1.0", "License": "UNKNOWN", "URL": "UNKNOWN"},
]


def test_what_was_not_looked_up_is_said_to_be_not_audited() -> None:
    """No answer and an answer without a single package both say so; a fault found is listed by its number."""
    skipped = {"name": "psycopg", "skip_reason": "Dependency not found on PyPI"}
    assert "**Not audited**" in page(PACKAGES, None, "3.11")
    assert "**Not audited**" in page(PACKAGES, {"dependencies": [skipped]}, "3.11")
    clean = {"name": "wordy", "version": "1", "vulns": []}
    told = page(PACKAGES, {"dependencies": [skipped, clean]}, "3.11")
    assert "looked 1 packages up; 1 could not" in told
    assert "- none" in told
    faulty = {"name": "wordy", "version": "1", "vulns": [{"id": "PYSEC-1"}]}
    assert "- wordy 1: PYSEC-1" in page(PACKAGES, {"dependencies": [faulty]}, "3.11")


def test_each_package_has_one_line_with_its_licence() -> None:
    """A licence that comes as a whole text is cut to its first line; what asks for something is named apart."""
    told = page(PACKAGES, None, "3.11")
    assert "| wordy | 1 | Long | - |" in told
    assert "| untitled | 2 | BSD-3-Clause | - |" in told
    assert "- psycopg: LGPL-3.0-only" in told
    assert "brightrun |" not in told
