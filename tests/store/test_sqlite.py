"""The SQLite adapter keeps the store's contract, and what is particular to it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import fields
from pathlib import Path

import pytest

from grantflow import Settings, _job_rows, _rows
from grantflow._rows import ActionRow, Change, Load
from grantflow._store import _statements as sql
from grantflow._store import _tables, open_store
from grantflow._store._lock import needs_lock
from grantflow._store.sqlite import SqliteStore, path_of
from grantflow.errors import ConfigurationError
from tests.store.builders import NOW, moving, new_app, new_installation
from tests.store.contract import ReadingContract, StoreContract, SweepContract


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(f"sqlite:///{tmp_path / 'grants.db'}", Settings(), NOW)
    yield opened
    await opened.close()


class TestSqlite(StoreContract):
    """Transactions."""


class TestSqliteSweeps(SweepContract):
    """Chunks."""


class TestSqliteReading(ReadingContract):
    """Lists."""


async def writing(store: SqliteStore, text: str) -> list[tuple[object, ...]]:
    """Run a statement on the writing connection."""
    found: list[tuple[object, ...]] = await store.writer.run(lambda conn, _: conn.execute(text).fetchall())
    return found


async def test_the_writing_connection_survives_a_power_loss_by_default(store: SqliteStore) -> None:
    assert await writing(store, "PRAGMA synchronous") == [(2,)]
    assert await writing(store, "PRAGMA journal_mode") == [("wal",)]
    assert await writing(store, "PRAGMA foreign_keys") == [(1,)]
    told = store.pragmas()
    assert (told["journal_mode"], told["synchronous"], told["foreign_keys"]) == ("wal", "2", "1")
    assert told["sqlite"] == sqlite3.sqlite_version
    assert told["lock_file"] == ("grants.db.lock" if needs_lock() else "not needed")


async def test_a_cheaper_setting_is_explicit(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path / 'n.db'}", Settings(synchronous="NORMAL"), NOW)
    try:
        assert store.pragmas()["synchronous"] == "1"
    finally:
        await store.close()
    with pytest.raises(ConfigurationError):
        Settings(synchronous="OFF")


async def test_readers_cannot_write(store: SqliteStore) -> None:
    await new_app(store)
    assert store._readers
    for reader in store._readers:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader.execute("UPDATE grantflow_app SET revision = 2")


@pytest.mark.parametrize("verb", ["UPDATE {} SET at = 0", "DELETE FROM {}"])
@pytest.mark.parametrize("table", ["grantflow_transition", "grantflow_action"])
async def test_the_trail_is_append_only(store: SqliteStore, tmp_path: Path, table: str, verb: str) -> None:
    await new_installation(store, await new_app(store), "i1")
    action = ActionRow(NOW, "op", False, "hold", "crm", None, None, "applied", "")
    await store.transact(Load(), lambda _: Change(action=action))
    other = sqlite3.connect(tmp_path / "grants.db")
    try:
        assert other.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            other.execute(verb.format(table))
    finally:
        other.close()


PAIRS: list[tuple[type, type[_tables.Base], bool]] = [
    (_rows.AppRow, _tables.App, True),
    (_rows.ParentRow, _tables.Parent, True),
    (_rows.InstallationRow, _tables.Installation, True),
    (_rows.AttemptRow, _tables.Attempt, True),
    (_rows.ConsentRow, _tables.Consent, False),
    (_rows.TokenRow, _tables.TokenSet, True),
    (_rows.CredentialRow, _tables.Credential, True),
    (_rows.TransitionRow, _tables.Transition, False),
    (_rows.OutboxRow, _tables.Outbox, False),
    (_rows.RevocationRow, _tables.Revocation, True),
    (_rows.IncidentRow, _tables.Incident, True),
    (_rows.ActionRow, _tables.OperatorAction, False),
    (_rows.QuarantineRow, _tables.Quarantine, True),
    (_job_rows.JobRow, _tables.Job, True),
    (_job_rows.JobItemRow, _tables.JobItem, True),
    (_rows.ControlRow, _tables.Control, True),
    (_rows.BeatRow, _tables.Beat, True),
]


@pytest.mark.parametrize(("row", "model", "with_key"), PAIRS)
def test_fields_of_rows_are_columns_in_order(row: type, model: type[_tables.Base], with_key: bool) -> None:
    names = [column.name for column in _tables.table_of(model).columns]
    assert [field.name for field in fields(row)] == (names if with_key else names[1:])
    if not with_key:
        assert names[0] == "pk"


def test_every_table_but_schema_and_counters_has_its_row() -> None:
    told = {_tables.table_of(model).name for _, model, _ in PAIRS} | {"grantflow_schema", "grantflow_count"}
    assert told == set(_tables.Base.metadata.tables)


@pytest.mark.parametrize(
    ("version", "needed"),
    [
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 52, 0), False),
    ],
)
def test_which_versions_need_the_lock(version: tuple[int, int, int], needed: bool) -> None:
    assert needs_lock(version) is needed


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///a\0b"])
def test_only_files_are_databases(url: str) -> None:
    with pytest.raises(ConfigurationError):
        path_of(url)


async def test_an_unknown_scheme_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="mysql"):
        await open_store("mysql://x", Settings(), NOW)


async def test_counts_never_read_installations(store: SqliteStore) -> None:
    app = await new_app(store)
    await new_installation(store, app, "i1")
    asked: list[str] = []
    for reader in store._readers:
        await reader.set_trace_callback(asked.append)
    assert await store.counts() == [("crm", "active", 1)]
    assert len(asked) == 1
    plan = await writing(store, f"EXPLAIN QUERY PLAN {asked[0]}")
    assert not [step for step in plan if "installation" in str(step[3])]


@pytest.mark.parametrize(
    ("text", "values"),
    [(sql.OVERDUE, (NOW, 9)), (sql.DUE, (NOW, "[]", 9)), (sql.NEXT_DUE, (NOW,))],
    ids=["overdue", "due", "next"],
)
async def test_the_due_look_up_reads_its_index_alone(
    store: SqliteStore, text: str, values: tuple[int | str, ...]
) -> None:
    plan = await store._rows(f"EXPLAIN QUERY PLAN {text}", *values)
    found = [step[3] for step in plan if "grantflow_installation" in step[3]]
    assert found
    assert all("COVERING INDEX grantflow_installation_due" in step for step in found), found


async def test_a_commit_holds_many_callers(store: SqliteStore) -> None:
    app = await new_app(store)
    for n in range(16):
        await new_installation(store, app, f"i{n}")
    before = store.writer.commits
    loads = [Load(installation=f"i{n}") for n in range(16)]
    await asyncio.gather(*(store.transact(load, moving("over")) for load in loads))
    assert store.writer.commits - before < 16
