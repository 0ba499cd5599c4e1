"""A clock that can be moved on, and a machine that lets whatever is due on the way happen."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from grantflow import Engine, SystemClock
from grantflow.demo._story import Tally
from grantflow.errors import BadInput
from grantflow.testing import People

_APPS = "grantflow.apps"
_DAY, _SOON = timedelta(days=1), timedelta(seconds=1)


def app(name: str) -> Any:
    """Something an app of this distribution offers, by entry point: the engine never looks up at the apps."""
    found = importlib.metadata.entry_points(group=_APPS, name=name)
    for entry in found:
        return entry.load()
    msg = f"the part {name!r} of grantflow is not installed"
    raise BadInput(msg, hint="install grantflow again")


class MovedClock:
    """The machine's clock, and how far it was moved on."""

    def __init__(self) -> None:
        self._real, self._moved = SystemClock(), timedelta(0)

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return self._real.now() + self._moved

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return self._real.monotonic() + self._moved.total_seconds()

    def advance(self, length: timedelta) -> None:
        """Let time pass."""
        self._moved += length


class Movable(Protocol):
    """A clock that can be moved on."""

    def now(self) -> datetime:
        """Aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never step back."""
        ...

    def advance(self, length: timedelta) -> object:
        """Let time pass."""
        ...


class TimeMachine:
    """A fleet on a clock of its own, with a scheduler at work; `advance` moves both on."""

    def __init__(self, path: Path, people: People, clock: Movable) -> None:
        self._path, self._people, self._clock = path, people, clock
        self._engine: Engine | None = None
        self._scheduler: Any = None
        self._tally = Tally()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Engine]:
        """The engine, for as long as the block lasts."""
        async with Engine.open(f"sqlite:///{self._path}", directory=self._people, clock=self._clock) as engine:
            engine.subscribe(self._tally.hear)
            async with app("expiry-scheduler")(engine, interval=_SOON) as self._scheduler:
                self._engine = engine
                yield engine

    async def advance(self, length: timedelta) -> AsyncGenerator[str]:
        """Let time pass, day by day, and the scheduler do what is due; tells after each what became of it so far."""
        if self._engine is None:
            return
        before, days = replace(self._tally), 0
        while length > timedelta(0):
            self._clock.advance(min(_DAY, length))
            length, days = length - _DAY, days + 1
            report = await self._scheduler.run_now()
            await self._scheduler.run_now("warnings")
            await self._scheduler.run_now("outbox")
            await self._engine.beat("scheduler")  # it has not been silent, only time went by
            if report is None:
                yield "the schedulers are paused: nothing is swept"
                continue
            now = self._tally
            now.expired += report.moved
            yield (
                f"{days} day{'s' * (days > 1)}: {now.expired - before.expired:,} ended, "
                f"{now.warned - before.warned:,} warned, {now.reminded - before.reminded:,} reminded"
            )
