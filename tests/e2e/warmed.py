"""Read by the process that apps are forked from, once, when it starts."""

from tests.e2e.warm import read_modules

read_modules()
