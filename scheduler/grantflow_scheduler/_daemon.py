"""The daemon behind `grantflow scheduler run`."""

from __future__ import annotations

import asyncio
import logging
import signal
from datetime import timedelta

from grantflow import Engine, KeyRing, SweepReport
from grantflow_scheduler._bulk import running_jobs
from grantflow_scheduler._expiry import ExpiryScheduler

_log = logging.getLogger("grantflow.scheduler")


def run_forever(database_url: str, *, interval: float = 30.0) -> int:
    """Sweep a database and run its bulk jobs until SIGINT or SIGTERM; returns the exit code.

    `interval` in seconds.
    """
    return asyncio.run(_run(database_url, timedelta(seconds=interval)))


async def _run(database_url: str, interval: timedelta) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with (
        Engine.open(database_url, keys=KeyRing.from_env()) as engine,
        ExpiryScheduler(engine, interval=interval, on_sweep=_tell),
        running_jobs(engine, interval),
    ):
        _log.info("sweeping every %s at the latest", interval)
        await stop.wait()
    return 0


def _tell(report: SweepReport) -> None:
    _log.info(
        "swept %d row(s): %d moved, %d attempt(s) closed, %d app(s) held",
        report.seen,
        report.moved,
        report.attempts_closed,
        len(report.held),
    )


async def describe_jobs(
    engine: Engine, *, interval: timedelta = timedelta(seconds=30)
) -> list[dict[str, str | None]]:
    """The jobs a scheduler of this engine would run, and when the next due row wakes it."""
    upcoming = await engine.next_due()
    return [
        {
            "id": "grantflow.expiry",
            "name": "sweep what is due",
            "trigger": f"interval[{interval}], pulled forward to the next due time",
            "next_due_at": None if upcoming is None else upcoming.isoformat(),
        },
        {"id": "grantflow.jobs", "name": "run bulk jobs", "trigger": f"interval[{interval}]", "next_due_at": None},
    ]
