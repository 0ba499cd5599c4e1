"""The daemon behind `grantflow scheduler run`."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from datetime import datetime, timedelta

from grantflow import Engine, KeyRing, SweepReport, charts_from_env
from grantflow.errors import BadInput
from grantflow_scheduler._duties import DUTIES
from grantflow_scheduler._scheduler import Scheduler

_log = logging.getLogger("grantflow.scheduler")


def run_forever(database_url: str, *, interval: float = 30.0) -> int:
    """Move time for a database until SIGINT or SIGTERM; returns the exit code. `interval` in seconds."""
    return asyncio.run(_run(database_url, timedelta(seconds=interval)))


async def _run(database_url: str, interval: timedelta) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with (
        Engine.open(database_url, keys=KeyRing.from_env(), charts=charts_from_env()) as engine,
        Scheduler(engine, interval=interval, on_sweep=_tell),
    ):
        gc.collect()
        gc.freeze()  # what is loaded stays: a collection that looks at it again stops everything for 50 ms
        _log.info("at work, sweeping every %s at the latest", interval)
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
) -> list[dict[str, str | float | None]]:
    """The jobs a scheduler of this engine would run: each how often in seconds, and when the rows next need it."""

    def shown(moment: datetime | None) -> str | None:
        return None if moment is None else moment.isoformat()

    return [
        {
            "id": f"grantflow.{duty.name}",
            "name": duty.says,
            "every": max(interval, duty.at_least).total_seconds(),
            "next_due_at": None if duty.next_at is None else shown(await duty.next_at(engine)),
        }
        for duty in DUTIES
    ]


async def run_duty(engine: Engine, duty: str) -> object:
    """One round of one duty in this process, for the command line; raises BadInput for another name."""
    for known in DUTIES:
        if known.name == duty:
            return await known.work(engine, lambda: False)
    msg = f"no duty is called {duty[:40]!r}"
    raise BadInput(msg, hint=f"one of {', '.join(known.name for known in DUTIES)}")
