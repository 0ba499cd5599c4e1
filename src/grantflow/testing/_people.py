"""A directory from a dict, and the app everybody uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from grantflow._app import App, AppKind, Version
from grantflow._model import Account
from grantflow_machines import Actor

SECRET = "a client secret for tests"  # noqa: S105 - the sample app's, made for tests


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
