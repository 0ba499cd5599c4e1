"""A database as a whole: brought to the schema of this release, looked through, and copied to another server."""

from __future__ import annotations

from collections.abc import Mapping

from grantflow._clock import SystemClock, span, to_instant
from grantflow._config import Settings
from grantflow._database_model import Copied, DatabaseReport, Progress, Upgraded, UpgradePlan
from grantflow._engine import Engine
from grantflow._ports import Clock
from grantflow._upkeep import SILENT_AFTER
from grantflow.errors import SchemaOutdated, SchemaTooNew
from grantflow_machines import Actor, Instant, LifecycleChart

_BOUND = 20
"""Rows that are named for each promise that is broken."""


async def plan_upgrade(database: str, *, settings: Settings | None = None) -> UpgradePlan:
    """What `upgrade_database` would do; nothing is written.

    Raises:
        SchemaMismatch: nobody knows which schema it is, or no way leads from it.
        NotFound: there is no such file.
        DatabaseError: it cannot be read.
    """
    from grantflow._store import _whole

    return await _whole.plan(database, _patience(settings))


async def upgrade_database(
    database: str,
    *,
    actor: Actor,
    backup: bool = True,
    progress: Progress | None = None,
    settings: Settings | None = None,
    clock: Clock | None = None,
) -> Upgraded:
    """Bring a database to the schema of this release; one that has it already is left as it is.

    A SQLite file is upgraded in one transaction, and `backup` puts a copy of it beside it first. On PostgreSQL each
    step is a transaction, and an upgrade that was stopped goes on when it is called again. Every step leaves a line
    in the audit under the name of `actor`.

    Args:
        database: The URL, as for `Engine.open`.
        actor: Who is recorded; whoever may alter the tables may do this.
        backup: SQLite alone.
        progress: (what, done, of how much), called from another thread.
        settings: How long a lock is waited for.
        clock: Where the audit's time comes from.

    Raises:
        SchemaMismatch: nobody knows which schema it is, or no way leads from it.
        DatabaseBusy: another upgrade is at work, or somebody else writes for too long.
        NotFound: there is no such file.
        DatabaseError: it cannot be written; nothing of the step at hand was.
    """
    from grantflow._store import _whole

    return await _whole.upgrade(
        database, _patience(settings), actor, _now(clock), backup=backup, progress=progress or _silent
    )


async def check_database(
    database: str,
    *,
    settings: Settings | None = None,
    charts: Mapping[str, type[LifecycleChart]] | None = None,
) -> DatabaseReport:
    """Everything that can be looked at in a database; it is read whole, and nothing is written.

    The version, the tables against those of this release, damage, rows that belong to nothing, what the charts
    promise, and the counters. A database of another version is looked at no further.

    Raises:
        SchemaMismatch: nobody knows which schema it is.
        NotFound: there is no such file.
        DatabaseError: it cannot be read.
    """
    from grantflow._store import _names, _whole

    found = await _whole.version(database, _patience(settings))
    needs = _names.SCHEMA_VERSION
    try:
        async with Engine.open(database, settings=settings, charts=charts) as engine:
            checked = await engine.ops.check_database()
            problems = [*checked.problems, *await engine.ops.broken_promises(limit=_BOUND)]
    except (SchemaOutdated, SchemaTooNew) as error:
        problem = f"{error}: {error.hint}"
        return DatabaseReport(found.version, needs, found.compatible_from, {}, (problem,))
    if found.version == needs:
        problems += await _whole.differences(database, _patience(settings))
    return DatabaseReport(found.version, needs, found.compatible_from, checked.pragmas, tuple(problems))


async def copy_database(
    source: str,
    target: str,
    *,
    restart: bool = False,
    progress: Progress | None = None,
    settings: Settings | None = None,
    clock: Clock | None = None,
) -> Copied:
    """Bring a whole database into an empty one, from a SQLite file to PostgreSQL or any other way round.

    Rows keep their keys, public ids and history; sealed tokens open under the same key ring. Nobody can write to the
    source meanwhile. A copy that was stopped goes on where it was when it is called again; until both sides were
    compared, no engine opens the target.

    Args:
        source: The URL, as for `Engine.open`, of a database with the schema of this release.
        target: The URL of an empty database, or of a copy of this source that was not finished.
        restart: Let go of an unfinished copy in the target first.
        progress: (what, done, of how much).
        settings: How long a lock is waited for.
        clock: Who was heard of within a minute is counted by it.

    Raises:
        CopyRefused: the target holds something else, the source is at work, or the sides differ.
        SchemaMismatch: the source has not the schema of this release.
        NotFound: the source is not there.
        DatabaseError: one of them cannot be used.
    """
    from grantflow._store import _whole

    silent_since = _now(clock) - span(SILENT_AFTER)
    return await _whole.copied(
        source, target, _patience(settings), silent_since, restart=restart, progress=progress or _silent
    )


def _patience(settings: Settings | None) -> float:
    return (settings or Settings()).busy_timeout.total_seconds()


def _now(clock: Clock | None) -> Instant:
    return to_instant((clock or SystemClock()).now())


def _silent(what: str, done: int, whole: int) -> None:
    """Nobody listens."""
