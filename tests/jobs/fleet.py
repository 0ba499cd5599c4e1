"""A fleet for bulk work: account-level installations, one per account, on a real SQLite file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from grantflow import Actor, BulkPlan, Engine, Job, Settings
from grantflow.testing import ManualClock, sample_app

OLGA, SYSTEM = Actor.operator("olga"), Actor.system()
REASON = "a drill with many rows"
APP, EVERY = "account-app", "app:account-app"
FILTER = f"{EVERY} sort:account"
START = datetime(2025, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=30)


def opened(file: Path, later: timedelta = timedelta(0), **settings: Any) -> Any:
    """An engine whose clock stands, some time after the start."""
    chosen = Settings(job_lease=LEASE, **settings.pop("settings", {}))
    return Engine.open(f"sqlite:///{file}", clock=ManualClock(START + later), settings=chosen, **settings)


async def filled(engine: Engine, size: int, *, first: int = 0) -> list[str]:
    """Unauthorized installations on accounts a00000, a00001, …; their ids in that order."""
    await engine.apps.register(sample_app("account"))
    made: list[str] = []
    for start in range(first, first + size, 200):
        accounts = [f"a{number:05}" for number in range(start, min(start + 200, first + size))]
        there = await asyncio.gather(*(engine.install(APP, account=one, actor=SYSTEM) for one in accounts))
        made += [item.id for item in there]
    return made


async def plan_of(engine: Engine, verb: str = "suspend", filter: str = FILTER, **more: Any) -> BulkPlan:  # noqa: A002 - the field's word
    return await engine.ops.preview_bulk(filter, verb, actor=OLGA, reason=REASON, **more)


async def started(engine: Engine, verb: str = "suspend", filter: str = FILTER, **more: Any) -> Job:  # noqa: A002 - the field's word
    return await engine.ops.start_bulk(await plan_of(engine, verb, filter, **more))


def rows(file: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    """What a statement finds, past the engine."""
    with closing(sqlite3.connect(file)) as conn, conn:
        return conn.execute(query, values).fetchall()


def transitions(file: Path, event: str) -> dict[str, int]:
    """Installation → how often the event is in its trail."""
    return dict(
        rows(
            file,
            "SELECT i.public_id, count(*) FROM grantflow_transition t JOIN grantflow_installation i "
            "ON i.pk = t.installation_pk WHERE t.event = ? GROUP BY 1",
            event,
        )
    )


def after_rows(number: int, then: Callable[[], None]) -> Callable[[int, int], None]:
    """A progress callback that does something once so many rows are done."""
    done = False

    def progress(seen: int, _: int) -> None:
        nonlocal done
        if seen >= number and not done:
            done = True
            then()

    return progress
