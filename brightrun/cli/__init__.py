"""The shell: the same use cases as the pages, for people and for programs."""

from __future__ import annotations

from brightrun.cli.main import main

__all__ = ["main"]
