"""A fleet on a real file, quickly: one row that was lived through, and as many copies of it as a test wants."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grantflow import Actor, Engine
from grantflow.testing import ManualClock, People, authorize, sample_app
from grantflow_tui import console

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from grantflow_tui._app import Console

BOB = Actor.agent("bob")


class CountingEngine:
    """The engine, with its calls of `find` counted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.finds = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def find(self, *args: Any, **named: Any) -> Any:
        self.finds += 1
        return await self._engine.find(*args, **named)


def multiply(path: Path, copies: int) -> None:
    """Copy the first installation row."""
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.row_factory = sqlite3.Row
        row = dict(conn.execute("SELECT * FROM grantflow_installation ORDER BY pk LIMIT 1").fetchone())
        del row["pk"]
        names = list(row)
        marks = ", ".join("?" * len(names))
        made = (
            tuple((row | {"public_id": str(uuid.UUID(int=number << 80)), "account": f"acct{number:06}"}).values())
            for number in range(1, copies + 1)
        )
        conn.executemany(f"INSERT INTO grantflow_installation ({', '.join(names)}) VALUES ({marks})", made)


@asynccontextmanager
async def fleet(
    path: Path, *, copies: int = 0, accounts: tuple[str, ...] = ("acme",), real_time: bool = False
) -> AsyncIterator[Engine]:
    """An engine with an active installation per account, and copies of the first."""
    clock = None if real_time else ManualClock()
    async with Engine.open(f"sqlite:///{path}", directory=People({BOB: accounts}), clock=clock) as engine:
        app = await engine.apps.register(sample_app("agent"))
        for account in accounts:
            await engine.apps.install(app.key, account, actor=Actor.system())
            await authorize(engine, app.key, account, actor=BOB)
        if copies:
            multiply(path, copies)
        yield engine


def console_on(engine: Any, *, write: bool = False, operator: str | None = "maria", **options: Any) -> Console:
    """The console on an engine that is already open."""
    return console(
        "sqlite:///some/grants.db",
        write=write,
        operator=operator,
        claimed=False,
        engine_factory=lambda: nullcontext(engine),
        **options,
    )


async def settled(pilot: Pilot[None]) -> None:
    """Until no worker runs and no message waits."""
    app = pilot.app
    for _ in range(3):
        await pilot.pause()
        await app.workers.wait_for_complete()
    await pilot.pause()


def screen_text(app: Any) -> str:
    """What stands on the screen, line by line."""
    width, height = app.size
    rows = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip)[: width * 2].rstrip() for strip in rows[:height])
