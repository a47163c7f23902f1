"""`python -m brightrun` is the console script."""

from __future__ import annotations

from brightrun.cli import main

if __name__ == "__main__":
    main()
