"""Reviewed conversations put straight into a database, where a test or a benchmark needs them by the number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import psycopg
from psycopg.types.json import Jsonb

from brightrun.config import supabase_folder
from brightrun.saol.server.launcher import EmbeddedServer
from brightrun.saol.server.migrations import apply

VOCABULARY = [f"word{number}" for number in range(5000)]


@contextmanager
def migrated() -> Iterator[tuple[Path, str]]:
    """A data folder with a server of its own, brought up to date and seeded with the scaffolding."""
    with TemporaryDirectory(prefix="br-") as name:
        home = Path(name)
        home.chmod(0o755)
        server = EmbeddedServer(home)
        try:
            dsn = server.acquire()
            folder = supabase_folder()
            bootstrap, seed = folder / "bootstrap.sql", folder / "seed.sql"
            apply(dsn, folder / "migrations", bootstrap=bootstrap, seed=seed)
            yield home, dsn
        finally:
            server.release()


@dataclass(frozen=True)
class Seed:
    """One conversation; the same number says the same."""

    number: int
    status: str = "approved"
    system: str = "You help people with their money."
    turns: Sequence[Mapping[str, str]] | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    words: int = 20
    topic: str | None = None
    writer: str = "claude"

    def said(self) -> Sequence[Mapping[str, str]]:
        if self.turns is not None:
            return self.turns
        return [
            {"role": role, "content": self._text(place, role)}
            for place, role in enumerate(("user", "assistant") * 2)
        ]

    def _text(self, place: int, role: str) -> str:
        filler = " ".join(Random(f"{self.number} {place}").choices(VOCABULARY, k=self.words))
        return f"The {role} speaks of matter {self.number}, part {place}: {filler}."


COLUMNS = (
    "name, writer, model, tier, persona_key, topic_key, parameters, system_text, turns, turn_count, first_words, status,"
    " quality_score, reviewed_by, reviewed_at, cost_usd"
)


def seed_conversations(dsn: str, seeds: Iterable[Seed]) -> None:
    """Insert conversations as a batch and a review would have left them, oldest first."""
    with (
        psycopg.connect(dsn, autocommit=True) as connection,
        connection.cursor() as cursor,
        cursor.copy(f"copy public.conversations ({COLUMNS}) from stdin") as copy,
    ):
        for seed in seeds:
            variables = dict(seed.variables) or {"scenario": f"Matter {seed.number}"}
            said = seed.said()
            copy.write_row(
                (
                    f"Matter {seed.number}",
                    seed.writer,
                    "claude-sonnet-5-5",
                    "scenario",
                    f"persona_{seed.number % 5}",
                    seed.topic,
                    Jsonb({"tier": "scenario", "variables": variables}),
                    seed.system,
                    json.dumps(said),
                    len(said),
                    f"Matter {seed.number}",
                    seed.status,
                    8.0 + seed.number % 3 / 2,
                    "ana",
                    "2026-11-23T11:00:00Z",
                    0.04,
                )
            )
