"""Files of every earlier schema become today's: nothing is lost, everything goes on, and the file is as a new one."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from grantflow import Actor, ClientCredentials, Engine, Settings, check_database, plan_upgrade, upgrade_database
from grantflow._store import _names, _upgrade
from grantflow._store._lock import needs_lock
from grantflow.errors import (
    DatabaseBusy,
    DatabaseFull,
    NotFound,
    SchemaMismatch,
    SchemaOutdated,
    SchemaTooNew,
)
from grantflow.testing import SECRET, ManualClock
from tests.database.golden import NOW, VERSIONS, content, held, shape, written
from tests.faults.oracle import looked_at
from tests.faults.verbs import opened

OLGA = Actor.operator("olga")
CHANGED = ("grantflow_schema", "grantflow_action")
LATER = {"reauthorizing", "refresh-expired"}


def url_of(file: Path) -> str:
    return f"sqlite:///{file}"


def beside(file: Path) -> list[str]:
    """Files that something left there."""
    names = (path.name for path in file.parent.iterdir())
    return sorted(name for name in names if name != file.name and not name.endswith(("-shm", "-wal")))


@pytest.mark.parametrize("version", VERSIONS)
async def test_an_upgraded_file_is_as_a_new_one(tmp_path: Path, version: int) -> None:
    file, new = written(tmp_path / "g.db", version), tmp_path / "new.db"
    async with Engine.open(url_of(new)):
        pass
    done = await upgrade_database(url_of(file), actor=OLGA)
    assert (done.version, done.target) == (version, NOW)
    assert [step.version for step in done.steps] == list(range(version + 1, NOW + 1))
    assert shape(file) == shape(new)
    assert (await check_database(url_of(file))).problems == ()
    assert looked_at(file)[1] == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_row_is_kept(tmp_path: Path, version: int) -> None:
    file = written(tmp_path / "g.db", version)
    before = content(file, without=CHANGED)
    await upgrade_database(url_of(file), actor=OLGA)
    after = content(file, without=CHANGED)
    for table, (columns, *rows) in before.items():
        places = [after[table][0].index(column) for column in columns]
        assert [tuple(row[place] for place in places) for row in after[table][1:]] == rows, table
    assert set(after) >= set(before)


@pytest.mark.parametrize("version", VERSIONS)
async def test_tokens_and_history_of_before_go_on(tmp_path: Path, version: int) -> None:
    file, known = written(tmp_path / "g.db", version), held(version)
    await upgrade_database(url_of(file), actor=OLGA)
    clock = ManualClock()
    async with opened(file, clock) as engine:
        seen = await engine.ledger.authenticate(known["access"][0])
        assert seen.installation == known["ids"][0]
        client = ClientCredentials(known["client"], SECRET)
        renewed = await engine.ledger.renew(known["refresh"][0], client=client)
        assert renewed.installation == known["ids"][0]
        trail = await engine.history(known["ids"][1])
        assert [step.version for step in trail] == list(range(len(trail), 0, -1))
        assert trail[0].forced
        dead = await engine.get(known["ids"][1])
        assert dead.state in LATER
        assert (dead.next_notice_at is None) is (version < 3), "nobody is reminded late of a death before the upgrade"
        if version > 1:
            checked = await engine.ops.verify_keys()
            assert (checked.unreadable, checked.opened > 5) == (0, True)
        live = await engine.get(known["ids"][0])
        assert live.next_notice_at is not None
        clock.advance(timedelta(days=400))
        await engine.sweep()
        assert (await engine.get(known["ids"][0])).state == "refresh-expired"
        assert await engine.ops.broken_promises() == []
    assert looked_at(file)[1] == []


async def test_an_upgrade_leaves_a_line_for_each_step(tmp_path: Path) -> None:
    file = written(tmp_path / "g.db", 2)
    clock = ManualClock()
    clock.advance(timedelta(days=3))
    await upgrade_database(url_of(file), actor=OLGA, clock=clock)
    async with Engine.open(url_of(file)) as engine:
        lines = [one for _, one in await engine.ops.actions(limit=9) if one.verb == "upgrade"]
    assert [(one.actor, one.target, one.outcome) for one in lines] == [("operator:olga", "database", "applied")] * 2
    assert all(one.at == clock.now() for one in lines)
    assert lines[0].detail.startswith(f"schema version {NOW}: ")


async def test_a_plan_writes_nothing_and_says_what_is_rewritten(tmp_path: Path) -> None:
    file = written(tmp_path / "g.db", 1)
    before = file.read_bytes()
    plan = await plan_upgrade(url_of(file))
    assert (plan.version, plan.target, plan.hosts_may_run) == (1, NOW, False)
    assert plan.steps[0].rewrites == {"grantflow_app": 1, "grantflow_outbox": 5, "grantflow_token_set": 4}
    assert file.read_bytes() == before
    assert beside(file) == []


async def test_the_backup_is_the_file_as_it_was(tmp_path: Path) -> None:
    file = written(tmp_path / "g.db", 2)
    file.chmod(0o600)
    before = content(file)
    told: list[tuple[str, int, int]] = []
    done = await upgrade_database(url_of(file), actor=OLGA, progress=lambda *more: told.append(more))
    backup = tmp_path / "g.db.schema-2.backup"
    assert done.backup == str(backup)
    assert content(backup) == before
    assert backup.stat().st_mode & 0o777 == 0o600
    assert {what for what, _, _ in told} == {"backup", *(step.says for step in done.steps)}
    with pytest.raises(SchemaOutdated):
        async with Engine.open(url_of(backup)):
            pass
    shutil.copy(backup, file)
    again = await upgrade_database(url_of(file), actor=OLGA)
    assert again.backup == f"{backup}-2"


async def test_without_a_backup_and_without_work(tmp_path: Path) -> None:
    file = written(tmp_path / "g.db", 2)
    done = await upgrade_database(url_of(file), actor=OLGA, backup=False)
    assert done.backup is None
    before = content(file)
    again = await upgrade_database(url_of(file), actor=OLGA)
    assert (again.version, again.steps, again.backup) == (NOW, (), None)
    assert content(file) == before
    assert beside(file) == ["g.db.lock"] * needs_lock()


async def test_a_disk_that_is_full_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path / "g.db", 1)
    before = content(file)
    real = sqlite3.connect

    def small(path: str, **settings: object) -> sqlite3.Connection:
        conn: sqlite3.Connection = real(path, **settings)  # type: ignore[call-overload]
        conn.execute(f"PRAGMA max_page_count={conn.execute('PRAGMA page_count').fetchone()[0] + 3}")
        return conn

    monkeypatch.setattr("grantflow._store._upgrade_sqlite.sqlite3.connect", small)
    with pytest.raises(DatabaseFull):
        await upgrade_database(url_of(file), actor=OLGA, backup=False)
    monkeypatch.undo()
    assert content(file) == before
    await upgrade_database(url_of(file), actor=OLGA)


async def test_a_writer_that_stays_is_not_run_over(tmp_path: Path) -> None:
    file = written(tmp_path / "g.db", 3)
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseBusy):
            await upgrade_database(url_of(file), actor=OLGA, settings=Settings(busy_timeout=timedelta(seconds=0.1)))
        writer.execute("ROLLBACK")
    assert (await plan_upgrade(url_of(file))).version == 3


# -- what is refused --------------------------------------------------------------------------------
@pytest.mark.parametrize("version", VERSIONS)
async def test_an_older_file_is_refused_with_the_command_and_not_touched(tmp_path: Path, version: int) -> None:
    file = written(tmp_path / "g.db", version)
    before = content(file)
    with pytest.raises(SchemaOutdated, match=f"version {version}, this release needs {NOW}") as raised:
        async with Engine.open(url_of(file)):
            pass
    assert raised.value.hint == "grantflow db upgrade"
    assert content(file) == before


def stamped(file: Path, version: object, compatible_from: object) -> None:
    with closing(sqlite3.connect(file)) as conn, conn:
        conn.execute("UPDATE grantflow_schema SET version = ?, compatible_from = ?", (version, compatible_from))


async def test_a_newer_file_is_refused_unless_it_says_that_this_code_may(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    async with Engine.open(url_of(file)):
        pass
    stamped(file, NOW + 2, NOW + 1)
    with pytest.raises(SchemaTooNew, match=f"version {NOW + 2}, which needs a release for version {NOW + 1}"):
        async with Engine.open(url_of(file)):
            pass
    assert len((await check_database(url_of(file))).problems) == 1
    stamped(file, NOW + 2, NOW)
    async with Engine.open(url_of(file)):
        pass
    plan = await plan_upgrade(url_of(file))
    assert (plan.version, plan.target, plan.steps) == (NOW + 2, NOW + 2, ())
    assert (await check_database(url_of(file))).problems == ()


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        ("UPDATE grantflow_schema SET version = 0", SchemaMismatch),
        ("UPDATE grantflow_schema SET version = -4", SchemaMismatch),
        ("DELETE FROM grantflow_schema", SchemaMismatch),
        ("DROP TABLE grantflow_schema", NotFound),
        ("UPDATE grantflow_schema SET made_at = 'soon'", SchemaMismatch),
    ],
)
async def test_nobody_guesses_a_version(tmp_path: Path, damage: str, error: type[Exception]) -> None:
    file = written(tmp_path / "g.db", 2)
    with closing(sqlite3.connect(file)) as conn, conn:
        conn.execute(damage)
    before = content(file)
    with pytest.raises(error):
        await plan_upgrade(url_of(file))
    with pytest.raises(error):
        await upgrade_database(url_of(file), actor=OLGA)
    assert content(file) == before


async def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    for call in (plan_upgrade(url_of(tmp_path / "no.db")), upgrade_database(url_of(tmp_path / "no.db"), actor=OLGA)):
        with pytest.raises(NotFound):
            await call
    assert not (tmp_path / "no.db").exists()


# -- the revisions ----------------------------------------------------------------------------------
def test_the_revisions_are_one_line_that_ends_in_the_schema_of_today() -> None:
    steps = _upgrade.revisions()
    assert [int(step.revision) for step in steps] == list(range(1, NOW + 1))
    assert steps[-1].module.COMPATIBLE_FROM == _names.COMPATIBLE_FROM
    for before, step in pairwise(steps):
        assert step.down_revision == before.revision
        assert before.module.COMPATIBLE_FROM <= step.module.COMPATIBLE_FROM <= int(step.revision)


def test_opening_loads_no_alembic_and_no_tables(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    program = (
        "import asyncio, sys\nfrom grantflow import Engine\n"
        "async def main():\n"
        f"    async with Engine.open('sqlite:///{file}'): pass\n"
        "asyncio.run(main())\n"
        "print(*sorted({'alembic', 'sqlmodel', 'sqlalchemy'} & set(sys.modules)))"
    )
    told = [
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
        for _ in range(2)
    ]
    assert "alembic" not in told[0].stdout
    assert told[1].stdout == "\n", "a file that is there needs none of them"
