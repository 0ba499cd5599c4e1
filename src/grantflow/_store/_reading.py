"""Rows into snapshots: plain functions over a connection, for the writer's thread and the readers' alike."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any

from grantflow._app import scope_set
from grantflow._keys import KeyRing, sealed_list
from grantflow._rows import (
    AppRow,
    AttemptRow,
    CredentialRow,
    IncidentRow,
    InstallationRow,
    Load,
    ParentRow,
    Snapshot,
    TokenRow,
    subject_of,
)
from grantflow._store import _jobs
from grantflow._store import _statements as sql
from grantflow._store._connection import Connection

_I = len(sql.INSTALLATION_COLUMNS)
_A = _I + len(sql.APP_COLUMNS)
_P = _A + len(sql.PARENT_COLUMNS)
_T = _P + len(sql.TOKEN_COLUMNS)


def snapshot_of(row: tuple[Any, ...] | None) -> Snapshot | None:
    """A snapshot from one joined row."""
    if row is None:
        return None
    return Snapshot(
        app=AppRow(*row[_I:_A]),
        parent=ParentRow(*row[_A:_P]) if row[_A] is not None else None,
        installation=InstallationRow(*row[:_I]),
        attempts=_attempts(row[_T]),
        tokens=TokenRow(*row[_P:_T]) if row[_P] is not None else None,
        replayed_version=row[_T + 1],
        quarantined=row[_T + 2],
    )


def _attempts(text: str) -> list[AttemptRow]:
    if text == "[]":
        return []
    found = []
    for values in json.loads(text):
        for position in sql.BLOB_POSITIONS:
            values[position] = bytes.fromhex(values[position]) or None
        found.append(AttemptRow(*values))
    found.sort(key=lambda attempt: attempt.pk)
    return found


def load(conn: Connection, what: Load) -> Snapshot:
    """Read what was asked for; parts that do not exist are None."""
    found = _load(conn, what)
    if what.foreign and found.app is not None:
        row = conn.execute(sql.OPEN_INCIDENT, (found.app.pk,)).fetchone()
        found.incident = None if row is None else IncidentRow(*row)
    if what.job is not None:
        found.job, found.item = _jobs.load(conn, what.job, what.ordinal)
    return found


def snapshots(conn: Connection, pks: Sequence[int]) -> list[Snapshot | None]:
    """What is stored of these rows, in their order; None for one that is gone or cannot be put together."""
    found: list[Snapshot | None] = []
    for pk in pks:
        try:
            found.append(snapshot_of(conn.execute(sql.SNAPSHOT_BY_PK, (None, pk)).fetchone()))
        except (ValueError, TypeError, LookupError, sqlite3.OperationalError):
            found.append(None)
    return found


def _load(conn: Connection, what: Load) -> Snapshot:
    if what.installation is not None:
        found = snapshot_of(conn.execute(sql.SNAPSHOT_BY_ID, (what.idempotency_key, what.installation)).fetchone())
        return _with_consents(conn, found or Snapshot(), what)
    if what.natural is not None:
        return _with_consents(conn, _by_natural(conn, what), what)
    if what.attempt is not None:
        row = conn.execute(sql.SELECT_ATTEMPT, (what.attempt,)).fetchone()
        return _with_consents(conn, _by_attempt(conn, row, what), what)
    if what.code_hash is not None:
        row = conn.execute(sql.SELECT_ATTEMPT_BY_CODE, (what.code_hash,)).fetchone()
        return _with_consents(conn, _by_attempt(conn, row, what), what)
    if what.state_hash is not None:
        row = conn.execute(sql.SELECT_ATTEMPT_BY_STATE, (what.state_hash,)).fetchone()
        return _with_consents(conn, _by_attempt(conn, row, what), what)
    if what.credential is not None:
        return _by_credential(conn, what.credential)
    if what.app is not None:
        return _by_app(conn, what.app, what.account)
    return Snapshot()


def app_row(conn: Connection, name: str) -> AppRow | None:
    """An app by key, or by client id behind `client:`."""
    if name.startswith("client:"):
        row = conn.execute(sql.SELECT_APP_BY_CLIENT, (name.removeprefix("client:"),)).fetchone()
    else:
        row = conn.execute(sql.SELECT_APP, (name,)).fetchone()
    return None if row is None else AppRow(*row)


def parent_row(conn: Connection, app_pk: int, account: str) -> ParentRow | None:
    """The parent of one app on one account."""
    row = conn.execute(sql.SELECT_PARENT, (app_pk, account)).fetchone()
    return None if row is None else ParentRow(*row)


def _by_natural(conn: Connection, what: Load) -> Snapshot:
    assert what.natural is not None
    key, account, subject_id, label = what.natural
    app = app_row(conn, key)
    if app is None:
        return Snapshot()
    values = (what.idempotency_key, app.pk, account, *subject_of(app.kind, account, subject_id), label)
    found = snapshot_of(conn.execute(sql.SNAPSHOT_BY_NATURAL, values).fetchone())
    return found or Snapshot(app=app, parent=parent_row(conn, app.pk, account))


def _by_attempt(conn: Connection, row: tuple[Any, ...] | None, what: Load) -> Snapshot:
    if row is None:
        return Snapshot()
    attempt = AttemptRow(*row)
    if attempt.installation_pk is not None:
        values: tuple[Any, ...] = (what.idempotency_key, attempt.installation_pk)
        found = snapshot_of(conn.execute(sql.SNAPSHOT_BY_PK, values).fetchone()) or Snapshot()
        same = next((known for known in found.attempts if known.pk == attempt.pk), attempt)
        found.attempt = same
        return found
    app_found = conn.execute(sql.SELECT_APP_BY_PK, (attempt.app_pk,)).fetchone()
    app = None if app_found is None else AppRow(*app_found)
    account = what.account or attempt.account
    if account is None or app is None:
        return Snapshot(app=app, attempt=attempt)
    subject = subject_of(app.kind, account, attempt.subject_id)
    values = (what.idempotency_key, app.pk, account, *subject, attempt.label)
    known = snapshot_of(conn.execute(sql.SNAPSHOT_BY_NATURAL, values).fetchone())
    if known is None:
        known = Snapshot(app=app, parent=parent_row(conn, app.pk, account))
    known.attempt = attempt
    return known


def _by_credential(conn: Connection, digest: bytes) -> Snapshot:
    row = conn.execute(sql.SELECT_CREDENTIAL, (digest,)).fetchone()
    if row is None:
        return Snapshot()
    credential = CredentialRow(*row)
    found = snapshot_of(conn.execute(sql.SNAPSHOT_BY_PK, (None, credential.installation_pk)).fetchone()) or Snapshot()
    found.credential = credential
    return found


def _by_app(conn: Connection, key: str, account: str | None) -> Snapshot:
    app = app_row(conn, key)
    if app is None or account is None:
        return Snapshot(app=app)
    return Snapshot(app=app, parent=parent_row(conn, app.pk, account))


def _with_consents(conn: Connection, found: Snapshot, what: Load) -> Snapshot:
    actor = what.consents_of
    if actor is None or found.app is None:
        return found
    if found.installation is not None:
        row = found.installation
        account, subject_kind, subject_id = row.account, row.subject_kind, row.subject_id
    elif found.attempt is not None and what.account is not None:
        account = what.account
        subject_kind, subject_id = subject_of(found.app.kind, account, found.attempt.subject_id)
    else:
        return found
    values = (found.app.pk, account, subject_kind, subject_id, actor.kind.value, actor.id)
    texts = conn.execute(sql.APPROVED, values).fetchall()
    found.approved = frozenset().union(*(scope_set(text) for (text,) in texts if isinstance(text, str)))
    return found


def sealed_by_key(conn: Connection) -> dict[str, int]:
    """How many values each key id has sealed."""
    counts: Counter[str] = Counter()
    for prefix, count in conn.execute(sql.SEALED_PREFIXES):
        counts[KeyRing.key_id(prefix) or ""] += count
    for (text,) in conn.execute(sql.APP_SECRETS):
        counts.update(KeyRing.key_id(sealed) or "" for sealed in sealed_list(text))
    return dict(sorted(counts.items()))
