"""Settings: where they come from, and which one wins."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from brightrun.config import Database, Settings
from brightrun.domain.batch import WriterName

SECRETS = """
DATABASE_URL = "postgresql://root-key-of-the-file"

[brightrun]
model = "from-the-table"
anthropic_api_key = "sk-ant-table\\n"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit" / "secrets.toml").write_text(SECRETS)
    return tmp_path


def test_without_anything_set_it_runs_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No account, no key: the embedded database and the demo writer."""
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    assert settings.database is Database.EMBEDDED
    assert settings.default_writer is WriterName.DEMO


def test_the_environment_wins_over_env_file_and_secrets(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environment, then .env, then the [brightrun] table of the secrets file; its root keys mean nothing."""
    assert Settings().model == "from-the-table"
    assert Settings().database is Database.EMBEDDED, "a root key of the secrets file is no setting"
    (folder / ".env").write_text("BRIGHTRUN_MODEL=from-the-env-file\n")
    assert Settings().model == "from-the-env-file"
    monkeypatch.setenv("BRIGHTRUN_MODEL", "from-the-environment")
    assert Settings().model == "from-the-environment"
    monkeypatch.setenv("BRIGHTRUN_MODEL", "")
    assert Settings().model == "from-the-env-file", "an empty variable is not set"


def test_secrets_are_never_shown_and_never_keep_a_line_end(folder: Path) -> None:
    """A key pasted with a line end works, and no print of the settings shows it."""
    settings = Settings()
    assert settings.anthropic_api_key is not None
    assert settings.anthropic_api_key.get_secret_value() == "sk-ant-table"
    assert "sk-ant-table" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [("BRIGHTRUN_MAX_ATTEMPTS", "0"), ("BRIGHTRUN_CALL_TIMEOUT", "soon"), ("BRIGHTRUN_WRITER", "poet")],
)
def test_an_unusable_setting_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """A value out of range or of another kind is refused by the setting's name, at the start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name.removeprefix("BRIGHTRUN_").lower()):
        Settings()


def test_one_line_of_the_standard_is_moved_by_its_own_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight or threshold is set alone, from either place; a slip names the line and what it may be."""
    with (folder / ".streamlit" / "secrets.toml").open("a") as file:
        file.write("[brightrun.quality]\nmost_words = 900\n")
    monkeypatch.setenv("BRIGHTRUN_QUALITY__WEIGHTS__LENGTH", "0.4")
    quality = Settings().quality
    assert (quality.most_words, quality.weights.length, quality.weights.turns) == (900, 0.4, 0.2)
    monkeypatch.setenv("BRIGHTRUN_QUALITY__LIKENESS", "1.5")
    with pytest.raises(ValidationError, match="likeness lies between 0 and 1"):
        Settings()
