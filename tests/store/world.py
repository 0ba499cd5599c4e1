"""A small world on an engine: people, an app on accounts, installations that work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from grantflow import Actor, Engine
from grantflow._store.sqlite import SqliteStore
from grantflow.testing import ManualClock, People, authorize, sample_app

BOB = Actor.agent("bob")
PLATFORM = Actor.system()
OPERATOR = Actor.operator("olga")


@asynccontextmanager
async def opened(file: Path, **settings: Any) -> AsyncIterator[Engine]:
    """An engine on a file, with a clock that stands and people who may do everything."""
    settings.setdefault("clock", ManualClock())
    async with Engine.open(f"sqlite:///{file}", **settings) as engine:
        yield engine


def store_of(engine: Engine) -> SqliteStore:
    """The adapter behind an engine."""
    store = engine._core.store
    assert isinstance(store, SqliteStore)
    return store


async def working(engine: Engine, count: int = 1, app: str = "agent-app") -> list[str]:
    """Ids of installations that were authorized through the window, each on an account of its own."""
    people = People({BOB: [f"account-{n}" for n in range(count)]})
    engine._core.directory = people
    await engine.apps.register(sample_app(key=app))
    ids = []
    for account in people.accounts[BOB]:
        await engine.apps.install(app, account, actor=PLATFORM)
        ids.append((await authorize(engine, app, account, actor=BOB)).installation)
    engine._core.directory = None
    return ids
