"""An engine, a real OAuth server, an app and a person: what the tests of client mode walk in."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from urllib.request import Request

from grantflow import (
    Actor,
    App,
    AppKind,
    Attempt,
    Carrier,
    ClientAuth,
    Completed,
    Engine,
    Granted,
    HttpRequest,
    HttpResponse,
    Installation,
    KeyRing,
    Notice,
    Server,
    Settings,
    SystemClock,
    Version,
)
from grantflow._oauth import HttpxCarrier, read_token_answer
from grantflow._transition import sealed_place
from grantflow.errors import CarrierError
from grantflow.testing import ManualClock, People
from tests.servers.control import ClientInfo, Person, RealServer
from tests.servers.plain_client import Asker, Reply, fetch

CALLBACK = "https://reports.example/callback"
UNA = Actor.user("una")
OPERATOR = Actor.operator("olga")
SYSTEM = Actor.system()
QUICK = Settings(synchronous="NORMAL")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
PATIENCE = 10.0
TABLES = "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'grantflow\\_%' ESCAPE '\\' ORDER BY name"


def query_of(url: str) -> str:
    """What the browser brings to the callback."""
    assert url.startswith(f"{CALLBACK}?")
    return urlsplit(url).query


def params(query: str) -> dict[str, str]:
    return dict(parse_qsl(query))


def with_params(query: str, **changes: str | None) -> str:
    """The query with some parameters put in, or taken out."""
    changed = params(query) | changes
    return urlencode({name: value for name, value in changed.items() if value is not None})


async def identify(app: App, granted: Granted) -> str:
    """What a host passes: the server's own API says whose token it is."""
    assert app.server is not None
    api = urlsplit(app.server.authorization_endpoint)._replace(path="/api/me").geturl()
    reply = await asyncio.to_thread(called, api, granted.access_token.value)
    return str(reply.body["sub"])


def called(api: str, access_token: str) -> Reply:
    return fetch(Request(api, headers={"Authorization": f"Bearer {access_token}"}))


def me(server: RealServer, access_token: str) -> Reply:
    """The API that the app is for."""
    return called(server.endpoints.api, access_token)


def described(server: RealServer, method: ClientAuth = ClientAuth.BASIC, **changes: Any) -> Server:
    values: dict[str, Any] = {
        "issuer": server.issuer,
        "authorization_endpoint": server.endpoints.authorization,
        "token_endpoint": server.endpoints.token,
        "revocation_endpoint": server.endpoints.revocation,
        "auth_method": method,
    }
    return Server(**(values | changes))


def app_at(at: Server, client: ClientInfo, key: str = "reports", **changes: Any) -> App:
    values: dict[str, Any] = {
        "key": key,
        "kind": AppKind.EXTERNAL,
        "name": "Reports",
        "versions": (Version("1.0", ("read",), ("write",)),),
        "redirect_uris": (CALLBACK,),
        "client_id": client.client_id,
        "mode": "client",
        "server": at,
    }
    app = App(**(values | changes))
    return app if client.secret is None else app.with_secret(client.secret)


class Spy:
    """The engine's own carrier, and what it brought: the class of each answer, or the code of each failure."""

    def __init__(self) -> None:
        self.carrier = HttpxCarrier(10)
        self.brought: list[str] = []

    @property
    def patience(self) -> float:
        """Seconds that a request may take."""
        return self.carrier._timeout

    @patience.setter
    def patience(self, seconds: float) -> None:
        self.carrier._timeout = seconds

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            response = await self.carrier(request)
        except CarrierError as error:
            self.brought.append(error.code)
            raise
        self.brought.append(read_token_answer(response, 0).answer.value)
        return response


@dataclass
class World:
    engine: Engine
    server: RealServer
    clock: ManualClock | SystemClock
    client: ClientInfo
    app: App
    person: Person
    database: Path
    """The file, where it is one."""
    url: str
    keys: str
    notices: list[Notice] = field(default_factory=list)
    actor: Actor = UNA

    # --- people --------------------------------------------------------------------------------------
    async def leaves(self, account: str = "acme", **changes: Any) -> Attempt:
        """The person goes to the server; what comes back is theirs alone."""
        return await self.engine.authorize(self.app.key, actor=UNA, account=account, **changes)

    async def consents(self, attempt: Attempt, person: Person | None = None, *, allow: bool = True) -> str:
        """The server's own pages; the query of the callback."""
        who = person or self.person
        return query_of(await asyncio.to_thread(self.server.consent, attempt.authorize_url, who, allow=allow))

    async def comes_back(self, attempt: Attempt, query: str) -> Completed:
        return await self.engine.complete(query, cookies=cookies(attempt))

    async def grant(self, account: str = "acme", person: Person | None = None) -> Completed:
        """From nothing to a grant."""
        attempt = await self.leaves(account)
        return await self.comes_back(attempt, await self.consents(attempt, person))

    async def granted(self, account: str = "acme", person: Person | None = None) -> str:
        """The id of a fresh active installation."""
        done = await self.grant(account, person)
        assert done.installation is not None
        assert (done.outcome, done.why, done.installation.state) == ("completed", None, "active")
        return done.installation.id

    # --- time ----------------------------------------------------------------------------------------
    def advance(self, by: timedelta) -> None:
        """Both clocks."""
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(by)
        self.server.advance(by)

    # --- looking -------------------------------------------------------------------------------------
    async def seen(self, installation: str) -> tuple[str, str | None]:
        found: Installation = await self.engine.get(installation)
        return found.state, found.reason

    async def calls(self, installation: str) -> tuple[int, object]:
        """What the app does: take a token, call the API."""
        token = await self.engine.access_token(installation)
        reply = await asyncio.to_thread(me, self.server, token.value)
        return reply.status, reply.body.get("sub")

    async def told(self) -> list[str]:
        """Names of the notices that went out."""
        await self.engine.drain_notices()
        return [notice.name for notice in self.notices]

    def checksum(self) -> str:
        return checksum(self.database)

    def refreshes(self) -> dict[str, int]:
        return self.server.counters().refreshes()

    def live(self, person: Person | None = None) -> tuple[int, int]:
        return self.server.live(person or self.person, self.client.client_id)

    def revocations(self) -> list[tuple[Any, ...]]:
        """(what, how it ended, whether the ciphertext is still there), oldest first."""
        text = "SELECT hint, outcome, sealed IS NOT NULL FROM grantflow_revocation ORDER BY pk"
        return rows(self.database, text)

    async def given_back(self, many: int = 0) -> None:
        """Until only so many tokens wait to be given back."""
        text = "SELECT count(*) FROM grantflow_revocation WHERE next_at IS NOT NULL"
        await until(lambda: rows(self.database, text) == [(many,)])

    def asker(self, person: Person | None = None) -> Asker:
        """The same client without grantflow: somebody beside the engine who knows its secret."""
        asker = object.__new__(Asker)
        asker.server, asker.client, asker.person = self.server, self.client, person or self.person
        asker.verifier = "v" * 64
        return asker


async def until(holds: Callable[[], bool]) -> None:
    """Wait for something that other tasks, processes or a server bring about."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


def cookies(attempt: Attempt) -> dict[str, str]:
    """What the browser that left keeps."""
    assert attempt.cookie is not None
    return {attempt.cookie_name: attempt.cookie.value}


def rows(database: Path, text: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return connection.execute(text).fetchall()


def checksum(database: Path) -> str:
    """Of every row of every table."""
    digest = hashlib.sha256()
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.execute("BEGIN")
        names = [name for (name,) in connection.execute(TABLES)]
        assert len(names) > 10
        for name in names:
            for row in sorted(connection.execute(f"SELECT * FROM {name}").fetchall(), key=repr):
                digest.update(repr((name, row)).encode())
    return digest.hexdigest()


@asynccontextmanager
async def opened(
    server: RealServer,
    folder: Path,
    *,
    clock: ManualClock | SystemClock | None = None,
    settings: Settings = QUICK,
    public: bool = False,
    secret: str = "",
    at: Mapping[str, Any] | None = None,
    http: Carrier | None = None,
    identified: bool = True,
    accounts: tuple[str, ...] = ("acme", "bolt"),
    url: str | None = None,
    **app: Any,
) -> AsyncIterator[World]:
    """A world of its own: a new database or the one behind a URL, a new client, a new person."""
    clock = clock or ManualClock(datetime.now(UTC))
    client = server.app([CALLBACK], public=public, secret=secret)
    at = {"method": ClientAuth.NONE if public else ClientAuth.BASIC} | dict(at or {})
    keys, database = KeyRing.new_key(), folder / "grants.db"
    url = url or f"sqlite:///{database}"
    async with Engine.open(
        url,
        keys=KeyRing.parse(keys),
        directory=People({UNA: accounts}),
        identify=identify if identified else None,
        clock=clock,
        settings=settings,
        http=http,
    ) as engine:
        known = await engine.apps.register(app_at(described(server, **at), client, **app))
        world = World(engine, server, clock, client, known, server.person("una"), database, url, keys)
        engine.subscribe(world.notices.append)
        yield world
        if isinstance(http, Spy):
            await http.carrier.close()


async def beside(world: World, server: RealServer, **at: Any) -> World:
    """Another app in the same engine, at another server."""
    client = server.app([CALLBACK])
    app = await world.engine.apps.register(app_at(described(server, **at), client, f"reports-{server.kind}"))
    return replace(world, server=server, client=client, app=app, person=server.person("una"))


def elsewhere(attempt: Attempt, **changes: str) -> Attempt:
    """The same attempt, with another request at the server."""
    parts = urlsplit(attempt.authorize_url)
    return replace(attempt, authorize_url=parts._replace(query=with_params(parts.query, **changes)).geturl())


def held_refresh(world: World, installation: str) -> str:
    """The refresh token that is kept for an installation, opened with the world's keys."""
    text = (
        "SELECT t.refresh_sealed FROM grantflow_token_set t JOIN grantflow_installation i "
        f"ON i.pk = t.installation_pk WHERE i.public_id = '{installation}'"
    )
    ((sealed,),) = rows(world.database, text)
    return KeyRing.parse(world.keys).open(sealed, sealed_place(installation, "refresh")).decode()
