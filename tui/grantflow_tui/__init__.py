"""The operator console: finds the installations that need help, says why, and moves them safely."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grantflow import Engine
    from grantflow_machines import LifecycleChart
    from grantflow_tui._app import Console, EngineFactory
    from grantflow_tui._travel import Advance

__all__ = ["console", "run"]


def console(
    database_url: str,
    *,
    write: bool,
    operator: str | None,
    claimed: bool,
    ascii: bool = False,  # noqa: A002 - the name of the option
    theme: str | None = None,
    max_bulk: int | None = None,
    engine_factory: EngineFactory | None = None,
    charts: Mapping[str, type[LifecycleChart]] | None = None,
    advance: Advance | None = None,
) -> Console:
    """The app itself, not yet running; `run` is what starts it."""
    from grantflow_machines import Actor
    from grantflow_tui._app import Console
    from grantflow_tui._blast import MAX_BULK

    factory = engine_factory or (lambda: _engine_at(database_url, charts))
    actor = Actor.operator(operator, claimed=claimed) if operator else None
    name = database_url.rsplit("@", 1)[-1].rsplit("/", 1)[-1].split("?", 1)[0] or "database"
    return Console(
        factory,
        name=name,
        actor=actor,
        write=write,
        ascii_only=ascii,
        charts=charts,
        theme=theme,
        max_bulk=max_bulk or MAX_BULK,
        advance=advance,
    )


@asynccontextmanager
async def _engine_at(database_url: str, charts: Mapping[str, type[LifecycleChart]] | None) -> AsyncIterator[Engine]:
    """The engine, whose libraries are loaded behind the first picture."""
    await asyncio.to_thread(import_module, "grantflow._engine")
    from grantflow import Engine, KeyRing, charts_from_env

    gc.freeze()  # what was loaded stays: looking through it for garbage, again and again, holds the screen up
    known = charts or charts_from_env()
    async with Engine.open(database_url, keys=KeyRing.from_env(), charts=known) as opened:
        yield opened


def run(
    database_url: str,
    *,
    write: bool,
    operator: str | None,
    claimed: bool,
    ascii: bool = False,  # noqa: A002 - the name of the option
    theme: str | None = None,
    max_bulk: int | None = None,
    engine_factory: EngineFactory | None = None,
    charts: Mapping[str, type[LifecycleChart]] | None = None,
    advance: Advance | None = None,
) -> int:
    """Run the console until it is left; returns the exit code.

    Args:
        database_url: What `Engine.open` takes; its last part is the name in the header.
        write: Allow changes; without an operator's name it stays in READ mode.
        operator: The name on every change.
        claimed: The name was only passed by argument and nobody vouched for it.
        ascii: Letters instead of glyphs and lines.
        theme: `dark` or `light`; without it the one chosen last, at first the dark one.
        max_bulk: Bulk work that would reach more rows is refused; 10,000 unless it is given.
        engine_factory: Opens the engine instead of `database_url`, for a host with keys and a directory of its own.
        charts: App kind → chart, as the engine was opened with; those of GRANTFLOW_CHARTS, else the shipped ones.
        advance: Moves the engine's clock on, where that is virtual: an async generator that tells after each step
            what became of it. Every screen says that time is virtual then, and has keys for a day, a week, a year.
    """
    app = console(
        database_url,
        write=write,
        operator=operator,
        claimed=claimed,
        ascii=ascii,
        theme=theme,
        max_bulk=max_bulk,
        engine_factory=engine_factory,
        charts=charts,
        advance=advance,
    )

    async def session() -> None:
        try:
            await app.run_async()
        finally:
            await app.close_engine()

    asyncio.run(session())
    return app.return_code or 0
