"""The one module that knows APScheduler: an interval job that only wakes, pulled forward to the next due time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.schedulers.asyncio import AsyncIOScheduler

JOB_ID = "grantflow.expiry"


class Alarm:
    """An interval job in a memory job store; the rows are the schedule, the job only sets an event.

    A host's own scheduler is adopted as it is and never started, paused or shut down here.
    """

    def __init__(self, wake: Callable[[], None], interval: timedelta, scheduler: Any | None = None) -> None:
        self._wake = wake
        self._interval = interval
        self._own = scheduler is None
        self._scheduler = AsyncIOScheduler(timezone=UTC) if scheduler is None else scheduler

    async def _ring(self) -> None:
        self._wake()

    def start(self, first: datetime) -> None:
        """Add the job, first run at `first`; start the scheduler when it is ours."""
        self._scheduler.add_job(
            self._ring,
            "interval",
            seconds=self._interval.total_seconds(),
            id=JOB_ID,
            name="sweep what is due",
            next_run_time=first,
            misfire_grace_time=None,
            coalesce=True,
            max_instances=1,
            replace_existing=True,
        )
        if self._own and not self._scheduler.running:
            self._scheduler.start()

    def pull_forward(self, when: datetime) -> None:
        """Ring at `when` instead of at the end of the interval; never later than before."""
        job = self._scheduler.get_job(JOB_ID)
        if job is not None and (job.next_run_time is None or when < job.next_run_time):
            job.modify(next_run_time=when)

    def next_run(self) -> datetime | None:
        """When it rings next."""
        job = self._scheduler.get_job(JOB_ID)
        found: datetime | None = None if job is None else job.next_run_time
        return found

    def jobs(self) -> list[dict[str, str | None]]:
        """The job as it stands, for people."""
        job = self._scheduler.get_job(JOB_ID)
        if job is None:
            return []
        upcoming = job.next_run_time
        return [
            {
                "id": job.id,
                "name": job.name,
                "trigger": str(job.trigger),
                "next_run_at": None if upcoming is None else upcoming.isoformat(),
            }
        ]

    def stop(self) -> None:
        """Take the job away; shut the scheduler down when it is ours."""
        if self._scheduler.get_job(JOB_ID) is not None:
            self._scheduler.remove_job(JOB_ID)
        if self._own and self._scheduler.running:
            self._scheduler.shutdown(wait=False)
