"""Write a batch with the demo writer, review it, and export its folder: what the trainers are given."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg

from brightrun.bootstrap import open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.dataset import DatasetOptions
from brightrun.domain.formats import Format
from brightrun.domain.review import ConversationFilter, Decision, Seen
from tests.seed import migrated

ITEMS = 60
REJECTED = 10


def main(out: Path) -> None:
    """Print the folder's path."""
    with migrated() as (home, dsn):
        print(_export(dsn, home, out))


def _export(dsn: str, home: Path, out: Path) -> Path:
    app = open_app(Settings(home=home, database_url=dsn, actor="proof"))
    try:
        axes = app.scenarios.axes()
        scenarios = app.scenarios.product(
            [p.persona_key for p in axes.personas],
            [a.arc_key for a in axes.arcs if a.category == "core"],
            [t.topic_key for t in axes.topics],
        )[:ITEMS]
        plan = app.planner.plan(scenarios, JobOptions(WriterName.DEMO, "demo", 8000), template="auto")
        job = app.batches.create(plan, name="proof", actor="proof")
        while app.batches.process_next(job.id).job.is_open:
            continue
        app.reviews.decide_matching(ConversationFilter(), Decision.APPROVED, reviewer="proof")
        worst = app.reviews.page(ConversationFilter(), sort="worst", limit=REJECTED)
        app.reviews.decide(
            [Seen(r["id"], r["row_version"]) for r in worst], Decision.REJECTED, reviewer="proof"
        )
        _correct(dsn)
        options = DatasetOptions(validation=0.1)
        dataset = app.datasets.freeze(ConversationFilter(), name="proof", actor="proof", options=options)
        return app.exports.write(dataset, Format.FOLDER, out).files[0]
    finally:
        app.close()


def _correct(dsn: str) -> None:
    """Shorten the last answer of each approved conversation as a reviewer would, and approve it again."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "update public.conversations set reviewed_at = clock_timestamp(), turns = jsonb_set(turns,"
            " array[(jsonb_array_length(turns) - 1)::text, 'content'],"
            " to_jsonb(split_part(turns -> -1 ->> 'content', '. ', 1) || '. Take one small step today.'))"
            " where status = 'approved'"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
