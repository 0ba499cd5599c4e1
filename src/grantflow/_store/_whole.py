"""What is done with a database as a whole, whichever of the two it is; no engine is open meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from grantflow._database_model import Copied, Progress, Upgraded, UpgradePlan
from grantflow._store import _copy_sqlite, _drift, _upgrade, _upgrade_sqlite, is_sqlite
from grantflow._store._copy import Source, Target, copy
from grantflow._store._version import Stamp
from grantflow._store.sqlite import path_of
from grantflow_machines import Actor, Instant

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")


async def plan(url: str, timeout: float) -> UpgradePlan:
    """What an upgrade would do."""
    return await _asked(url, timeout, _upgrade.planned)


async def upgrade(
    url: str, timeout: float, actor: Actor, now: Instant, *, backup: bool, progress: Progress
) -> Upgraded:
    """Take every step that is left."""
    if is_sqlite(url):
        work = partial(_upgrade_sqlite.upgrade, path_of(url), timeout, actor, now, backup=backup, progress=progress)
        return await asyncio.to_thread(work)
    from grantflow._store import _upgrade_pg

    return await _upgrade_pg.upgrade(url, timeout, actor, now, progress=progress)


async def version(url: str, timeout: float) -> Stamp:
    """Which code wrote the database, and which may work on it."""
    return await _asked(url, timeout, _upgrade.version_of)


async def differences(url: str, timeout: float) -> list[str]:
    """What is not as this release has it: tables, and rows that belong to nothing."""
    return await _asked(url, timeout, lambda connection: [*_drift.drift(connection), *_drift.orphans(connection)])


async def copied(
    source: str, target: str, timeout: float, silent_since: Instant, *, restart: bool, progress: Progress
) -> Copied:
    """Bring everything from the one into the other."""
    async with _reading(source, timeout) as here, _writing(target, timeout) as there:
        await here.stamp()  # before anything is taken away from the target
        if restart:
            await there.forget()
        return await copy(here, there, progress, silent_since)


def _reading(url: str, timeout: float) -> AbstractAsyncContextManager[Source]:
    if is_sqlite(url):
        return _copy_sqlite.reading(path_of(url), timeout)
    from grantflow._store import _copy_pg

    return _copy_pg.reading(url, timeout)


def _writing(url: str, timeout: float) -> AbstractAsyncContextManager[Target]:
    if is_sqlite(url):
        return _copy_sqlite.writing(path_of(url), timeout)
    from grantflow._store import _copy_pg

    return _copy_pg.writing(url, timeout)


async def _asked(url: str, timeout: float, question: Callable[[Connection], T]) -> T:
    """A question to a connection as SQLAlchemy knows it; nothing is written."""
    if is_sqlite(url):
        return await asyncio.to_thread(_in_file, path_of(url), question)
    from grantflow._store import _upgrade_pg

    return await _upgrade_pg.run(url, timeout, question)


def _in_file(path: Path, question: Callable[[Connection], T]) -> T:
    with _upgrade_sqlite.reading(path) as connection:
        return question(connection)
