"""The outbox: after the commit, at least once, in order for each installation, and nobody waits for a stranger."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from pathlib import Path

import pytest

from grantflow import Actor, Engine, Notice, Settings
from grantflow._clock import to_datetime
from grantflow.errors import PermissionDenied
from grantflow.testing import ManualClock, People, authorize, sample_app

ANN, BOB, EVE = Actor.admin("ann"), Actor.agent("bob"), Actor.agent("eve")
OPERATOR = Actor.operator("maria")
WHY = "a good reason"
TRIES = 5
EVENTS = ("suspend", "unsuspend", "suspend", "unsuspend")


class Shop:
    """A subscriber that fails on what it is told to fail on."""

    def __init__(self) -> None:
        self.taken: list[Notice] = []
        self.tried = 0
        self.refuses: Callable[[Notice], bool] = lambda _: False

    def __call__(self, notice: Notice) -> None:
        self.tried += 1
        if self.refuses(notice):
            raise RuntimeError("the shop is closed")
        self.taken.append(notice)

    def of(self, installation: str) -> list[int]:
        """Versions, as they came."""
        return [notice.version for notice in self.taken if notice.installation == installation]


@asynccontextmanager
async def opened(file: Path, clock: ManualClock | None, **settings: object) -> AsyncIterator[Engine]:
    people = People({ANN: ["acme"], BOB: ["acme"], EVE: ["acme"]})
    chosen = Settings(synchronous="NORMAL", notice_tries=TRIES, **settings)  # type: ignore[arg-type]
    async with Engine.open(f"sqlite:///{file}", directory=people, clock=clock, settings=chosen) as engine:
        await engine.apps.register(sample_app("agent"))
        await engine.apps.install("agent-app", "acme", actor=ANN)
        yield engine


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def engine(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Engine]:
    async with opened(tmp_path / "g.db", clock) as engine:
        yield engine


async def two(engine: Engine) -> tuple[str, str]:
    return (
        (await authorize(engine, "agent-app", "acme", actor=BOB)).installation,
        (await authorize(engine, "agent-app", "acme", actor=EVE)).installation,
    )


async def toggled(engine: Engine, *installations: str) -> None:
    for event in EVENTS:
        for installation in installations:
            await engine.send(installation, event, actor=OPERATOR, reason=WHY if event == "suspend" else None)


def waits(file: Path) -> list[tuple[int, int | None]]:
    """(tries, next_at) of what failed."""
    with closing(sqlite3.connect(file)) as conn:
        rows = conn.execute("SELECT tries, next_at FROM grantflow_outbox WHERE tries > 0 AND delivered_at IS NULL")
        return [(int(tries), None if at is None else int(at)) for tries, at in rows]


async def test_each_installation_hears_its_own_in_order(engine: Engine) -> None:
    shop = Shop()
    engine.subscribe(shop)
    names = await two(engine)
    await asyncio.gather(*(toggled(engine, name) for name in names))
    await engine.drain_notices()
    for name in names:
        assert len(shop.of(name)) >= len(EVENTS)
        assert shop.of(name) == sorted(shop.of(name))


async def test_a_notice_that_fails_holds_up_its_own_installation_alone(engine: Engine, clock: ManualClock) -> None:
    mine, other = await two(engine)
    await toggled(engine, mine, other)
    shop = Shop()
    shop.refuses = lambda notice: notice.installation == mine
    engine.subscribe(shop)
    await engine.deliver_notices()
    assert len(shop.of(other)) >= len(EVENTS)
    assert shop.of(mine) == []
    refused = shop.tried - len(shop.taken)
    assert refused == 1, "the ones behind it were not even tried"
    await engine.suspend(other, actor=OPERATOR, reason=WHY)
    await engine.suspend(mine, actor=OPERATOR, reason=WHY)
    await engine.drain_notices()
    assert shop.tried - len(shop.taken) == refused, "before its time nothing is tried again"
    shop.refuses = lambda _: False
    clock.advance(timedelta(seconds=1))
    await engine.deliver_notices()
    assert shop.of(mine) == sorted(shop.of(mine))
    assert len(shop.of(mine)) == len(shop.of(other))
    assert (await engine.ops.outbox()).notices == 0


async def test_a_failed_notice_waits_longer_each_time_and_is_given_up(
    engine: Engine, clock: ManualClock, tmp_path: Path
) -> None:
    mine, _ = await two(engine)
    shop = Shop()
    engine.subscribe(shop)
    await engine.drain_notices()
    before = len(shop.of(mine))
    shop.refuses = lambda notice: notice.installation == mine and notice.body["event"] == "suspend"
    await engine.suspend(mine, actor=OPERATOR, reason=WHY)
    await engine.unsuspend(mine, actor=OPERATOR)
    await engine.drain_notices()
    seconds: list[float] = []
    for _ in range(TRIES - 1):
        [(tries, next_at)] = waits(tmp_path / "g.db")
        assert tries == len(seconds) + 1
        assert next_at is not None
        wait = to_datetime(next_at) - clock.now()
        seconds.append(wait.total_seconds())
        clock.advance(wait - timedelta(microseconds=1))
        tried = shop.tried
        await engine.deliver_notices()
        assert shop.tried == tried, "not before its time"
        assert len(shop.of(mine)) == before, "its successor waits behind it"
        clock.advance(timedelta(microseconds=1))
        await engine.deliver_notices()
    assert seconds == [1, 4, 16, 64]
    [(tries, next_at)] = waits(tmp_path / "g.db")
    assert (tries, next_at) == (TRIES, None)
    assert (await engine.ops.outbox()).dead == 1
    [dead] = await engine.ops.dead_notices()
    assert (dead.installation, dead.body["event"]) == (mine, "suspend")
    assert len(shop.of(mine)) == before + 1, "what waited behind the dead letter goes out"
    clock.advance(timedelta(days=300))
    tried = shop.tried
    await engine.deliver_notices()
    assert shop.tried == tried, "a dead letter is not tried by itself"


async def test_the_wait_never_grows_beyond_the_longest(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path / "g.db", clock, backoff_longest=timedelta(seconds=10)) as engine:
        shop = Shop()
        shop.refuses = lambda _: True
        await two(engine)
        engine.subscribe(shop)
        for _ in range(TRIES - 1):
            await engine.deliver_notices()
            clock.advance(timedelta(seconds=10))
        assert (await engine.ops.outbox()).dead == 0
        await engine.deliver_notices()
        assert (await engine.ops.outbox()).dead == 2, "the first of each installation"


async def test_an_operator_has_the_dead_letters_delivered_again(engine: Engine, clock: ManualClock) -> None:
    shop = Shop()
    shop.refuses = lambda _: True
    mine, _ = await two(engine)
    engine.subscribe(shop)
    while (await engine.ops.outbox()).notices:
        await engine.deliver_notices()
        clock.advance(timedelta(hours=2))
    dead = (await engine.ops.outbox()).dead
    assert dead == len(await engine.ops.dead_notices()) > 0
    with pytest.raises(PermissionDenied):
        await engine.ops.retry_notices(actor=ANN, reason=WHY)
    shop.refuses = lambda _: False
    assert await engine.ops.retry_notices(actor=OPERATOR, reason=WHY) == dead
    assert await engine.deliver_notices() == dead
    assert shop.of(mine) == sorted(shop.of(mine))
    assert (await engine.ops.outbox()).dead == 0
    assert await engine.ops.retry_notices(actor=OPERATOR, reason=WHY) == 0


async def test_a_restart_forgets_no_notice_no_try_and_no_wait(tmp_path: Path, clock: ManualClock) -> None:
    file, shop = tmp_path / "g.db", Shop()
    shop.refuses = lambda _: True
    async with opened(file, clock) as engine:
        mine, _ = await two(engine)
        engine.subscribe(shop)
        await engine.drain_notices()
        left = (await engine.ops.outbox()).notices
    before = waits(file)
    assert before
    assert all(tries == 1 for tries, _ in before)
    shop.refuses = lambda _: False
    async with opened(file, clock) as engine:
        engine.subscribe(shop)
        await engine.deliver_notices()
        assert waits(file) == before, "the wait outlives the process"
        clock.advance(timedelta(seconds=1))
        await engine.deliver_notices()
        assert (await engine.ops.outbox()).notices == 0
    assert len(shop.taken) == left
    assert shop.of(mine) == sorted(shop.of(mine))


async def test_without_a_scheduler_a_failed_notice_is_tried_again_by_itself(tmp_path: Path) -> None:
    done = asyncio.Event()
    async with opened(tmp_path / "g.db", None) as engine:
        failures = [RuntimeError("once")]

        def subscriber(notice: Notice) -> None:
            if failures:
                raise failures.pop()
            done.set()

        engine.subscribe(subscriber)
        await two(engine)
        async with asyncio.timeout(10):
            await done.wait()
        await engine.drain_notices()
        await asyncio.sleep(1.5)  # what waits behind the one that failed, of the same installation alone
        assert (await engine.ops.outbox()).notices == 0


async def test_a_notice_nobody_listens_to_waits(engine: Engine, clock: ManualClock) -> None:
    mine, _ = await two(engine)
    assert await engine.deliver_notices() == 0
    waiting = await engine.ops.outbox()
    assert waiting.notices > 0
    assert waiting.oldest_notice == clock.now()
    shop = Shop()
    leave = engine.subscribe(shop)
    await engine.drain_notices()
    leave()
    assert shop.of(mine)
    tried = shop.tried
    await toggled(engine, mine)
    await engine.deliver_notices()
    assert shop.tried == tried
    assert (await engine.ops.outbox()).notices > 0


async def test_a_hundred_and_more_that_fail_do_not_hold_up_the_one_behind_them(
    tmp_path: Path, clock: ManualClock
) -> None:
    file = tmp_path / "g.db"
    async with opened(file, clock) as engine:
        mine, other = await two(engine)
        engine.subscribe(lambda _: None)
        await engine.drain_notices()
    with closing(sqlite3.connect(file)) as conn, conn:
        [(first,)] = conn.execute("SELECT pk FROM grantflow_installation WHERE public_id = ?", (mine,))
        [(last,)] = conn.execute("SELECT pk FROM grantflow_installation WHERE public_id = ?", (other,))
        conn.executemany(
            "INSERT INTO grantflow_outbox (installation_pk, name, version, at, body, tries) "
            "VALUES (?, ?, ?, 0, '{}', 0)",
            [*((first, "a.flood", number) for number in range(350)), (last, "the.last", 1)],
        )
    async with opened(file, clock) as engine:
        shop = Shop()
        shop.refuses = lambda notice: notice.name == "a.flood"
        engine.subscribe(shop)
        await engine.deliver_notices()
        assert [notice.name for notice in shop.taken] == ["the.last"]
        assert shop.tried == 2
