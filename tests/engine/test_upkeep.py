"""Retention, counters and forecasts: what goes and what stays, what must agree, and what is to come."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from grantflow import Actor, ClientCredentials, Engine, Forgotten, KeyRing, Settings
from grantflow._clock import to_instant
from grantflow._rows import TokenRow
from grantflow._store import _statements as sql
from grantflow.errors import BadInput, InvalidGrant, PermissionDenied, ReauthorizationRequired
from grantflow.testing import SECRET, ForeignServer, ManualClock, People, authorize, grant, sample_app

ANN, BOB, EVE = Actor.admin("ann"), Actor.agent("bob"), Actor.agent("eve")
OPERATOR = Actor.operator("maria")
WHY = "a good reason"
DAY = timedelta(days=1)
YEAR = 365 * DAY


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def server() -> ForeignServer:
    return ForeignServer()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "grants.db"


@pytest.fixture
async def engine(clock: ManualClock, server: ForeignServer, file: Path) -> AsyncIterator[Engine]:
    async with Engine.open(
        f"sqlite:///{file}",
        directory=People({ANN: ["acme"], BOB: ["acme"], EVE: ["acme"]}),
        clock=clock,
        http=server,
        keys=KeyRing.parse(KeyRing.new_key()),
        settings=Settings(synchronous="NORMAL"),
    ) as engine:
        for app in (sample_app("agent"), server.app()):
            await engine.apps.register(app)
            await engine.apps.install(app.key, "acme", actor=ANN)
        yield engine


def rows(file: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as conn:
        return conn.execute(query).fetchall()


def change(file: Path, *statements: str) -> None:
    """Behind the engine's back."""
    with closing(sqlite3.connect(file)) as conn, conn:
        for statement in statements:
            conn.execute(statement)


async def granted(engine: Engine, server: ForeignServer) -> str:
    """Bob's installation of the app at the foreign server."""
    done = await grant(engine, server, "crm", "acme", actor=BOB)
    assert done.installation is not None
    return done.installation.id


SEALED = "SELECT count(*) FROM grantflow_token_set WHERE access_sealed IS NOT NULL OR refresh_sealed IS NOT NULL"
TRAIL = "SELECT * FROM grantflow_transition ORDER BY pk"


# -- retention ------------------------------------------------------------------------------------
async def test_the_tokens_of_a_dead_grant_are_kept_thirty_days_for_a_probe(
    engine: Engine, server: ForeignServer, clock: ManualClock, file: Path
) -> None:
    await grant(engine, server, "crm", "acme", actor=BOB)
    clock.advance(YEAR)
    assert (await engine.sweep()).moved == 1
    clock.advance(30 * DAY)
    assert (await engine.forget()).tokens == 0
    assert rows(file, SEALED) == [(1,)]
    clock.advance(timedelta(microseconds=1))
    assert (await engine.forget()).tokens == 1
    assert rows(file, SEALED) == [(0,)]
    assert (await engine.forget()).tokens == 0


async def test_a_probe_within_thirty_days_undoes_a_wrong_death(
    engine: Engine, server: ForeignServer, clock: ManualClock
) -> None:
    name = await granted(engine, server)
    clock.advance(YEAR)
    await engine.sweep()
    clock.advance(29 * DAY)
    await engine.forget()
    found = await engine.ops.probe(name, actor=OPERATOR, reason=WHY)
    assert (found.outcome, found.state) == ("renewed", "active")


async def test_a_grant_that_came_back_keeps_its_tokens(
    engine: Engine, server: ForeignServer, clock: ManualClock, file: Path
) -> None:
    await grant(engine, server, "crm", "acme", actor=BOB)
    clock.advance(YEAR)
    await engine.sweep()
    await grant(engine, server, "crm", "acme", actor=BOB)
    clock.advance(60 * DAY)
    assert (await engine.forget()).tokens == 0
    assert rows(file, SEALED) == [(1,)]


async def test_in_host_mode_a_dead_refresh_token_is_answered_with_guidance_for_ever(
    engine: Engine, clock: ManualClock, file: Path
) -> None:
    tokens = await authorize(engine, "agent-app", "acme", actor=BOB)
    assert tokens.refresh_token is not None
    before = rows(file, "SELECT count(*) FROM grantflow_credential")
    clock.advance(YEAR)
    await engine.sweep()
    clock.advance(5 * YEAR)
    await engine.forget()
    assert rows(file, "SELECT count(*) FROM grantflow_credential") == before
    client = ClientCredentials((await engine.apps.get("agent-app")).client_id, SECRET)
    with pytest.raises(InvalidGrant) as refused:
        await engine.ledger.renew(tokens.refresh_token.value, client=client)
    assert refused.value.guidance is not None
    assert refused.value.guidance.prompt.value == "REAUTHORIZE"
    with pytest.raises(ReauthorizationRequired):
        await engine.ledger.authenticate(tokens.access_token.value)


async def test_delivered_notices_go_after_thirty_days_and_undelivered_ones_never(
    engine: Engine, clock: ManualClock, file: Path
) -> None:
    leave = engine.subscribe(lambda _: None)
    await authorize(engine, "agent-app", "acme", actor=BOB)
    await engine.drain_notices()
    leave()
    delivered = int(str(rows(file, "SELECT count(*) FROM grantflow_outbox")[0][0]))
    await authorize(engine, "agent-app", "acme", actor=EVE)
    waiting = (await engine.ops.outbox()).notices
    assert delivered
    assert waiting
    clock.advance(30 * DAY)
    assert (await engine.forget()).notices == 0
    clock.advance(timedelta(microseconds=1))
    assert (await engine.forget()).notices == delivered
    clock.advance(5 * YEAR)
    assert (await engine.forget()).notices == 0
    assert (await engine.ops.outbox()).notices == waiting


async def test_tokens_given_back_and_closed_attempts_are_seen_for_a_while(
    engine: Engine, server: ForeignServer, clock: ManualClock, file: Path
) -> None:
    name = await granted(engine, server)
    await engine.disconnect(name, actor=BOB)
    await engine.deliver_revocations()
    assert rows(file, "SELECT outcome FROM grantflow_revocation") == [("revoked",)]
    attempts = rows(file, "SELECT count(*) FROM grantflow_attempt")
    await engine.authorize("agent-app", actor=EVE, code_challenge="a" * 43)
    clock.advance(30 * DAY + timedelta(seconds=1))
    gone = await engine.forget()
    assert (gone.revocations, gone.attempts) == (1, 0)
    clock.advance(60 * DAY)
    assert ((await engine.forget()).attempts,) == attempts[0]
    assert rows(file, "SELECT count(*) FROM grantflow_attempt WHERE closed_at IS NULL") == [(1,)], "one is open"


async def test_retention_never_touches_the_trail_nor_what_operators_did(
    engine: Engine, server: ForeignServer, clock: ManualClock, file: Path
) -> None:
    await authorize(engine, "agent-app", "acme", actor=BOB)
    name = await granted(engine, server)
    await engine.ops.pause(actor=OPERATOR, reason=WHY)
    await engine.disconnect(name, actor=BOB)
    clock.advance(YEAR)
    await engine.sweep()
    trail, actions = rows(file, TRAIL), rows(file, "SELECT * FROM grantflow_action")
    consents = rows(file, "SELECT * FROM grantflow_consent")
    clock.advance(20 * YEAR)
    assert await engine.forget()
    assert rows(file, TRAIL) == trail
    assert rows(file, "SELECT * FROM grantflow_action") == actions
    assert rows(file, "SELECT * FROM grantflow_consent") == consents
    assert await engine.ops.paused() is not None
    assert await engine.ops.broken_promises() == []


async def test_more_than_one_round_of_old_rows_goes_in_one_call(
    engine: Engine, clock: ManualClock, file: Path
) -> None:
    long_ago = to_instant(clock.now() - YEAR)
    change(
        file,
        "INSERT INTO grantflow_outbox (installation_pk, name, version, at, body, tries, delivered_at) "
        f"WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 950) "
        f"SELECT 1, 'old', n, 0, '{{}}', 0, {long_ago} FROM c",
    )
    assert (await engine.forget()).notices == 950


async def test_a_step_of_the_clock_lets_nothing_be_forgotten(
    engine: Engine, server: ForeignServer, clock: ManualClock, file: Path
) -> None:
    """A wrong clock must not take what could undo it: the sealed tokens of those who died yesterday."""
    await granted(engine, server)
    server.alive.clear()
    clock.advance(timedelta(hours=2))
    assert (await engine.renew_due()).died == 1
    await engine.sweep()
    clock.step(400 * DAY)
    assert await engine.forget() == Forgotten()
    assert rows(file, SEALED) == [(1,)]
    clock.step(-400 * DAY)
    await engine.sweep()
    clock.advance(31 * DAY)
    await engine.sweep()
    assert (await engine.forget()).tokens == 1


# -- heartbeats -----------------------------------------------------------------------------------
async def test_a_process_that_says_nothing_is_forgotten_after_a_day(engine: Engine, clock: ManualClock) -> None:
    await engine.beat("host", "fine")
    clock.advance(timedelta(hours=3))
    [beat] = await engine.ops.heartbeats()
    assert (beat.kind, beat.note, beat.age) == ("host", "fine", timedelta(hours=3))
    clock.advance(timedelta(hours=21))
    assert (await engine.forget()).beats == 0
    clock.advance(timedelta(seconds=1))
    assert (await engine.forget()).beats == 1
    assert await engine.ops.heartbeats() == ()


# -- counters -------------------------------------------------------------------------------------
DAMAGE = (
    "UPDATE grantflow_count SET n = n + 7 WHERE state = 'active'",
    "INSERT INTO grantflow_count VALUES (1, 'unauthorized', 3, 4) ON CONFLICT DO UPDATE SET n = n + 4",
)


async def test_a_recount_corrects_damaged_counters_while_others_write(engine: Engine, file: Path) -> None:
    names = [(await authorize(engine, "agent-app", "acme", actor=who)).installation for who in (BOB, EVE)]
    change(file, *DAMAGE)
    assert len(await engine.ops.broken_promises()) == 2
    stop = asyncio.Event()

    async def toggle(name: str) -> int:
        times = 0
        while not stop.is_set():
            await engine.ops.force(name, to="refresh-expired", actor=OPERATOR, reason=WHY)
            await authorize(engine, "agent-app", "acme", actor=BOB if name == names[0] else EVE)
            times += 1
        return times

    others = [asyncio.create_task(toggle(name)) for name in names]
    await asyncio.sleep(0.1)
    assert await engine.ops.reconcile_counts(actor=OPERATOR, reason=WHY) == 2
    await asyncio.sleep(0.1)
    stop.set()
    assert min(await asyncio.gather(*others)) > 0
    assert await engine.ops.broken_promises() == []
    assert await engine.ops.reconcile_counts(actor=OPERATOR, reason=WHY) == 0
    assert (await engine.counts()).by_state == {"active": 2}


async def test_two_recounts_at_once_correct_the_counters_once(engine: Engine, file: Path) -> None:
    await authorize(engine, "agent-app", "acme", actor=BOB)
    for _ in range(20):
        change(file, *DAMAGE)
        wrong = await asyncio.gather(*(engine.ops.reconcile_counts(actor=OPERATOR, reason=WHY) for _ in range(4)))
        assert await engine.ops.broken_promises() == []
        assert sum(wrong) == 2, "each is corrected by one of them"


async def test_only_an_operator_has_the_counters_corrected(engine: Engine, file: Path) -> None:
    change(file, *DAMAGE)
    with pytest.raises(PermissionDenied):
        await engine.ops.reconcile_counts(actor=ANN, reason=WHY)
    assert len(await engine.ops.broken_promises()) == 1


# -- forecasts ------------------------------------------------------------------------------------
NOW = datetime(2026, 1, 31, 15, 30, tzinfo=UTC)


def checksum(file: Path) -> str:
    with closing(sqlite3.connect(file)) as conn:
        return hashlib.sha256("\n".join(conn.iterdump()).encode()).hexdigest()


def starts(by: str, spans: int) -> list[datetime]:
    """The edges of the spans, each found by walking day by day."""
    day = NOW.replace(hour=0, minute=0)
    while not is_start(day, by):
        day -= DAY
    found = [day]
    while len(found) <= spans:
        day += DAY
        if is_start(day, by):
            found.append(day)
    return found


def is_start(day: datetime, by: str) -> bool:
    return by == "day" or (by == "week" and day.weekday() == 0) or (by == "month" and day.day == 1)


def plant(file: Path, grants: list[tuple[timedelta | None, timedelta, timedelta | None]]) -> None:
    """Live grants: when each ends (from now, None for never), how old its issue is, how long it was authorized."""
    with closing(sqlite3.connect(file)) as conn, conn:
        [(pk, public)] = conn.execute("SELECT pk, public_id FROM grantflow_installation")
        known = TokenRow(*conn.execute(f"SELECT {', '.join(sql.TOKEN_COLUMNS)} FROM grantflow_token_set").fetchone())
        columns = [
            name for name in sql.INSTALLATION_COLUMNS if name not in ("pk", "public_id", "subject_id", "deadline_at")
        ]
        for number, (end, age, authorized) in enumerate(grants):
            at = None if end is None else to_instant(NOW + end)
            new = conn.execute(
                f"INSERT INTO grantflow_installation (public_id, subject_id, deadline_at, {', '.join(columns)}) "
                f"SELECT ?, ?, ?, {', '.join(columns)} FROM grantflow_installation WHERE pk = ?",
                (f"{public}-{number}", f"s-{number}", at, pk),
            ).lastrowid
            assert new is not None
            issued = NOW - age
            token = replace(
                known,
                installation_pk=new,
                issued_at=to_instant(issued),
                authorization_expires_at=None if authorized is None else to_instant(issued + authorized),
            )
            conn.execute(sql.INSERT_TOKENS.sql, sql.INSERT_TOKENS.values(token))
        conn.execute("DELETE FROM grantflow_token_set WHERE installation_pk = ?", (pk,))
        conn.execute("DELETE FROM grantflow_installation WHERE pk = ?", (pk,))


DAYS = st.integers(-40, 800).map(lambda days: timedelta(days=days / 2))
EDGES = st.sampled_from([edge - NOW for by in ("day", "week", "month") for edge in starts(by, 8)])
ENDS = st.one_of(st.none(), DAYS, EDGES, EDGES.map(lambda end: end - timedelta(microseconds=1)))
GRANTS = st.lists(st.tuples(ENDS, DAYS.map(abs), st.one_of(st.none(), DAYS.map(abs))), max_size=30)


@examples(max_examples=25)
@given(
    grants=GRANTS,
    by=st.sampled_from(["day", "week", "month"]),
    spans=st.integers(1, 20),
    lifetime=st.one_of(st.none(), st.sampled_from([30 * DAY, YEAR, YEAR / 2])),
    warn=st.one_of(st.none(), st.sampled_from([DAY, 30 * DAY])),
)
def test_a_forecast_is_a_count_by_hand(
    tmp_path_factory: pytest.TempPathFactory,
    grants: list[tuple[timedelta | None, timedelta, timedelta | None]],
    by: str,
    spans: int,
    lifetime: timedelta | None,
    warn: timedelta | None,
) -> None:
    file = tmp_path_factory.mktemp("forecast") / "g.db"
    people = People({ANN: ["acme"], BOB: ["acme"]})

    async def story() -> None:
        clock = ManualClock(NOW)
        quick = Settings(synchronous="NORMAL")
        async with Engine.open(f"sqlite:///{file}", directory=people, clock=clock, settings=quick) as engine:
            await engine.apps.register(sample_app("agent"))
            await engine.apps.install("agent-app", "acme", actor=ANN)
            await authorize(engine, "agent-app", "acme", actor=BOB)
            plant(file, grants)
            before = checksum(file)
            told = await engine.ops.forecast(by=by, spans=spans, lifetime=lifetime, warn=warn)
            assert checksum(file) == before, "a forecast writes nothing"
        ends = [end if lifetime is None else min_end(age, lifetime, authorized) for end, age, authorized in grants]
        edges = starts(by, spans)
        inside = [end for end in ends if end is not None and end > timedelta(0)]
        assert [span.start for span in told.spans] == edges[:-1]
        assert [span.end for span in told.spans] == edges[1:]
        for span in told.spans:
            assert span.expiries == sum(span.start <= NOW + end < span.end for end in inside)
            if warn is None:
                assert span.warnings is None
            else:
                coming = [end - warn for end in inside if end - warn > timedelta(0)]
                assert span.warnings == sum(span.start <= NOW + at < span.end for at in coming)
        assert told.never == ends.count(None)
        assert told.overdue == sum(end is not None and end <= timedelta(0) for end in ends)
        assert told.later == sum(NOW + end >= edges[-1] for end in inside)
        assert told.total == len(grants)

    asyncio.run(story())


def min_end(age: timedelta, lifetime: timedelta, authorized: timedelta | None) -> timedelta:
    lives = lifetime if authorized is None else min(lifetime, authorized)
    return lives - age


async def test_a_forecast_counts_one_app_alone_when_asked(
    engine: Engine, server: ForeignServer, clock: ManualClock
) -> None:
    await authorize(engine, "agent-app", "acme", actor=BOB)
    clock.advance(40 * DAY)
    await grant(engine, server, "crm", "acme", actor=EVE)
    both = await engine.ops.forecast(spans=14)
    assert Counter(span.expiries for span in both.spans) == {0: 12, 1: 2}
    alone = await engine.ops.forecast(spans=14, app="crm")
    assert (alone.total, sum(span.expiries for span in alone.spans)) == (1, 1)


@pytest.mark.parametrize(
    "wrong", [{"by": "year"}, {"spans": 0}, {"spans": 401}, {"lifetime": timedelta(0)}, {"warn": -DAY}], ids=str
)
async def test_a_forecast_refuses_what_it_cannot_count(engine: Engine, wrong: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        await engine.ops.forecast(**wrong)  # type: ignore[arg-type]
