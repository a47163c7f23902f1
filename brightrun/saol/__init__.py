"""The Supabase Agent Ops Library: the one road to the database, as functions that return results."""

from __future__ import annotations

from brightrun.saol.changes import Column, Method
from brightrun.saol.connect import connect_postgres, connect_supabase
from brightrun.saol.database import Database
from brightrun.saol.definitions import IndexAction, SchemaAction, agent_manage_index, agent_manage_schema
from brightrun.saol.exports import agent_export
from brightrun.saol.files import Format
from brightrun.saol.imports import Mode, agent_import
from brightrun.saol.maintenance import (
    agent_analyze,
    agent_analyze_index_usage,
    agent_analyze_table_bloat,
    agent_reindex,
    agent_vacuum,
)
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
from brightrun.saol.preflight import agent_preflight, agent_verify_table
from brightrun.saol.result import Failure, NextAction, Priority, Result
from brightrun.saol.statements import agent_execute_ddl, agent_execute_sql
from brightrun.saol.where import Order, Where

__all__ = [
    "Column",
    "Database",
    "Failure",
    "Format",
    "IndexAction",
    "Method",
    "Mode",
    "NextAction",
    "Order",
    "Priority",
    "Result",
    "SchemaAction",
    "Where",
    "agent_analyze",
    "agent_analyze_index_usage",
    "agent_analyze_table_bloat",
    "agent_count",
    "agent_delete",
    "agent_execute_ddl",
    "agent_execute_rpc",
    "agent_execute_sql",
    "agent_export",
    "agent_import",
    "agent_insert",
    "agent_introspect_schema",
    "agent_manage_index",
    "agent_manage_schema",
    "agent_preflight",
    "agent_query",
    "agent_reindex",
    "agent_update",
    "agent_upsert",
    "agent_vacuum",
    "agent_verify_table",
    "connect_postgres",
    "connect_supabase",
]
