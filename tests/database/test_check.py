"""`db check` finds whatever was changed behind the engine's back, on a file and on a server."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from grantflow import Engine, check_database
from tests.cli.fleet import Command, Fleet
from tests.database.golden import NOW, written

PLANTED = [
    ("DROP INDEX grantflow_installation_due", "is missing: the index grantflow_installation_due"),
    ("CREATE INDEX grantflow_mine ON grantflow_app (kind)", "is not of this schema: the index grantflow_mine"),
    (
        "DROP INDEX grantflow_outbox_pending; CREATE INDEX grantflow_outbox_pending ON grantflow_outbox (pk)",
        "is for other rows: the index grantflow_outbox_pending",
    ),
    ("DROP TABLE grantflow_beat", "is missing: the table grantflow_beat"),
    ("CREATE TABLE grantflow_mine (a INTEGER)", "is not of this schema: the table grantflow_mine"),
    ("ALTER TABLE grantflow_app ADD COLUMN mine INTEGER", "is not of this schema: the column grantflow_app.mine"),
    ("ALTER TABLE grantflow_job DROP COLUMN why", "is missing: the column grantflow_job.why"),
    (
        "INSERT INTO grantflow_quarantine VALUES (99, 'x', 1, 'y')",
        "1 rows of grantflow_quarantine belong to a row of grantflow_installation that is not there",
    ),
]
ON_A_FILE = [
    ("DROP TRIGGER grantflow_action_no_update", "is missing: the trigger grantflow_action_no_update"),
    ("UPDATE grantflow_count SET n = n + 1", "app 1 has -1 in active beside its counter"),
]
ON_A_SERVER = [
    (
        "DROP TRIGGER grantflow_action_append_only ON grantflow_action",
        "is missing: the trigger grantflow_action_append_only",
    ),
    (
        "ALTER TABLE grantflow_action DISABLE TRIGGER grantflow_action_append_only",
        "is missing: the trigger grantflow_action_append_only",
    ),
    (
        "ALTER TABLE grantflow_app ALTER COLUMN revision DROP NOT NULL",
        "nullable is True, not False, at the column grantflow_app.revision",
    ),
    (
        "ALTER TABLE grantflow_app ALTER COLUMN revision TYPE INTEGER",
        "type is INTEGER, not BIGINT, at the column grantflow_app.revision",
    ),
    (
        'ALTER TABLE grantflow_app ALTER COLUMN key TYPE TEXT COLLATE "default"',
        "is not compared byte by byte: the column grantflow_app.key",
    ),
]
HOSTS = "CREATE TABLE users (id INTEGER PRIMARY KEY); CREATE INDEX users_id ON users (id)"


@pytest.mark.parametrize(("sql", "says"), [*PLANTED, *ON_A_FILE])
def test_a_file_that_was_changed(grantflow: Command, fleet: Fleet, sql: str, says: str) -> None:
    assert grantflow("db", "check").code == 0
    with closing(sqlite3.connect(fleet.path)) as conn:
        conn.executescript(sql)
    answer = grantflow("db", "check", "--json")
    assert answer.code == 1
    told = json.loads(answer.out)
    assert not told["ok"]
    assert says in told["problems"]
    assert f"problem: {says}" in grantflow("db", "check").err


@pytest.mark.parametrize(("sql", "says"), [*PLANTED, *ON_A_SERVER])
async def test_a_database_that_was_changed(empty: str, sql: str, says: str) -> None:
    async with Engine.open(empty):
        pass
    conn = await asyncpg.connect(empty)
    try:
        await conn.execute(HOSTS)
        assert (await check_database(empty)).problems == ()
        await conn.execute(sql)
    finally:
        await conn.close()
    assert list((await check_database(empty)).problems) == [says]


def test_what_a_host_has_beside_is_its_own(grantflow: Command, fleet: Fleet) -> None:
    with closing(sqlite3.connect(fleet.path)) as conn:
        conn.executescript(HOSTS)
    assert grantflow("db", "check").code == 0


def test_an_older_file_is_told_the_command_and_upgraded_by_it(
    grantflow: Command, fleet: Fleet, tmp_path: Path
) -> None:
    fleet.path.unlink()
    written(fleet.path, 2)
    answer = grantflow("db", "check")
    assert answer.code == 1
    assert f"this release needs {NOW}: grantflow db upgrade" in answer.err
    assert "hint: grantflow db upgrade" in grantflow("list").err
    planned = json.loads(grantflow("db", "upgrade", "--dry-run", "--json").out)
    assert [step["version"] for step in planned["steps"]] == [3, NOW]
    assert "stop every host" in grantflow("db", "upgrade", "--dry-run").out
    assert grantflow("db", "check").code == 1, "a dry run is dry"
    done = json.loads(grantflow("db", "upgrade", "--json").out)
    assert done["backup"] == str(tmp_path / "grants.db.schema-2.backup")
    assert grantflow("db", "check").code == 0
    assert "nothing" in grantflow("db", "upgrade").out
    assert "upgrade" in grantflow("audit").out


def test_nothing_is_made_where_nothing_is(grantflow: Command, tmp_path: Path) -> None:
    for words in (["db", "upgrade"], ["db", "check"], ["db", "copy", tmp_path / "none.db", tmp_path / "new.db"]):
        answer = grantflow(*words, "--database", tmp_path / "none.db")
        assert answer.code == 3, answer.err
        assert list(tmp_path.glob("n*.db*")) == []
