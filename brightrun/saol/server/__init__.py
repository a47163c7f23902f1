"""The embedded PostgreSQL: found, started, shared, stopped, and brought up to date."""
