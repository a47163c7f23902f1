"""How many items of a batch are written at the same time while its page is open."""

from __future__ import annotations

import streamlit as st

from brightrun.domain.batch import Job, WriterName
from brightrun.domain.part import Delivery
from brightrun.ui.runner import MOST_SLOTS

CHOICES = (1, 2, 4, 8, MOST_SLOTS)


def draw_slots(job: Job) -> int:
    """Let a person choose how many calls are out at a time, and return it; the demo writer needs no more than one."""
    is_single = job.options.writer is WriterName.DEMO or job.options.delivery is Delivery.OVERNIGHT
    if not job.is_open or is_single or job.counts.total < 2:
        return 1
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("At the same time", width="content")
        chosen = st.segmented_control(
            "At the same time",
            CHOICES,
            default=1,
            required=True,
            key="slots",
            bind="query-params",
            label_visibility="collapsed",
            help="So many calls are out at once, as fast as the limits of your key allow. Each is recorded by itself.",
        )
    return int(chosen or 1)
