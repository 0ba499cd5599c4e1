"""The marketplace to click through: people, apps and a clock of its own, on loopback."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console

from grantflow import Actor, App, Engine, KeyRing
from grantflow.demo._story import app_files
from grantflow.demo._travel import MovedClock
from grantflow.errors import ConfigurationError, NotFound
from grantflow.testing import People

_SECRET = "only for the trial"  # noqa: S105 - protects nothing: whoever reaches the page may be anybody
_ACCOUNTS = ("acme", "globex")
_WORDS = {
    "scope.calendar.read": "See appointments",
    "scope.calendar.write": "Make and move appointments",
    "scope.calls.read": "See who called whom",
    "scope.notes.write": "Write notes into tickets",
    "scope.reports.read": "Read reports",
    "scope.tickets.read": "Read tickets",
}
_MISSING = "the pages are not installed"
_HINT = "pip install 'grantflow[hosting]'"


@contextlib.asynccontextmanager
async def marketplace(path: Path, base_url: str) -> AsyncIterator[Any]:
    """The ASGI app on a database of its own, open for the length of the block."""
    hosting = _library("grantflow.hosting")
    clock, people = MovedClock(), People()
    maria = (people.add(Actor.admin("maria"), *_ACCOUNTS), people.add(Actor.agent("maria"), *_ACCOUNTS))
    bob = (people.add(Actor.agent("bob"), "acme"),)
    carol = (people.add(Actor.agent("carol"), *_ACCOUNTS),)
    uma = (people.add(Actor.user("uma"), *_ACCOUNTS),)
    nora = (people.add(Actor.user("nora"), "acme"),)
    personas = [
        hosting.Person("maria", "Maria", "admin and agent of acme and globex", maria),
        hosting.Person("bob", "Bob", "agent of acme", bob),
        hosting.Person("carol", "Carol", "agent of acme and globex", carol),
        hosting.Person("uma", "Uma", "uses Report Hub with her accounts acme and globex", uma),
        hosting.Person("nora", "Nora", "uses Report Hub with her only account, acme", nora),
    ]
    keys = KeyRing.parse(KeyRing.new_key())
    async with Engine.open(f"sqlite:///{path}", directory=people, clock=clock, keys=keys) as engine:
        apps, secrets = dict[str, App](), dict[str, str]()
        for app in map(App.from_toml, app_files()):
            if app.server is not None:  # its server would have to be there
                continue
            here = replace(app, redirect_uris=(f"{base_url}/trial/{app.key}/callback", *app.redirect_uris))
            if app.secret_hashes:
                here, secrets[app.key] = here.with_secret(_SECRET), _SECRET
            apps[app.key] = here
            await engine.apps.register(replace(here, versions=here.versions[:1]))

        async def advance(length: timedelta) -> str:
            clock.advance(length)
            report = await engine.sweep()
            warned = await engine.warn_due()
            return f"It is {clock.now():%d %B %Y}: {report.moved} moved by the sweep, {warned} warnings."

        async def come_out() -> str:
            app = await engine.apps.register(apps["call-notes"])
            for account in _ACCOUNTS:
                with contextlib.suppress(NotFound):  # it is not installed there
                    await engine.apps.upgrade(app.key, account, app.latest.name, actor=Actor.admin("maria"))
            return f"{app.name} {app.latest.name} is out and asks for more. The grants that are there go on working."

        yield hosting.create_trial(
            engine,
            people=personas,
            secrets=secrets,
            advance=advance,
            base_url=base_url,
            deeds={"Call Notes 2.0 comes out": come_out},
            words=_WORDS,
        )


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
