"""Hosts are renewed one after the other: the code of before goes on with a schema that was only added to.

Twice over: what version 3 says to its database is still understood (its statements, written down when it was
today's), and what this release says will be, on a schema that has more than it knows.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from grantflow import Actor, Engine, check_database, upgrade_database
from grantflow.errors import SchemaTooNew
from grantflow.testing import ManualClock, authorize
from tests.database.golden import NOW, served, statements, written
from tests.faults.oracle import looked_at
from tests.faults.verbs import BOB, KEY, OPERATOR, REASON, opened, prepare

OLGA = Actor.operator("olga")
ADDED = """
ALTER TABLE grantflow_installation ADD COLUMN region TEXT;
ALTER TABLE grantflow_installation ADD COLUMN weight BIGINT NOT NULL DEFAULT 1;
ALTER TABLE grantflow_app ADD COLUMN logo TEXT;
ALTER TABLE grantflow_attempt ADD COLUMN device TEXT;
ALTER TABLE grantflow_token_set ADD COLUMN kind TEXT NOT NULL DEFAULT 'bearer';
ALTER TABLE grantflow_transition ADD COLUMN trace TEXT;
ALTER TABLE grantflow_outbox ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE grantflow_quarantine ADD COLUMN seen BIGINT;
ALTER TABLE grantflow_schema ADD COLUMN host TEXT;
CREATE TABLE grantflow_region (name TEXT PRIMARY KEY);
CREATE INDEX grantflow_installation_region ON grantflow_installation (region, pk);
UPDATE grantflow_schema SET version = version + 1;
"""
"""What a later release may do to the schema without shutting this one out."""


def test_a_file_understands_every_statement_of_before(tmp_path: Path) -> None:
    file = written(tmp_path / "g.db", 3)
    asyncio.run(upgrade_database(f"sqlite:///{file}", actor=OLGA))
    with closing(sqlite3.connect(file)) as conn:
        for text in statements("sqlite"):
            conn.execute(f"EXPLAIN {text}", _values(conn, text))
    assert len(statements("sqlite")) > 100


@pytest.mark.parametrize("state", ["active", "refresh-expired"])
@pytest.mark.parametrize(("index", "column"), [("deadline", "deadline_at"), ("due", "due_at")])
def test_a_file_understands_the_searches_of_before(tmp_path: Path, index: str, column: str, state: str) -> None:
    file = written(tmp_path / "g.db", 3)
    text = (
        f"SELECT i.pk, i.{column} FROM grantflow_installation i INDEXED BY grantflow_installation_{index} "
        f"WHERE (i.state IN (SELECT value FROM json_each(?)) AND (i.{column} IS NOT NULL)) ORDER BY 2, 1"
    )  # version 3 put its searches together when they were asked: what they have in common
    values = (f'["{state}"]',)
    with closing(sqlite3.connect(file)) as conn:
        before = conn.execute(text, values).fetchall()
        asyncio.run(upgrade_database(f"sqlite:///{file}", actor=OLGA))
        assert conn.execute(text, values).fetchall() == before
    assert before or index == "due"


def _values(conn: sqlite3.Connection, text: str) -> list[None]:
    """As many as the statement has places."""
    try:
        conn.execute(f"EXPLAIN {text}")
    except sqlite3.ProgrammingError as error:
        return [None] * int(str(error).split("uses ")[1].split(",", maxsplit=1)[0])
    return []


async def test_a_server_understands_every_statement_of_before(empty: str) -> None:
    await served(empty)
    before = await asyncpg.connect(empty)
    try:
        known = [await before.prepare(text) for text in statements("postgres")]
        await before.execute("SELECT 1")  # what was prepared is let go of with the next statement
        await upgrade_database(empty, actor=OLGA)
        for one in known:
            if one.get_query().startswith("SELECT ") and not one.get_parameters():
                await one.fetch()
        anew = await asyncpg.connect(empty)
        try:
            for text in statements("postgres"):
                await anew.prepare(text)
        finally:
            await anew.close()
    finally:
        await before.close()
    assert len(statements("postgres")) > 100


async def run(url: str, sql: str) -> None:
    """Statements from outside, as another program brings them."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=10)) as file:
            file.executescript(f"BEGIN IMMEDIATE; {sql} COMMIT")
        return
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(sql)
    finally:
        await conn.close()


@pytest.fixture(params=["a file", "a server"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of either kind."""
    if request.param == "a file":
        return f"sqlite:///{tmp_path / 'g.db'}"
    found: str = request.getfixturevalue("empty")
    return found


async def test_this_code_starts_and_lives_on_the_schema_of_tomorrow(url: str) -> None:
    async with Engine.open(url):
        pass
    await run(url, ADDED)
    known = await prepare(url)
    clock = ManualClock()
    async with opened(url, clock) as engine:
        await _lives(engine, clock, known["ids"][0])
    assert (await check_database(url)).problems == ()


async def test_an_engine_that_is_open_goes_on_while_the_schema_is_added_to(url: str) -> None:
    known = await prepare(url)
    clock = ManualClock()
    async with opened(url, clock) as engine:
        await engine.counts()
        seen = await engine.get(known["ids"][0])
        await engine.send(seen.id, "suspend", actor=OPERATOR, reason=REASON)
        await run(url, ADDED)
        await engine.send(seen.id, "unsuspend", actor=OPERATOR)
        await _lives(engine, clock, seen.id)
    assert (await check_database(url)).problems == ()
    if url.startswith("sqlite"):
        assert looked_at(Path(url.removeprefix("sqlite:///")))[1] == []


async def _lives(engine: Engine, clock: ManualClock, installation: str) -> None:
    """People, operators, time, and a row that is set aside and brought back."""
    await authorize(engine, KEY, "account-7", actor=BOB)
    await engine.ops.force(installation, to="refresh-expired", actor=OPERATOR, reason=REASON)
    assert (await engine.find("is:any")).items
    clock.advance(timedelta(days=400))
    assert (await engine.sweep()).moved > 0
    assert await engine.ops.broken_promises() == []


async def test_a_schema_that_shuts_this_code_out_is_refused(url: str) -> None:
    async with Engine.open(url):
        pass
    shut = ADDED.replace("version = version + 1", f"version = {NOW + 1}, compatible_from = {NOW + 1}")
    await run(url, shut)
    with pytest.raises(SchemaTooNew) as raised:
        async with Engine.open(url):
            pass
    assert "newer" in (raised.value.hint or "")
