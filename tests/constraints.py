"""Print the exact versions of everything Bright Run runs on here, as pip takes them (`make constraints`)."""

from __future__ import annotations

from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HEAD = "# The versions the tests ran with: pip install -c constraints.txt .   Made by `make constraints`."


def pinned(root: str = "brightrun") -> dict[str, str]:
    """Return the version of every package that a package brings with it, by its name."""
    seen: dict[tuple[str, tuple[str, ...]], str] = {}
    waiting: list[tuple[str, tuple[str, ...]]] = [(root, ("hub", "worker"))]
    while waiting:
        name, extras = waiting.pop()
        key = (canonicalize_name(name), extras)
        if key in seen:
            continue
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:  # for another system
            continue
        seen[key] = found.version
        for line in found.requires or []:
            needed = Requirement(line)
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in (*extras, "")):
                waiting.append((needed.name, tuple(sorted(needed.extras))))
    return {name: version for (name, _), version in sorted(seen.items()) if name != root}


if __name__ == "__main__":
    print("\n".join([HEAD, *(f"{name}=={version}" for name, version in pinned().items())]))
