"""What the journeys share: an engine on a real file, its clock, its people, and a look at the file from outside."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from grantflow import (
    Actor,
    App,
    Attempt,
    Authenticated,
    ClientCredentials,
    ConsentForm,
    Engine,
    Granted,
    GrantflowError,
    Installation,
    KeyRing,
    Returned,
    Settings,
    Tokens,
    new_pkce,
)
from grantflow.errors import NotFound, TransitionRefused
from grantflow.testing import SECRET, ForeignServer, ManualClock, People, sample_app

MARIA = Actor.admin("maria")
"""Administers acme and globex; works as an agent in initech."""
MAX = Actor.admin("max")
"""Another admin of acme."""
BOB = Actor.agent("bob")
"""An agent in acme and globex."""
CAROL = Actor.agent("carol")
"""An agent in acme alone."""
UMA = Actor.user("uma")
"""A user with data in acme and globex."""
SOLO = Actor.user("solo")
"""A user with one account."""
MALLORY = Actor.admin("mallory")
"""Administers hooli, and nothing here."""
NOBODY_AGENT, NOBODY_ADMIN = Actor.agent("nobody"), Actor.admin("nobody")
OPS = Actor.operator("otto")

YEAR = timedelta(days=365)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def people() -> People:
    """Everybody, with their accounts per role."""
    return People(
        {
            MARIA: ["acme", "globex"],
            MAX: ["acme"],
            Actor.agent("maria"): ["initech"],
            BOB: ["acme", "globex"],
            CAROL: ["acme"],
            UMA: ["acme", "globex"],
            SOLO: ["acme"],
            Actor.user("mallory"): ["hooli"],
            MALLORY: ["hooli"],
            Actor.agent("mallory"): ["hooli"],
        }
    )


def checksum(path: Path, *, audit: bool = True) -> str:
    """One value over every row of every table of ours, read by a connection of its own; or without the audit."""
    digest = hashlib.sha256()
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as conn:
        named = "SELECT name FROM sqlite_master WHERE type='table' AND name GLOB 'grantflow_*' ORDER BY 1"
        for (table,) in conn.execute(named).fetchall():
            if table == "grantflow_action" and not audit:
                continue
            digest.update(f"{table}\n".encode())
            for row in sorted(map(repr, conn.execute(f"SELECT * FROM {table}"))):
                digest.update(f"{row}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


@contextmanager
def refused_on_record(path: Path, *kinds: type[GrantflowError], match: str | None = None) -> Iterator[None]:
    """The block raises one of these errors: one line more on the record of operators, and no other change."""
    before, known = checksum(path, audit=False), recorded(path)
    with pytest.raises(kinds, match=match):
        yield
    assert checksum(path, audit=False) == before, "a row was changed by what was refused"
    assert [outcome for _, outcome in recorded(path)[len(known) :]] == ["refused"]


def recorded(path: Path) -> list[tuple[str, str]]:
    """Actor and outcome of every line of the operators' record."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as conn:
        return conn.execute("SELECT actor, outcome FROM grantflow_action ORDER BY pk").fetchall()


def query_of(returned: Returned) -> dict[str, str]:
    """The parameters an app reads from the response URL."""
    return {name: values[0] for name, values in parse_qs(urlsplit(returned.redirect_to).query).items()}


@dataclass
class Stage:
    """One engine and everything a journey needs beside it."""

    engine: Engine
    clock: ManualClock
    people: People
    path: Path
    server: ForeignServer = field(default_factory=ForeignServer)
    """Where apps in client mode have their grants."""
    vetoes: dict[str, str] = field(default_factory=dict)
    """Verb → the app's own objection."""
    verifiers: dict[str, str] = field(default_factory=dict, repr=False)
    watch: sqlite3.Connection | None = field(default=None, repr=False)

    # -- looking --------------------------------------------------------------------------------
    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Read the file as another process would."""
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as conn:
            return conn.execute(statement, values).fetchall()

    def checksum(self, *, audit: bool = True) -> str:
        """One value over all stored rows."""
        return checksum(self.path, audit=audit)

    def commits(self) -> int:
        """A number that differs whenever another connection has written; cheaper than a checksum."""
        if self.watch is None:
            self.watch = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        return int(self.watch.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def unchanged(self, *, audit: bool = True) -> Iterator[None]:
        """No row changes inside the block; without `audit` but for the operators' record."""
        before = self.checksum(audit=audit)
        yield
        assert self.checksum(audit=audit) == before, "a row was changed"

    @contextmanager
    def refused(self, *kinds: type[GrantflowError], match: str | None = None) -> Iterator[None]:
        """The block raises exactly one of these errors and changes no row; an operator's attempt is on the record."""
        before, known = self.checksum(audit=False), self.record()
        with pytest.raises(kinds, match=match):
            yield
        assert self.checksum(audit=False) == before, "a row was changed by what was refused"
        assert all(who.startswith("operator:") for who, _ in self.record()[len(known) :]), "no operator's attempt"

    def record(self) -> list[tuple[str, str]]:
        """Actor and outcome of every line of the operators' record."""
        return recorded(self.path)

    def on_record(self, *kinds: type[GrantflowError], match: str | None = None) -> AbstractContextManager[None]:
        """The block is refused to an operator, or to somebody who would be one."""
        return refused_on_record(self.path, *kinds, match=match)

    async def absent(self, app: str, account: str, subject: Actor | None = None) -> bool:
        """Whether there is no installation."""
        try:
            await self.engine.get(app, account=account, subject=subject)
        except NotFound:
            return True
        return False

    # -- walking --------------------------------------------------------------------------------
    async def put(self, *apps: App) -> None:
        """Register apps; put the agent-level ones on acme and globex."""
        for app in apps:
            await self.engine.apps.register(app)
            if app.kind == "agent":
                for account in ("acme", "globex"):
                    await self.engine.apps.install(app.key, account, actor=MARIA)

    async def open(self, app: str, actor: Actor, **request: Any) -> Attempt:
        """Open a window; the PKCE verifier is kept for `redeem`."""
        verifier, challenge = new_pkce()
        if (await self.engine.apps.get(app)).kind == "external":
            attempt = await self.engine.ledger.begin(client_id=app, actor=actor, code_challenge=challenge, **request)
        else:
            attempt = await self.engine.authorize(app, actor=actor, code_challenge=challenge, **request)
        self.verifiers[attempt.id] = verifier
        return attempt

    async def reopen(self, installation: str, actor: Actor, **request: Any) -> Attempt:
        """Open a window for an existing installation."""
        verifier, challenge = new_pkce()
        attempt = await self.engine.reauthorize(installation, actor=actor, code_challenge=challenge, **request)
        self.verifiers[attempt.id] = verifier
        return attempt

    async def form(self, app: str, actor: Actor, account: str = "acme", **request: Any) -> ConsentForm:
        """Walk to the consent form."""
        attempt = await self.open(app, actor, **request)
        return await self.engine.select_account(attempt.id, account, actor=actor)

    async def agreed(self, app: str, actor: Actor, account: str = "acme", **request: Any) -> Returned:
        """Walk to the consent."""
        form = await self.form(app, actor, account, **request)
        return await self.engine.agree(form.attempt, actor=actor)

    async def redeem(self, app: str, returned: Returned, **changes: Any) -> Tokens:
        """Exchange the code, as the app does."""
        assert returned.code is not None
        values: dict[str, Any] = {
            "client": ClientCredentials(app, SECRET),
            "code_verifier": self.verifiers[returned.attempt],
        }
        return await self.engine.ledger.redeem(returned.code.value, **(values | changes))

    async def active(self, app: str, actor: Actor, account: str = "acme", **request: Any) -> Tokens:
        """Walk to an active installation."""
        return await self.redeem(app, await self.agreed(app, actor, account, **request))

    async def call(self, tokens: Tokens) -> Authenticated:
        """A REST call with the access token."""
        return await self.engine.ledger.authenticate(tokens.access_token.value)

    async def renew(self, app: str, tokens: Tokens) -> Tokens:
        """A new pair for the refresh token."""
        return await self.engine.ledger.renew(tokens.refresh_token.value, client=ClientCredentials(app, SECRET))

    async def expired(self, app: str, actor: Actor, account: str = "acme") -> Installation:
        """An installation whose year is over, swept."""
        tokens = await self.active(app, actor, account)
        self.clock.advance(YEAR)
        await self.engine.sweep()
        found = await self.engine.get(tokens.installation)
        assert (found.stored_state, found.reason) == ("refresh-expired", "time")
        return found

    async def over(self, attempt: str, actor: Actor) -> None:
        """An attempt that is over accepts nothing."""
        with self.refused(TransitionRefused, match="over"):
            await self.engine.window(attempt, actor=actor)
        with self.refused(TransitionRefused, match="over"):
            await self.engine.select_account(attempt, "acme", actor=actor)
        with self.refused(TransitionRefused, match="over"):
            await self.engine.agree(attempt, actor=actor)


@asynccontextmanager
async def on_stage(
    folder: Path, *, url: str | None = None, made: Callable[..., Stage] = Stage, **settings: Any
) -> AsyncIterator[Stage]:
    """An engine on `folder`/grants.db, or on another database, with one app of each kind and everybody's accounts."""
    clock, known, path = ManualClock(), people(), folder / "grants.db"
    vetoes: dict[str, str] = {}
    server = ForeignServer()

    async def identify(app: App, granted: Granted) -> str:
        return server.person

    async def veto(verb: str, app: str, account: str, actor: Actor) -> str | None:
        return vetoes.get(verb)

    values: dict[str, Any] = {
        "keys": KeyRing.parse(KeyRing.new_key()),
        "directory": known,
        "veto": veto,
        "identify": identify,
        "http": server,
        "clock": clock,
        "settings": Settings(synchronous="NORMAL"),
    }
    async with Engine.open(url or f"sqlite:///{path}", **(values | settings)) as engine:
        stage = made(engine, clock, known, path, server, vetoes)
        await stage.put(sample_app("account"), sample_app("agent"), sample_app("external"))
        try:
            yield stage
        finally:
            if stage.watch is not None:
                stage.watch.close()
