"""Read by the process that apps are forked from, once: no page runs, and nothing of an installation is looked at.

Other people's modules and the rooms below the pages; pages, and what registers itself with a server, an app reads.
"""

from __future__ import annotations

import functools
import inspect
import sys

from streamlit.components.v2 import manifest_scanner

from tests.warm import read_modules

WITHOUT_COMPONENTS = (
    *("corrections", "datasets", "diversity", "documents", "fleet", "imports", "insight"),
    *("insight_coverage", "insight_decisions", "insight_work", "intake", "login", "people", "preflight"),
    *("prices", "revisions", "runner", "scaffolding", "serving", "spaces", "variables", "views"),
)
"""The modules of our pages that register nothing with a server, as far as these do not read the others."""

read_modules(
    "streamlit.web.cli",
    "streamlit.web.server.starlette.starlette_server",
    *("altair", "pandas", "pyarrow.parquet", "scipy.stats.contingency"),
    *("sklearn.feature_extraction.text", "sklearn.metrics"),
    *(f"brightrun.ui.{name}" for name in WITHOUT_COMPONENTS),
)

# What a server asks of the whole environment when it starts: which packages bring components, and, when one is
# registered, which file each module came from. Half a second and a whole one, and the same for every app.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)
manifest_scanner.scan_component_manifests()
inspect.getmodule(sys._getframe())
