"""The shelf on both transports: over a gateway of our own, or on a real project where one is named.

BR_TEST_SUPABASE_URL, BR_TEST_SUPABASE_KEY and BR_TEST_DATABASE_URL name a project whose migrations are pushed;
the suite makes and drops its own tables there and touches no other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import psycopg
import pytest

from brightrun import saol
from tests.gateway import Gateway
from tests.shelf import DROP, TABLE
from tests.storage_api import SECRET_KEY

REAL_URL = os.environ.get("BR_TEST_SUPABASE_URL", "")
REAL_KEY = os.environ.get("BR_TEST_SUPABASE_KEY", "")
REAL_DSN = os.environ.get("BR_TEST_DATABASE_URL", "")
RELOAD_SECONDS = 30.0


@pytest.fixture
def shelf(request: pytest.FixtureRequest) -> Iterator[str]:
    """A connection string to a database with the shelf in it."""
    if not REAL_DSN:
        dsn = request.getfixturevalue("dsn")
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(TABLE)
        yield dsn
        return
    with psycopg.connect(REAL_DSN, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(DROP)
        connection.execute(TABLE)
        connection.execute("notify pgrst, 'reload schema'")
        yield REAL_DSN
        connection.execute(DROP)


@pytest.fixture
def gateway(shelf: str) -> Iterator[Gateway]:
    """The gateway over the shelf's database; a real project has one of its own."""
    if REAL_URL:
        pytest.skip("asks the gateway of these tests, not a project's")
    with Gateway(shelf) as running:
        yield running


@pytest.fixture(params=["postgres", "supabase"])
def db(request: pytest.FixtureRequest, shelf: str) -> Iterator[saol.Database]:
    """The shelf over one of the transports."""
    if request.param == "postgres":
        opened = saol.connect_postgres(shelf)
    elif REAL_URL:
        opened = saol.connect_supabase(REAL_URL, REAL_KEY)
        _wait_for_tables(opened)
    else:
        opened = saol.connect_supabase(request.getfixturevalue("gateway").url, SECRET_KEY)
    yield opened
    opened.close()


def _wait_for_tables(db: saol.Database) -> None:
    """PostgREST reads the schema again a moment after it has changed."""
    until = time.monotonic() + RELOAD_SECONDS
    while time.monotonic() < until:
        asked = saol.agent_count(db, "shelf"), saol.agent_execute_rpc(db, "shelf_above", {"p_weight": 1})
        if all(result.success for result in asked):
            return
        time.sleep(0.2)
    pytest.fail(f"the project does not see the shelf: {[result.summary for result in asked]}")
