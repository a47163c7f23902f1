"""What the chart of a batch draws between its points."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from brightrun.domain.progress import Point
from brightrun.ui.charts import job_course


def test_failed_items_that_are_tried_again_fall_when_that_is_asked_for() -> None:
    """Counters stand until they change: no slope leads from three failed to none over the hours in between."""
    began = datetime(2026, 12, 2, 8, tzinfo=UTC)
    points = [Point(began, 0, 0, 0.0), Point(began + timedelta(hours=1), 7, 3, 0.1)]
    points.append(Point(began + timedelta(hours=9), 7, 0, 0.1))
    drawn = job_course(points, 10, has_money=False).to_dict()
    assert drawn["layer"][0]["mark"]["interpolate"] == "step-after"
