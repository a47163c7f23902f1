"""The two transports under SAOL: PostgreSQL directly, and Supabase over PostgREST."""
