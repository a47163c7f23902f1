"""The app run by Streamlit's own AppTest: real pages, real database, steps made in the script's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest, app_test

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings

ROOT = Path(__file__).parents[2]

OpenPage = Callable[..., AppTest]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def environment(dsn: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", dsn)
    monkeypatch.setenv("BRIGHTRUN_HOME", str(home))
    monkeypatch.setenv("BRIGHTRUN_RUNNER", "inline")
    monkeypatch.setenv("BRIGHTRUN_ACTOR", "ana")


@pytest.fixture
def app(environment: None, dsn: str, home: Path) -> Iterator[App]:
    """The same database and files, seen without a browser."""
    opened = open_app(Settings(home=home, database_url=dsn, actor="ana"))
    yield opened
    opened.close()


class WarmPagesManager(PagesManager):
    """AppTest forgets before each run that a router was declared; a server remembers."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        PagesManager.uses_pages_directory = False


@pytest.fixture
def open_page(environment: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenPage]:
    """Open a page by its file, with the parameters of its address."""

    monkeypatch.setattr(app_test, "PagesManager", WarmPagesManager)

    def open_one(page: str = "", /, **query: str) -> AppTest:
        test = AppTest.from_file(str(ROOT / "Home.py"), default_timeout=60)
        test.query_params.update(query)
        test.run()
        if page:
            test.switch_page(f"pages/{page}.py")
            test.query_params.update(query)
            test.run()
        assert not test.exception
        return test

    yield open_one
    st.cache_resource.clear()
