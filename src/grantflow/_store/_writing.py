"""Changes into rows: plain functions over the writing connection, inside its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from grantflow._ports import Reseal
from grantflow._rows import Change, InstallationRow, QuarantineRow
from grantflow._store import _jobs
from grantflow._store import _statements as sql
from grantflow._store._connection import Connection, Counts, Cursor, RowRefused
from grantflow._store._tolerant import tolerant
from grantflow.errors import Conflict


def write(conn: Connection, change: Change, counts: Counts) -> None:
    """Carry out one change; counters are added up for the whole commit."""
    if change.app is not None:
        _put(conn, change.app, sql.INSERT_APP, sql.UPDATE_APP)
    if change.parent is not None:
        _put(conn, change.parent, sql.INSERT_PARENT, sql.UPDATE_PARENT)
    if change.installation is not None and (change.transitions or change.touched):
        _installation(conn, change, change.installation, counts)
    for attempt in change.new_attempts:
        attempt.pk = _inserted(conn.execute(sql.INSERT_ATTEMPT.sql, sql.INSERT_ATTEMPT.values(attempt)))
    if change.changed_attempts:
        _many(conn, sql.UPDATE_ATTEMPT, change.changed_attempts)
    if change.transitions:
        _many(conn, sql.INSERT_TRANSITION, change.transitions)
    if change.installation is not None:
        _grant(conn, change, change.installation)
    if change.drop_credential is not None:
        conn.execute(sql.DROP_CREDENTIAL, (change.drop_credential,))
    if change.notices:
        _many(conn, sql.INSERT_OUTBOX, change.notices)
    for revocation in change.revocations:
        _put(conn, revocation, sql.INSERT_REVOCATION, sql.UPDATE_REVOCATION)
    if change.incident is not None:
        _put(conn, change.incident, sql.INSERT_INCIDENT, sql.UPDATE_INCIDENT)
    _of_the_operation(conn, change)
    if change.action is not None:
        conn.execute(sql.INSERT_ACTION.sql, sql.INSERT_ACTION.values(change.action))


def _of_the_operation(conn: Connection, change: Change) -> None:
    if change.job is not None:
        _jobs.write(conn, change.job, change.new_items, change.item)
    if change.set_controls or change.drop_controls:
        conn.executemany(sql.DROP_CONTROL, [(name,) for name in change.drop_controls])
        conn.executemany(sql.SET_CONTROL.sql, [sql.SET_CONTROL.values(row) for row in change.set_controls])


def _many(conn: Connection, statement: sql.Statement, rows: list[Any]) -> None:
    if len(rows) == 1:
        conn.execute(statement.sql, statement.values(rows[0]))
    else:
        conn.executemany(statement.sql, [statement.values(row) for row in rows])


def _put(conn: Connection, row: Any, insert: sql.Statement, update: sql.Statement) -> None:
    if row.pk:
        conn.execute(update.sql, update.values(row))
    else:
        row.pk = _inserted(conn.execute(insert.sql, insert.values(row)))


def _inserted(cursor: Cursor) -> int:
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def _installation(conn: Connection, change: Change, row: InstallationRow, counts: Counts) -> None:
    if change.expected_version is None:
        row.pk = _inserted(conn.execute(sql.INSERT_INSTALLATION.sql, sql.INSERT_INSTALLATION.values(row)))
        for attempt in (*change.new_attempts, *change.changed_attempts):
            attempt.installation_pk = row.pk
        for transition in change.transitions:
            transition.installation_pk = row.pk
        for notice in change.notices:
            notice.installation_pk = row.pk
        for revocation in change.revocations:
            revocation.installation_pk = row.pk
    else:
        update = sql.UPDATE_INSTALLATION if change.whole or change.touched else sql.MOVE_INSTALLATION
        values = (*update.values(row), change.expected_version)
        if conn.execute(update.sql, values).rowcount != 1:
            raise Conflict
    if change.before != row.state:
        counts[row.app_pk, row.state] += 1
        if change.before is not None:
            counts[row.app_pk, change.before] -= 1


def _grant(conn: Connection, change: Change, row: InstallationRow) -> None:
    for consent in change.consents:
        conn.execute(sql.INSERT_CONSENT.sql, sql.INSERT_CONSENT.values(consent))
    if change.void_consents:
        subject = (row.app_pk, row.account, row.subject_kind, row.subject_id)
        conn.execute(sql.VOID_CONSENTS, (row.updated_at, *subject))
    if change.wipe_tokens:
        conn.execute(sql.WIPE_CREDENTIALS, (row.pk,))
        if change.tokens is None:
            conn.execute(sql.WIPE_TOKENS, (row.pk,))
    if change.spent_credential is not None:
        spent = conn.execute(sql.SPEND_CREDENTIAL, (row.updated_at, change.spent_credential))
        if spent.rowcount != 1:
            raise Conflict
    if change.drop_access_before is not None:
        conn.execute(sql.DROP_ACCESS, (row.pk, change.drop_access_before))
    if change.leaves_quarantine:
        conn.execute(sql.LEAVE_QUARANTINE, (row.pk,))
    if change.stop_renewal:
        conn.execute(sql.STOP_RENEWAL, (row.pk,))
    if change.tokens is not None:
        change.tokens.installation_pk = row.pk
        conn.execute(sql.REPLACE_TOKENS.sql, sql.REPLACE_TOKENS.values(change.tokens))
    for credential in change.new_credentials:
        credential.installation_pk = row.pk
        conn.execute(sql.INSERT_CREDENTIAL.sql, sql.INSERT_CREDENTIAL.values(credential))


def write_chunk(conn: Connection, changes: list[Change], counts: Counts) -> None:
    """Many plain moves at once: compare-and-swap, transitions and notices by executemany."""
    plain = [change for change in changes if _is_plain(change)]
    for change in changes:
        if not _is_plain(change):
            write(conn, change, counts)
    if not plain:
        return
    values = [(*sql.MOVE_INSTALLATION.values(change.installation), change.expected_version) for change in plain]
    if conn.executemany(sql.MOVE_INSTALLATION.sql, values).rowcount != len(plain):
        raise Conflict
    _many(conn, sql.INSERT_TRANSITION, _flat(change.transitions for change in plain))
    ended = [(change.installation.pk,) for change in plain if change.stop_renewal and change.installation]
    if ended:
        conn.executemany(sql.STOP_RENEWAL, ended)
    attempts = _flat(change.changed_attempts for change in plain)
    if attempts:
        _many(conn, sql.UPDATE_ATTEMPT, attempts)
    notices = _flat(change.notices for change in plain)
    if notices:
        _many(conn, sql.INSERT_OUTBOX, notices)
    for change in plain:
        row = change.installation
        assert row is not None
        if change.before is not None and change.before != row.state:
            counts[row.app_pk, row.state] += 1
            counts[row.app_pk, change.before] -= 1


def write_each(conn: Connection, changes: list[Change], counts: Counts, now: int) -> list[Change]:
    """Row by row: one that the database refuses is set aside; returns those that were written."""
    written = []
    for change in changes:
        made: Counts = Counts()
        conn.execute("SAVEPOINT one")
        try:
            write(conn, change, made)
        except (sqlite3.IntegrityError, RowRefused, Conflict) as error:
            conn.execute("ROLLBACK TO one")
            assert change.installation is not None
            quarantine(conn, change.installation.pk, f"the row cannot be written: {error}"[:200], now)
        else:
            counts.update(made)
            written.append(change)
        conn.execute("RELEASE one")
    return written


def _flat(groups: Iterable[list[Any]]) -> list[Any]:
    return [row for group in groups for row in group]


def _is_plain(change: Change) -> bool:
    return (
        change.installation is not None
        and change.expected_version is not None
        and not change.wipe_tokens
        and not change.void_consents
        and not change.new_attempts
        and not change.consents
        and change.tokens is None
        and not change.whole
        and not change.touched
        and not change.revocations
        and change.incident is None
    )


def flush_counts(conn: Connection, counts: Counts, slot: int = 0) -> None:
    """Write the counters of one commit, in one order for everybody."""
    moved = [(app_pk, state, slot, n) for (app_pk, state), n in sorted(counts.items()) if n]
    if moved:
        conn.executemany(sql.ADD_COUNT, moved)


def quarantine(conn: Connection, pk: int, reason: str, now: int) -> None:
    """Set a row aside; its original text is kept once."""
    original = tolerant(conn, lambda conn: conn.execute(sql.RAW_INSTALLATION, (pk,)).fetchone())
    row = QuarantineRow(pk, reason.encode(errors="replace").decode(), now, repr(original))
    conn.execute(sql.INSERT_QUARANTINE.sql, sql.INSERT_QUARANTINE.values(row))
    conn.execute(sql.MARK_QUARANTINED, (pk,))


def reseal(conn: Connection, changes: Sequence[Reseal], now: int) -> list[Reseal]:
    """Swap sealed values that still are what they were; returns the changes that found another value."""
    lost = []
    for change in changes:
        where, same = (change.table, change.column), (change.pk, change.old)
        if change.new is not None:
            found = conn.execute(sql.RESEAL[where], (change.new, *same)).rowcount == 1
        else:
            found = conn.execute(sql.UNCHANGED[where], same).fetchone() is not None
            if found:
                quarantine(conn, change.pk, change.reason, now)
        if not found:
            lost.append(change)
    return lost
