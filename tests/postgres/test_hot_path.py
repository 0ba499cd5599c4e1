"""What a transaction costs: ways to the server and back; and what the bridge does with writes that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from grantflow._ports import Rules
from grantflow._rows import ActionRow, Change, Load, Snapshot
from grantflow._store import _pg_moves as moves
from grantflow._store._pg_connection import Bridge
from grantflow._store.postgres import PostgresStore
from grantflow.errors import DatabaseError
from grantflow_machines import Actor
from tests.journeys.stage import BOB, Stage
from tests.store.builders import NOW, move, moving, new_app, new_installation


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Everything that is sent to a server."""
    told: list[str] = []

    def noting(original: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def noted(self: object, text: str, *arguments: Any, **named: Any) -> object:
            told.append(text)
            return await original(self, text, *arguments, **named)

        return noted

    for name in ("fetch", "fetchmany", "execute"):
        monkeypatch.setattr(asyncpg.Connection, name, noting(getattr(asyncpg.Connection, name)))
    return told


async def test_a_plain_move_is_two_ways_to_the_server_for_one_and_for_many(
    store: PostgresStore, said: list[str]
) -> None:
    app = await new_app(store)
    names = [f"i{n}" for n in range(20)]
    for name in names:
        await new_installation(store, app, name)
    await store.transact(Load(installation="i0"), moving("second", notice=True))
    for some in (names[:1], names):
        said.clear()
        await asyncio.gather(
            *(store.transact(Load(installation=name), moving("third", notice=True)) for name in some)
        )
        assert len(said) == 2, said
    assert sorted(await store.counts()) == [("crm", "third", 20)]


async def test_an_event_that_does_more_is_six_ways_to_the_server(stage: Stage, said: list[str]) -> None:
    tokens = await stage.active("agent-app", BOB)
    said.clear()
    await stage.engine.send(tokens.installation, "disconnect", actor=BOB)
    mine = said[said.index("BEGIN;") : said.index("COMMIT;") + 1]  # a courier may look at the outbox meanwhile
    assert len(mine) == 6, mine


async def test_a_chunk_costs_the_same_for_one_row_and_for_many(store: PostgresStore, said: list[str]) -> None:
    app = await new_app(store)
    pks = [(await new_installation(store, app, f"i{n}", due=NOW)).pk for n in range(30)]
    sent = []
    for part in (pks[:1], pks[1:3], pks[3:]):
        said.clear()
        done = await store.sweep_chunk(part, NOW, moving("over", notice=True), 10)
        assert len(done.changes) == len(part)
        sent.append(len([text for text in said if "grantflow_" in text and text != moves.READ_APPS]))
    assert sent == [2, 2, 2]


async def test_writes_to_one_table_keep_their_order(store: PostgresStore, said: list[str]) -> None:
    app = await new_app(store)

    def job(bridge: Bridge, _: object) -> None:
        for revision in (7, 8, 9):
            bridge.execute("UPDATE grantflow_app SET revision=? WHERE pk=?", (revision, app.pk))
            bridge.execute("UPDATE grantflow_parent SET revision=? WHERE pk=?", (revision, 1))

    said.clear()
    await store._write(job)
    assert (await store.apps())[0].revision == 9
    assert len([text for text in said if "w1 AS (UPDATE grantflow_parent" in text]) == 3


async def test_a_write_that_waits_is_refused_at_the_end_and_takes_everything_back(store: PostgresStore) -> None:
    app = await new_app(store)
    row = await new_installation(store, app, "i1")

    def work(found: Snapshot) -> Change:
        change = move(found, "second", notice=True)
        change.transitions[0].version = 1
        change.action = ActionRow(NOW, "op", False, "x", "y", None, None, "applied", "")
        return change

    with pytest.raises(DatabaseError, match="UniqueViolation") as raised:
        await store.transact(Load(installation="i1"), work)
    assert "Key (" not in repr(raised.value.__cause__)
    assert (await store.load(Load(installation="i1"))).installation == row
    assert await store.actions(9, None) == []
    assert await store.counts() == [("crm", "active", 1)]


async def test_an_answer_that_is_asked_for_too_late_is_a_defect_of_ours(store: PostgresStore) -> None:
    def job(bridge: Bridge, _: object) -> None:
        answer = bridge.execute("UPDATE grantflow_app SET revision=? WHERE pk=?", (2, 1))
        bridge.execute("SELECT 1 FROM grantflow_app")
        _ = answer.rowcount

    with pytest.raises(RuntimeError, match="after other statements"):
        await store._write(job)


async def test_what_contradicts_an_invariant_is_found(store: PostgresStore) -> None:
    app = await new_app(store)
    for name, state in (("i1", "active"), ("i2", "nowhere"), ("i3", "waits"), ("i4", "dead")):
        await new_installation(store, app, name, state=state)
    words = [frozenset({name}) for name in ("active", "dead", "free", "waits")]
    rules = Rules(frozenset({"active", "dead", "free", "waits"}), *words)
    found = await store.broken_promises(rules, 9)
    assert "i1 (active): it is alive without a token set" in found
    assert "i2 (nowhere): no chart knows its state" in found
    assert "i3 (waits): it waits for an attempt, and none is open" in found
    assert "i4 (dead): it died at no time" in found
    assert not [one for one in found if "counter" in one]
    async with store.pool.acquire() as conn:
        await conn.execute("UPDATE grantflow_count SET n = n + 3 WHERE state = 'active'")
    assert "app 1 has -3 in active beside its counter" in await store.broken_promises(rules, 9)
    assert (await store.correct_counts(), await store.correct_counts()) == (1, 0)
    assert ("crm", "active", 1) in await store.counts()
    async with store.pool.acquire() as conn:
        await conn.execute("UPDATE grantflow_installation SET state = 'free', version = 7 WHERE public_id = 'i1'")
    wrong = await store.broken_promises(rules, 9)
    assert "i1 (free): its state is not the one its trail ends in" in wrong
    assert "i1 (free): the versions of its trail have gaps" in wrong


async def test_a_thorough_look_finds_nothing_wrong_after_a_journey(stage: Stage) -> None:
    tokens = await stage.active("agent-app", BOB)
    await stage.engine.send(tokens.installation, "suspend", actor=Actor.system(), reason="a good reason")
    found = {one.check: one.health for one in await stage.engine.ops.diagnose(thorough=True)}
    assert found["integrity"] == found["invariants"] == "ok"
    assert found["database"] == "note", "the stage may lose its last commits with the power, and that is told"
