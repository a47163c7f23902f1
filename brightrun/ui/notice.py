"""The notice that a batch has ended: a toast in the app, and the desktop's own where the reader allows it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from brightrun.domain.batch import Job, JobKind, JobStatus
from brightrun.ui.desk import Desk
from brightrun.ui.text import label_safe

SCRIPT = Path(__file__).parent / "scripts" / "notice.js"
HTML = '<button type="button" hidden>Tell my desktop when it ends</button><span hidden></span>'
CSS = """
button, span { font: inherit; font-size: 0.9rem; color: inherit; }
button { background: none; border: 0; padding: 0.5rem 0; text-decoration: underline; cursor: pointer;
  color: var(--st-link-color); }
button:focus-visible { outline: 2px solid var(--st-primary-color); }
span { opacity: 0.7; padding: 0.5rem 0; display: inline-block; }
[hidden] { display: none; }
"""

_component = st.components.v2.component("desktop_notice", html=HTML, css=CSS, js=SCRIPT.read_text("utf-8"))


def end_text(job: Job) -> str:
    """Return how a job stands in one sentence: what a toast and a notice say."""
    counts = job.counts
    done = "judged" if job.kind is JobKind.JUDGE else "written"
    state = "preview to read" if job.awaits_start else job.status.value
    return f"{state}, {counts.completed:,} {done}, {counts.failed:,} failed."


def tell_end(own: Desk, job: Job) -> bool:
    """Keep a toast for a job that this session last saw open and that no longer is; returns whether it did."""
    if job.is_open:
        own.watched.add(job.id)
        return False
    if job.id not in own.watched:
        return False
    own.watched.discard(job.id)
    own.notify(f"{label_safe(job.name, limit=60)}: {end_text(job)}")
    return True


def draw_notice(job: Job) -> None:
    """Offer the desktop's notice while a job is open, and let it out when the job no longer is.

    Only text goes to the browser's own Notification API, which shows it as text. A job paused by hand is
    no news to whoever paused it, but the page is then in sight and stays silent.
    """
    is_open = job.is_open or (job.status is JobStatus.CANCELLED and job.counts.processing > 0)
    data = {"job": job.id, "is_open": is_open, "title": job.name, "text": end_text(job)}
    _component(key="desktop-notice", data=data, height="content")
