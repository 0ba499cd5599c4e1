"""Full disks, foreign schemas and rows that cannot be understood."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from grantflow import Settings
from grantflow._rows import Load
from grantflow._store import open_store
from grantflow._store.sqlite import SqliteStore
from grantflow.errors import DatabaseError, DatabaseFull, DatabaseReadOnly, Quarantined, SchemaMismatch
from grantflow.testing import ManualClock
from tests.store.builders import NOW, moving, new_app, new_installation
from tests.store.world import OPERATOR, opened, working


@contextmanager
def hands_on(file: Path) -> Iterator[sqlite3.Connection]:
    """Somebody edits the file by hand."""
    conn = sqlite3.connect(file)
    try:
        with conn:
            yield conn
    finally:
        conn.close()


async def pragma(store: SqliteStore, text: str) -> int:
    found: int = await store.writer._aio._execute(
        lambda conn: conn.execute(f"PRAGMA {text}").fetchone()[0], store.writer._aio._conn
    )
    return found


async def test_a_full_disk_is_typed_and_the_store_resumes_by_itself(tmp_path: Path) -> None:
    store = await SqliteStore.open(f"sqlite:///{tmp_path / 'g.db'}", Settings(), NOW)
    try:
        app = await new_app(store)
        await new_installation(store, app, "i1")
        pages = await pragma(store, "page_count")
        await pragma(store, f"max_page_count={pages}")
        written = 0
        with pytest.raises(DatabaseFull) as raised:  # noqa: PT012 - nobody knows which write is one too many
            for n in range(500):
                await store.transact(Load(installation="i1"), moving(f"s{n}", notice=True))
                written += 1
        assert raised.value.retryable
        assert raised.value.hint
        row = (await store.load(Load(installation="i1"))).installation
        assert row is not None
        assert row.version == written + 1
        await pragma(store, f"max_page_count={pages + 1000}")
        done = await asyncio.gather(*(store.transact(Load(installation="i1"), moving("over")) for _ in range(5)))
        assert len(done) == 5
        assert await store.counts() == [("crm", "over", 1)]
        assert await store.check() == []
    finally:
        await store.close()


async def test_a_writer_that_may_only_read_is_typed(tmp_path: Path) -> None:
    store = await SqliteStore.open(f"sqlite:///{tmp_path / 'g.db'}", Settings(), NOW)
    try:
        await new_installation(store, await new_app(store), "i1")
        await store.writer._aio.execute("PRAGMA query_only=ON")
        with pytest.raises(DatabaseReadOnly):
            await store.transact(Load(installation="i1"), moving("over"))
        await store.writer._aio.execute("PRAGMA query_only=OFF")
        await store.transact(Load(installation="i1"), moving("over"))
    finally:
        await store.close()


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("this is no database " * 100)
    (tmp_path / "folder.db").mkdir()
    for name in ("text.db", "folder.db", "missing/g.db"):
        with pytest.raises(DatabaseError):
            await open_store(f"sqlite:///{tmp_path / name}", Settings(), NOW)


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE grantflow_schema SET version = 99, compatible_from = 99",
        "DELETE FROM grantflow_schema",
        "DROP TABLE grantflow_schema",
    ],
)
async def test_another_schema_is_refused_and_not_touched(tmp_path: Path, edit: str) -> None:
    file = tmp_path / "g.db"
    await (await open_store(f"sqlite:///{file}", Settings(), NOW)).close()
    with hands_on(file) as conn:
        conn.execute(edit)
    with pytest.raises((SchemaMismatch, DatabaseError)):
        await open_store(f"sqlite:///{file}", Settings(), NOW)
    if edit.startswith("UPDATE"):
        with pytest.raises(SchemaMismatch, match="99"):
            await open_store(f"sqlite:///{file}", Settings(), NOW)


async def test_a_hosts_own_tables_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    with hands_on(file) as conn:
        conn.execute("CREATE TABLE users (id INTEGER PRIMARY KEY)")
        conn.execute("INSERT INTO users VALUES (7)")
    await (await open_store(f"sqlite:///{file}", Settings(), NOW)).close()
    with hands_on(file) as conn:
        assert conn.execute("SELECT id FROM users").fetchall() == [(7,)]


CORRUPT = {
    "unknown state": "UPDATE grantflow_installation SET state = 'martian' WHERE public_id = ?",
    "version set back": "UPDATE grantflow_installation SET version = 1 WHERE public_id = ?",
    "unknown suspender": "UPDATE grantflow_installation SET suspended_by = 'martian', suspended_at = 1 "
    "WHERE public_id = ?",
    "attempt of nobody": "UPDATE grantflow_attempt SET actor_kind = 'martian', outcome = NULL, expires_at = 1 "
    "WHERE installation_pk = (SELECT pk FROM grantflow_installation WHERE public_id = ?)",
    "number for text": "UPDATE grantflow_installation SET deadline_at = 'soon' WHERE public_id = ?",
}


@pytest.mark.parametrize("kind", CORRUPT)
async def test_a_corrupt_row_is_set_aside_and_the_others_are_swept(tmp_path: Path, kind: str) -> None:
    file, clock = tmp_path / "g.db", ManualClock()
    async with opened(file, clock=clock) as engine:
        bad, *good = await working(engine, 4)
    with hands_on(file) as conn:
        conn.execute(CORRUPT[kind], (bad,))
    clock.advance(timedelta(days=400))
    async with opened(file, clock=clock) as engine:
        report = await engine.sweep()
        assert (report.moved, report.quarantined) == (3, 1)
        for one in good:
            assert (await engine.get(one)).stored_state == "refresh-expired"
        again = await engine.sweep()
        assert (again.seen, again.moved, again.quarantined) == (0, 0, 0)
        assert (await engine.get(bad)).quarantined
        assert [row.id for row in (await engine.find("is:quarantined")).items] == [bad]


async def test_an_unknown_state_is_shown_and_refuses_events(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    async with opened(file) as engine:
        bad, good = await working(engine, 2)
    with hands_on(file) as conn:
        conn.execute(CORRUPT["unknown state"], (bad,))
    async with opened(file) as engine:
        with pytest.raises(Quarantined):
            await engine.send(bad, "suspend", actor=OPERATOR, reason="a good reason")
        shown = await engine.get(bad)
        assert shown.quarantined
        assert not shown.usable
        assert shown.stored_state == "martian"
        await engine.send(good, "suspend", actor=OPERATOR, reason="a good reason")


@pytest.mark.parametrize("kind", ["number for text", "unknown suspender"])
async def test_a_corrupt_row_is_set_aside_by_whoever_meets_it_first(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "g.db"
    async with opened(file) as engine:
        bad, good = await working(engine, 2)
    with hands_on(file) as conn:
        conn.execute(CORRUPT[kind], (bad,))
    async with opened(file) as engine:
        assert (await engine.get(bad)).quarantined
        with pytest.raises(Quarantined):
            await engine.guidance(bad, viewer=OPERATOR)
        assert not (await engine.find()).items[0].usable
        with pytest.raises(Quarantined):
            await engine.send(bad, "unsuspend", actor=OPERATOR)
        with pytest.raises(Quarantined):
            await engine.send(bad, "revoked_upstream", actor=OPERATOR)
        assert [row.id for row in (await engine.find("is:quarantined")).items] == [bad]
        await engine.send(good, "suspend", actor=OPERATOR, reason="a good reason")
