"""A whole app on a fresh database, with a writer that follows a script."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import Job, JobOptions, WriterName
from tests.fakes import ScriptedWriter, options, scenarios


@pytest.fixture
def writer() -> ScriptedWriter:
    """The writer behind both names; give its acts before the first step."""
    return ScriptedWriter()


@pytest.fixture
def app(dsn: str, tmp_path: Path, writer: ScriptedWriter) -> Iterator[App]:
    settings = Settings(home=tmp_path, database_url=dsn, retry_base=0.01, actor="ana")
    opened = open_app(settings, writers=dict.fromkeys(WriterName, writer))
    yield opened
    opened.close()


@pytest.fixture
def start(app: App) -> Callable[..., Job]:
    """Create a job of some scenarios."""

    def create(count: int = 3, given: JobOptions | None = None) -> Job:
        plan = app.planner.plan(scenarios(count), given or options())
        return app.batches.create(plan, name="test", actor="ana")

    return create
