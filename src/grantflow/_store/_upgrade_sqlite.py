"""Upgrading a SQLite file: a copy of it beside it first, then every step in one transaction."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from sqlalchemy import create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from grantflow._database_model import Progress, Upgraded
from grantflow._store import _upgrade
from grantflow._store._errors import translated
from grantflow._store._lock import sole_writer
from grantflow.errors import DatabaseError, NotFound
from grantflow_machines import Actor, Instant

if TYPE_CHECKING:
    from sqlalchemy import Connection

_PATIENCE = 10.0
_PAGES = 2_000
"""Pages that are copied into the backup at once."""


def upgrade(path: Path, timeout: float, actor: Actor, now: Instant, *, backup: bool, progress: Progress) -> Upgraded:
    """All steps or none; whoever writes meanwhile waits, and finds the new schema."""
    with _writing(path, timeout) as connection:
        told = _upgrade.planned(connection)
        _, steps = _upgrade.ahead(connection)
        copy = _backed_up(path, told.version, progress) if backup and steps else None
        for number, step in enumerate(steps):
            progress(step.doc, number, len(steps))
            _upgrade.take(connection, step, actor, now)
    return Upgraded(told.version, told.target, told.steps, copy)


@contextmanager
def reading(path: Path) -> Iterator[Connection]:
    """One transaction that only reads."""
    there(path)
    uri = f"file:{quote(str(path))}?mode=ro"
    with _connection(uri, _PATIENCE, "BEGIN") as connection, connection.begin():
        yield connection


@contextmanager
def _writing(path: Path, timeout: float) -> Iterator[Connection]:
    """One transaction under the lock that all writers hold; committed when the block ends."""
    there(path)
    uri = f"file:{quote(str(path))}?mode=rw"
    with (
        sole_writer(path, timeout),
        _connection(uri, timeout, "BEGIN IMMEDIATE") as connection,
        connection.begin(),
    ):
        yield connection


def there(path: Path) -> None:
    """Refuse a file that is not there: nothing here makes one."""
    if not path.exists():
        msg = f"there is no database at {path.name}"
        raise NotFound(msg)


@contextmanager
def _connection(uri: str, timeout: float, begin: str) -> Iterator[Connection]:
    """A connection whose transactions begin by our own word: the driver would begin none before DDL."""

    def opened() -> sqlite3.Connection:
        made = sqlite3.connect(uri, uri=True, timeout=timeout, isolation_level=None)
        made.execute("PRAGMA synchronous=FULL")
        return made

    engine = create_engine("sqlite://", creator=opened, poolclass=NullPool, hide_parameters=True)

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise translated(error.orig) from error
        raise
    except sqlite3.Error as error:
        raise translated(error) from error
    finally:
        engine.dispose()


def _backed_up(path: Path, version: int, progress: Progress) -> str:
    """The last committed state in a file of its own; a backup that was not finished never has the name of one."""
    target = _free(path, version)
    part = target.with_name(target.name + ".part")
    for left in path.parent.glob(f"{part.name}*"):  # of a run that was killed, its journal too
        left.unlink()
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, path.stat().st_mode & 0o777))
        with (
            closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(part)) as copy,
        ):
            source.backup(copy, pages=_PAGES, progress=lambda _, left, all_: progress("backup", all_ - left, all_))
        _to_disk(part)
        part.replace(target)
        _to_disk(target.parent)
    except OSError as error:
        msg = f"the backup {target.name} cannot be written: {error.strerror}"
        raise DatabaseError(msg, hint="free some space beside the file, or --no-backup") from error
    return str(target)


def _free(path: Path, version: int) -> Path:
    first = path.with_name(f"{path.name}.schema-{version}.backup")
    number, name = 1, first
    while name.exists():
        number += 1
        name = first.with_name(f"{first.name}-{number}")
    return name


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
