"""Write a batch with the demo writer, review it, and export its folder: what the trainers are given."""

from __future__ import annotations

import sys
from pathlib import Path

from brightrun.bootstrap import App, open_app
from brightrun.config import Settings
from brightrun.domain.batch import JobOptions, WriterName
from brightrun.domain.conversation import ConversationStatus
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
        _correct(app)
        options = DatasetOptions(validation=0.1)
        dataset = app.datasets.freeze(ConversationFilter(), name="proof", actor="proof", options=options)
        return app.exports.write(dataset, Format.FOLDER, out).files[0]
    finally:
        app.close()


def _correct(app: App) -> None:
    """Shorten the last answer of each approved conversation as a reviewer would, and approve it again."""
    chosen = ConversationFilter(status=ConversationStatus.APPROVED)
    for row in app.reviews.page(chosen, limit=ITEMS):
        read = app.reviews.read(row["id"])
        shorter = f"{read.turns[-1].content.split('. ')[0]}. Take one small step today."
        app.corrections.correct(read.id, len(read.turns), shorter, corrector="proof")
        again = app.reviews.read(read.id)
        app.reviews.decide([Seen(again.id, again.row_version)], Decision.APPROVED, reviewer="proof")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
