"""Moves time for an engine: APScheduler wakes, supervised tasks work. Rules live in the engine, never here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from grantflow import Engine, GrantflowError, SweepReport, SystemClock
from grantflow_scheduler._alarm import Alarms
from grantflow_scheduler._duties import DUTIES, EXPIRY, Duty

_log = logging.getLogger("grantflow.scheduler")
_PAUSE = timedelta(seconds=1)
"""Before a duty that failed is tried again; doubles up to its interval."""
_TICK = 1.0
_BEAT = 5.0
_TERM = timedelta(seconds=15)
"""After which a lead that could not be renewed is another's."""
_BEHIND = timedelta(milliseconds=250)
"""How late an expiry must be before a process that does not lead takes it for left undone, at most twice that."""
_SELDOM = 4
"""A process that does not lead does a whole round of a duty each so many intervals, whatever it sees."""
_WRONG = timedelta(seconds=1)
_PATIENCE = timedelta(seconds=5)
_LAST_WORD = 1.5
"""Seconds that the work at hand has to come to its end when the scheduler stops."""
_KIND = "scheduler"


@dataclass(slots=True)
class _Desk:
    """One duty at work: its event, its task, and who waits for its next round."""

    duty: Duty
    every: timedelta
    rung: asyncio.Event = field(default_factory=asyncio.Event)
    waiting: list[asyncio.Future[object]] = field(default_factory=list)
    task: asyncio.Task[None] | None = None
    failures: int = 0
    whole_at: float = float("-inf")
    """When a process that does not lead does a whole round again, by the steady clock."""


class Scheduler:
    """Expires, renews, warns, delivers and tidies on time, in a host's own event loop. Source: S-29 … S-31.

    Each duty has one interval job that is pulled forward to the next due time by every write of this process, so an
    expiry is milliseconds late; other processes' writes are seen within one interval, on PostgreSQL by a hint within
    milliseconds. Whatever became due while nothing ran is caught up at the start. Any number of schedulers may run on
    one database; on PostgreSQL one of them leads, and the others look only whether it is late.

    Args:
        engine: The engine whose rows are moved; its clock decides what is due.
        scheduler: A host's own APScheduler (asyncio, memory job store), already running; one of our own otherwise.
        interval: The longest time between two looks at what is due, 30 seconds by default.
        duties: Names of the duties to take over; all of them by default.
        on_sweep: Called with every report that moved something or is held.
    """

    def __init__(
        self,
        engine: Engine,
        scheduler: Any | None = None,
        *,
        interval: timedelta = timedelta(seconds=30),
        duties: Sequence[str] | None = None,
        on_sweep: Callable[[SweepReport], None] | None = None,
    ) -> None:
        if interval <= timedelta(0):
            msg = "interval must be positive"
            raise ValueError(msg)
        known = {duty.name: duty for duty in DUTIES}
        wanted = list(known) if duties is None else list(duties)
        if unknown := set(wanted) - set(known):
            msg = f"no duty is called {', '.join(sorted(unknown))}; known: {', '.join(known)}"
            raise ValueError(msg)
        self._engine = engine
        self._on_sweep = on_sweep
        self._clock = SystemClock()
        self._alarms = Alarms(scheduler)
        self._desks = {name: _Desk(known[name], max(interval, known[name].at_least)) for name in wanted}
        self._leave: Callable[[], None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False
        self._whole = all(duty.name in self._desks for duty in DUTIES if duty.led)
        """Who has taken over some duties alone neither leads nor stands by."""
        self._leads_until = float("-inf")
        self._behind = min(_BEHIND, interval / 4) * (1 + random.random())  # noqa: S311 - spreads those who wait
        self.last_report: SweepReport | None = None
        """What the last sweep did."""

    @property
    def leads(self) -> bool:
        """Whether this process's polling is enough for its database, as far as it knows."""
        return self._clock.monotonic() < self._leads_until

    @property
    def running(self) -> bool:
        """Between start and stop."""
        return self._watch is not None

    async def start(self) -> None:
        """Start; a second call does nothing."""
        if self.running:
            return
        self._stopping = False
        self._leads_until = self._clock.monotonic() + _TERM.total_seconds()  # the first rounds are whole anyway
        self._leave = self._engine.on_due_earlier(self._earlier)
        self._alarms.start()
        now = self._clock.now()
        for name, desk in self._desks.items():
            self._alarms.add(name, desk.duty.says, desk.rung.set, desk.every, now)
            desk.rung.set()
            desk.task = asyncio.create_task(self._sit(desk), name=f"grantflow-{name}")
        self._watch = asyncio.create_task(self._watch_over(), name="grantflow-watchdog")

    async def stop(self) -> None:
        """Finish the transactions at hand, then stop; a second call does nothing. Nothing is lost: rows wait."""
        watch, self._watch = self._watch, None
        if watch is None:
            return
        self._stopping = True
        self._alarms.stop()
        if self._leave is not None:
            self._leave()
        watch.cancel()
        tasks = [watch]
        for desk in self._desks.values():
            desk.rung.set()
            if desk.task is not None:
                tasks.append(desk.task)
        await asyncio.wait(tasks, timeout=_LAST_WORD)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for desk in self._desks.values():
            for future in desk.waiting:
                future.cancel()
            desk.task, desk.waiting, desk.whole_at = None, [], float("-inf")
            desk.rung.clear()
        self._leads_until = float("-inf")
        with contextlib.suppress(GrantflowError):
            await self._engine.stop_beating()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def run_now(self, duty: str = EXPIRY) -> Any:
        """Ring one alarm now and wait for the round it wakes; returns what the duty did, None while paused.

        Raises:
            RuntimeError: the scheduler is not running.
            ValueError: it has no such duty.
        """
        if not self.running:
            msg = "the scheduler is not running"
            raise RuntimeError(msg)
        desk = self._desks.get(duty)
        if desk is None:
            msg = f"no duty is called {duty}; at work: {', '.join(self._desks)}"
            raise ValueError(msg)
        waiting: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        desk.waiting.append(waiting)
        self._alarms.pull_forward(duty, self._clock.now())
        return await waiting

    async def sweep_now(self) -> SweepReport:
        """`run_now()` of the expiry duty, for hosts that moved a clock; raises RuntimeError while paused too."""
        report = await self.run_now(EXPIRY)
        if isinstance(report, SweepReport):
            return report
        msg = "the schedulers of this database are paused"
        raise RuntimeError(msg)

    def jobs(self) -> list[dict[str, str | None]]:
        """What is scheduled, for people: id, name, trigger, next_run_at."""
        return self._alarms.jobs() if self.running else []

    # -- waking ---------------------------------------------------------------------------------
    def _earlier(self, due_at: datetime) -> None:
        if EXPIRY in self._desks:
            self._ring_at(self._desks[EXPIRY], due_at)

    def _ring_at(self, desk: _Desk, due_at: datetime) -> None:
        wait = max(timedelta(0), due_at - self._engine.now())
        if not self._at_the_head_of(desk):
            wait += self._behind
        if wait < desk.every:
            self._alarms.pull_forward(desk.duty.name, self._clock.now() + wait)

    async def _sit(self, desk: _Desk) -> None:
        while True:
            await desk.rung.wait()
            desk.rung.clear()
            if self._stopping:
                return
            waiting: list[asyncio.Future[object]] = []
            try:
                paused = await self._engine.ops.paused()
                waiting, desk.waiting = desk.waiting, []  # whoever asks from here on means the next round
                done = None if paused else await self._turn(desk, asked=bool(waiting))
            except Exception as error:  # noqa: BLE001 - told, and the next round must come whatever happened
                self._failed(desk, error)
                desk.waiting[:0] = waiting
                continue
            desk.failures = 0
            for future in waiting:
                if not future.done():
                    future.set_result(done)

    # -- leading, and standing by ---------------------------------------------------------------
    def _at_the_head_of(self, desk: _Desk) -> bool:
        return self.leads or not (desk.duty.led and self._whole)

    async def _turn(self, desk: _Desk, *, asked: bool) -> object:
        """A whole round, or a look whether the process that leads has left something undone."""
        if not (asked or self._at_the_head_of(desk) or self._clock.monotonic() >= desk.whole_at):
            if desk.duty.name != EXPIRY:
                return None
            upcoming = await self._engine.next_due()
            if upcoming is None or upcoming + self._behind > self._engine.now():
                if upcoming is not None:
                    self._ring_at(desk, upcoming)
                return None
        done = await self._round(desk)
        desk.whole_at = self._clock.monotonic() + _SELDOM * desk.every.total_seconds()
        return done

    async def _beat(self) -> None:
        led, now = self.leads, self._clock.monotonic()
        with contextlib.suppress(GrantflowError):
            if await self._engine.beat(_KIND, self._note(), lead=self._whole):
                self._leads_until = now + _TERM.total_seconds()
            else:
                self._leads_until = now
        if self.leads and not led:
            for desk in self._desks.values():
                if desk.duty.led:
                    desk.rung.set()

    async def _round(self, desk: _Desk) -> object:
        done = await desk.duty.work(self._engine, lambda: self._stopping)
        if isinstance(done, SweepReport):
            self.last_report = done
            if self._on_sweep is not None and (done.moved or done.attempts_closed or done.held):
                self._on_sweep(done)
            if done.next_due_at is not None:
                self._ring_at(desk, done.next_due_at)
        elif desk.duty.next_at is not None and not self._stopping:
            upcoming = await desk.duty.next_at(self._engine)
            if upcoming is not None:
                self._ring_at(desk, max(upcoming, self._engine.now() + _PAUSE))
        return done

    def _failed(self, desk: _Desk, error: Exception) -> None:
        if isinstance(error, GrantflowError):
            _log.warning("%s failed (%s); it is tried again", desk.duty.name, error.code)
        else:
            _log.error("%s failed unexpectedly; it is tried again", desk.duty.name, exc_info=error)
        wait = min(_PAUSE * 2 ** min(desk.failures, 10), desk.every)
        desk.failures += 1
        self._alarms.pull_forward(desk.duty.name, self._clock.now() + wait)

    # -- watching -------------------------------------------------------------------------------
    async def _watch_over(self) -> None:
        """Outside APScheduler: rings everything after a step of the clock, mends alarms that died, beats."""
        beaten = float("-inf")
        wall, monotonic = self._clock.now(), self._clock.monotonic()
        while True:
            try:
                if self._clock.monotonic() - beaten >= _BEAT:
                    beaten = self._clock.monotonic()
                    await self._beat()
                await asyncio.sleep(_TICK)
                before, wall, before_monotonic, monotonic = (
                    wall,
                    self._clock.now(),
                    monotonic,
                    self._clock.monotonic(),
                )
                stepped = abs((wall - before).total_seconds() - (monotonic - before_monotonic)) > _TICK
                self._look(wall, stepped=stepped)
            except Exception:  # noqa: BLE001 - nobody watches the watchdog
                _log.exception("the watchdog failed; it goes on")
                await asyncio.sleep(_TICK)

    def _look(self, wall: datetime, *, stepped: bool) -> None:
        mended = self._alarms.mend(wall, _PATIENCE)
        for name, desk in self._desks.items():
            if name in mended:
                _log.warning("the alarm of %s was set anew", name)
            if desk.task is not None and desk.task.done():  # it never ends by itself
                _log.error("%s came to an end; it is started again", name)
                desk.task = asyncio.create_task(self._sit(desk), name=f"grantflow-{name}")
            if stepped:
                desk.whole_at = float("-inf")
            if stepped or name in mended:  # a host's scheduler that is paused or shut down rings nothing
                desk.rung.set()

    def _note(self) -> str:
        failing = [name for name, desk in self._desks.items() if desk.failures]
        told = [f"failing: {', '.join(failing)}"] if failing else []
        skew = self._engine.clock_skew()
        if skew is not None and abs(skew) > _WRONG:
            told.append(f"its clock is {skew.total_seconds():+.0f} s off the database's")
        return "; ".join(told)


ExpiryScheduler = Scheduler
"""The name for those who only know that it expires grants."""
