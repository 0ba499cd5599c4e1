"""The one module that knows APScheduler: interval jobs that only wake somebody, pulled forward to what is due."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler

_PREFIX = "grantflow."


class Alarms:
    """A few interval jobs in a memory job store; the rows are the schedule, a job only sets an event.

    A host's own scheduler is adopted as it is and never started, paused or shut down here.
    """

    def __init__(self, scheduler: Any | None = None) -> None:
        self._own = scheduler is None
        self._scheduler = AsyncIOScheduler(timezone=UTC) if scheduler is None else scheduler
        self._jobs: dict[str, tuple[str, Callable[[], None], timedelta]] = {}

    def start(self) -> None:
        """Start the scheduler when it is ours."""
        if self._own and not self._scheduler.running:
            self._scheduler.start()

    def add(self, name: str, says: str, wake: Callable[[], None], interval: timedelta, first: datetime) -> None:
        """Add one job, or set it anew: it rings at `first`, then after each interval."""
        self._jobs[name] = (says, wake, interval)

        async def ring() -> None:  # a coroutine: APScheduler runs plain functions in threads
            wake()

        self._scheduler.add_job(
            ring,
            "interval",
            seconds=interval.total_seconds(),
            id=_PREFIX + name,
            name=says,
            next_run_time=first,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
            replace_existing=True,
        )

    def pull_forward(self, name: str, when: datetime) -> None:
        """Ring at `when` instead of at the end of the interval; never later than before."""
        job = self._scheduler.get_job(_PREFIX + name)
        if job is not None and (job.next_run_time is None or when < job.next_run_time):
            with contextlib.suppress(JobLookupError):
                job.modify(next_run_time=when)

    def mend(self, now: datetime, patience: timedelta) -> list[str]:
        """Set every job anew that will not ring in time: gone, paused, left behind or too far ahead.

        Those that were not in order are named; whether they will ring now is the host's scheduler's business.
        """
        mended = []
        for name, (says, wake, interval) in self._jobs.items():
            job = self._scheduler.get_job(_PREFIX + name)
            rings = None if job is None else job.next_run_time
            if rings is None or not now - patience <= rings <= now + interval + patience:
                with contextlib.suppress(LookupError):  # the host took its job store away
                    self.add(name, says, wake, interval, now)
                mended.append(name)
        return mended

    def jobs(self) -> list[dict[str, str | None]]:
        """The jobs as they stand, for people."""
        found = (self._scheduler.get_job(_PREFIX + name) for name in self._jobs)
        return [
            {
                "id": job.id,
                "name": job.name,
                "trigger": str(job.trigger),
                "next_run_at": None if job.next_run_time is None else job.next_run_time.isoformat(),
            }
            for job in found
            if job is not None
        ]

    def stop(self) -> None:
        """Take the jobs away; shut the scheduler down when it is ours."""
        for name in self._jobs:
            with contextlib.suppress(JobLookupError):
                self._scheduler.remove_job(_PREFIX + name)
        self._jobs.clear()
        if self._own and self._scheduler.running:
            self._scheduler.shutdown(wait=False)
