"""The public test kit: a clock that moves when told, a directory from a dict, an engine on a throw-away file."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote_plus, urlencode, urlsplit

from grantflow._app import App, AppKind, Server, Version
from grantflow._engine import Engine
from grantflow._held import Completed
from grantflow._ids import new_pkce, s256
from grantflow._model import Account, ClientCredentials, Returned, Tokens
from grantflow._ports import HttpRequest, HttpResponse
from grantflow.errors import NoAnswer
from grantflow_machines import Actor

__all__ = [
    "ForeignServer",
    "ManualClock",
    "People",
    "authorize",
    "consent",
    "grant",
    "sample_app",
    "throwaway_engine",
]

SECRET = "a client secret for tests"  # noqa: S105 - the sample app's, made for tests


class ManualClock:
    """A clock that stands until it is moved.

    >>> clock = ManualClock()
    >>> clock.advance(timedelta(days=1)).isoformat()
    '2025-01-02T00:00:00+00:00'
    """

    def __init__(self, start: datetime = datetime(2025, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return self._monotonic

    def advance(self, length: timedelta) -> datetime:
        """Let time pass; returns the new time."""
        self._monotonic += max(0.0, length.total_seconds())
        self._now += length
        return self._now

    def step(self, length: timedelta) -> datetime:
        """Step the wall clock alone, as a wrong time server does; returns the new time."""
        self._now += length
        return self._now


class People:
    """A directory from a mapping: `Actor` → accounts in the role of the actor's kind.

    >>> people = People({Actor.agent("bob"): ["acme"]})
    """

    def __init__(self, accounts: Mapping[Actor, Sequence[str]] | None = None) -> None:
        self.accounts: dict[Actor, list[str]] = {who: list(names) for who, names in (accounts or {}).items()}

    def add(self, actor: Actor, *accounts: str) -> Actor:
        """Give somebody accounts; returns them."""
        self.accounts.setdefault(actor, []).extend(accounts)
        return actor

    async def __call__(self, actor: Actor) -> list[Account]:
        """What Engine.open takes as `directory`."""
        return [Account(name, name.title(), actor.kind.value) for name in self.accounts.get(actor, ())]


def sample_app(kind: str = "agent", key: str | None = None, **changes: Any) -> App:
    """A confidential app with PKCE, two required scopes and an optional one, secret `testing.SECRET`."""
    values: dict[str, Any] = {
        "key": key or f"{kind}-app",
        "kind": AppKind(kind),
        "name": f"The {kind} app",
        "description": "Made for tests.",
        "versions": (Version("1.0", ("tickets.read", "tickets.write"), ("people.read",)),),
        "redirect_uris": ("https://app.example/callback",),
    }
    app = App(**(values | changes))
    return app if "secret_hashes" in changes else app.with_secret(SECRET)


@asynccontextmanager
async def throwaway_engine(**settings: Any) -> AsyncIterator[Engine]:
    """An engine on a file in a temporary folder that goes when the block ends; takes what Engine.open takes."""
    with tempfile.TemporaryDirectory(prefix="grantflow-") as folder:
        async with Engine.open(f"sqlite:///{Path(folder) / 'grants.db'}", **settings) as engine:
            yield engine


async def consent(
    engine: Engine,
    app: str,
    account: str,
    *,
    actor: Actor,
    subject: str | None = None,
    label: str = "default",
) -> tuple[Returned, str]:
    """Walk a person from the window to the consent; returns where they go, and the PKCE verifier."""
    verifier, challenge = new_pkce()
    attempt = await engine.authorize(app, actor=actor, subject=subject, label=label, code_challenge=challenge)
    window = await engine.window(attempt.id, actor=actor)
    if window.form is None:
        await engine.select_account(attempt.id, account, actor=actor)
    return await engine.agree(attempt.id, actor=actor), verifier


async def authorize(
    engine: Engine,
    app: str,
    account: str,
    *,
    actor: Actor,
    secret: str | None = SECRET,
    label: str = "default",
) -> Tokens:
    """Walk a person from the window to an active installation; returns the app's tokens."""
    returned, verifier = await consent(engine, app, account, actor=actor, label=label)
    assert returned.code is not None
    client = ClientCredentials((await engine.apps.get(app)).client_id, secret)
    return await engine.ledger.redeem(returned.code.value, client=client, code_verifier=verifier)


class ForeignServer:
    """An authorization server in memory, as an engine's `http=`: codes, rotation, revocation, and faults on demand.

    It knows no people: `back(url)` is what the browser brings back when the person agrees, `back(url, cancel=True)`
    when not.

    >>> server = ForeignServer()
    >>> server.app("crm").server.issuer
    'https://server.example'
    """

    def __init__(self, issuer: str = "https://server.example", *, rotates: bool = True) -> None:
        self.server = Server(
            issuer=issuer,
            authorization_endpoint=f"{issuer}/authorize",
            token_endpoint=f"{issuer}/token",
            revocation_endpoint=f"{issuer}/revoke",
            sends_iss=True,
        )
        self.rotates = rotates
        self.secret = SECRET
        self.expires_in = 3600
        self.token_type = "Bearer"  # noqa: S105 - the type of a token
        self.person = "somebody"
        """Whom an `identify` of a test may answer with."""
        self.faults: list[HttpResponse | Exception] = []
        """Answered or raised, one for each coming request, in place of an answer."""
        self.lost: int = 0
        """Coming requests that are carried out and whose answer is lost."""
        self.asked: list[dict[str, str]] = []
        """Parameters of every request that came, secrets included."""
        self._codes: dict[str, tuple[str, str, str]] = {}
        self.alive: dict[str, str] = {}
        """Refresh token → scopes."""
        self._made = 0

    def app(self, key: str = "crm", kind: str = "agent", **changes: Any) -> App:
        """An app in client mode at this server."""
        return sample_app(kind, key, mode="client", server=self.server, secret_hashes=(), **changes).with_secret(
            SECRET
        )

    def back(self, authorize_url: str, *, cancel: bool = False) -> str:
        """The query of the callback."""
        asked = dict(parse_qsl(urlsplit(authorize_url).query))
        if cancel:
            return urlencode({"error": "access_denied", "state": asked["state"], "iss": self.server.issuer})
        code = self._new("code")
        self._codes[code] = (asked["redirect_uri"], asked.get("code_challenge", ""), asked.get("scope", ""))
        return urlencode({"code": code, "state": asked["state"], "iss": self.server.issuer})

    def _new(self, what: str) -> str:
        self._made += 1
        return f"{what}-of-the-foreign-server-{self._made}"

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        """What Engine.open takes as `http`."""
        form = dict(parse_qsl(request.body.decode()))
        self.asked.append(form)
        if self.faults:
            fault = self.faults.pop(0)
            if isinstance(fault, Exception):
                raise fault
            return fault
        answer = self._answer(request, form)
        if self.lost:
            self.lost -= 1
            raise NoAnswer
        return answer

    def _answer(self, request: HttpRequest, form: dict[str, str]) -> HttpResponse:
        proof = base64.b64decode(request.headers.get("Authorization", "Basic ").removeprefix("Basic ")).decode()
        if unquote_plus(proof.partition(":")[2]) != self.secret:
            return self.says(401, error="invalid_client")
        if request.url == self.server.revocation_endpoint:
            self.alive.pop(form.get("token", ""), None)
            return self.says(200)
        if form.get("grant_type") == "authorization_code":
            uri, challenge, scopes = self._codes.pop(form.get("code", ""), ("", "", ""))
            if uri != form.get("redirect_uri") or challenge != s256(form.get("code_verifier", "")):
                return self.says(400, error="invalid_grant")
            return self._tokens(scopes)
        if form.get("refresh_token") not in self.alive:
            return self.says(400, error="invalid_grant")
        scopes = self.alive[form["refresh_token"]]
        if self.rotates:
            del self.alive[form["refresh_token"]]
            return self._tokens(scopes)
        return self._gives(access_token=self._new("access"))

    def _tokens(self, scopes: str) -> HttpResponse:
        refresh = self._new("refresh")
        self.alive[refresh] = scopes
        return self._gives(access_token=self._new("access"), refresh_token=refresh)

    def _gives(self, **tokens: str) -> HttpResponse:
        return self.says(200, None, **{"token_type": self.token_type, "expires_in": self.expires_in, **tokens})

    @staticmethod
    def says(status: int, headers: Mapping[str, str] | None = None, **body: object) -> HttpResponse:
        """An answer, for `faults`."""
        known = {"content-type": "application/json", **(headers or {})}
        return HttpResponse(status, known, json.dumps(body).encode())


async def grant(engine: Engine, server: ForeignServer, app: str, account: str, *, actor: Actor) -> Completed:
    """Walk a person through a foreign server to an active installation."""
    attempt = await engine.authorize(app, actor=actor, account=account)
    assert attempt.cookie is not None
    query = server.back(attempt.authorize_url)
    return await engine.complete(query, cookies={attempt.cookie_name: attempt.cookie.value})
