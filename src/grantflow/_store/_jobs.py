"""Bulk jobs and their rows: statements and plain functions over a connection."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from grantflow._job_rows import RUNNABLE, JobItemRow, JobOutcome, JobRow, JobState
from grantflow._store import _names
from grantflow._store._connection import Connection
from grantflow._store._statements import columns
from grantflow.errors import Conflict

_JOB, _ITEM = _names.JOB, _names.JOB_ITEM
_JOB_COLUMNS, _ITEM_COLUMNS = columns(JobRow), columns(JobItemRow)
_WRITTEN = _JOB_COLUMNS[1:]
_CHANGES = _JOB_COLUMNS[_JOB_COLUMNS.index("state") :]
_job_values, _job_changes = attrgetter(*_WRITTEN), attrgetter(*_CHANGES)
_item_values = attrgetter(*_ITEM_COLUMNS)

_INSERT_JOB = f"INSERT INTO {_JOB} ({', '.join(_WRITTEN)}) VALUES ({', '.join('?' * len(_WRITTEN))})"
_UPDATE_JOB = f"UPDATE {_JOB} SET {', '.join(f'{name}=?' for name in _CHANGES)} WHERE pk=? AND revision=?"
"""Compare-and-swap: the revision seen is the last parameter."""
_INSERT_ITEM = f"INSERT INTO {_ITEM} ({', '.join(_ITEM_COLUMNS)}) VALUES ({', '.join('?' * len(_ITEM_COLUMNS))})"
_SETTLE_ITEM = (
    f"UPDATE {_ITEM} SET outcome=?, detail=?, at=? WHERE job_pk=? AND ordinal=? "
    f"AND outcome='{JobOutcome.PENDING.value}'"
)
_SELECT_JOB = f"SELECT {', '.join(_JOB_COLUMNS)} FROM {_JOB} WHERE public_id=?"
_SELECT_ITEM = f"SELECT {', '.join(_ITEM_COLUMNS)} FROM {_ITEM} WHERE job_pk=? AND ordinal=?"
JOBS = (
    f"SELECT {', '.join(_JOB_COLUMNS)} FROM {_JOB} "
    f"WHERE ?1 IS NULL OR pk < (SELECT pk FROM {_JOB} WHERE public_id=?1) ORDER BY pk DESC LIMIT ?2"
)
_TAKEN = ", ".join(f"'{state.value}'" for state in (*RUNNABLE, JobState.PREPARING))
TO_TAKE = (
    f"SELECT public_id FROM {_JOB} WHERE state IN ({_TAKEN}) "
    "AND (lease_until IS NULL OR lease_until <= ?) ORDER BY pk"
)
_ITEMS = f"SELECT {', '.join(_ITEM_COLUMNS)} FROM {_ITEM} WHERE job_pk=? AND ordinal>? ORDER BY ordinal LIMIT ?"
_ITEMS_WITH = (
    f"SELECT {', '.join(_ITEM_COLUMNS)} FROM {_ITEM} WHERE job_pk=? AND outcome=? AND ordinal>? "
    "ORDER BY ordinal LIMIT ?"
)


def load(conn: Connection, name: str, ordinal: int | None) -> tuple[JobRow | None, JobItemRow | None]:
    """A job, and the one row of it that was asked for."""
    row = conn.execute(_SELECT_JOB, (name,)).fetchone()
    if row is None or ordinal is None:
        return (None if row is None else JobRow(*row)), None
    job = JobRow(*row)
    item = conn.execute(_SELECT_ITEM, (job.pk, ordinal)).fetchone()
    return job, None if item is None else JobItemRow(*item)


def items(conn: Connection, job_pk: int, outcome: str | None, after: int, limit: int) -> list[JobItemRow]:
    """See Store.job_items."""
    text, values = (_ITEMS, (job_pk, after)) if outcome is None else (_ITEMS_WITH, (job_pk, outcome, after))
    return [JobItemRow(*row) for row in conn.execute(text, (*values, limit))]


def write(conn: Connection, job: JobRow, new: Sequence[JobItemRow], item: JobItemRow | None) -> None:
    """Write a job with what belongs to it; raises Conflict where another writer came first."""
    if job.pk:
        if conn.execute(_UPDATE_JOB, (*_job_changes(job), job.pk, job.revision - 1)).rowcount != 1:
            raise Conflict
    else:
        made = conn.execute(_INSERT_JOB, _job_values(job))
        assert made.lastrowid is not None
        job.pk = made.lastrowid
    if new:
        for one in new:
            one.job_pk = job.pk
        conn.executemany(_INSERT_ITEM, [_item_values(one) for one in new])
    if item is not None:
        settled = (item.outcome, item.detail, item.at, item.job_pk, item.ordinal)
        if conn.execute(_SETTLE_ITEM, settled).rowcount != 1:
            raise Conflict
