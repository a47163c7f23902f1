"""Typed settings from the environment, a .env file, or Streamlit's secrets."""

from __future__ import annotations

import getpass
import os
import tomllib
from enum import StrEnum
from pathlib import Path

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from brightrun.domain.batch import WriterName
from brightrun.domain.part import MOST_REQUESTS
from brightrun.domain.standard import STANDARD, Standard

DEFAULT_MODEL = "claude-sonnet-5-5"
SECRETS = Path(".streamlit/secrets.toml")


class Database(StrEnum):
    EMBEDDED = "embedded"
    POSTGRES = "postgres"
    SUPABASE = "supabase"


class RunnerMode(StrEnum):
    THREAD = "thread"
    INLINE = "inline"


class LogTarget(StrEnum):
    FILE = "file"
    STDERR = "stderr"
    BOTH = "both"
    OFF = "off"


class LogLevel(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def default_home() -> Path:
    """Return the data folder of this user; root's lies where the server's own user can reach it."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/brightrun")
    return Path(platformdirs.user_data_dir("brightrun", appauthor=False))


def app_folder() -> Path:
    """Return the folder with Home.py and supabase/: the checkout, or what the wheel carries."""
    checkout = Path(__file__).parent.parent
    return checkout if (checkout / "Home.py").is_file() else Path(__file__).parent / "assets"


def supabase_folder() -> Path:
    """Return the folder with migrations/, seed.sql and bootstrap.sql."""
    return app_folder() / "supabase"


class Settings(BaseSettings):
    """Everything that may differ between two installations."""

    model_config = SettingsConfigDict(
        env_prefix="BRIGHTRUN_",
        env_file=".env",
        extra="ignore",
        populate_by_name=True,
        env_ignore_empty=True,
        frozen=True,
        env_nested_delimiter="__",
    )

    home: Path = Field(default_factory=default_home)
    pg_bin: Path | None = Field(None)
    database_url: SecretStr | None = Field(None, validation_alias="DATABASE_URL")
    supabase_url: str | None = Field(None, validation_alias="SUPABASE_URL")
    supabase_secret_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY"),
    )
    anthropic_api_key: SecretStr | None = Field(None, validation_alias="ANTHROPIC_API_KEY")
    anthropic_base_url: str | None = Field(None, validation_alias="ANTHROPIC_BASE_URL")
    writer: WriterName | None = Field(None)
    model: str = Field(DEFAULT_MODEL)
    max_tokens: int = Field(16_000, ge=256, le=128_000)
    call_timeout: float = Field(180.0, gt=0, le=3600)
    max_attempts: int = Field(5, ge=1, le=20)
    pause_after_failures: int = Field(5, ge=1, le=1000)
    """So many items that fail in a row pause their job."""
    pause_after_refusals: int = Field(3, ge=1, le=1000)
    """So many items that the model declines in a row pause their job."""
    session_hours: float = Field(12.0, gt=0, le=720)
    """So long a login counts; then it has to be made again."""
    retry_base: float = Field(2.0, gt=0, le=60)
    """Seconds the first back-off lasts; it doubles with each attempt."""
    demo_seconds: float = Field(0.0, ge=0, le=60)
    """How long the demo writer takes over one conversation, so that progress can be watched."""
    lease_margin: float = Field(60.0, gt=0)
    """Seconds a lease outlives the call's time-out."""
    overnight_part: int = Field(1_000, ge=1, le=MOST_REQUESTS)
    """So many items are handed over to Message Batches at once."""
    overnight_look: float = Field(60.0, gt=0, le=3600)
    """Seconds between two looks at what is out."""
    quality: Standard = Field(STANDARD)
    """What conversations are held against; each line of it has a setting of its own."""
    runner: RunnerMode = Field(RunnerMode.THREAD)
    actor: str | None = Field(None)
    log: LogTarget = Field(LogTarget.FILE)
    log_level: LogLevel = Field(LogLevel.INFO)
    log_megabytes: float = Field(10.0, gt=0, le=10_000)
    """Size at which the log's file rotates; five older ones are kept."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment wins over .env, and both over the secrets file's own table.

        A table, because Streamlit exports that file's root keys into the environment of everything.
        """
        sources = (init_settings, env_settings, dotenv_settings)
        if not _has_table():
            return sources
        table = TomlConfigSettingsSource(settings_cls, SECRETS, toml_table_header=("brightrun",))
        return (*sources, table)

    @field_validator("anthropic_api_key", "supabase_secret_key", mode="before")
    @classmethod
    def _strip(cls, value: object) -> object:
        """A key pasted with a newline makes the SDK report a mere connection error."""
        return value.strip() if isinstance(value, str) else value

    @property
    def database(self) -> Database:
        """Which road to the database these settings ask for."""
        if self.database_url:
            return Database.POSTGRES
        if self.supabase_url:
            return Database.SUPABASE
        return Database.EMBEDDED

    @property
    def default_writer(self) -> WriterName:
        """Claude where a key is given, else the demo writer."""
        if self.writer:
            return self.writer
        return WriterName.CLAUDE if self.anthropic_api_key else WriterName.DEMO

    @property
    def person(self) -> str:
        """The acting person: the operating system's user where there is no login."""
        return self.actor or getpass.getuser()

    @property
    def lease_seconds(self) -> float:
        """How long an item is held: longer than any call can take."""
        return self.call_timeout + self.lease_margin


def _has_table() -> bool:
    return SECRETS.is_file() and "brightrun" in tomllib.loads(SECRETS.read_text(encoding="utf-8"))
