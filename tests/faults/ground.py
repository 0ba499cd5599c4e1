"""One verb of the table on an engine of its own, in this process, with a hand on what the engine stands on."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grantflow import Engine
from grantflow._store.sqlite import SqliteStore
from grantflow.errors import GrantflowError
from grantflow.testing import ManualClock
from tests.faults.oracle import looked_at
from tests.faults.verbs import VERBS, Prepared, Verb, fresh, opened

WRITING = [name for name, verb in VERBS.items() if verb.writes and not verb.creates and not verb.damage]
"""Verbs that write, on an engine that is open and rows that are sound."""


@dataclass
class Ground:
    """An open engine and the file under it."""

    engine: Engine
    file: Path
    verb: Verb
    known: Prepared

    @property
    def store(self) -> SqliteStore:
        """The adapter."""
        store = self.engine._core.store
        assert isinstance(store, SqliteStore)
        return store

    async def call(self) -> object:
        """The verb."""
        return await self.verb.call(self.engine, self.known)

    async def on_writer(self, function: Callable[[sqlite3.Connection], Any]) -> Any:
        """Something on the writing connection, on its own thread."""
        connection = self.store.writer._aio
        return await connection._execute(function, connection._conn)

    def state(self) -> str:
        """Everything that may not be half there."""
        return looked_at(self.file)[0]

    def wrong(self) -> list[str]:
        """What the oracle has to say."""
        return looked_at(self.file)[1]


@asynccontextmanager
async def ground(folder: Path, name: str, known: Prepared, **settings: Any) -> AsyncIterator[Ground]:
    """A fresh copy of the prepared database, at the time of the verb."""
    file, verb, clock = folder / f"{name}.db", VERBS[name], ManualClock()
    fresh(folder / "template.db", file)
    clock.advance(verb.later)
    settings.setdefault("synchronous", "NORMAL")
    async with opened(file, clock, **settings) as engine:
        yield Ground(engine, file, verb, known)


async def tried(call: Callable[[], Any]) -> GrantflowError | None:
    """The typed error of a call, or None; anything else is a defect and comes out."""
    try:
        await call()
    except GrantflowError as error:
        return error
    return None
