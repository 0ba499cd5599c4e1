"""The operator console: finds the installations that need help, says why, and moves them safely."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grantflow import Engine, KeyRing
    from grantflow_tui._app import Console, EngineFactory

__all__ = ["console", "run"]


def console(
    database_url: str,
    *,
    write: bool,
    operator: str | None,
    claimed: bool,
    ascii: bool = False,  # noqa: A002 - the name of the option
    max_bulk: int | None = None,
    engine_factory: EngineFactory | None = None,
) -> Console:
    """The app itself, not yet running; `run` is what starts it."""
    from grantflow_machines import Actor
    from grantflow_tui._app import Console
    from grantflow_tui._blast import MAX_BULK

    factory = engine_factory or (lambda: _engine_at(database_url))
    actor = Actor.operator(operator, claimed=claimed) if operator else None
    name = database_url.rsplit("@", 1)[-1].rsplit("/", 1)[-1].split("?", 1)[0] or "database"
    return Console(factory, name=name, actor=actor, write=write, ascii_only=ascii, max_bulk=max_bulk or MAX_BULK)


def _engine_parts() -> tuple[type[Engine], type[KeyRing]]:
    from grantflow import Engine, KeyRing

    return Engine, KeyRing


@asynccontextmanager
async def _engine_at(database_url: str) -> AsyncIterator[Engine]:
    """The engine, whose libraries are loaded behind the first picture."""
    engine, keys = await asyncio.to_thread(_engine_parts)
    gc.freeze()  # what was loaded stays: looking through it for garbage, again and again, holds the screen up
    async with engine.open(database_url, keys=keys.from_env()) as opened:
        yield opened


def run(
    database_url: str,
    *,
    write: bool,
    operator: str | None,
    claimed: bool,
    ascii: bool = False,  # noqa: A002 - the name of the option
    max_bulk: int | None = None,
    engine_factory: EngineFactory | None = None,
) -> int:
    """Run the console until it is left; returns the exit code.

    Args:
        database_url: What `Engine.open` takes; its last part is the name in the header.
        write: Allow changes; without an operator's name it stays in READ mode.
        operator: The name on every change.
        claimed: The name was only passed by argument and nobody vouched for it.
        ascii: Letters instead of glyphs and lines.
        max_bulk: Bulk work that would reach more rows is refused; 10,000 unless it is given.
        engine_factory: Opens the engine instead of `database_url`, for a host with keys and a directory of its own.
    """
    app = console(
        database_url,
        write=write,
        operator=operator,
        claimed=claimed,
        ascii=ascii,
        max_bulk=max_bulk,
        engine_factory=engine_factory,
    )

    async def session() -> None:
        try:
            await app.run_async()
        finally:
            await app.close_engine()

    asyncio.run(session())
    return app.return_code or 0
