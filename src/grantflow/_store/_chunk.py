"""One chunk of a sweep: due rows are read by the slice, each is decided by itself, all are written in one commit."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grantflow._ports import ChunkDone, Work
from grantflow._store import _reading, _writing
from grantflow._store import _statements as sql
from grantflow._store._connection import Connection, Counts, Job
from grantflow._store._tolerant import tolerant
from grantflow.errors import GrantflowError, Quarantined
from grantflow_machines import Instant

_SLICE = 32
"""Rows that one statement reads; what the budget leaves of them is read again by the next chunk."""
_LONG_CHUNK = 500
"""Rows of a chunk that may go on beyond its budget while nobody waits."""
_UNREADABLE = ("JSON", "malformed JSON")
"""How SQLite begins to speak of a row that it cannot put together, rather than of the database."""
Row = tuple[Any, ...] | str | None
"""A joined row, why it cannot be put together, or nothing: it is not due any more."""


def chunk_job(pks: Sequence[int], now: Instant, work: Work, budget: float, undisturbed: Callable[[], bool]) -> Job:
    """What the writer runs for Store.sweep_chunk."""
    careful = False

    def job(conn: sqlite3.Connection, counts: Counts) -> ChunkDone:
        nonlocal careful
        one_by_one, careful = careful, True  # run again by the writer: something of this batch could not be written
        until = time.perf_counter() + budget
        done, taken = ChunkDone([], 0, 0, pks), 0
        for pk, row in _ahead(conn, pks, now):
            over = taken and time.perf_counter() > until
            if over and (taken >= _LONG_CHUNK or not undisturbed()):
                break
            taken += 1
            decide(conn, pk, row, now, work, done)
        done.left = pks[taken:]
        return written(conn, done, counts, now, one_by_one=one_by_one)

    return job


def written(conn: Connection, done: ChunkDone, counts: Counts, now: Instant, *, one_by_one: bool) -> ChunkDone:
    """Write what was decided, all at once or each behind a savepoint."""
    if one_by_one:
        changes = _writing.write_each(conn, done.changes, counts, now)
        done.quarantined += len(done.changes) - len(changes)
        done.changes = changes
    else:
        _writing.write_chunk(conn, done.changes, counts)
    return done


def decide(conn: Connection, pk: int, row: Row, now: Instant, work: Work, done: ChunkDone) -> None:
    """Decide one row; what cannot be understood is set aside."""
    try:
        if isinstance(row, str):
            raise Quarantined(row)
        found = _reading.snapshot_of(row)
        if found is None:
            done.skipped += 1
        else:
            done.changes.append(work(found))
    except Quarantined as error:
        _writing.quarantine(conn, pk, str(error), now)
        done.quarantined += 1
    except GrantflowError:
        done.skipped += 1
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        _writing.quarantine(conn, pk, _unreadable(error), now)
        done.quarantined += 1


def _ahead(conn: sqlite3.Connection, pks: Sequence[int], now: Instant) -> Iterator[tuple[int, Row]]:
    for start in range(0, len(pks), _SLICE):
        some = pks[start : start + _SLICE]
        rows = _due(conn, some, now)
        yield from ((pk, rows.get(pk)) for pk in some)


def _due(conn: sqlite3.Connection, pks: Sequence[int], now: Instant) -> dict[int, Row]:
    """The joined rows that are still due, or why one of them cannot be put together; it spoils no other."""
    try:
        return tolerant(conn, _read, json.dumps(pks), now)
    except sqlite3.OperationalError as error:
        if not str(error).startswith(_UNREADABLE):
            raise
        if len(pks) == 1:
            return {pks[0]: _unreadable(error)}
    return {pk: row for one in pks for pk, row in _due(conn, [one], now).items()}


def _read(conn: sqlite3.Connection, keys: str, now: Instant) -> dict[int, Row]:
    return {row[0]: row for row in conn.execute(sql.SNAPSHOT_DUE, (None, keys, now))}


def _unreadable(error: Exception) -> str:
    return f"the row cannot be read: {error}"[:200]
