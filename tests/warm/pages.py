"""Read by the process that apps are forked from, once: no page runs, and nothing of an installation is looked at.

Other people's modules and the rooms below the pages; pages, and what registers itself with a server, an app reads.
"""

from __future__ import annotations

from tests.warm import read_modules

read_modules(
    "streamlit.web.cli",
    "streamlit.web.server.starlette.starlette_server",
    *("altair", "pandas", "pyarrow.parquet", "scipy.stats.contingency"),
    *("sklearn.feature_extraction.text", "sklearn.metrics"),
)
