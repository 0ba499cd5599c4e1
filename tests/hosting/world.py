"""A platform that mounts the pages, and dies between every two requests: nothing but the database is left."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from grantflow import Actor, App, Engine, KeyRing, Settings, hosting, new_pkce
from grantflow.testing import SECRET, ForeignServer, ManualClock, sample_app
from tests.hosting.browser import Browser, Page
from tests.journeys.stage import MARIA, checksum, people

ORIGIN = "https://platform.example"
CALLBACK = "https://app.example/callback"
SESSIONS = {
    "maria": (MARIA, Actor.agent("maria")),
    "max": (Actor.admin("max"),),
    "bob": (Actor.agent("bob"),),
    "carol": (Actor.agent("carol"),),
    "uma": (Actor.user("uma"),),
    "solo": (Actor.user("solo"),),
    "nobody": (Actor.agent("nobody"), Actor.admin("nobody"), Actor.user("nobody")),
    "mallory": (Actor.admin("mallory"), Actor.agent("mallory"), Actor.user("mallory")),
    "everything": (Actor.user("uma"), Actor.agent("bob"), Actor.admin("maria")),
}
"""The host's own session cookie → who that is."""
YEAR = timedelta(days=365)


async def who_is(request: Request) -> tuple[Actor, ...] | None:
    """The host's session."""
    return SESSIONS.get(request.cookies.get("session", ""))


def starts_at(app: App, account: str) -> str | None:
    """Where the apps of the journeys begin their request; the external one only by itself."""
    return None if app.kind == "external" else f"https://app.example/start?{urlencode({'account': account})}"


async def tickets(request: Request) -> Response:
    """A REST call behind the guard."""
    return JSONResponse({"account": request.state.grant.account})


@dataclass
class World:
    """The database, the clock, the people; and a server that is built anew for every request."""

    path: Path
    clock: ManualClock = field(default_factory=ManualClock)
    keys: str = field(default_factory=KeyRing.new_key)
    foreign: ForeignServer = field(default_factory=ForeignServer)
    people: Any = field(default_factory=people)
    hosted: dict[str, Any] = field(default_factory=dict)
    """Settings of `create_app`."""
    opened: dict[str, Any] = field(default_factory=dict)
    """Settings of `Engine.open`."""
    meanwhile: Callable[[], AbstractContextManager[None]] = nullcontext
    """What goes on beside each request, once the server is up."""
    prefix: str = ""
    origin: str = ORIGIN
    starts: int = 0
    verifiers: dict[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        values: dict[str, Any] = {
            "keys": KeyRing.parse(self.keys),
            "directory": self.people,
            "http": self.foreign,
            "clock": self.clock,
            "settings": Settings(synchronous="NORMAL"),
        }
        async with Engine.open(f"sqlite:///{self.path}", **(values | self.opened)) as engine:
            yield engine

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The whole platform, from its start to its end, for one request."""
        self.starts += 1
        values: dict[str, Any] = {
            "who_is": who_is,
            "base_url": self.origin + self.prefix,
            "start_url": starts_at,
        } | self.hosted
        async with self.engine() as engine:
            pages = hosting.create_app(engine, **values)
            rest = hosting.protect(engine, scopes=["tickets.read"])(Starlette(routes=[Route("/tickets", tickets)]))
            platform = Starlette(routes=[Mount("/api", rest), Mount(self.prefix or "/", pages)])
            with self.meanwhile():
                await platform(scope, receive, send)

    def browser(self, session: str = "", **headers: str) -> Browser:
        """Somebody's browser, signed in at the host."""
        return Browser(self, self.origin, session, **headers)

    def http(self) -> httpx2.AsyncClient:
        """A client without cookies, as an app has it."""
        return httpx2.AsyncClient(transport=httpx2.ASGITransport(self), base_url=self.origin + self.prefix)

    def request_of(self, app: str, **changes: str | None) -> str:
        """The address an app sends a person to; remembers the verifier under the state."""
        verifier, challenge = new_pkce()
        state = f"state-{len(self.verifiers)}-of-the-app"
        asked = {
            "client_id": app,
            "redirect_uri": CALLBACK,
            "state": state,
            "response_type": "code",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        self.verifiers[state] = verifier
        told = {name: value for name, value in (asked | changes).items() if value is not None}
        return f"{self.prefix}/oauth/v2/authorize?{urlencode(told)}"

    async def token(self, app: str, **form: str) -> httpx2.Response:
        """The app at the token endpoint."""
        async with self.http() as http:
            return await http.post("/oauth/v2/token", data=form, auth=(app, SECRET))

    async def redeem(self, app: str, back: dict[str, str]) -> dict[str, Any]:
        """The app reads the response URL and exchanges the code. Source: S-18, S-27, S-28."""
        assert back["iss"] == self.origin + self.prefix
        answer = await self.token(
            app,
            grant_type="authorization_code",
            code=back["code"],
            redirect_uri=CALLBACK,
            code_verifier=self.verifiers[back["state"]],
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def call(self, tokens: dict[str, Any]) -> httpx2.Response:
        """A REST call."""
        async with self.http() as http:
            return await http.get(
                f"{self.origin}/api/tickets", headers={"Authorization": f"Bearer {tokens['access_token']}"}
            )

    async def connected(self, app: str, session: str, account: str = "acme") -> dict[str, Any]:
        """Walk a person through the pages to working tokens."""
        async with self.browser(session) as browser:
            await browser.open(self.request_of(app))
            if "Continue" in browser.page.buttons:
                await browser.press("Continue", account=account)
            await browser.press("Agree")
            return await self.redeem(app, browser.query)

    async def started(self, browser: Browser, app: str) -> Page:
        """The app's own code, where the button has sent the person: a new authorization-code request."""
        assert browser.left.startswith("https://app.example/start?"), browser.left
        return await browser.open(self.request_of(app, account=browser.query["account"]))

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """No row changes inside the block."""
        before = checksum(self.path)
        yield
        assert checksum(self.path) == before, "a row was changed"


async def world_at(path: Path, **changes: Any) -> World:
    """One app of each kind; the agent-level one on acme and globex."""
    world = World(path, **changes)
    async with world.engine() as engine:
        for kind in ("account", "agent", "external"):
            await engine.apps.register(sample_app(kind))
        for account in ("acme", "globex"):
            await engine.apps.install("agent-app", account, actor=MARIA)
        redirect = f"{world.origin}{world.prefix}/oauth/callback"
        await engine.apps.register(world.foreign.app("mail", name="The mail app", redirect_uris=(redirect,)))
        await engine.apps.install("mail", "acme", actor=MARIA)
        await engine.apps.install("mail", "globex", actor=MARIA)
    return world
