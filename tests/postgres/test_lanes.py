"""Plain moves in lanes: together, and yet each by itself; what they stood on is compared, not locked."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from grantflow import Settings
from grantflow._rows import Change, InstallationRow, Load, OutboxRow, ParentRow, Snapshot, TransitionRow
from grantflow._store import _pg_lanes
from grantflow._store import _pg_moves as moves
from grantflow._store.postgres import PostgresStore, _lane
from grantflow.errors import Conflict, DatabaseError, DatabaseUnreachable, TransitionRefused
from tests.postgres.outside import TABLES, Outside
from tests.postgres.sweeping import until
from tests.store.builders import DAY, NOW, attempt, move, moving, new_app, new_installation, recorded

I1 = Load(installation="i1")


@pytest.fixture
def outside(url: str) -> Iterator[Outside]:
    """Another program on the same database."""
    made = Outside(url)
    yield made
    made.close()


async def several(store: PostgresStore, count: int) -> list[str]:
    """So many installations of one app on one account, with their parent; returns their names."""
    app = await new_app(store)
    parent = ParentRow(0, app.pk, "acme", "1.0", available=True, revision=1, installed_at=NOW)
    await store.transact(Load(app="crm", account="acme"), lambda _: Change(parent=parent))
    names = [f"i{n}" for n in range(1, count + 1)]
    for name in names:
        await new_installation(store, app, name, due=NOW)
    return names


async def trail(store: PostgresStore, name: str) -> list[tuple[int, str]]:
    """Versions and targets, the last one first."""
    row = (await store.load(Load(installation=name))).installation
    assert row is not None
    return [(step.version, step.target) for step in await store.history(row.pk, 99, None)]


def waiting(outside: Outside) -> int:
    """How many wait for a lock."""
    return int(outside.rows("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")[0][0])


# -- the same as the long way -------------------------------------------------------------------------
def suspended(found: Snapshot) -> Change:
    """A move that keeps the state and changes more than a move does."""
    change = move(found, "active", event="suspend", notice=True)
    row = found.installation
    assert row is not None
    row.suspended_by, row.suspended_at, row.suspended_why = "operator", NOW, "why 'not' é"
    change.whole = True
    return change


def ended(found: Snapshot) -> Change:
    """A grant that is over."""
    change = move(found, "over", notice=True)
    row = found.installation
    assert row is not None
    row.ended_at, row.reason, row.forced, change.stop_renewal = NOW, "time", True, True
    return change


def twice(found: Snapshot) -> Change:
    """Two steps and three notices in one change."""
    first = move(found, "middle", event="one", notice=True)
    second = move(found, "over", event="two", notice=True)
    second.notices.append(OutboxRow(second.notices[0].installation_pk, "more", 3, NOW, "{}"))
    return replace(
        second,
        expected_version=first.expected_version,
        before=first.before,
        transitions=first.transitions + second.transitions,
        notices=first.notices + second.notices,
    )


WORKS: list[Callable[[Snapshot], Change]] = [moving("over"), moving("over", notice=True), suspended, ended, twice]


@pytest.mark.parametrize("many", [1, 7])
@pytest.mark.parametrize("way", ["caller", "sweep"])
async def test_every_table_ends_as_by_the_long_way(
    store: PostgresStore, outside: Outside, many: int, way: str
) -> None:
    """Row for row, keys included; only the slots of counters are the connection's own."""
    ends = []
    for short in (True, False):
        outside.clear()
        names = await several(store, many)
        for work in WORKS:
            outside.rows("UPDATE grantflow_installation SET due_at = $1", NOW)
            if not short:
                for name in names:
                    await store._long_way(Load(installation=name), work, None)
            elif way == "sweep":
                assert len((await store.sweep_chunk(range(1, many + 1), NOW, work, 1)).changes) == many
            else:
                await asyncio.gather(*(store.transact(Load(installation=name), work) for name in names))
        tables = [
            str(name) for (name,) in outside.rows(TABLES) if name not in ("grantflow_count", "grantflow_schema")
        ]
        rows = {table: outside.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables}
        if many > 1:  # the order among installations is nobody's business
            rows = {table: sorted((row[1:] for row in found), key=repr) for table, found in rows.items()}
        ends.append(rows)
        assert await store.counts() == [("crm", "over", many)]
    assert ends[0] == ends[1]


async def test_what_is_more_than_a_move_goes_the_long_way(store: PostgresStore) -> None:
    (name,) = await several(store, 1)
    app = (await store.apps())[0]
    snapshot = await store.load(I1)
    assert snapshot.installation is not None
    seen = moves.Seen(1, 1, None, None, (), snapshot)
    plain = Change(
        installation=snapshot.installation,
        expected_version=1,
        transitions=[recorded(snapshot.installation, "active", "x")],
    )
    assert moves.is_plain(seen, plain)
    more: dict[str, Any] = {
        "expected_version": None,
        "transitions": [],
        "touched": True,
        "new_attempts": [attempt(app, "a", ends=NOW)],
        "wipe_tokens": True,
        "drop_controls": ["x"],
        "leaves_quarantine": True,
    }
    for field, value in more.items():
        assert not moves.is_plain(seen, replace(plain, **{field: value})), field
    snapshot.attempts.append(attempt(app, "a", ends=NOW))
    assert not moves.is_plain(seen, plain), name


# -- what changed meanwhile ---------------------------------------------------------------------------
MEANWHILE = {
    "another version": "UPDATE grantflow_installation SET version = 5 WHERE public_id = 'i1'",
    "a deadline that no version tells of": "UPDATE grantflow_installation SET deadline_at = 1 WHERE public_id = 'i1'",
    "the parent": "UPDATE grantflow_parent SET suspended_by = 'operator'",
}


@pytest.mark.parametrize("what", MEANWHILE)
@pytest.mark.parametrize("many", [1, 5])
async def test_what_a_decision_stood_on_is_compared_and_it_is_decided_anew(
    store: PostgresStore, outside: Outside, what: str, many: int
) -> None:
    names = await several(store, many)
    seen: list[Snapshot] = []

    def work(found: Snapshot) -> Change:
        seen.append(found)
        if len(seen) == 1:
            outside.rows(MEANWHILE[what])
        return move(found, "over")

    others = [store.transact(Load(installation=name), moving("over")) for name in names[1:]]
    change, *_ = await asyncio.gather(store.transact(I1, work), *others)
    assert len(seen) == 2, "it was decided on what is no more"
    assert change.installation is not None
    again, version = seen[1], change.installation.version
    assert version == (6 if what == "another version" else 2)
    assert change.installation.deadline_at == (1 if "deadline" in what else NOW)
    assert again.parent is not None
    assert again.parent.suspended_by == ("operator" if what == "the parent" else None)
    assert [len(await trail(store, name)) for name in names] == [2] * many


async def test_a_parent_that_is_being_changed_is_waited_for(store: PostgresStore, url: str, outside: Outside) -> None:
    await several(store, 3)
    other = await asyncpg.connect(url)
    try:
        for names in (["i1"], ["i2", "i3"]):
            transaction = other.transaction()
            await transaction.start()
            await other.execute("UPDATE grantflow_parent SET suspended_why = $1", names[0])
            going = [asyncio.ensure_future(store.transact(Load(installation=name), moving("over"))) for name in names]
            await until(lambda names=names: waiting(outside) == len(names))  # type: ignore[misc]
            assert not any(one.done() for one in going), "it was decided on a parent that is being changed"
            await transaction.commit()
            await asyncio.gather(*going)
    finally:
        await other.close()


async def test_nobody_waits_for_a_neighbours_row(store: PostgresStore, url: str) -> None:
    names = await several(store, 9)
    other = await asyncpg.connect(url)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT 1 FROM grantflow_installation WHERE public_id = 'i5' FOR UPDATE")
        going = {
            name: asyncio.ensure_future(store.transact(Load(installation=name), moving("over"))) for name in names
        }
        await asyncio.wait_for(asyncio.gather(*(going[name] for name in names if name != "i5")), 5)
        assert not going["i5"].done()
        await transaction.rollback()
        assert (await going["i5"]).transitions
    finally:
        await other.close()


async def test_nobody_pays_for_a_neighbours_mistake(store: PostgresStore) -> None:
    names = await several(store, 6)

    def refused(_: Snapshot) -> Change:
        raise TransitionRefused("not any more")

    def broken(found: Snapshot) -> Change:
        change = move(found, "over")
        change.transitions[0].version = 1  # there is one already
        return change

    def too_large(found: Snapshot) -> Change:
        change = move(found, "over")
        assert change.installation is not None
        change.installation.due_at = 1 << 70
        return change

    works = {"i2": refused, "i3": broken, "i4": too_large}
    going = [store.transact(Load(installation=name), works.get(name, moving("over"))) for name in names]
    told = await asyncio.gather(*going, return_exceptions=True)
    print(told)
    assert [type(one) for one in told] == [
        Change,
        TransitionRefused,
        DatabaseError,
        OverflowError,
        Change,
        Change,
    ]
    assert [len(await trail(store, name)) for name in names] == [2, 1, 1, 1, 2, 2]
    assert sorted(await store.counts()) == [("crm", "active", 3), ("crm", "over", 3)]


async def test_two_callers_of_one_installation_come_one_after_the_other(store: PostgresStore) -> None:
    await several(store, 1)
    changes = await asyncio.gather(*(store.transact(I1, moving(f"state {n}")) for n in range(20)))
    versions = [change.installation.version for change in changes if change.installation]
    assert versions == list(range(2, 22)), "in the order they came"
    with pytest.raises(Conflict):
        await store.transact(I1, _conflict)


def _conflict(_: Snapshot) -> Change:
    raise Conflict


@pytest.mark.parametrize("lanes", [1, 2])
async def test_who_comes_while_the_last_lane_ends_is_served(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, lanes: int
) -> None:
    monkeypatch.setattr(_pg_lanes, "_LANES", lanes)
    names = await several(store, 40)

    async def caller(name: str) -> None:
        for number in range(15):
            await store.transact(Load(installation=name), moving(f"state {number}"))

    for some in (names[:1], names[:3], names):
        await asyncio.wait_for(asyncio.gather(*map(caller, some)), 20)
    assert len(await trail(store, "i1")) == 46


async def test_a_caller_who_leaves_takes_nobody_along(store: PostgresStore) -> None:
    names = await several(store, 5)
    going = [asyncio.ensure_future(store.transact(Load(installation=name), moving("over"))) for name in names]
    await asyncio.sleep(0)
    going[2].cancel()
    told = await asyncio.gather(*going, return_exceptions=True)
    assert [type(one) for one in told] == [Change, Change, asyncio.CancelledError, Change, Change]
    await until(lambda: not store._lanes.busy)
    assert [len(await trail(store, name)) for name in names] == [2] * 5, "what was begun came to its end"


# -- an answer that is lost ---------------------------------------------------------------------------
@pytest.mark.parametrize("written", [True, False], ids=["it was written", "it was not"])
@pytest.mark.parametrize("many", [1, 6])
async def test_moves_without_an_answer_are_looked_up(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch, written: bool, many: int
) -> None:
    names, write, lost = await several(store, many), _pg_lanes._write, 0

    async def breaks(conn: asyncpg.Connection, some: list[moves.Move]) -> set[int]:
        nonlocal lost
        lost += 1
        if written:
            await write(conn, some)
        conn.terminate()
        raise asyncpg.ConnectionDoesNotExistError

    monkeypatch.setattr(_pg_lanes, "_write", breaks)
    changes = await asyncio.gather(
        *(store.transact(Load(installation=name), moving("over", notice=True)) for name in names)
    )
    assert lost
    assert [change.installation.version for change in changes if change.installation] == [2] * many
    assert [await trail(store, name) for name in names] == [[(2, "over"), (1, "active")]] * many
    assert len(await store.pending_notices(NOW, 99)) == many
    assert await store.counts() == [("crm", "over", many)]


@pytest.mark.parametrize("refuses", [False, True], ids=["it is brought again", "it is refused by now"])
async def test_a_move_that_the_server_is_still_at_happens_once(
    store: PostgresStore, url: str, outside: Outside, monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    """The connection is gone, and the server waits for a lock: it will write when it gets it."""
    await several(store, 1)
    write, decided = _pg_lanes._write, 0
    other = await asyncpg.connect(url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT 1 FROM grantflow_installation FOR UPDATE")

    async def breaks(conn: asyncpg.Connection, some: list[moves.Move]) -> set[int]:
        sent = asyncio.ensure_future(write(conn, some))
        await until(lambda: waiting(outside) == 1)
        conn.terminate()
        return await sent

    def work(found: Snapshot) -> Change:
        nonlocal decided
        decided += 1
        if refuses and decided > 1:
            raise TransitionRefused("not any more")
        return move(found, "over")

    monkeypatch.setattr(_pg_lanes, "_write", breaks)
    try:
        going = asyncio.ensure_future(store.transact(I1, work))
        await until(lambda: waiting(outside) == 2)
        assert not going.done(), "somebody was told before the server was through"
        await transaction.commit()
        change = await going
    finally:
        await other.close()
    assert change.installation is not None
    assert await trail(store, "i1") == [(2, "over"), (1, "active")]
    assert await store.counts() == [("crm", "over", 1)]


async def test_a_server_that_stops_answering_is_given_up_and_nothing_happens_twice(url: str) -> None:
    store = await PostgresStore.open(url, Settings(busy_timeout=timedelta(milliseconds=300)), NOW)
    names = await several(store, 4)
    await store.transact(I1, moving("second"))
    (conn,) = store._lanes._idle
    backend = conn.get_server_pid()
    os.kill(backend, signal.SIGSTOP)
    try:
        calls = (store.transact(Load(installation=name), moving("over", notice=True)) for name in names)
        changes = await asyncio.wait_for(asyncio.gather(*calls), 5)
    finally:
        os.kill(backend, signal.SIGCONT)
    assert all(change.transitions for change in changes)
    await asyncio.sleep(0.2)  # what it had been sent arrives now
    assert [len(await trail(store, name)) for name in names] == [3, 2, 2, 2]
    assert len(await store.pending_notices(NOW, 99)) == 4
    await store.close()


async def test_what_may_still_arrive_is_not_called_refused(store: PostgresStore) -> None:
    await several(store, 1)
    sent = move(await store.load(I1), "over")

    def work(_: Snapshot) -> Change:
        raise TransitionRefused("not any more")

    with pytest.raises(DatabaseUnreachable, match="nobody can tell"):
        await store._long_way(I1, work, sent)
    await store.transact(I1, moving("elsewhere"))
    with pytest.raises(TransitionRefused):  # it cannot arrive any more
        await store._long_way(I1, work, sent)


async def test_rows_of_a_sweep_without_an_answer_are_counted_once(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await several(store, 6)
    write = _pg_lanes._write

    async def breaks(conn: asyncpg.Connection, some: list[moves.Move]) -> set[int]:
        await write(conn, some[:4])
        conn.terminate()
        raise asyncpg.ConnectionDoesNotExistError

    monkeypatch.setattr(_pg_lanes, "_write", breaks)
    done = await store.sweep_chunk(range(1, 7), NOW + DAY, moving("over", notice=True), 1)
    assert (len(done.changes), done.skipped, list(done.left)) == (6, 0, [])
    assert len(await store.pending_notices(NOW, 99)) == 6


# -- plans --------------------------------------------------------------------------------------------
async def test_plans_that_were_made_on_an_empty_database_find_rows_by_their_keys(url: str) -> None:
    """They are made once and kept: one that reads a whole table would be right only while it is small."""
    conn = await _lane(url, Settings())
    row = InstallationRow(
        1, "i", 1, "acme", "agent", "s", "default", "active", None, 1, 0, None, None, grant_revoked=False, granted="",
        identity=None, definition="C", definition_version=1, fingerprint="f", bucket=0, created_at=1, entered_at=1,
        updated_at=1,
    )  # fmt: skip
    step = TransitionRow(1, 2, "active", "x", "over", "system", 1, None, False, None, None, "f")
    change = Change(row, 1, before="over", transitions=[step], notices=[OutboxRow(1, "x", 2, 1, "{}")])
    change.stop_renewal = True
    made = moves.Move(moves.Seen(1, 1, 1, 1, (0,) * 30, Snapshot(installation=row)), change)
    texts = [moves.READ_ONE, moves.READ, moves.READ_DUE, moves.READ_APPS, moves.STEPS]
    texts += [moves.writing(some, 0)[0] for some in ([made], [made, made])]
    try:
        for text in texts:
            places = [None] * len(set(re.findall(r"\$\d+", text)))
            plan = [line for (line,) in await conn.fetch(f"EXPLAIN (GENERIC_PLAN) {text}", *places)]
            looks = [n for n, line in enumerate(plan) if "Seq Scan" in line or "Index Scan" in line]
            assert looks
            for n in looks:
                assert "Index Cond" in plan[n + 1], "\n".join(plan)
    finally:
        await conn.close()
