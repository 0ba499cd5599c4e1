"""What PostgreSQL says otherwise.

Every statement is written once, in SQLite's words, and spoken here for PostgreSQL: the numbered places of its
parameters, arrays for JSON lists, no named indexes, and what an INSERT, UPDATE or DELETE did as rows that come back.
A test prepares every statement of this package on a real server, so that one which needs a word here is noticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Boolean, Float, Integer, LargeBinary
from sqlalchemy.types import TypeEngine

from grantflow._store import _tables

_TABLES = _tables.Base.metadata.tables
_BOOLEANS = sorted({c.name for table in _TABLES.values() for c in table.columns if isinstance(c.type, Boolean)})
_SWITCH = re.compile(rf"\b({'|'.join(_BOOLEANS)})( ?)=( ?)1\b")
_PLACE = re.compile(r"\?(\d*)")
_LIST = re.compile(r"(?P<column>[\w.]+) (?P<no>NOT )?IN \(SELECT value FROM json_each\(\$(?P<place>\d+)\)\)")
_PUT = re.compile(r"INSERT OR (?P<verb>REPLACE|IGNORE) INTO (?P<table>\w+) \((?P<columns>[^)]*)\)")
_INSERT = re.compile(
    r"INSERT INTO (?P<table>\w+) \((?P<columns>[^)]*)\) VALUES \([$\d, ]*\)"
    r"(?: ON CONFLICT \((?P<keys>[^)]*)\) (?P<update>DO UPDATE SET .*))?"
)
_UPDATE = re.compile(r"UPDATE (?P<table>\w+) SET (?P<sets>[\w=$, ]+) WHERE (?P<where>\w+=\$\d+(?: AND \w+=\$\d+)*)")
_ARRAYS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (Boolean, "boolean[]"),
    (LargeBinary, "bytea[]"),
    (Integer, "bigint[]"),
    (Float, "double precision[]"),
)
_MERGED = re.compile(
    r"WITH k AS MATERIALIZED \((?P<arms>.* UNION ALL .*) (?P<order>ORDER BY [\w, ]+ LIMIT \$\d+)\) SELECT "
)
_WRITES = re.compile(r"(?P<verb>INSERT INTO|UPDATE|DELETE FROM) (?P<table>\w+)")

_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r" (?:INDEXED BY \w+|NOT INDEXED)"), ""),  # the planner has statistics here
    (re.compile(r"CROSS JOIN (\w+ \w+ ON)"), r"JOIN \1"),
    (
        re.compile(r"substr\(CAST\(value AS BLOB\), 1, instr\(CAST\(value AS BLOB\), X'3A'\)\)"),
        r"substring(value FROM 1 FOR position('\\x3a'::bytea IN value))",
    ),
    (re.compile(r"\binstr\("), "strpos("),
    (re.compile(r"\bIS (?=\$)"), "IS NOT DISTINCT FROM "),
    (re.compile(r"\bIS NOT (?!DISTINCT\b|NULL\b|TRUE\b)"), "IS DISTINCT FROM "),
    (re.compile(r"(\$\d+) IS NULL OR pk <"), r"\1::text IS NULL OR pk <"),
    (re.compile(r"\bsum\(([\w.]+)\)"), r"sum(\1)::bigint"),
    (re.compile(r"\bhex\((\w+)\)"), r"coalesce(encode(\1, 'hex'), '')"),
    (
        re.compile(r"json_group_array\(json_array\((.*?)\)\) FROM"),
        r"coalesce(json_agg(json_build_array(\1)), '[]')::text FROM",
    ),
    (_SWITCH, r"\1\2=\3TRUE"),
    (re.compile(r"CASE WHEN (\$\d+) IS NOT NULL THEN sealed"), r"CASE WHEN \1::bytea IS NOT NULL THEN sealed"),
    (re.compile(r"\bmin\((t\.issued_at \+)"), r"least(\1"),  # of two values, not of many rows
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """One statement as PostgreSQL understands it."""

    sql: str
    returning: str
    """The same with what it did as rows; equal to `sql` where it answers with rows anyway."""
    lists: tuple[int, ...] = ()
    """Positions of JSON lists, which travel as arrays."""
    many: str | None = None
    """The same for many rows at once, a column an array; None for what must be run row by row."""
    keys: tuple[int, ...] = ()
    """Positions of the values that name a row, which may be named once in `many`; none where every row is new."""
    table: str | None = None
    """The table that is written, and nothing else looked at; None for a read."""

    def bound(self, values: Sequence[Any]) -> Sequence[Any]:
        """Values as they travel."""
        if not self.lists:
            return values
        changed = list(values)
        for position in self.lists:
            changed[position] = json.loads(changed[position])
        return changed


def predicate(text: str) -> str:
    """The condition of a partial index."""
    return _SWITCH.sub(r"\1\2=\3TRUE", text)


@lru_cache(maxsize=4096)
def spoken(text: str) -> Spoken:
    """A statement in PostgreSQL's words.

    >>> spoken("UPDATE grantflow_app SET revision=? WHERE pk=?").returning
    'UPDATE grantflow_app SET revision=$1 WHERE pk=$2 RETURNING 1'
    >>> made = spoken("SELECT key FROM grantflow_app WHERE pk IN (SELECT value FROM json_each(?2))")
    >>> made.sql, made.bound(["a", "[1, 2]"])
    ('SELECT key FROM grantflow_app WHERE pk = ANY($2::bigint[])', ['a', [1, 2]])
    """
    made = _numbered(text)
    lists = tuple(sorted({int(found["place"]) - 1 for found in _LIST.finditer(made)}))
    made = _LIST.sub(_among, made)
    for pattern, replacement in _RULES:
        made = pattern.sub(replacement, made)
    made = _MERGED.sub(_merged, _put(made))
    many, keys = _at_once(made)
    writes = _WRITES.match(made)
    table = writes["table"] if writes is not None and "SELECT " not in made else None
    return Spoken(made, made + _returned(made), lists, many, keys, table)


def _numbered(text: str) -> str:
    count = 0

    def place(found: re.Match[str]) -> str:
        nonlocal count
        count += 1
        return f"${found[1] or count}"

    return _PLACE.sub(place, text)


def _among(found: re.Match[str]) -> str:
    kind = "bigint" if found["column"].endswith("pk") else "text"
    array = f"(${found['place']}::{kind}[])"
    return f"{found['column']} {'<> ALL' if found['no'] else '= ANY'}{array}"


def _merged(found: re.Match[str]) -> str:
    """Ranges in one order: SQLite walks them side by side, this planner would read all of each and sort it."""
    order, arms = found["order"], found["arms"].split(" UNION ALL ")
    union = " UNION ALL ".join(f"({arm} {order})" for arm in arms)
    return f"WITH k AS MATERIALIZED ({union} {order}) SELECT "


def _put(text: str) -> str:
    """Upserts: REPLACE is an update where the key is there."""
    found = _PUT.match(text)
    if found is None:
        return text
    plain = f"INSERT INTO {found['table']} ({found['columns']}){text[found.end() :]} ON CONFLICT "
    if found["verb"] == "IGNORE":
        return plain + "DO NOTHING"
    keys = [column.name for column in _TABLES[found["table"]].primary_key.columns]
    others = [name for name in _names(found["columns"]) if name not in keys]
    sets = ", ".join(f"{name}=excluded.{name}" for name in others)
    return f"{plain}({', '.join(keys)}) DO UPDATE SET {sets}"


def _returned(text: str) -> str:
    found = _WRITES.match(text)
    if found is None:
        return ""
    has_key = found["verb"] == "INSERT INTO" and "pk" in _TABLES[found["table"]].columns
    return " RETURNING pk" if has_key else " RETURNING 1"


def _at_once(text: str) -> tuple[str | None, tuple[int, ...]]:
    """Plain inserts and updates of rows by key, for many rows in one statement, and where the key is."""
    if (found := _INSERT.fullmatch(text)) is not None:
        names = _names(found["columns"])
        arrays = ", ".join(_arrays(found["table"], names))
        many = f"INSERT INTO {found['table']} ({found['columns']}) SELECT * FROM unnest({arrays})"
        if not found["keys"]:
            return f"{many} RETURNING 1", ()
        keys = tuple(names.index(name) for name in _names(found["keys"]))
        return f"{many} ON CONFLICT ({found['keys']}) {found['update']} RETURNING 1", keys
    if (found := _UPDATE.fullmatch(text)) is None:
        return None, ()
    sets, where = found["sets"].split(", "), found["where"].split(" AND ")
    pairs = [pair.split("=") for pair in (*sets, *where)]
    names = [name for name, _ in pairs]
    if [place for _, place in pairs] != [f"${n}" for n in range(1, len(pairs) + 1)] or "pk" not in names[len(sets) :]:
        return None, ()
    new = ", ".join(f"{name}=v{n}" for n, name in enumerate(names[: len(sets)], start=1))
    same = " AND ".join(f"{name}=v{n}" for n, name in enumerate(names[len(sets) :], start=len(sets) + 1))
    places = ", ".join(f"v{n}" for n in range(1, len(names) + 1))
    values = f"unnest({', '.join(_arrays(found['table'], names))}) AS v({places})"
    return f"UPDATE {found['table']} SET {new} FROM {values} WHERE {same} RETURNING 1", (
        names.index("pk", len(sets)),
    )


def _names(columns: str) -> list[str]:
    return [name.strip(' "') for name in columns.split(",")]


def arrays(table: str, names: Sequence[str]) -> list[str]:
    """The type of an array of each column."""
    kinds = [_TABLES[table].columns[name].type for name in names]
    return [next((array for kind, array in _ARRAYS if isinstance(known, kind)), "text[]") for known in kinds]


def _arrays(table: str, names: list[str]) -> list[str]:
    """Places with the type of an array of each column."""
    return [f"${place}::{array}" for place, array in enumerate(arrays(table, names), start=1)]
