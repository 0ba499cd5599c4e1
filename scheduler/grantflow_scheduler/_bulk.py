"""Runs the bulk jobs that operators started: the rows are the queue, and the engine's lease says whose turn it is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from grantflow import Engine, GrantflowError

_log = logging.getLogger("grantflow.scheduler")


@asynccontextmanager
async def running_jobs(engine: Engine, interval: timedelta) -> AsyncIterator[None]:
    """Look for waiting jobs every so often while the block runs; at its end the job at hand is given back."""
    task = asyncio.create_task(_forever(engine, interval), name="grantflow-jobs")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _forever(engine: Engine, interval: timedelta) -> None:
    while True:
        try:
            report = await engine.run_jobs()
        except GrantflowError as error:
            _log.warning("bulk jobs stopped (%s); they are tried again", error.code)
        except Exception:  # noqa: BLE001 - logged, and the next look must come whatever happened
            _log.exception("bulk jobs stopped unexpectedly; they are tried again")
        else:
            if report.jobs:
                done = report.applied + report.refused + report.outdated + report.failed
                _log.info("%d row(s) of %d bulk job(s), %d applied", done, len(report.jobs), report.applied)
        await asyncio.sleep(interval.total_seconds())
