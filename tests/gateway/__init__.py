"""A PostgREST-shaped gateway over a database of our own: what supabase-py needs of a project, over HTTP.

Roles are switched for each request as PostgREST does it, so that grants and Row Level Security are real.
Paths below /storage/v1 are handed to the Storage double, so that one address serves both.
"""

from __future__ import annotations

from tests.gateway.server import MAX_ROWS, Gateway

__all__ = ["MAX_ROWS", "Gateway"]
