"""How much damage is done, and what it is done to: a data folder, a server that bears witness, an app."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from tests.faults.ledger import Witness
from tests.messages_api import KEY, MessagesApi
from tests.shell import Shell

FULL = int(os.environ.get("BRIGHTRUN_FAULTS", "4")) >= 50
"""Whether this is `make faults`, which does everything at full size."""
CALL_SECONDS = 0.25
SHORT = {"BRIGHTRUN_CALL_TIMEOUT": "1.0", "BRIGHTRUN_LEASE_MARGIN": "0.5"}
"""What a killed process held is free again soon."""
MANY = 20
"""Tries an item gets: the same one may be hit often, and is not to be given up as a poison item."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def witness(home: Path) -> Witness:
    return Witness(home / "buckets" / "conversation-files")


@pytest.fixture
def api(witness: Witness) -> Iterator[MessagesApi]:
    with MessagesApi(witness, seconds=CALL_SECONDS) as running:
        yield running


@pytest.fixture
def shell(home: Path, dsn: str, api: MessagesApi) -> Shell:
    return Shell(home, DATABASE_URL=dsn, ANTHROPIC_API_KEY=KEY, ANTHROPIC_BASE_URL=api.url, **SHORT)


@pytest.fixture
def app(home: Path, dsn: str, api: MessagesApi) -> Iterator[App]:
    opened = open_app(
        Settings(
            home=home,
            database_url=dsn,
            anthropic_api_key=KEY,
            anthropic_base_url=api.url,
            actor="ana",
            max_attempts=MANY,
        )
    )
    yield opened
    opened.close()
