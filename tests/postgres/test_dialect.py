"""Every statement of the store is one that PostgreSQL understands, and the schema is the one of the tables."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module

import asyncpg
import pytest

import grantflow._store
from grantflow._rows import ActionRow, Change, Load, OutboxRow
from grantflow._store import _statements as sql
from grantflow._store import _tables
from grantflow._store._pg_dialect import spoken
from grantflow._store._pg_locks import _STATEMENTS as LOCKS
from grantflow._store._statements import Statement
from grantflow._store.postgres import PostgresStore
from tests.store.builders import NOW, new_app, new_installation

VERBS = ("SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WITH ")
ELSEWHERE = {"sqlite", "_schema", "_ddl", "_search"}
"""SQLite's own; searches are put together when they are asked, and tests/postgres/test_search.py asks them."""
AS_A_WHOLE = ("_copy", "_drift", "_upgrade", "_whole")
"""Each side of a copy and of an upgrade speaks for itself; tests/database has both speak."""


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Statement):
        yield value.sql
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, str) and value.startswith(VERBS) and not value.rstrip().endswith(("WHERE", "JOIN")):
        yield value


def statements() -> dict[str, str]:
    """Statements of every module by where they are."""
    found = {}
    for module in pkgutil.iter_modules(grantflow._store.__path__):
        if module.name in ELSEWHERE or module.name.startswith(("_pg_", "postgres", *AS_A_WHOLE)):
            continue
        for name, value in vars(import_module(f"grantflow._store.{module.name}")).items():
            for number, text in enumerate(_texts(value)):
                if name not in {"_SNAPSHOT", "_NOTICE", "_LATELY"}:
                    found[f"{module.name}.{name}.{number}"] = text
    return found


async def test_every_statement_is_understood(url: str) -> None:
    texts = statements()
    assert len(texts) > 80
    conn = await asyncpg.connect(url)
    wrong = {}
    try:
        for name, text in texts.items():
            for said in filter(None, (spoken(text).returning, spoken(text).many)):
                try:
                    await conn.prepare(said)
                except asyncpg.PostgresError as error:
                    wrong[name] = f"{error}: {said}"
        for key, text in LOCKS.items():
            await conn.prepare(text)
            assert "FOR NO KEY UPDATE" in text, key
    finally:
        await conn.close()
    assert not wrong, wrong


def test_the_rows_of_a_chunk_are_written_by_three_statements() -> None:
    for text in (sql.MOVE_INSTALLATION.sql, sql.INSERT_TRANSITION.sql, sql.INSERT_OUTBOX.sql, sql.UPDATE_ATTEMPT.sql):
        assert "unnest(" in (spoken(text).many or ""), text
    assert spoken(sql.ADD_COUNT).keys == (0, 1, 2), "one counter may come twice, and must not in one statement"


async def test_many_rows_by_one_statement_are_those_of_many_statements(store: PostgresStore) -> None:
    rows = [OutboxRow(n, f"notice-{n}", 1, NOW + n, '{"a": "é"}', None if n % 2 else NOW) for n in range(5)]
    await store.transact(Load(), lambda _: Change(notices=rows))
    found = await store._rows("SELECT name, at, body, delivered_at FROM grantflow_outbox ORDER BY pk")
    assert found == [(row.name, row.at, row.body, row.delivered_at) for row in rows]
    await store.settle_notices([], [(pk, pk * 2, NOW + pk) for pk in (1, 2, 3)], NOW)
    await store.settle_notices([], [(4, 1, NOW), (4, 2, NOW + 1)], NOW)  # one row twice: the last one holds
    told = await store._rows("SELECT pk, tries, next_at, dead_at FROM grantflow_outbox WHERE pk < 5 ORDER BY pk")
    assert told == [(1, 2, NOW + 1, None), (2, 4, NOW + 2, None), (3, 6, NOW + 3, None), (4, 2, NOW + 1, None)]


def test_every_place_of_a_parameter_is_numbered() -> None:
    assert not [name for name, text in statements().items() if "?" in spoken(text).sql]


async def test_columns_are_those_of_the_tables_in_their_order(url: str) -> None:
    conn = await asyncpg.connect(url)
    try:
        rows = await conn.fetch(
            "SELECT table_name, column_name, is_nullable, data_type, collation_name FROM information_schema.columns "
            "WHERE table_name LIKE 'grantflow_%' ORDER BY table_name, ordinal_position"
        )
        indexes = await conn.fetch("SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'grantflow_%'")
    finally:
        await conn.close()
    tables = _tables.Base.metadata.tables
    made = {name: [row["column_name"] for row in rows if row["table_name"] == name] for name in tables}
    assert made == {name: [column.name for column in table.columns] for name, table in tables.items()}
    nullable = {(row["table_name"], row["column_name"]): row["is_nullable"] == "YES" for row in rows}
    assert nullable == {(t.name, c.name): bool(c.nullable) for t in tables.values() for c in t.columns}
    assert {row["data_type"] for row in rows} == {"bigint", "text", "boolean", "bytea", "double precision"}
    assert {row["collation_name"] for row in rows if row["data_type"] == "text"} == {"C"}
    partial = {row["indexname"]: " WHERE " in row["indexdef"] for row in indexes}
    for table in tables.values():
        for index in table.indexes:
            assert partial[str(index.name)] is (index.dialect_options["sqlite"]["where"] is not None)


@pytest.mark.parametrize("verb", ["UPDATE {} SET at = 0", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["grantflow_transition", "grantflow_action"])
async def test_the_trail_is_append_only(store: PostgresStore, url: str, table: str, verb: str) -> None:
    await new_installation(store, await new_app(store), "i1")
    action = ActionRow(NOW, "op", False, "hold", "crm", None, None, "applied", "")
    await store.transact(Load(), lambda _: Change(action=action))
    other = await asyncpg.connect(url)
    try:
        assert await other.fetchval(f"SELECT count(*) FROM {table}") == 1
        with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="append-only"):
            await other.execute(verb.format(table))
    finally:
        await other.close()
