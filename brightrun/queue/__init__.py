"""Who does what next among many processes and machines: procrastinate on the same Postgres."""
