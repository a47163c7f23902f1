"""The app with Claude's writer pointed at a server of the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from tests.messages_api import KEY, MessagesApi


@contextmanager
def claude_app(home: Path, dsn: str, api: MessagesApi, **changes: Any) -> Iterator[App]:
    """Open the app on a database and a server that speaks the Messages API; `changes` are settings."""
    settings: dict[str, Any] = {
        "home": home,
        "database_url": dsn,
        "anthropic_api_key": KEY,
        "anthropic_base_url": api.url,
        "actor": "ana",
    }
    app = open_app(Settings(**settings | changes))
    try:
        yield app
    finally:
        app.close()
