"""The public test kit: a clock that moves when told, a directory from a dict, an engine on a throw-away file."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grantflow._app import App, AppKind, Version
from grantflow._engine import Engine
from grantflow._ids import new_pkce
from grantflow._model import Account, ClientCredentials, Returned, Tokens
from grantflow_machines import Actor

__all__ = ["ManualClock", "People", "authorize", "consent", "sample_app", "throwaway_engine"]

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
