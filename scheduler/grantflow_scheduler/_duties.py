"""What a scheduler does, as a table: each duty is a verb of the engine, and the way to know when it is next due."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from grantflow import Engine, RenewalReport

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Duty:
    """One duty. The engine decides what is due; a duty only asks it."""

    name: str
    says: str
    work: Callable[[Engine, Stop], Awaitable[object]]
    at_least: timedelta = timedelta(0)
    """Its alarm rings after the scheduler's interval, but no more often than this; rows may pull it forward."""
    next_at: Callable[[Engine], Awaitable[datetime | None]] | None = None
    """When rows of the database next need it; None where only the interval tells."""
    led: bool = False
    """One process of many is enough: those that do not lead only see to it that it is done."""


async def _sweep(engine: Engine, stop: Stop) -> object:
    return await engine.sweep(stop=stop)


async def _renew(engine: Engine, stop: Stop) -> object:
    renewed = failed = died = 0
    while True:
        round_ = await engine.renew_due(limit=_BATCH)
        renewed, failed, died = renewed + round_.renewed, failed + round_.failed, died + round_.died
        if stop() or not round_.renewed + round_.died:  # what failed has its time to come
            return RenewalReport(renewed, failed, died, round_.held)


async def _warn(engine: Engine, stop: Stop) -> object:
    told = 0
    while not stop():
        more = await engine.warn_due(limit=_BATCH)
        if not more:
            break
        told += more
    return told


async def _deliver(engine: Engine, stop: Stop) -> object:
    del stop  # both keep what they have not delivered yet
    return await engine.deliver_notices(), await engine.deliver_revocations()


async def _tidy(engine: Engine, stop: Stop) -> object:
    gone = asdict(await engine.forget())
    return gone if stop() else {**gone, "recounted": await engine.recount()}


async def _jobs(engine: Engine, stop: Stop) -> object:
    return await engine.run_jobs(stop=stop)


_BATCH = 200
_MINUTE = timedelta(minutes=1)

EXPIRY = "expiry"
DUTIES = (
    Duty(EXPIRY, "sweep what is due", _sweep, next_at=Engine.next_due, led=True),
    Duty(
        "renewal", "renew access tokens ahead of time, probe incidents", _renew, next_at=Engine.next_renewal, led=True
    ),
    Duty("warnings", "warn before a grant ends, remind after", _warn, _MINUTE, Engine.next_warning, led=True),
    Duty("outbox", "deliver notices, give tokens back", _deliver),
    Duty("jobs", "run bulk jobs that wait", _jobs),
    Duty("housekeeping", "let go of what is kept no longer, recount", _tidy, timedelta(hours=1), led=True),
)
