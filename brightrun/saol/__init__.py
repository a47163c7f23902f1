"""The Supabase Agent Ops Library: the one road to the database, as functions that return results."""

from __future__ import annotations

from brightrun.saol.connect import connect_postgres, connect_supabase
from brightrun.saol.database import Database
from brightrun.saol.operations import (
    agent_count,
    agent_delete,
    agent_execute_rpc,
    agent_insert,
    agent_introspect_schema,
    agent_query,
    agent_update,
    agent_upsert,
)
from brightrun.saol.result import Failure, NextAction, Priority, Result
from brightrun.saol.where import Order, Where

__all__ = [
    "Database",
    "Failure",
    "NextAction",
    "Order",
    "Priority",
    "Result",
    "Where",
    "agent_count",
    "agent_delete",
    "agent_execute_rpc",
    "agent_insert",
    "agent_introspect_schema",
    "agent_query",
    "agent_update",
    "agent_upsert",
    "connect_postgres",
    "connect_supabase",
]
