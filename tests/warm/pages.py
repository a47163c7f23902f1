"""Read by the process that apps are forked from, once: no page runs, and nothing of an installation is looked at.

Other people's modules and the rooms below the pages; pages, and what registers itself with a server, an app reads.
"""

from __future__ import annotations

import gc
import importlib

for name in (
    "streamlit.web.cli",
    "streamlit.web.server.starlette.starlette_server",
    *("altair", "pandas", "pyarrow.parquet", "scipy.stats.contingency"),
    *("sklearn.feature_extraction.text", "sklearn.metrics"),
    *("brightrun.bootstrap", "brightrun.saol.parser", "brightrun.saol.transports.postgres"),
    "brightrun.writers.claude",
):
    importlib.import_module(name)
gc.freeze()  # or each one's first collection would copy all of it
