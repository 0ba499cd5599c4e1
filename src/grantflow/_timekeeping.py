"""Time at the front door: sweeps, warnings, retention, and who is at work; schedulers call these and nothing else."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta

from grantflow import _sweep, _upkeep, _warnings
from grantflow._bulk_model import JobsReport
from grantflow._client import ClientMode
from grantflow._clock import WRONG_CLOCK, maybe_datetime, span
from grantflow._due_watch import DueWatch
from grantflow._ids import new_id
from grantflow._job_runner import run_jobs
from grantflow._model import SweepReport
from grantflow._notices import Courier
from grantflow._ports import Forgotten
from grantflow._rows import BeatRow
from grantflow._sweep import Brake

_log = logging.getLogger("grantflow")


class Timekeeping(ClientMode):
    """Verbs that move time. Every one of them is safe in any number of processes at once."""

    _brake: Brake
    _courier: Courier
    _due: DueWatch
    _beating: BeatRow | None

    async def sweep(
        self,
        *,
        limit: int | None = None,
        progress: _sweep.Progress | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> SweepReport:
        """Bring every timer that is due: attempts whose time is over, grants past their deadline.

        Source: S-29 … S-31.

        Runs in chunks of a few milliseconds between other writes; twice is once; never early. Apps that the brake
        holds are named in the report and wait for `ops.release_sweep`. `stop` is asked between chunks.
        """
        report = await _sweep.sweep(self._core, self._brake, limit=limit, progress=progress, stop=stop)
        self._due.earliest = None
        return report

    async def run_jobs(
        self,
        *,
        job: str | None = None,
        budget: timedelta | None = None,
        progress: _sweep.Progress | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> JobsReport:
        """Run the bulk jobs that wait, oldest first, or `job` alone; any process may, one at a time per job.

        A row and its outcome are one transaction. A process that falls silent loses its lease after
        `Settings.job_lease`, and the next call anywhere goes on where it stood.

        Args:
            budget: Stop after about so long; what is left waits for the next call.
            progress: Called with (rows done, rows in all) of the job at hand.
            stop: Asked between batches.
        """
        return await run_jobs(self._core, self._renewals, only=job, budget=budget, progress=progress, stop=stop)

    def now(self) -> datetime:
        """The time of the engine's clock."""
        return self._core.clock.now()

    async def next_due(self) -> datetime | None:
        """When the clock must next look, or None when nothing waits."""
        self._due.earliest = await self._core.store.next_due(None)
        return maybe_datetime(self._due.earliest)

    def on_due_earlier(self, callback: Callable[[datetime], None]) -> Callable[[], None]:
        """Call back when a write makes something due earlier than all known before.

        Writes of this process at once; on PostgreSQL those of other processes milliseconds later, as a hint that may
        get lost: whoever must not miss one asks `next_due` now and then.
        """
        return self._due.add(callback)

    def clock_skew(self) -> timedelta | None:
        """How far this machine's clock is ahead of the database server's, which the engine goes by.

        None where one clock is the measure: a file, or a clock that was passed to `Engine.open`. It is measured each
        minute; beyond one minute nothing is moved by time, `sweep`, `warn_due` and `forget` raise ClockSkewed.
        """
        return self._core.skew

    async def warn_due(self, *, limit: int = 1_000) -> int:
        """Queue the warnings and reminders that are due; returns how many. Source: S-29, S-33.

        Warnings go 30, 14, 7 and 1 days before a live grant ends, reminders 3, 7 and 30 days after it died, each
        with the guidance for whoever can act; those that were missed together come as one.
        """
        return await _warnings.warn_due(self._core, limit)

    async def next_warning(self) -> datetime | None:
        """When somebody is to be warned or reminded next; what is due already is not named."""
        return maybe_datetime(await self._core.store.next_warning(self._core.now()))

    async def next_renewal(self) -> datetime | None:
        """When an access token is to be renewed, or an incident probed, next; what is due already is not named."""
        return maybe_datetime(await self._core.store.next_refresh(self._core.now()))

    async def deliver_notices(self) -> int:
        """Deliver what waits for this process's subscribers, failed ones whose time has come included."""
        return await self._courier.deliver()

    async def forget(self) -> Forgotten:
        """Let go of what is kept no longer: sealed tokens of dead grants, delivered notices, old attempts.

        Nothing goes after a step of the clock until a sweep believed it, nor while the brake holds an app.
        """
        return await _upkeep.forget(self._core, self._brake)

    async def recount(self) -> int:
        """Correct the maintained counters where a recount differs; returns how many did: a defect, or damage."""
        wrong = await self._core.store.correct_counts()
        if wrong:
            _log.warning("%d counter(s) were wrong and are right again", wrong)
        return wrong

    async def beat(self, kind: str, note: str = "", *, lead: bool = False) -> bool:
        """Say that this process is at work, for consoles and `ops.diagnose`; call it every few seconds.

        With `lead` it asks to lead the schedulers of this database, and hears whether it does: on PostgreSQL one of
        them, until it has said nothing for 15 seconds or its clock is wrong; on a file all of them, asked or not.
        """
        now = self._core.now()
        if self._beating is None:
            self._beating = BeatRow(new_id(now), kind, socket.gethostname(), os.getpid(), now, now, note)
        self._beating.at, self._beating.note = now, note
        skew = self._core.skew
        trusted = skew is None or abs(skew) <= WRONG_CLOCK
        return await self._core.store.beat(self._beating, span(_upkeep.LEAD_FOR) if lead and trusted else 0)

    async def stop_beating(self) -> None:
        """Say that this process leaves."""
        if self._beating is not None:
            await self._core.store.stop_beating(self._beating.process)
            self._beating = None
