"""Moves time for an engine: APScheduler wakes, a supervised task sweeps. Rules live in the engine, never here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from grantflow import Engine, GrantflowError, SweepReport, SystemClock
from grantflow_scheduler._alarm import Alarm

_log = logging.getLogger("grantflow.scheduler")
_PAUSE = 1.0


class ExpiryScheduler:
    """Expires what is due, on time, in a host's own event loop. Source: S-29 … S-31.

    One interval job (the safety sweep) is pulled forward to the next due time by every write of this process, so an
    expiry is milliseconds late; other processes' writes are seen within one interval. Whatever became due while
    nothing ran is caught up at the start.

    Args:
        engine: The engine whose rows are swept; its clock decides what is due.
        scheduler: A host's own APScheduler (asyncio, memory job store), already running; one of our own otherwise.
        interval: The safety sweep's, 30 seconds by default.
        on_sweep: Called with every report that moved something or is held.
    """

    def __init__(
        self,
        engine: Engine,
        scheduler: Any | None = None,
        *,
        interval: timedelta = timedelta(seconds=30),
        on_sweep: Callable[[SweepReport], None] | None = None,
    ) -> None:
        if interval <= timedelta(0):
            msg = "interval must be positive"
            raise ValueError(msg)
        self._engine = engine
        self._interval = interval
        self._on_sweep = on_sweep
        self._clock = SystemClock()
        self._due = asyncio.Event()
        self._alarm = Alarm(self._due.set, interval, scheduler)
        self._task: asyncio.Task[None] | None = None
        self._leave: Callable[[], None] | None = None
        self._waiting: list[asyncio.Future[SweepReport]] = []
        self._stopping = False
        self.last_report: SweepReport | None = None
        """What the last sweep did."""

    async def start(self) -> None:
        """Start; a second call does nothing."""
        if self._task is not None:
            return
        self._stopping = False
        self._leave = self._engine.on_due_earlier(self._earlier)
        self._alarm.start(self._clock.now())
        self._due.set()
        self._task = asyncio.create_task(self._work(), name="grantflow-expiry")

    async def stop(self) -> None:
        """Finish the sweep at hand, then stop; a second call does nothing."""
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping = True
        self._alarm.stop()
        if self._leave is not None:
            self._leave()
        self._due.set()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        for future in self._waiting:
            future.cancel()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def sweep_now(self) -> SweepReport:
        """Ring the alarm now and wait for the sweep it wakes, for hosts that moved a clock.

        Raises:
            RuntimeError: the scheduler is not running.
        """
        if self._task is None:
            msg = "the scheduler is not running"
            raise RuntimeError(msg)
        waiting: asyncio.Future[SweepReport] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._alarm.pull_forward(self._clock.now())
        return await waiting

    def jobs(self) -> list[dict[str, str | None]]:
        """What is scheduled, for people: id, name, trigger, next_run_at."""
        return self._alarm.jobs()

    def _earlier(self, due_at: datetime) -> None:
        wait = max(timedelta(0), due_at - self._engine.now())
        if wait < self._interval:
            self._alarm.pull_forward(self._clock.now() + wait)

    async def _work(self) -> None:
        while True:
            await self._due.wait()
            self._due.clear()
            if self._stopping:
                return
            waiting, self._waiting = self._waiting, []
            try:
                report = await self._engine.sweep()
            except GrantflowError as error:
                _log.warning("a sweep failed (%s); it is tried again", error.code)
                self._again(waiting)
                continue
            except Exception:  # noqa: BLE001 - logged, and the next sweep must come whatever happened
                _log.exception("a sweep failed unexpectedly; it is tried again")
                self._again(waiting)
                continue
            self.last_report = report
            for future in waiting:
                if not future.done():
                    future.set_result(report)
            if self._on_sweep is not None and (report.moved or report.attempts_closed or report.held):
                self._on_sweep(report)
            if report.next_due_at is not None:
                self._earlier(report.next_due_at)

    def _again(self, waiting: list[asyncio.Future[SweepReport]]) -> None:
        self._waiting[:0] = waiting
        self._alarm.pull_forward(self._clock.now() + timedelta(seconds=_PAUSE))
