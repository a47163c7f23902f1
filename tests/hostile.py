"""Text that breaks what is not careful, and conditions that a filter in plain Python agrees on."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

PIECES = [
    *("'", '"', "''", '""', "\\", "\\\\", "`", "$$", "$1", "%s", "%", "_", "*", ";", "--", "/*", "*/", "#"),
    *(",", ".", ":", "(", ")", "{", "}", "[", "]", "<", ">", "&", "=", "|", "?", "!", "~", "@>", "/", "+"),
    *("\n", "\r\n", "\r", "\t", "\x01", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u2029", "\ufeff", "\u200b"),
    *(
        "🙂",
        "👩‍👩‍👧‍👦",
        "🇨🇭",
        "é",
        "e\u0301",
        "ß",
        "İ",
        "ﬁ",
        "漢字",
        "العربية",
        "\u202eabc\u202c",
        "\ue000",
        "\uffff",
    ),
    *("null", "NULL", "None", "true", "NaN", "undefined", "{}", "[]", "0", "-1", "1e309", "=1+1", "@SUM(1)"),
    *(
        "' or '1'='1",
        "'; drop table shelf; --",
        "{{x}}",
        "${x}",
        "<script>alert(1)</script>",
        "../../etc/passwd",
    ),
    *("eq.x", "not.is.null", "in.(1,2)", "or=(id.gt.0)", "&id=gt.0", "?select=*", "%27", "%00", "\\u0000"),
    *(" ", "  ", "word", "Word", "WORD", "a", "B"),
]

ATTACKS = [
    *("x' or '1'='1", "x'; drop table shelf; --", 'x"; drop table shelf; --', "x') or true --", "1 or 1=1"),
    *("id; delete from shelf", "id) from shelf; --", "shelf; drop table shelf", 'shelf" where true --'),
    *(
        "x&id=gt.0",
        "eq.x&or=(id.gt.0)",
        "x,id.gt.0",
        "x),or(id.gt.0",
        '"x",id.gt.0)',
        "(select 1)",
        "not.eq.x",
    ),
    *(
        "*",
        "*,shelf(*)",
        "id,parent:shelf(*)",
        "facts->>a",
        "id::text",
        "count()",
        "id.desc",
        "id.desc;",
        "!inner",
    ),
    *("pg_sleep(9)", "pg_read_file('/etc/passwd')", "shelf_above(0)", "public.shelf", "pg_catalog.pg_class"),
    *(
        "{1,2}",
        "{x}",
        '{"a":1}',
        "%",
        "_%",
        "\\",
        "x\\",
        "\\'",
        "$1",
        "%s",
        "%(x)s",
        ":x",
        "E'\\x27'",
        "U&'\\0027'",
    ),
    *(
        "null",
        "true",
        "1;1",
        "1--",
        "/**/",
        "\n;\ndrop table shelf\n;",
        "\u02bc or 1=1",
        "\uff07 or 1=1 --",
        "ʼ; --",
    ),
]


def hostile(random: random.Random, most: int = 12) -> str:
    """Return a text of pieces that mean something to somebody on the way."""
    return "".join(random.choice(PIECES) for _ in range(random.randint(0, most)))


def hostile_rows(random: random.Random, number: int) -> list[dict[str, Any]]:
    """Return rows of the shelf with hostile text wherever text fits, each name once."""
    rows = []
    for place in range(1, number + 1):
        long = hostile(random, 400) if place % 50 == 0 else hostile(random)
        rows.append(
            {
                "id": place,
                "name": None if place % 97 == 0 else f"{hostile(random)}{place}",
                "weight": random.choice([None, place, place + 0.5]),
                "tags": [hostile(random) for _ in range(random.randint(0, 3))],
                "facts": {hostile(random, 3): [long, None, True, {"n": hostile(random)}]},
                "is_open": random.choice([None, True, False]),
                "parent": None,
                "made_at": "2026-01-01T00:00:00+00:00",
            }
        )
    return rows


START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = [
    "a",
    "A",
    "ab",
    "aB",
    "b_c",
    "b%c",
    "a*b",
    "*",
    "",
    "null",
    "None",
    "5",
    "x\ny",
    "🙂",
    "a\\b",
    "(a,b)",
    '"q"',
]


def plain_rows(random: random.Random, number: int) -> list[dict[str, Any]]:
    """Return rows whose values meet each other often, so that conditions match some and not others."""
    return [
        {
            "id": place,
            "name": None
            if place % 9 == 0
            else f"{random.choice(WORDS)}{random.choice(['', '', place])}" + "~" * place,
            "weight": random.choice([None, 1, 2, 2.5, 1000000.25]),
            "tags": random.sample(WORDS, random.randint(0, 3)),
            "facts": _facts(random),
            "is_open": random.choice([None, True, False]),
            "parent": None if place == 1 else random.choice([None, 1, place - 1]),
            "made_at": (START + timedelta(hours=random.randint(0, 5))).isoformat(),
        }
        for place in range(1, number + 1)
    ]


def _facts(random: random.Random) -> dict[str, Any]:
    values: list[Any] = [1, 2.5, "a", "x\ny", None, True, [1, "a"], [], {"b": 1}, {"b": {"c": [1]}}]
    return {
        key: random.choice(values) for key in random.sample(["a", "b", "c d", 'q"'], random.randint(0, 3))
    }


def conditions(random: random.Random, rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, Any]]:
    """Return none to four conditions on the shelf, mostly near what is there."""
    return [_condition(random, rows) for _ in range(random.choice([0, 1, 1, 2, 2, 3, 4]))]


def _condition(random: random.Random, rows: Sequence[Mapping[str, Any]]) -> tuple[str, str, Any]:
    column = random.choice(["id", "name", "weight", "tags", "facts", "is_open", "parent", "made_at"])
    present = [row[column] for row in rows if row[column] is not None]
    operators = {
        "tags": ["contains", "eq", "neq", "is"],
        "facts": ["contains", "eq", "neq"],
        "is_open": ["eq", "neq", "is", "in"],
        "name": ["eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "in", "is"],
    }.get(column, ["eq", "neq", "gt", "gte", "lt", "lte", "in", "is"])
    operator = random.choice(operators)
    value = random.choice(present)
    if operator == "is":
        return column, operator, random.choice([None, True, False] if column == "is_open" else [None])
    if operator == "in":
        return column, operator, random.sample(present, random.randint(0, 4)) + random.choice([[], [None]])
    if operator in ("like", "ilike"):
        return column, operator, _pattern(random, value)
    if operator == "contains":
        return column, operator, _part(random, value)
    if column in ("id", "parent", "weight") and random.random() < 0.2:
        value = random.choice([str(value), value + 0.0 if column == "weight" else value + 1, -1])
    return column, operator, value


def _pattern(random: random.Random, value: str) -> str:
    text = "".join(
        c if random.random() < 0.7 else random.choice(["%", "_", c.swapcase()]) for c in value[:12]
    )
    text = re.sub(r"\\", r"\\\\", text) + random.choice(["", "%", "%", "%"])
    return random.choice(["", "%"]) + text


def _part(random: random.Random, value: Any) -> Any:
    if isinstance(value, list):
        return random.sample(value, random.randint(0, len(value)))
    return {key: value[key] for key in random.sample(list(value), random.randint(0, len(value)))}


def holds(row: Mapping[str, Any], column: str, operator: str, value: Any) -> bool:
    """Say whether a row meets a condition, as SQL has it: nothing compares with what is not there."""
    mine = row[column]
    if operator == "is":
        return mine is value
    if mine is None:
        return False
    if operator == "in":
        return any(mine == one for one in value if one is not None)
    if operator in ("like", "ilike"):
        flags = re.DOTALL | (re.IGNORECASE | re.ASCII if operator == "ilike" else 0)
        return re.fullmatch(_expression(value), mine, flags) is not None
    if operator == "contains":
        return set(value) <= set(mine) if column == "tags" else _contains(mine, value)
    mine, value = _comparable(column, mine), _comparable(column, value)
    return {
        "eq": lambda: mine == value,
        "neq": lambda: mine != value,
        "gt": lambda: mine > value,
        "gte": lambda: mine >= value,
        "lt": lambda: mine < value,
        "lte": lambda: mine <= value,
    }[operator]()


def _comparable(column: str, value: Any) -> Any:
    if column == "made_at":
        return datetime.fromisoformat(value)
    if column == "facts":
        return json.dumps(value, sort_keys=True)
    if column == "name":
        return value.encode()
    return float(value) if column in ("id", "parent", "weight") else value


def _expression(pattern: str) -> str:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    return "".join({"%": ".*", "_": "."}.get(part, re.escape(part[-1])) for part in parts)


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(k in whole and _contains(whole[k], v) for k, v in part.items())
    if isinstance(part, list):
        return isinstance(whole, list) and all(any(_contains(one, other) for one in whole) for other in part)
    return type(whole) is type(part) and whole == part
