"""SQL as text, split and sorted by a parser: what may run, what needs a confirmation, what never runs here."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.errors import SqlglotError

from brightrun.saol.failures import Refused
from brightrun.saol.script import Power, Statement

DIALECT = "postgres"
SHOWN = 80
"""Characters of a statement that a message repeats."""

logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of every statement it only knows by its name

ELSEWHERE: Mapping[str, str] = {
    "BEGIN": "The transaction is opened for you.",
    "START": "The transaction is opened for you.",
    "COMMIT": "The transaction is closed for you.",
    "END": "The transaction is closed for you.",
    "ROLLBACK": "Use dry_run=True: it runs everything and takes it back.",
    "ABORT": "Use dry_run=True: it runs everything and takes it back.",
    "SAVEPOINT": "All statements stand or fall together.",
    "RELEASE": "All statements stand or fall together.",
    "PREPARE": "Bind values as $1, $2 instead.",
    "EXECUTE": "Call a function with agent_execute_rpc instead.",
    "COPY": "Use agent_import or agent_export.",
    "SET": "Settings of the connection are the transport's own.",
    "RESET": "Settings of the connection are the transport's own.",
    "LISTEN": "A pooled connection hears no notifications.",
    "VACUUM": "Use agent_vacuum.",
    "ANALYZE": "Use agent_analyze.",
    "REINDEX": "Use agent_reindex.",
}
"""First words that never run as text, and the way that is meant for them."""

TAKING = {"DROP", "DISABLE"}
DEFINING = ("COMMENT", "ALTER", "CREATE", "GRANT", "REFRESH")


def parse(text: str, values: Sequence[Any] = ()) -> list[Statement]:
    """Split a text into statements; raises Refused for what does not parse or runs elsewhere.

    Each part is also sent by itself in a protocol that takes one statement only, so that text this parser
    and PostgreSQL would cut at different places is an error there, never a second statement.
    """
    parts = list(_parts(text))
    if not parts:
        raise Refused("ERR_VALIDATION_REQUIRED", "There is no statement.")
    if values and len(parts) > 1:
        raise Refused("ERR_VALIDATION_SCHEMA", "Values can be bound to a single statement only.")
    return [_statement(part, values) for part in parts]


def guard(statements: Sequence[Statement], *, confirm: bool) -> None:
    """Refuse destructive statements that nobody confirmed."""
    if confirm:
        return
    for statement in statements:
        if statement.power is Power.DESTRUCTIVE:
            raise Refused(
                "ERR_CONFIRMATION_REQUIRED",
                f"{_short(statement.text)} {statement.reason}; it needs confirm=True, or dry_run=True to look.",
            )


def _parts(text: str) -> Iterator[str]:
    try:
        tokens = sqlglot.tokenize(text, read=DIALECT)
    except SqlglotError as fault:
        raise Refused("42601", f"The text cannot be read as SQL: {_first_line(fault)}") from fault
    start, is_empty = 0, True  # a part may hold nothing but a comment
    for token in [*tokens, None]:
        if token is not None and token.token_type is not TokenType.SEMICOLON:
            is_empty = False
            continue
        end = token.start if token else len(text)
        if not is_empty:
            yield text[start:end].strip()
        start, is_empty = end + 1, True


def _statement(text: str, values: Sequence[Any]) -> Statement:
    try:
        tree = sqlglot.parse_one(text, dialect=DIALECT)
    except SqlglotError as fault:
        raise Refused("42601", f"{_short(text)} is no valid statement: {_first_line(fault)}") from fault
    word = _first_word(text)
    if word in ELSEWHERE:
        raise Refused("ERR_STATEMENT_ELSEWHERE", f"{word} does not run as text. {ELSEWHERE[word]}")
    power, reason = _power(tree, word, text)
    return Statement(text, power, values, reason)


def _power(tree: exp.Expr, word: str, text: str) -> tuple[Power, str]:
    reason = next(filter(None, map(_loss, tree.walk())), "")
    if reason:
        return Power.DESTRUCTIVE, reason
    if isinstance(tree, exp.Command):
        return _command_power(word, text)
    if any(tree.find_all(exp.Insert, exp.Update, exp.Delete, exp.Merge)):
        return (Power.DEFINE if isinstance(tree, exp.Create) else Power.WRITE), ""
    if isinstance(tree, exp.Create | exp.Alter | exp.Comment | exp.Grant | exp.Revoke) or tree.find(exp.Into):
        return Power.DEFINE, ""
    if isinstance(tree, exp.Query | exp.Values | exp.Show):
        return Power.READ, ""
    return Power.DESTRUCTIVE, "is of a kind whose effect cannot be told"


def _command_power(word: str, text: str) -> tuple[Power, str]:
    """Statements the parser knows by their first word only."""
    words = text.upper().split()
    if word in ("SHOW", "EXPLAIN", "TABLE"):
        return Power.READ, ""  # EXPLAIN ANALYZE runs what it explains; the transaction is read-only
    if word in DEFINING and not TAKING & set(words):
        return Power.DEFINE, ""
    return Power.DESTRUCTIVE, "is of a kind whose effect cannot be told"


def _loss(node: exp.Expr) -> str:
    """Return what a part of a statement takes away for good."""
    if isinstance(node, exp.Drop):
        return "drops something"
    if isinstance(node, exp.TruncateTable):
        return "empties a table"
    if isinstance(node, exp.Delete | exp.Update) and not node.args.get("where"):
        return "has no WHERE and touches every row"
    if isinstance(node, exp.Merge):
        return "may delete what it matches"
    if isinstance(node, exp.Alter) and any(
        isinstance(action, exp.Drop | exp.AlterColumn | exp.RenameColumn | exp.AlterRename)
        for action in node.args.get("actions") or ()
    ):
        return "changes or drops a column"
    return ""


def _first_word(text: str) -> str:
    tokens = sqlglot.tokenize(text, read=DIALECT)
    return tokens[0].text.upper().split()[0] if tokens and tokens[0].text else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= SHOWN else line[: SHOWN - 1] + "…")


def _first_line(fault: SqlglotError) -> str:
    return str(fault).splitlines()[0]
