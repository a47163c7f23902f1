"""Commands of the database library: the same functions as `from brightrun import saol`, one result each."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from brightrun import saol
from brightrun.bootstrap import open_database
from brightrun.cli.console import Json, emit, err, open_settings, out, print_table, reported
from brightrun.config import Database
from brightrun.domain.errors import InvalidInput

app = typer.Typer(help="Work on the database by hand: rows, files, statements, upkeep.", no_args_is_help=True)

TableName = Annotated[str, typer.Argument(metavar="TABLE", help="A table or view.")]
Filters = Annotated[
    list[str] | None,
    typer.Option("--where", help="`COLUMN OPERATOR VALUE`; repeat it, all must hold. Lists as JSON."),
]
Over = Annotated[
    Database | None,
    typer.Option("--over", help="Which road, where the settings name several: postgres or supabase."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Run it and take it back, or show what would go.")]
Confirm = Annotated[bool, typer.Option("--confirm", help="Yes, take away what it names.")]
Columns = Annotated[str, typer.Option(help="Columns, separated by commas.")]
Values = Annotated[list[str] | None, typer.Option("--value", help="What $1, $2 … stand for, in order.")]
Text = Annotated[str, typer.Argument(metavar="SQL", help="Statements; `-` reads them from standard input.")]


@app.command()
def query(
    table: TableName,
    select: Columns = "*",
    where: Filters = None,
    order: Annotated[str, typer.Option(help="Columns, separated by commas; `-name` descends.")] = "",
    limit: Annotated[int | None, typer.Option(min=0)] = 50,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    every: Annotated[bool, typer.Option("--all", help="Without a limit.")] = False,
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Show rows."""
    with _database(over, as_json) as db:
        result = saol.agent_query(
            db,
            table,
            select=select,
            where=_conditions(where),
            order_by=[saol.Order(n.removeprefix("-"), descending=n.startswith("-")) for n in _names(order)],
            limit=None if every else limit,
            offset=offset,
        )
        if result.success:
            columns = db.table(table).chosen(select)
            rows = [{name: row[name] for name in columns} for row in result.data]
            result = replace(result, data=rows)
    _show(result, as_json)


@app.command()
def count(table: TableName, where: Filters = None, over: Over = None, as_json: Json = False) -> None:
    """Count rows."""
    with _database(over, as_json) as db:
        result = saol.agent_count(db, table, where=_conditions(where))
    _show(result, as_json)


@app.command("import")
def import_rows(
    table: TableName,
    file: Annotated[Path, typer.Argument(help=".json, .jsonl or .csv")],
    upsert: Annotated[str, typer.Option(help="Change rows whose key of these columns is there.")] = "",
    batch: Annotated[int, typer.Option(min=1, max=1000, help="Rows written at once.")] = 200,
    sanitize: Annotated[bool, typer.Option(help="Take out characters no database holds.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write the report on every refused row here.")] = None,
    dry_run: DryRun = False,
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Write the rows of a file; each one that is refused is reported with its reason."""
    with _database(over, as_json) as db:
        result = saol.agent_import(
            db,
            table,
            file,
            mode="upsert" if upsert else "insert",
            on_conflict=_names(upsert),
            batch_rows=batch,
            sanitize=sanitize,
            report_to=report,
            dry_run=dry_run,
        )
    _show(result, as_json, rows="errors")


@app.command()
def export(
    table: TableName,
    file: Annotated[Path, typer.Argument(help=".json, .jsonl or .csv")],
    select: Columns = "*",
    where: Filters = None,
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Write rows to a file."""
    with _database(over, as_json) as db:
        result = saol.agent_export(db, table, file, select=select, where=_conditions(where))
    _show(result, as_json)


@app.command()
def delete(
    table: TableName,
    where: Filters = None,
    confirm: Confirm = False,
    dry_run: DryRun = False,
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Delete rows: look with --dry-run, then say --confirm."""
    with _database(over, as_json) as db:
        result = saol.agent_delete(db, table, where=_conditions(where), confirm=confirm, dry_run=dry_run)
    _show(result, as_json)


@app.command()
def schema(
    table: Annotated[str | None, typer.Argument(metavar="TABLE")] = None,
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Describe one table, or list all of them."""
    with _database(over, as_json) as db:
        result = saol.agent_introspect_schema(db, table)
    if result.success and not as_json and table is None:
        kept = ("name", "kind", "row_estimate", "size_bytes", "rls_enabled")
        _print_rows([{name: entry[name] for name in kept} for entry in result.data["tables"]])
        return
    _show(result, as_json)


@app.command()
def rpc(
    function: Annotated[str, typer.Argument(help="A function of the schema.")],
    params: Annotated[str, typer.Option(help="Its arguments as a JSON object.")] = "{}",
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Call a function."""
    with _database(over, as_json) as db:
        result = saol.agent_execute_rpc(db, function, _json(params, dict, "params"))
    _show(result, as_json)


@app.command()
def sql(
    text: Text,
    value: Values = None,
    write: Annotated[bool, typer.Option("--write", help="Rows may be changed.")] = False,
    confirm: Confirm = False,
    dry_run: DryRun = False,
    timeout: Annotated[float, typer.Option(min=0.001, help="Seconds.")] = 30.0,
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Run statements on rows in one transaction, reading only unless --write is said."""
    with _database(over, as_json) as db:
        result = saol.agent_execute_sql(
            db,
            _read(text),
            value or (),
            write=write,
            confirm=confirm,
            dry_run=dry_run,
            timeout_seconds=timeout,
        )
    _show(result, as_json)


@app.command()
def ddl(
    text: Text,
    confirm: Confirm = False,
    dry_run: DryRun = False,
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Run statements that define something, all or none."""
    with _database(over, as_json) as db:
        result = saol.agent_execute_ddl(db, _read(text), confirm=confirm, dry_run=dry_run)
    _show(result, as_json)


@app.command()
def index(
    table: TableName,
    create: Annotated[str, typer.Option(help="Columns of a new index, separated by commas.")] = "",
    drop: Annotated[str, typer.Option(help="The name of the index to drop.")] = "",
    name: Annotated[str, typer.Option(help="The new one's name.")] = "",
    method: Annotated[saol.Method, typer.Option()] = saol.Method.BTREE,
    unique: Annotated[bool, typer.Option("--unique")] = False,
    concurrent: Annotated[bool, typer.Option("--concurrent", help="Let others write meanwhile.")] = False,
    confirm: Confirm = False,
    dry_run: DryRun = False,
    over: Over = None,
    as_json: Json = False,
) -> None:
    """List a table's indexes, or create or drop one."""
    with _database(over, as_json) as db:
        result = saol.agent_manage_index(
            db,
            table,
            "create" if create else "drop" if drop else "list",
            name=drop or name,
            columns=_names(create),
            method=method,
            unique=unique,
            concurrent=concurrent,
            confirm=confirm,
            dry_run=dry_run,
        )
    _show(result, as_json)


@app.command()
def table(
    action: Annotated[saol.SchemaAction, typer.Argument()],
    name: TableName,
    column: Annotated[
        list[str] | None, typer.Option(help="`NAME TYPE` of a new column, or the NAME of one; repeat it.")
    ] = None,
    key: Annotated[str, typer.Option(help="Columns of the primary key, separated by commas.")] = "",
    to: Annotated[str, typer.Option(help="A column's new name.")] = "",
    confirm: Confirm = False,
    dry_run: DryRun = False,
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Create or drop a table; add, drop or rename a column."""
    given = [entry.split(None, 1) for entry in column or []]
    is_new = action in (saol.SchemaAction.CREATE_TABLE, saol.SchemaAction.ADD_COLUMN)
    with _database(over, as_json) as db:
        result = saol.agent_manage_schema(
            db,
            action,
            name,
            columns=[saol.Column(part[0], (part[1:] or [""])[0]) for part in given] if is_new else (),
            primary_key=_names(key),
            column=given[0][0] if given and not is_new else "",
            to=to,
            confirm=confirm,
            dry_run=dry_run,
        )
    _show(result, as_json)


@app.command()
def preflight(
    table: TableName,
    columns: Columns = "",
    upsert: Annotated[str, typer.Option(help="The key of an upsert.")] = "",
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Say whether rows with these columns can be written."""
    with _database(over, as_json) as db:
        result = saol.agent_preflight(db, table, columns=_names(columns), on_conflict=_names(upsert))
    _show(result, as_json, rows="issues")


@app.command()
def verify(
    table: TableName,
    column: Annotated[
        list[str] | None, typer.Option(help="`NAME TYPE` that it should have; repeat it.")
    ] = None,
    index: Annotated[list[str] | None, typer.Option(help="An index that it should have; repeat it.")] = None,
    constraint: Annotated[list[str] | None, typer.Option(help="A constraint, likewise.")] = None,
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Compare a table with what is expected of it."""
    pairs = [entry.split(None, 1) for entry in column or []]
    if any(len(pair) != 2 for pair in pairs):
        raise typer.BadParameter("a column is `NAME TYPE`")
    with _database(over, as_json) as db:
        result = saol.agent_verify_table(
            db,
            table,
            columns={pair[0]: pair[1] for pair in pairs},
            indexes=index or (),
            constraints=constraint or (),
        )
    _show(result, as_json, rows="issues")
    if not result.data["can_proceed"]:
        raise typer.Exit(1)


@app.command()
def upkeep(
    what: Annotated[str, typer.Argument(help="vacuum, analyze, reindex, usage or bloat")],
    table: Annotated[str | None, typer.Argument(metavar="TABLE", help="One table; else all.")] = None,
    full: Annotated[bool, typer.Option("--full", help="Rewrite it whole; nobody reads meanwhile.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the statements only.")] = False,
    over: Over = None,
    as_json: Json = False,
) -> None:
    """Keep tables up, or show how their indexes are used and how many dead rows they hold."""
    with _database(over, as_json) as db:
        if what == "vacuum":
            result = saol.agent_vacuum(db, table, full=full, analyze=True, dry_run=dry_run)
        elif what == "analyze":
            result = saol.agent_analyze(db, table, dry_run=dry_run)
        elif what == "reindex":
            result = saol.agent_reindex(db, table, dry_run=dry_run)
        elif what == "bloat":
            result = saol.agent_analyze_table_bloat(db, table)
        elif what == "usage" and table:
            result = saol.agent_analyze_index_usage(db, table)
        else:
            raise InvalidInput(
                f"There is no upkeep {what!r}.", remedy="Say vacuum, analyze, reindex, bloat, or usage TABLE."
            )
    _show(result, as_json)


@contextmanager
def _database(over: Database | None, as_json: bool) -> Iterator[saol.Database]:
    with reported(as_json=as_json), open_database(open_settings(), over=over) as db:
        yield db


def _show(result: saol.Result, as_json: bool, *, rows: str = "") -> None:
    """Print a result, its rows as a table, and leave with 1 when it failed."""
    if as_json:
        emit(asdict(result))
    else:
        data = result.data.get(rows) if rows and isinstance(result.data, dict) else result.data
        if isinstance(data, list) and data and all(isinstance(row, dict) for row in data):
            _print_rows(data)
        elif data not in (None, []):
            print(json.dumps(data, ensure_ascii=False, indent=2, default=str))
        err.print(f"[{'green' if result.success else 'red'}]{_with_options(result.summary)}[/]")
        if result.error:
            err.print(_with_options(result.error.remediation))
        for action in result.next_actions:
            err.print(_with_options(f"  {action.action}: {action.description} {action.example}".rstrip()))
    if not result.success:
        raise typer.Exit(1)


def _with_options(text: str) -> str:
    """Return what the library says of its arguments as the shell says it of its options."""
    return escape(re.sub(r"\b(\w+)=True\b", lambda found: f"--{found[1].replace('_', '-')}", text))


def _print_rows(rows: list[dict[str, Any]]) -> None:
    """Where nobody looks, one JSON object a line; on a terminal a table."""
    if not out.is_terminal:
        for row in rows:
            emit(row)
        return
    shown = Table(*rows[0])
    for row in rows:
        shown.add_row(*(escape(_cell(value)) for value in row.values()))
    print_table(shown)


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _conditions(given: list[str] | None) -> list[saol.Where]:
    found = []
    for text in given or []:
        parts = text.split(None, 2)
        if len(parts) < 2:
            raise InvalidInput(f"{text!r} is no condition.", remedy="Write `COLUMN OPERATOR VALUE`.")
        column, operator, value = (*parts, "")[:3]
        found.append(saol.Where(column, operator, _operand(operator, value)))
    return found


def _operand(operator: str, text: str) -> Any:
    """Return a value as its operator needs it; a plain one stays text, which the column's type reads."""
    if operator == "is":
        words = {"null": None, "true": True, "false": False}
        return words.get(text.lower(), text)
    if operator == "in":
        return _json(text, list, "a list")
    return _json(text, (list, dict), "a list or object") if operator == "contains" else text


def _json(text: str, kind: type | tuple[type, ...], what: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError as fault:
        raise InvalidInput(f"{text!r} is no JSON.", remedy=f"Give {what} as JSON.") from fault
    if not isinstance(value, kind):
        raise InvalidInput(f"{text!r} is not what is needed.", remedy=f"Give {what} as JSON.")
    return value


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _read(text: str) -> str:
    return sys.stdin.read() if text == "-" else text
