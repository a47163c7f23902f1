"""Other tools that call a model many times, each at the same work as ours in an environment of its own."""
