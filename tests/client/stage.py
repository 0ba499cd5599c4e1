"""What the tests of client mode share: an engine on a real file, a foreign server in memory, a gate before it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import (
    Actor,
    App,
    Attempt,
    Completed,
    Engine,
    GrantflowError,
    HttpRequest,
    HttpResponse,
    KeyRing,
    Settings,
)
from grantflow.testing import ForeignServer, ManualClock, People
from tests.journeys.stage import checksum, refused_on_record

BOB = Actor.agent("bob")
"""An agent in acme and bolt."""
CAROL = Actor.agent("carol")
"""An agent in acme alone."""
MARIA = Actor.admin("maria")
"""Administers acme and bolt."""
OPS = Actor.operator("otto")
SYSTEM = Actor.system()
WHY = "a reason for the test"

START = datetime(2025, 1, 1, 0, 0, 0, 123_457, tzinfo=UTC)
TICK = timedelta(microseconds=1)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ACCOUNTS = ("acme", "bolt")
SCOPES = "people.read tickets.read tickets.write"


def micro(moment: datetime) -> int:
    """As the tables keep it."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // TICK


@dataclass
class Gate:
    """A carrier that can keep answers of the token endpoint back until it is opened."""

    server: ForeignServer
    shut: asyncio.Event | None = None
    arrived: asyncio.Event | None = None
    limit: int = 5000
    """More requests than any test needs: what asks for ever fails, and does not hang."""

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        self.limit -= 1
        assert self.limit > 0, "a test asked the server for ever"
        try:
            return await self.server(request)
        finally:
            await self._held(request)

    async def _held(self, request: HttpRequest) -> None:
        shut, arrived = self.shut, self.arrived
        if shut is not None and arrived is not None and request.url == self.server.server.token_endpoint:
            arrived.set()
            await shut.wait()

    def close(self) -> None:
        """From now on answers wait; the server has carried the requests out."""
        self.shut, self.arrived = asyncio.Event(), asyncio.Event()

    def open(self) -> None:
        """Let everything through."""
        shut, self.shut = self.shut, None
        if shut is not None:
            shut.set()

    async def under_way(self) -> None:
        """Until a request has reached the server and its answer is kept back."""
        assert self.arrived is not None
        async with asyncio.timeout(5):
            await self.arrived.wait()


@dataclass
class Stage:
    """One engine and everything a test needs beside it."""

    engine: Engine
    clock: ManualClock
    server: ForeignServer
    gate: Gate
    people: People
    path: Path
    keys: KeyRing

    # -- walking --------------------------------------------------------------------------------
    async def put(self, *apps: App) -> None:
        """Register apps and put them on every account."""
        for app in apps:
            await self.engine.apps.register(app)
            for account in ACCOUNTS:
                await self.engine.apps.install(app.key, account, actor=SYSTEM)

    async def active(self, account: str = "acme", actor: Actor = BOB, app: str = "crm", **request: Any) -> str:
        """Walk to an active installation; returns its id."""
        attempt = await self.engine.authorize(app, actor=actor, account=account, **request)
        done = await self.back(attempt)
        assert done.outcome == "completed"
        assert done.installation is not None
        return done.installation.id

    async def back(self, attempt: Attempt, *, cancel: bool = False) -> Completed:
        """The browser comes back."""
        query = self.server.back(attempt.authorize_url, cancel=cancel)
        return await self.engine.complete(query, cookies=cookies(attempt))

    async def many(self, count: int, app: str = "crm") -> list[str]:
        """As many live installations, of as many agents."""
        return [await self.adopted(f"agent-{number:03}", app) for number in range(count)]

    async def adopted(self, subject: str, app: str = "crm", account: str = "acme") -> str:
        """A live installation without a walk; its refresh token lives at the server."""
        token = self.server._new("refresh")
        self.server.alive[token] = SCOPES
        made = await self.engine.adopt(
            app,
            account=account,
            actor=SYSTEM,
            subject=subject,
            access_token=self.server._new("access"),
            refresh_token=token,
            expires_in=HOUR,
        )
        return made.id

    def until_due(self) -> None:
        """56 of 60 minutes: time to renew, and the access token still works."""
        self.clock.advance(56 * MINUTE)

    def over(self) -> None:
        """61 of 60 minutes: the access token is over."""
        self.clock.advance(61 * MINUTE)

    def answers(self, status: int, headers: dict[str, str] | None = None, /, **body: object) -> None:
        """What the server says to the next request."""
        self.server.faults.append(self.server.says(status, headers, **body))

    # -- looking --------------------------------------------------------------------------------
    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the file as another process would."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as conn:
            return conn.execute(statement, values).fetchall()

    def rows(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """The same, by column."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as conn:
            conn.row_factory = sqlite3.Row
            return [dict(row) for row in conn.execute(statement, values)]

    def row(self, installation: str) -> dict[str, Any]:
        """The stored row."""
        return self.rows("SELECT * FROM grantflow_installation WHERE public_id = ?", installation)[0]

    def tokens(self, installation: str) -> dict[str, Any]:
        """The stored token set."""
        return self.rows(
            "SELECT t.* FROM grantflow_token_set t JOIN grantflow_installation i ON i.pk = t.installation_pk "
            "WHERE i.public_id = ?",
            installation,
        )[0]

    def notices(self, *names: str) -> list[str]:
        """Names of all notices so far, oldest first; of these alone, where any are named."""
        found = [str(name) for (name,) in self.sql("SELECT name FROM grantflow_outbox ORDER BY pk")]
        return [name for name in found if not names or name in names]

    def bodies(self, name: str) -> list[dict[str, Any]]:
        """What the notices of one name say."""
        found = self.sql("SELECT body FROM grantflow_outbox WHERE name = ? ORDER BY pk", name)
        return [json.loads(body) for (body,) in found]

    def revocations(self) -> list[dict[str, Any]]:
        """The outbox for foreign servers, oldest first."""
        return self.rows("SELECT * FROM grantflow_revocation ORDER BY pk")

    def refreshes(self) -> int:
        """How many refresh requests have reached the server."""
        return sum(form.get("grant_type") == "refresh_token" for form in self.server.asked)

    def exchanges(self) -> int:
        """How many codes have reached the server."""
        return sum(form.get("grant_type") == "authorization_code" for form in self.server.asked)

    def revoked(self) -> list[str]:
        """Tokens that were given back to the server."""
        return [form["token"] for form in self.server.asked if "token" in form]

    async def state(self, installation: str) -> tuple[str, str | None]:
        """(effective state, reason)."""
        found = await self.engine.get(installation)
        return found.state, found.reason

    async def settled(self) -> None:
        """Until what the engine gives back by itself has been given back."""
        async with asyncio.timeout(5):
            while (task := self.engine._postman._task) is not None and not task.done():
                await asyncio.wait([task])

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """No row of any table changes inside the block."""
        before = checksum(self.path)
        yield
        assert checksum(self.path) == before, "a row was changed"

    @contextmanager
    def refused(self, kind: type[GrantflowError], match: str | None = None) -> Iterator[pytest.ExceptionInfo[Any]]:
        """The block raises this error, changes no row and asks no server."""
        before, asked = checksum(self.path), len(self.server.asked)
        with pytest.raises(kind, match=match) as caught:
            yield caught
        assert checksum(self.path) == before, "a row was changed by what was refused"
        assert len(self.server.asked) == asked, "a server was asked"

    def on_record(self, kind: type[GrantflowError], match: str | None = None) -> AbstractContextManager[None]:
        """The block is refused to an operator, or to somebody who would be one."""
        return refused_on_record(self.path, kind, match=match)

    @asynccontextmanager
    async def another_engine(self, **settings: Any) -> AsyncIterator[Engine]:
        """A second engine on the same file, with the same clock and server."""
        values: dict[str, Any] = {
            "keys": self.keys,
            "directory": self.people,
            "http": self.gate,
            "clock": self.clock,
            "settings": Settings(synchronous="NORMAL"),
        }
        async with Engine.open(f"sqlite:///{self.path}", **(values | settings)) as engine:
            engine._core.chance = lambda: 0.5
            yield engine


def cookies(attempt: Attempt) -> dict[str, str]:
    """What the browser of an attempt sends."""
    assert attempt.cookie is not None
    return {attempt.cookie_name: attempt.cookie.value}


@asynccontextmanager
async def on_stage(folder: Path, *, rotates: bool = True, **settings: Any) -> AsyncIterator[Stage]:
    """An engine on `folder`/grants.db with the agent-level app `crm` on every account; waits have no jitter."""
    clock, server = ManualClock(START), ForeignServer(rotates=rotates)
    known = People({BOB: ["acme", "bolt"], CAROL: ["acme"], MARIA: ["acme", "bolt"]})
    keys, gate, path = KeyRing.parse(KeyRing.new_key()), Gate(server), folder / "grants.db"
    values: dict[str, Any] = {
        "keys": keys,
        "directory": known,
        "http": gate,
        "clock": clock,
        "settings": Settings(synchronous="NORMAL"),
    }
    async with Engine.open(f"sqlite:///{path}", **(values | settings)) as engine:
        engine._core.chance = lambda: 0.5
        stage = Stage(engine, clock, server, gate, known, path, keys)
        await stage.put(server.app("crm"))
        yield stage
