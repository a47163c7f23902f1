"""Ratios to a peer or a physical limit, measured in one run on one machine."""
