"""The marketplace to click through: people, apps and a clock of its own, on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from grantflow import Actor, App, AppKind, Engine, KeyRing, Version
from grantflow.demo._travel import MovedClock
from grantflow.errors import ConfigurationError
from grantflow.testing import People

_SECRET = "only for the trial"  # noqa: S105 - protects nothing: whoever reaches the page may be anybody
_VERSION = Version("1.0", ("tickets.read", "notes.write"), ("people.read",))
_APPS = (
    ("desk-sync", AppKind.ACCOUNT, "Desk Sync", "One admin authorizes it for the whole account."),
    ("call-notes", AppKind.AGENT, "Call Notes", "Every agent authorizes it for themself."),
    ("report-hub", AppKind.EXTERNAL, "Report Hub", "Built elsewhere; a user connects one account."),
)
_MISSING = "the pages are not installed"
_HINT = "pip install 'grantflow[hosting]'"


@contextlib.asynccontextmanager
async def marketplace(path: Path, base_url: str) -> AsyncIterator[Any]:
    """The ASGI app on a database of its own, open for the length of the block."""
    hosting = _library("grantflow.hosting")
    clock, people = MovedClock(), People()
    maria = (people.add(Actor.admin("maria"), "acme", "globex"), people.add(Actor.agent("maria"), "acme", "globex"))
    bob = (people.add(Actor.agent("bob"), "acme"),)
    carol = (people.add(Actor.agent("carol"), "acme", "globex"),)
    uma = (people.add(Actor.user("uma"), "acme", "globex"),)
    personas = [
        hosting.Person("maria", "Maria", "admin and agent of acme and globex", maria),
        hosting.Person("bob", "Bob", "agent of acme", bob),
        hosting.Person("carol", "Carol", "agent of acme and globex", carol),
        hosting.Person("uma", "Uma", "uses Report Hub with her accounts acme and globex", uma),
    ]
    keys = KeyRing.parse(KeyRing.new_key())
    async with Engine.open(f"sqlite:///{path}", directory=people, clock=clock, keys=keys) as engine:
        for key, kind, name, about in _APPS:
            uri = f"{base_url}/trial/{key}/callback"
            app = App(key=key, kind=kind, name=name, description=about, versions=(_VERSION,), redirect_uris=(uri,))
            await engine.apps.register(app.with_secret(_SECRET))

        async def advance(length: timedelta) -> str:
            clock.advance(length)
            report = await engine.sweep()
            warned = await engine.warn_due()
            return f"It is {clock.now():%d %B %Y}: {report.moved} moved by the sweep, {warned} warnings."

        secrets = {key: _SECRET for key, *_ in _APPS}
        yield hosting.create_trial(engine, people=personas, secrets=secrets, advance=advance, base_url=base_url)


async def serve_marketplace(path: Path, port: int = 8000) -> None:
    """Serve it on loopback until it is stopped.

    Raises:
        ConfigurationError: the extra `[hosting]` is not installed.
    """
    uvicorn = _library("uvicorn")
    base_url = f"http://localhost:{port}"
    async with marketplace(path, base_url) as app:
        Console(stderr=True, highlight=False).print(f"{base_url}   Ctrl-C stops it")
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
        await uvicorn.Server(config).serve()


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(_MISSING, hint=_HINT) from error
