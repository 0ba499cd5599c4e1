"""A whole database in another one: every row with its keys, tokens that open, time that goes on, and a way back."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Actor, ClientCredentials, Copied, Engine, check_database, copy_database
from grantflow._store import _copy
from grantflow.errors import (
    ConfigurationError,
    CopyRefused,
    NotFound,
    SchemaMismatch,
    SchemaOutdated,
)
from grantflow.testing import SECRET, ManualClock, authorize, sample_app
from tests.database.golden import content, written
from tests.database.worlds import MANY, World, looked_at, made, rows_in, rows_of, url_of
from tests.faults.verbs import BOB, PLATFORM, opened


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Made once; nobody writes to it."""
    return made(tmp_path_factory.mktemp("copy"))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that there are many chunks."""
    monkeypatch.setattr(_copy, "CHUNK", 700)


def sums(done: Copied) -> list[tuple[str, int, str]]:
    return [(one.name, one.rows, one.checksum) for one in done.tables]


async def test_everything_is_there_and_goes_on(world: World, empty: str) -> None:
    file, known = world
    told: list[tuple[str, int, int]] = []
    done = await copy_database(url_of(file), empty, progress=lambda *more: told.append(more))
    assert done.rows == sum(len(rows) - 1 for name, rows in content(file).items() if name != "grantflow_schema")
    assert ("grantflow_transition", done.rows, done.rows) in [told[-1], *told]
    assert await rows_of(empty) == rows_in(file)
    assert (await check_database(empty)).problems == ()
    clock = ManualClock()
    async with opened(empty, clock) as engine:
        assert (await engine.ledger.authenticate(known["access"][0])).installation == known["ids"][0]
        client = ClientCredentials(known["client"], SECRET)
        await engine.ledger.renew(known["refresh"][2], client=client)
        assert (await engine.access_token(known["mail"][2])).value
        checked = await engine.ops.verify_keys()
        assert (checked.unreadable, checked.opened > 5) == (0, True)
        assert (await engine.counts()).by_state["active"] > MANY
        fresh = await engine.authorize("agent-app", actor=BOB, code_challenge="x" * 43)
        assert fresh.id not in known["loose"]
        await engine.apps.install("agent-app", "account-8", actor=PLATFORM)
        clock.advance(timedelta(days=400))
        swept = await engine.sweep()
        assert swept.moved > MANY
        assert (await engine.get(known["ids"][0])).state == "refresh-expired"
        assert await engine.ops.broken_promises() == []


async def test_there_and_back_is_the_same(world: World, empty: str, tmp_path: Path) -> None:
    file, _ = world
    there = await copy_database(url_of(file), empty)
    back = await copy_database(empty, url_of(tmp_path / "back.db"))
    aside = await copy_database(url_of(file), url_of(tmp_path / "aside.db"))
    assert sums(there) == sums(back) == sums(aside)
    assert content(tmp_path / "back.db") == content(tmp_path / "aside.db")
    assert rows_in(tmp_path / "back.db") == rows_in(file)
    assert (await check_database(url_of(tmp_path / "back.db"))).problems == ()


# -- stopped and gone on with ---------------------------------------------------------------------
class Stopped(Exception):
    """The person gave up."""


def stop_at(table: str, rows: int) -> Any:
    def progress(what: str, done: int, _: int) -> None:
        if what == table and done >= rows:
            raise Stopped

    return progress


@pytest.mark.parametrize("table", ["grantflow_installation", "grantflow_transition", "compare", "index"])
async def test_stopped_on_the_way_to_a_file(world: World, tmp_path: Path, table: str) -> None:
    file, _ = world
    source, target = url_of(file), url_of(tmp_path / "copy.db")
    with pytest.raises(Stopped):
        await copy_database(source, target, progress=stop_at(table, 2 if table == "index" else 1_500))
    with pytest.raises(SchemaMismatch, match="never finished"):
        await looked_at(target)
    done = await copy_database(source, target)
    assert done.resumed > 700
    assert rows_in(tmp_path / "copy.db") == rows_in(file)


async def test_what_changed_while_a_copy_was_stopped_is_noticed(tmp_path: Path) -> None:
    source, target = tmp_path / "g.db", tmp_path / "copy.db"
    async with opened(source, ManualClock()) as engine:
        await _some_rows(engine)
    with pytest.raises(Stopped):
        await copy_database(url_of(source), url_of(target), progress=stop_at("grantflow_transition", 1))
    with closing(sqlite3.connect(source)) as conn, conn:
        conn.execute("UPDATE grantflow_installation SET updated_at = updated_at + 1")
    with pytest.raises(CopyRefused, match="grantflow_installation is not the same on both sides"):
        await copy_database(url_of(source), url_of(target))
    with pytest.raises(SchemaMismatch, match="never finished"):
        await looked_at(url_of(target))
    done = await copy_database(url_of(source), url_of(target), restart=True)
    assert done.resumed == 0
    assert rows_in(target) == rows_in(source)


async def _some_rows(engine: Engine) -> None:
    await engine.apps.register(sample_app())
    await engine.apps.install("agent-app", "account-0", actor=Actor.system())
    await authorize(engine, "agent-app", "account-0", actor=BOB)


# -- what is refused --------------------------------------------------------------------------------
async def test_nobody_writes_to_the_source_meanwhile(world: World, tmp_path: Path) -> None:
    file, _ = world
    heard: list[str] = []

    def progress(what: str, *_: int) -> None:
        if what == "compare" and not heard:
            with closing(sqlite3.connect(file, timeout=0.1)) as conn, pytest.raises(sqlite3.OperationalError) as told:
                conn.execute("UPDATE grantflow_app SET revision = revision")
            heard.append(str(told.value))

    await copy_database(url_of(file), url_of(tmp_path / "copy.db"), progress=progress)
    assert heard == ["database is locked"]


async def test_a_server_stands_still_too(empty: str, tmp_path: Path) -> None:
    async with opened(empty, ManualClock()) as engine:
        await _some_rows(engine)
        before = await engine.get((await engine.find("is:any")).items[0].id)
        writes: list[asyncio.Task[Any]] = []

        def progress(what: str, *_: int) -> None:
            if what == "grantflow_transition" and not writes:
                writes.append(asyncio.create_task(engine.suspend(before.id, actor=PLATFORM, reason="a good reason")))

        await copy_database(empty, url_of(tmp_path / "copy.db"), progress=progress)
        await writes[0]
        assert (await engine.get(before.id)).version == before.version + 1, "as soon as it could"
    async with Engine.open(url_of(tmp_path / "copy.db"), clock=ManualClock()) as engine:
        assert (await engine.get(before.id)).suspension is None


async def test_a_target_that_is_not_empty_is_left_alone(world: World, empty: str, tmp_path: Path) -> None:
    file, _ = world
    other = tmp_path / "other.db"
    for target in (empty, url_of(other)):
        async with Engine.open(target):
            pass
        for restart in (False, True):
            with pytest.raises(CopyRefused, match="holds tables of grantflow already"):
                await copy_database(url_of(file), target, restart=restart)
        assert (await check_database(target)).problems == ()


async def test_an_unfinished_copy_of_another_database(world: World, tmp_path: Path) -> None:
    file, _ = world
    other, target = tmp_path / "other.db", url_of(tmp_path / "copy.db")
    async with opened(other, ManualClock()) as engine:
        await _some_rows(engine)
    with closing(sqlite3.connect(other)) as conn, conn:
        conn.execute("UPDATE grantflow_schema SET made_at = made_at + 1")
    with pytest.raises(Stopped):
        await copy_database(url_of(file), target, progress=stop_at("grantflow_installation", 1))
    with pytest.raises(CopyRefused, match="of another database"):
        await copy_database(url_of(other), target)
    await copy_database(url_of(other), target, restart=True)
    assert rows_in(tmp_path / "copy.db") == rows_in(other)


async def test_a_source_at_work_is_not_copied(tmp_path: Path) -> None:
    file, clock = tmp_path / "g.db", ManualClock()
    async with opened(file, clock) as engine:
        await _some_rows(engine)
        await engine.beat("scheduler")
        target = url_of(tmp_path / "copy.db")
        with pytest.raises(CopyRefused, match="1 scheduler of the source"):
            await copy_database(url_of(file), target, clock=clock)
        clock.advance(timedelta(minutes=2))
    await copy_database(url_of(file), target, clock=clock)


async def test_sources_that_cannot_be_copied(tmp_path: Path, empty: str) -> None:
    old, none, target = written(tmp_path / "old.db", 2), tmp_path / "none.db", url_of(tmp_path / "copy.db")
    with pytest.raises(SchemaOutdated):
        await copy_database(url_of(old), target)
    with pytest.raises(NotFound):
        await copy_database(url_of(none), target)
    with pytest.raises(NotFound):
        await copy_database(empty, target)
    with closing(sqlite3.connect(none)) as conn, conn:
        conn.execute("CREATE TABLE users (id INTEGER)")
    with pytest.raises(NotFound, match="no tables of grantflow"):
        await copy_database(url_of(none), target)
    with pytest.raises(ConfigurationError):
        await copy_database("mysql://x", target)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("UPDATE grantflow_installation SET deadline_at = 'soon'", "deadline_at of row 1 holds a str"),
        ("UPDATE grantflow_installation SET account = 'a' || char(0)", "account of row 1 holds a str"),
        ("UPDATE grantflow_installation SET label = x'ff'", "label of row 1 holds a bytes"),
        ("UPDATE grantflow_installation SET forced = 7", "forced of row 1 holds a int"),
    ],
)
async def test_a_cell_that_a_server_cannot_hold_is_named(tmp_path: Path, empty: str, damage: str, says: str) -> None:
    file = tmp_path / "g.db"
    async with opened(file, ManualClock()) as engine:
        await _some_rows(engine)
    with closing(sqlite3.connect(file)) as conn, conn:
        conn.execute(damage)
    with pytest.raises(CopyRefused, match=f"grantflow_installation: {says} that does not belong there"):
        await copy_database(url_of(file), empty)


async def test_two_copies_into_one_target_are_one(world: World, empty: str, tmp_path: Path) -> None:
    twins = [Path(shutil.copy(world[0], tmp_path / f"{number}.db")) for number in range(2)]
    tried = await asyncio.gather(*(copy_database(url_of(file), empty) for file in twins), return_exceptions=True)
    assert sorted(type(one).__name__ for one in tried) == ["Copied", "DatabaseBusy"]
