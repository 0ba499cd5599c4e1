"""Warnings before a grant ends and reminders after it died: each once, none too many, none to the wrong people."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Actor, ClientCredentials, Engine, KeyRing, Lifetime, LifetimePolicy, Notice, Settings
from grantflow._store import _statements as sql
from grantflow.testing import SECRET, ForeignServer, ManualClock, People, authorize, grant, sample_app

ANN, BOB = Actor.admin("ann"), Actor.agent("bob")
CROWD = [Actor.agent(f"agent-{number}") for number in range(20)]
DAY = timedelta(days=1)
YEAR = 365 * DAY
EXPIRING, REMINDED = "installation.expiring", "installation.reminded"
OPERATOR = Actor.operator("maria")
SETTINGS = Settings(synchronous="NORMAL", brake_count=10)


class Host:
    """An engine on a file, with whatever its subscriber was told."""

    def __init__(self, engine: Engine, clock: ManualClock, file: Path, server: ForeignServer) -> None:
        self.engine = engine
        self.clock = clock
        self.file = file
        self.server = server
        self.notices: list[Notice] = []
        engine.subscribe(self.notices.append)

    async def told(self, name: str) -> list[dict[str, Any]]:
        """Warn what is due; the bodies of the notices of that name since the last call."""
        await self.engine.warn_due()
        await self.engine.drain_notices()
        found = [notice.body for notice in self.notices if notice.name == name]
        self.notices.clear()
        return found

    def change(self, statement: str) -> None:
        """Behind the engine's back."""
        with closing(sqlite3.connect(self.file)) as conn, conn:
            conn.execute(statement)


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    clock, server, file = ManualClock(), ForeignServer(), tmp_path / "grants.db"
    people = People({ANN: ["acme"], BOB: ["acme"], **{agent: ["acme"] for agent in CROWD}})
    async with Engine.open(
        f"sqlite:///{file}",
        directory=people,
        clock=clock,
        settings=SETTINGS,
        http=server,
        keys=KeyRing.parse(KeyRing.new_key()),
    ) as engine:
        await engine.apps.register(sample_app("agent"))
        await engine.apps.install("agent-app", "acme", actor=ANN)
        yield Host(engine, clock, file, server)


async def test_a_warning_goes_30_14_7_and_1_days_before_the_end(host: Host) -> None:
    tokens = await authorize(host.engine, "agent-app", "acme", actor=BOB)
    version, end = (await host.engine.get(tokens.installation)).version, host.clock.now() + YEAR
    days = {}
    for day in range(365):
        told = await host.told(EXPIRING)
        assert len(told) <= 1
        if told:
            days[365 - day] = told[0]["days_left"]
            assert told[0]["expires_at"] == end.isoformat()
            assert told[0]["guidance"]
        assert (await host.engine.get(tokens.installation)).version == version, "a warning is no transition"
        host.clock.advance(DAY)
    assert days == {30: 30, 14: 14, 7: 7, 1: 1}


async def test_a_warning_says_who_can_authorize_again_in_time_and_where(host: Host) -> None:
    link = "https://host.example/authorize?app={app}&account={account}"
    await host.engine.apps.register(sample_app("agent", "crm", authorize_url=link))
    await host.engine.apps.install("crm", "acme", actor=ANN)
    tokens = await authorize(host.engine, "crm", "acme", actor=BOB)
    end = (await host.engine.get(tokens.installation)).expires_at
    assert end is not None
    host.clock.advance(timedelta(days=336))
    (told,) = await host.told(EXPIRING)
    guidance = told["guidance"]
    assert f"works until {end:%Y-%m-%d %H:%M} UTC. Ask agent bob to authorize it again in time" in guidance["message"]
    assert guidance["url"] == "https://host.example/authorize?app=crm&account=acme"
    assert guidance["prompt"] == "none", "nothing is wrong yet"
    await authorize(host.engine, "crm", "acme", actor=BOB)
    renewed = (await host.engine.get(tokens.installation)).expires_at
    assert renewed is not None
    assert renewed - end == timedelta(days=336)


async def test_a_warning_is_never_early(host: Host) -> None:
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    host.clock.advance(335 * DAY - timedelta(microseconds=1))
    assert await host.told(EXPIRING) == []
    host.clock.advance(timedelta(microseconds=1))
    assert len(await host.told(EXPIRING)) == 1


async def test_warnings_that_were_missed_together_come_as_one(host: Host) -> None:
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    host.clock.advance(362 * DAY)
    assert [body["days_left"] for body in await host.told(EXPIRING)] == [3]
    assert await host.told(EXPIRING) == []
    host.clock.advance(2 * DAY)
    assert [body["days_left"] for body in await host.told(EXPIRING)] == [1], "the next one comes all the same"


async def test_what_is_due_already_is_not_warned_of(host: Host) -> None:
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    host.clock.advance(YEAR)
    assert await host.engine.warn_due() == 0
    assert await host.told(EXPIRING) == []


async def test_nobody_is_warned_of_what_the_brake_holds(host: Host) -> None:
    for agent in CROWD:
        await authorize(host.engine, "agent-app", "acme", actor=agent)
    host.clock.advance(DAY)
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    await host.engine.apps.register(sample_app("agent", key="other"))
    await host.engine.apps.install("other", "acme", actor=ANN)
    await authorize(host.engine, "other", "acme", actor=BOB)
    await host.engine.sweep()
    host.clock.step(364 * DAY)
    assert [held.app for held in (await host.engine.sweep()).held] == ["agent-app"]
    assert await host.engine.warn_due() == 1, "the other app's, and not the one that is held and not due"
    assert (await host.engine.sweep()).moved == 0


async def test_nobody_is_warned_where_the_app_was_removed(host: Host) -> None:
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    host.change("UPDATE grantflow_parent SET removed_at = installed_at")  # its children follow in chunks
    host.clock.advance(340 * DAY)
    assert await host.engine.warn_due() == 0, "nobody was told"
    assert await host.told(EXPIRING) == []
    host.change("UPDATE grantflow_parent SET removed_at = NULL")
    host.clock.advance(12 * DAY)
    assert len(await host.told(EXPIRING)) == 1, "the clock of the row went on"


async def test_an_uninstalled_app_leaves_nothing_to_warn_of(host: Host) -> None:
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    await host.engine.apps.uninstall("agent-app", "acme", actor=ANN)
    for _ in range(40):
        host.clock.advance(10 * DAY)
        assert await host.engine.warn_due() == 0


async def test_a_sliding_life_arms_the_warnings_anew(host: Host) -> None:
    sliding = Lifetime(LifetimePolicy.SLIDING, 60 * DAY)
    await host.engine.apps.register(sample_app("agent", lifetime=sliding))
    tokens = await authorize(host.engine, "agent-app", "acme", actor=BOB)
    host.clock.advance(31 * DAY)
    assert [body["days_left"] for body in await host.told(EXPIRING)] == [29]
    client = ClientCredentials((await host.engine.apps.get("agent-app")).client_id, SECRET)
    assert tokens.refresh_token is not None
    await host.engine.ledger.renew(tokens.refresh_token.value, client=client)
    host.clock.advance(29 * DAY)
    assert await host.told(EXPIRING) == []
    host.clock.advance(DAY)
    assert [body["days_left"] for body in await host.told(EXPIRING)] == [30]


async def test_a_renewal_at_a_foreign_server_arms_the_warnings_anew(host: Host) -> None:
    engine = host.engine
    await engine.apps.register(host.server.app(lifetime=Lifetime(LifetimePolicy.SLIDING, 60 * DAY)))
    await engine.apps.install("crm", "acme", actor=ANN)
    done = await grant(engine, host.server, "crm", "acme", actor=BOB)
    assert done.installation is not None
    host.clock.advance(31 * DAY)
    assert len(await host.told(EXPIRING)) == 1
    assert (await engine.renew_due()).renewed == 1
    assert (await engine.get(done.installation.id)).expires_at == host.clock.now() + 60 * DAY
    host.clock.advance(29 * DAY)
    assert await host.told(EXPIRING) == []
    host.clock.advance(DAY)
    assert len(await host.told(EXPIRING)) == 1


async def test_reauthorizing_arms_the_warnings_anew(host: Host) -> None:
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    host.clock.advance(360 * DAY)
    assert len(await host.told(EXPIRING)) == 1
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    host.clock.advance(30 * DAY)
    assert await host.told(EXPIRING) == []
    host.clock.advance(305 * DAY)
    assert [body["days_left"] for body in await host.told(EXPIRING)] == [30]


async def test_reminders_come_3_7_and_30_days_after_the_death_then_silence(host: Host) -> None:
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    host.clock.advance(YEAR)
    await host.engine.sweep()
    days = {}
    for day in range(400):
        told = await host.told(REMINDED)
        assert len(told) <= 1
        if told:
            days[day] = told[0]["days_dead"]
            assert told[0]["cause"] == "time"
            assert told[0]["guidance"]
        host.clock.advance(DAY)
    assert days == {3: 3, 7: 7, 30: 30}
    assert await host.engine.next_warning() is None


async def test_a_reminder_ends_with_the_reauthorization(host: Host) -> None:
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    host.clock.advance(YEAR)
    await host.engine.sweep()
    host.clock.advance(3 * DAY)
    assert len(await host.told(REMINDED)) == 1
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    host.clock.advance(60 * DAY)
    assert await host.told(REMINDED) == []


async def test_a_failing_renewal_is_told_once_per_cause(host: Host) -> None:
    engine, server = host.engine, host.server
    await engine.apps.register(server.app())
    await engine.apps.install("crm", "acme", actor=ANN)
    await grant(engine, server, "crm", "acme", actor=BOB)
    causes = []
    for status in (503, 503, 503, 500, 500, 503):
        host.clock.advance(timedelta(hours=2))
        server.faults.append(
            server.says(status, error="temporarily_unavailable" if status == 503 else "server_error")
        )
        assert (await engine.renew_due()).failed == 1
        causes += [body["cause"] for body in await host.told("refresh.failed")]
    assert causes == ["temporarily_unavailable", "server_error", "temporarily_unavailable"]
    host.clock.advance(timedelta(hours=2))
    assert (await engine.renew_due()).renewed == 1
    assert len(await host.told("refresh.recovered")) == 1


async def test_a_limit_leaves_the_rest_for_the_next_call(host: Host) -> None:
    for agent in CROWD:
        await authorize(host.engine, "agent-app", "acme", actor=agent)
    host.clock.advance(340 * DAY)
    assert await host.engine.warn_due(limit=7) == 7
    assert await host.engine.warn_due() == len(CROWD) - 7
    assert await host.engine.warn_due() == 0


async def test_an_app_that_cannot_be_read_does_not_keep_the_others_waiting(host: Host) -> None:
    await authorize(host.engine, "agent-app", "acme", actor=BOB)
    copied = [name for name in sql.INSTALLATION_COLUMNS if name not in ("pk", "public_id", "subject_id")]
    host.change(
        f"INSERT INTO grantflow_installation (public_id, subject_id, {', '.join(copied)}) "
        f"SELECT 'copy-' || n, 's-' || n, {', '.join(copied)} FROM grantflow_installation, "
        "(WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 150) SELECT n FROM c)"
    )
    host.clock.advance(timedelta(hours=1))
    await host.engine.apps.register(sample_app("agent", key="other"))
    await host.engine.apps.install("other", "acme", actor=ANN)
    await authorize(host.engine, "other", "acme", actor=BOB)
    host.change("UPDATE grantflow_app SET document = '{' WHERE key = 'agent-app'")
    host.clock.advance(340 * DAY)
    assert await host.engine.warn_due() == 1
    await host.engine.drain_notices()
    assert [notice.app for notice in host.notices if notice.name == EXPIRING] == ["other"]


WARNER = """
import asyncio, sys
from datetime import datetime
from grantflow import Engine
from grantflow.testing import ManualClock
async def main():
    clock = ManualClock(datetime.fromisoformat(sys.argv[2]))
    async with Engine.open("sqlite:///" + sys.argv[1], clock=clock) as engine:
        print("ready", flush=True)
        sys.stdin.readline()
        print(await engine.warn_due(), flush=True)
asyncio.run(main())
"""


async def test_two_processes_that_warn_at_once_tell_everybody_once(host: Host) -> None:
    people = [*CROWD, BOB]
    for agent in people:
        await authorize(host.engine, "agent-app", "acme", actor=agent)
    now = (host.clock.now() + 340 * DAY).isoformat()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", WARNER, str(host.file), now]
    programs = [
        await asyncio.create_subprocess_exec(
            *command, env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        for _ in range(2)
    ]
    for program in programs:
        assert program.stdout is not None
        assert await program.stdout.readline() == b"ready\n"
    said = [out for out, _ in await asyncio.gather(*(program.communicate(b"\n") for program in programs))]
    with closing(sqlite3.connect(host.file)) as conn:
        rows = conn.execute("SELECT installation_pk FROM grantflow_outbox WHERE name = ?", (EXPIRING,))
        assert Counter(Counter(pk for (pk,) in rows).values()) == {1: len(people)}
    assert sum(map(int, said)) == len(people), "what they claim is what they did"
