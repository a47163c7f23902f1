"""SQL as text: rehearsed, guarded, in one transaction. Over PostgreSQL only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from brightrun.saol import advice
from brightrun.saol.database import Database
from brightrun.saol.failures import Refused
from brightrun.saol.outcome import Outcome, outcome
from brightrun.saol.result import Result
from brightrun.saol.script import Power, Ran, Script

SQL_SECONDS = 30.0
DDL_SECONDS = 300.0


def agent_execute_sql(
    db: Database,
    sql: str,
    values: Sequence[Any] = (),
    *,
    write: bool = False,
    confirm: bool = False,
    dry_run: bool = False,
    timeout_seconds: float = SQL_SECONDS,
) -> Result:
    """Run statements on rows in one transaction; data are the last statement's rows, count those it touched.

    `$1`, `$2` in a single statement stand for `values`. Without `write` the transaction is read-only by the
    database's own rule. What touches every row needs `confirm`. A dry run runs everything and takes it back.
    """

    def run() -> Outcome:
        from brightrun.saol.parser import guard, parse  # a fifth of a second that only these functions need

        statements = parse(sql, values)
        for statement in statements:
            if statement.power is Power.DEFINE:
                raise Refused(
                    "ERR_STATEMENT_ELSEWHERE", "This defines something: agent_execute_ddl is meant for it."
                )
            if statement.power is not Power.READ and not write:
                raise Refused("25006", "This changes rows, and write=True was not said.")
        guard(statements, confirm=confirm or dry_run)
        script = Script(statements, read_only=not write, keep=not dry_run, timeout_seconds=timeout_seconds)
        done = db.transport.run(script)
        return done[-1].rows, done[-1].count, _told(done, dry_run=dry_run)

    return outcome("sql", run, lambda _: advice.after_rehearsal(dry_run=dry_run))


def agent_execute_ddl(
    db: Database,
    sql: str,
    *,
    confirm: bool = False,
    dry_run: bool = False,
    transaction: bool = True,
    timeout_seconds: float = DDL_SECONDS,
) -> Result:
    """Run statements that define something; data lists each with its power, count says how many ran.

    All stand or fall together, unless `transaction` is False. What drops, empties, or hides its effect needs
    `confirm`. A dry run runs everything and takes it back, holding its locks meanwhile.
    """

    def run() -> Outcome:
        from brightrun.saol.parser import guard, parse  # a fifth of a second that only these functions need

        if dry_run and not transaction:
            raise Refused("ERR_VALIDATION_SCHEMA", "Only a transaction can be rehearsed.")
        statements = parse(sql)
        guard(statements, confirm=confirm or dry_run)
        script = Script(
            statements, transaction=transaction, keep=not dry_run, timeout_seconds=timeout_seconds
        )
        done = db.transport.run(script)
        db.forget()
        listed = [
            {"command": ran.command, "power": statement.power.value, "warning": statement.reason}
            for ran, statement in zip(done, statements, strict=True)
        ]
        return listed, len(done), _told(done, dry_run=dry_run)

    return outcome("ddl", run, lambda _: advice.after_rehearsal(dry_run=dry_run))


def _told(done: Sequence[Ran], *, dry_run: bool) -> str:
    commands = ", ".join(ran.command for ran in done)
    return f"{commands}: {'runs, and was taken back' if dry_run else 'done'}"
