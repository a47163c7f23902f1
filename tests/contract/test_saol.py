"""What SAOL promises, over both transports: PostgreSQL directly, and supabase-py over a gateway."""

from __future__ import annotations

import pytest

from brightrun import saol
from brightrun.domain.errors import BrightRunError, DatabaseFault
from tests.gateway import MAX_ROWS, Gateway
from tests.shelf import code, fill
from tests.storage_api import PUBLISHABLE_KEY, SECRET_KEY

AWKWARD = [
    'O\'Brien said "no"',
    "line one\nline two\r\n\ttabbed",
    "🙂 naïve — ünïcödé \u2028 end",
    "back\\slash and 100% and under_score",
    "commas, (parentheses), colons: and. dots",
    "star * and ${dollar} and {brace}",
    "'; drop table shelf; --",
    " leading and trailing ",
    "null",
    "",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_any_text_goes_through_unharmed(db: saol.Database, text: str) -> None:
    """Whatever a person types is stored, found, listed, changed and deleted as the very same text."""
    saol.agent_insert(db, "shelf", {"id": 1, "name": text, "tags": [text], "facts": {"note": text}}).require()
    fill_two = {"id": 2, "name": "another", "tags": ["x"], "facts": {}}
    saol.agent_insert(db, "shelf", fill_two).require()
    for where in (
        [("name", "eq", text)],
        [("name", "in", [text, "nobody"])],
        [("tags", "contains", [text])],
        [("facts", "contains", {"note": text})],
        [("name", "neq", "another")],
    ):
        rows = saol.agent_query(db, "shelf", where=where).rows()
        assert [(r["id"], r["name"], r["tags"], r["facts"]) for r in rows] == [
            (1, text, [text], {"note": text})
        ]
    echoed = saol.agent_execute_rpc(
        db, "shelf_echo", {"p_text": text, "p_facts": {"a": text}, "p_list": [text, text]}
    ).value()
    assert echoed == {"text": text, "facts": {"a": text}, "list": [text, text]}
    changed = saol.agent_update(db, "shelf", {"weight": 2}, where=[("name", "eq", text)]).rows()
    assert [row["id"] for row in changed] == [1]
    assert saol.agent_delete(db, "shelf", where=[("name", "eq", text)], confirm=True).total() == 1
    assert saol.agent_count(db, "shelf").total() == 1


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("a%", [1, 2, 3, 5]),
        ("A%", []),
        ("a_c", [1, 2, 3, 5]),
        ("a\\%c", [2]),
        ("a*c", [3]),
        ("%.(c", [4]),
        ("a\\\\c", [5]),
    ],
)
def test_patterns_mean_the_same_on_both_roads(db: saol.Database, pattern: str, found: list[int]) -> None:
    """Percent and underscore are wild, a star is a star, and a backslash takes either literally."""
    names = {1: "abc", 2: "a%c", 3: "a*c", 4: "x.(c", 5: "a\\c"}
    saol.agent_insert(db, "shelf", [{"id": i, "name": n} for i, n in names.items()]).require()
    rows = saol.agent_query(
        db, "shelf", where=[("name", "like", pattern)], order_by=[saol.Order("id")]
    ).rows()
    assert [row["id"] for row in rows] == found
    loud = saol.agent_query(
        db, "shelf", where=[("name", "ilike", pattern.upper())], order_by=[saol.Order("id")]
    )
    assert [row["id"] for row in loud.rows()] == (found or [1, 2, 3, 5])


def test_comparisons_and_nothing(db: saol.Database) -> None:
    """Every comparison means what it says, and `is` finds what is empty, true or false."""
    rows = [{"id": n, "weight": n, "is_open": {1: True, 2: False}.get(n)} for n in (1, 2, 3, 4)]
    saol.agent_insert(db, "shelf", rows).require()

    def ids(*where: tuple[str, str, object]) -> list[int]:
        return [
            r["id"] for r in saol.agent_query(db, "shelf", where=where, order_by=[saol.Order("id")]).rows()
        ]

    assert ids(("weight", "gt", 2)) == [3, 4]
    assert ids(("weight", "gte", 2), ("weight", "lt", 4)) == [2, 3]
    assert ids(("weight", "lte", 1.5)) == [1]
    assert ids(("is_open", "is", None)) == [3, 4]
    assert ids(("is_open", "is", True)) == [1]
    assert ids(("is_open", "eq", False)) == [2]
    assert ids(("id", "in", [])) == []
    assert ids(("id", "in", [4, 1])) == [1, 4]


def test_order_limit_offset_and_columns(db: saol.Database) -> None:
    """Pages are stable, empty values stand where they are asked to stand, only named columns come."""
    rows = [{"id": n, "weight": w} for n, w in ((1, 5), (2, None), (3, 5), (4, 1))]
    saol.agent_insert(db, "shelf", rows).require()

    def page(*order: saol.Order, limit: int | None = None, offset: int = 0) -> list[int]:
        found = saol.agent_query(db, "shelf", select="id", order_by=order, limit=limit, offset=offset).rows()
        assert all(list(row) == ["id"] for row in found)
        return [row["id"] for row in found]

    assert page(saol.Order("weight")) == [4, 1, 3, 2]
    assert page(saol.Order("weight", descending=True)) == [1, 3, 4, 2]
    assert page(saol.Order("weight", descending=True, nulls_first=True)) == [2, 1, 3, 4]
    assert page(saol.Order("weight"), limit=2, offset=1) == [1, 3]
    assert page(limit=2) == [1, 2]
    assert page(limit=5, offset=9) == []
    assert page(limit=0) == []


def test_no_server_cap_cuts_an_answer(db: saol.Database) -> None:
    """More rows than a project gives at once still come whole, each once, with their count."""
    number = 2 * MAX_ROWS + 3
    fill(db, number)
    result = saol.agent_query(db, "shelf", select=["id"], count=True)
    assert sorted(row["id"] for row in result.rows()) == list(range(1, number + 1))
    assert result.count == number
    ordered = saol.agent_query(
        db, "shelf", select=["id"], order_by=[saol.Order("id", descending=True)], limit=MAX_ROWS + 5, offset=2
    ).rows()
    assert [row["id"] for row in ordered] == list(range(number - 2, number - 2 - MAX_ROWS - 5, -1))
    wanted = list(range(1, 1200))
    assert saol.agent_count(db, "shelf", where=[("id", "in", wanted)]).total() == len(wanted)
    listed = saol.agent_query(db, "shelf", select="id", where=[("id", "in", wanted)]).rows()
    assert sorted(row["id"] for row in listed) == wanted


def test_a_set_is_never_cut_in_silence(db: saol.Database) -> None:
    """A function that returns more rows than the project gives is whole, or says that it is not."""
    fill(db, MAX_ROWS + 1)
    result = saol.agent_execute_rpc(db, "shelf_above", {"p_weight": 0})
    if result.success:
        assert len(result.value()) == MAX_ROWS + 1
    else:
        assert "max_rows" in str(result.error)
    few = saol.agent_execute_rpc(db, "shelf_above", {"p_weight": MAX_ROWS}).value()
    assert [row["id"] for row in few] == [MAX_ROWS, MAX_ROWS + 1]


def test_rows_that_lack_a_column_get_nothing_there(db: saol.Database) -> None:
    """Rows of one insert may differ in their columns; all are written or none."""
    rows = [{"id": 1, "name": "one"}, {"id": 2, "weight": 3}]
    done = saol.agent_insert(db, "shelf", [{**row, "tags": [], "facts": {}} for row in rows]).rows()
    assert [(row["name"], row["weight"]) for row in done] == [("one", None), (None, 3)]
    twice = saol.agent_insert(db, "shelf", [{"id": 3}, {"id": 1}])
    assert code(twice) == "ERR_DB_UNIQUE_VIOLATION"
    assert saol.agent_count(db, "shelf").total() == 2


def test_upserting_changes_or_leaves_alone(db: saol.Database) -> None:
    """An upsert changes the row of a known key, or leaves it alone when told to."""
    saol.agent_insert(db, "shelf", {"id": 1, "name": "one", "weight": 1}).require()
    both = [{"id": 1, "name": "uno"}, {"id": 2, "name": "due"}]
    changed = saol.agent_upsert(db, "shelf", both, on_conflict=["id"]).rows()
    assert sorted((row["id"], row["name"], row["weight"]) for row in changed) == [
        (1, "uno", 1),
        (2, "due", None),
    ]
    kept = saol.agent_upsert(
        db,
        "shelf",
        [{"id": 1, "name": "ein"}, {"id": 3, "name": "drei"}],
        on_conflict=["id"],
        ignore_duplicates=True,
    ).rows()
    assert [row["id"] for row in kept] == [3]
    only_keys = saol.agent_upsert(db, "shelf", [{"id": 1}, {"id": 4}], on_conflict=["id"]).rows()
    assert [row["id"] for row in only_keys] == [4]
    names = {r["id"]: r["name"] for r in saol.agent_query(db, "shelf").rows()}
    assert names == {1: "uno", 2: "due", 3: "drei", 4: None}


def test_nothing_is_changed_without_a_where_or_a_confirmation(db: saol.Database) -> None:
    """A delete or update of everything is refused before anything is sent; a dry run shows what would go."""
    fill(db, 3)
    assert code(saol.agent_delete(db, "shelf", where=[], confirm=True)) == "ERR_VALIDATION_REQUIRED"
    assert code(saol.agent_update(db, "shelf", {"weight": 9}, where=[])) == "ERR_VALIDATION_REQUIRED"
    unconfirmed = saol.agent_delete(db, "shelf", where=[("id", "gt", 1)])
    assert code(unconfirmed) == "ERR_CONFIRMATION_REQUIRED"
    assert [action.action for action in unconfirmed.next_actions] == ["RUN_DRY_RUN_FIRST"]
    dry = saol.agent_delete(db, "shelf", where=[("id", "gt", 1)], dry_run=True)
    assert (dry.count, [row["id"] for row in dry.rows()]) == (2, [2, 3])
    assert [action.action for action in dry.next_actions] == ["CONFIRM_DELETE"]
    assert saol.agent_count(db, "shelf").total() == 3
    gone = saol.agent_delete(db, "shelf", where=[("id", "gt", 1)], confirm=True)
    assert gone.count == 2
    assert saol.agent_count(db, "shelf").total() == 1


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"id": 1}, "ERR_DB_UNIQUE_VIOLATION"),
        ({"id": 2, "parent": 77}, "ERR_DB_FK_VIOLATION"),
        ({"name": "no id"}, "ERR_DB_NOT_NULL_VIOLATION"),
        ({"id": 2, "weight": -1}, "ERR_DB_CHECK_VIOLATION"),
        ({"id": "two"}, "ERR_CAST_INVALID_INPUT"),
        ({"id": 2, "made_at": "yesterday-ish"}, "ERR_CAST_INVALID_INPUT"),
        ({"id": 2, "name": "a\0b"}, "ERR_CHAR_INVALID_UTF8"),
        ({"id": 2, "name": "half \ud83d"}, "ERR_CHAR_INVALID_UTF8"),
        ({"id": 2, "colour": "red"}, "ERR_DB_COLUMN_NOT_FOUND"),
    ],
)
def test_what_the_database_refuses_has_a_code_and_a_remedy(
    db: saol.Database, row: dict[str, object], expected: str
) -> None:
    """Each kind of refusal is told apart by its code, says what to do, and leaves nothing behind."""
    saol.agent_insert(db, "shelf", {"id": 1, "name": "one"}).require()
    assert code(saol.agent_insert(db, "shelf", {"tags": [], "facts": {}, **row})) == expected
    assert saol.agent_count(db, "shelf").total() == 1


@pytest.mark.parametrize("text", ["a\0b", "half \ud83d"])
def test_characters_that_no_database_holds_are_named_in_filters_too(db: saol.Database, text: str) -> None:
    """Searching for NUL or half a character is refused by code, never a crash."""
    result = saol.agent_query(db, "shelf", where=[("name", "eq", text)])
    assert code(result) == "ERR_CHAR_INVALID_UTF8"
    assert code(saol.agent_execute_rpc(db, "shelf_echo", {"p_text": text})) == "ERR_CHAR_INVALID_UTF8"


def test_unknown_names_are_refused_and_never_skipped(db: saol.Database) -> None:
    """A misspelt table, column, operator, function or argument is an error: it can widen no delete."""
    fill(db, 2)
    assert code(saol.agent_query(db, "shelves")) == "ERR_DB_TABLE_NOT_FOUND"
    assert code(saol.agent_query(db, "shelf", select="colour")) == "ERR_DB_COLUMN_NOT_FOUND"
    assert code(saol.agent_query(db, "shelf", order_by=[saol.Order("colour")])) == "ERR_DB_COLUMN_NOT_FOUND"
    misspelt = saol.agent_delete(db, "shelf", where=[("id", "eq", 1), ("nme", "eq", "x")], confirm=True)
    assert code(misspelt) == "ERR_DB_COLUMN_NOT_FOUND"
    odd = saol.agent_delete(db, "shelf", where=[("id", "approximately", 1)], confirm=True)
    assert code(odd) == "ERR_VALIDATION_SCHEMA"
    assert code(saol.agent_execute_rpc(db, "shelf_below")) == "ERR_RPC_NOT_FOUND"
    assert code(saol.agent_execute_rpc(db, "shelf_above", {"weight": 1})) == "ERR_RPC_NOT_FOUND"
    assert (
        code(saol.agent_query(db, "shelf", where=[("name; drop table shelf", "eq", 1)]))
        == "ERR_DB_COLUMN_NOT_FOUND"
    )
    assert saol.agent_count(db, "shelf").total() == 2


def test_the_schema_is_described_as_it_is(db: saol.Database) -> None:
    """Introspection names columns, types, keys, policies and whether Row Level Security is on."""
    data = saol.agent_introspect_schema(db, "shelf").value()
    (table,) = data["tables"]
    assert table["primary_key"] == ["id"]
    assert {c["name"] for c in table["columns"]} >= {"id", "name", "tags", "facts", "made_at"}
    everything = saol.agent_introspect_schema(db).value()
    assert {"batch_jobs", "batch_items", "conversations", "shelf"} <= {
        t["name"] for t in everything["tables"]
    }


def test_a_result_says_what_happened_and_how_long_it_took(db: saol.Database) -> None:
    """Each operation returns one result with a sentence, a duration and what to do next."""
    fill(db, 120)
    result = saol.agent_query(db, "shelf")
    assert result.success
    assert result.summary
    assert result.duration_ms > 0
    assert {action.action for action in result.next_actions} == {"ADD_PAGINATION", "EXPORT_DATA"}
    failed = saol.agent_insert(db, "shelf", {"id": 1, "tags": [], "facts": {}})
    assert [action.action for action in failed.next_actions] == ["RETRY_WITH_UPSERT"]
    with pytest.raises(DatabaseFault, match="duplicate"):
        failed.require()


def test_the_publishable_key_sees_and_changes_nothing(gateway: Gateway) -> None:
    """Without the secret key, grants and Row Level Security stop every read and write."""
    secret = saol.connect_supabase(gateway.url, SECRET_KEY)
    fill(secret, 2)
    public = saol.connect_supabase(gateway.url, PUBLISHABLE_KEY)
    assert code(saol.agent_query(public, "shelf")) == "ERR_SCHEMA_ACCESS_DENIED"
    secret.close()
    public.close()


def test_a_wrong_key_is_said(gateway: Gateway) -> None:
    """A wrong key is an error about the key, not about the table."""
    db = saol.connect_supabase(gateway.url, "sb_secret_of_another_project_00000")
    assert code(saol.agent_query(db, "shelf")) == "ERR_AUTH_INVALID_KEY"
    db.close()


def test_nobody_listening_is_said_and_worth_another_try() -> None:
    """A database that does not answer is told apart from one that says no."""
    db = saol.connect_supabase("http://127.0.0.1:9", SECRET_KEY)
    result = saol.agent_insert(db, "batch_jobs", {"id": 1})
    assert code(result) == "ERR_DB_UNREACHABLE"
    assert result.error is not None
    assert result.error.is_transient
    db.close()
    with pytest.raises(BrightRunError, match="not answer"):
        saol.connect_postgres("host=127.0.0.1 port=9 dbname=x connect_timeout=1")
