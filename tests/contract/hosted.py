"""The app over Supabase's interfaces, as these tests have them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from tests.gateway import Gateway
from tests.storage_api import SECRET_KEY, StorageApi


@contextmanager
def opened_hosted(dsn: str, home: Path) -> Iterator[App]:
    """Open the app over a gateway and a Storage of its own."""
    with StorageApi() as storage, Gateway(dsn, storage_url=storage.url) as gateway:
        settings = Settings(home=home, supabase_url=gateway.url, supabase_secret_key=SECRET_KEY, actor="ana")
        app = open_app(settings)
        yield app
        app.close()
