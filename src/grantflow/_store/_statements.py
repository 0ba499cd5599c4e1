"""SQL text, made once from the rows' fields; values travel as tuples in column order. Tests hold it to the tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

from grantflow import _rows
from grantflow._ports import SEALED_FIELDS, SealedIn
from grantflow._store import _names


@dataclass(frozen=True, slots=True)
class Statement:
    """SQL and the way from a row to its parameters."""

    sql: str
    values: Callable[[Any], tuple[Any, ...]]


def _getter(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    return attrgetter(*names)  # always several names here, hence a tuple


def columns(row: type[Any]) -> tuple[str, ...]:
    """The columns of a row class, in order."""
    return tuple(field.name for field in fields(row))


def _insert(table: str, row: type[Any]) -> Statement:
    names = tuple(name for name in columns(row) if name != "pk")
    places = ", ".join("?" for _ in names)
    return Statement(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({places})", _getter(names))


def _update(table: str, row: type[Any], *, frozen: tuple[str, ...], guard: tuple[str, ...]) -> Statement:
    names = tuple(name for name in columns(row) if name not in ("pk", *frozen))
    sets = ", ".join(f"{name}=?" for name in names)
    where = " AND ".join(f"{name}=?" for name in ("pk", *guard))
    return Statement(f"UPDATE {table} SET {sets} WHERE {where}", _getter((*names, "pk")))


INSTALLATION_COLUMNS = columns(_rows.InstallationRow)
APP_COLUMNS = columns(_rows.AppRow)
PARENT_COLUMNS = columns(_rows.ParentRow)
TOKEN_COLUMNS = columns(_rows.TokenRow)
ATTEMPT_COLUMNS = columns(_rows.AttemptRow)

INSERT_INSTALLATION = _insert(_names.INSTALLATION, _rows.InstallationRow)
UPDATE_INSTALLATION = _update(
    _names.INSTALLATION,
    _rows.InstallationRow,
    frozen=("public_id", "app_pk", "account", "subject_kind", "subject_id", "label", "bucket", "created_at"),
    guard=("version",),
)
"""Compare-and-swap: the version seen is the last parameter."""
_MOVE = (
    "state", "reason", "version", "due_at", "fingerprint", "entered_at", "updated_at", "forced", "ended_at",
    "notice_due_at",
)  # fmt: skip
MOVE_INSTALLATION = _update(
    _names.INSTALLATION,
    _rows.InstallationRow,
    frozen=tuple(name for name in columns(_rows.InstallationRow) if name not in ("pk", *_MOVE)),
    guard=("version",),
)
"""The same for a plain move: indexes over columns that did not change are left alone."""
INSERT_ATTEMPT = _insert(_names.ATTEMPT, _rows.AttemptRow)
UPDATE_ATTEMPT = _update(_names.ATTEMPT, _rows.AttemptRow, frozen=("public_id", "app_pk", "created_at"), guard=())
INSERT_TRANSITION = _insert(_names.TRANSITION, _rows.TransitionRow)
INSERT_OUTBOX = _insert(_names.OUTBOX, _rows.OutboxRow)
INSERT_CONSENT = _insert(_names.CONSENT, _rows.ConsentRow)
INSERT_ACTION = _insert(_names.ACTION, _rows.ActionRow)
INSERT_APP = _insert(_names.APP, _rows.AppRow)
UPDATE_APP = _update(_names.APP, _rows.AppRow, frozen=("public_id", "key"), guard=())
INSERT_PARENT = _insert(_names.PARENT, _rows.ParentRow)
UPDATE_PARENT = _update(_names.PARENT, _rows.ParentRow, frozen=("app_pk", "account"), guard=())
INSERT_TOKENS = _insert(_names.TOKEN_SET, _rows.TokenRow)
REPLACE_TOKENS = Statement(
    INSERT_TOKENS.sql.replace("INSERT INTO", "INSERT OR REPLACE INTO", 1), INSERT_TOKENS.values
)
INSERT_REVOCATION = _insert(_names.REVOCATION, _rows.RevocationRow)
_revoked = _update(
    _names.REVOCATION,
    _rows.RevocationRow,
    frozen=("app_pk", "installation_pk", "identity", "subject_id", "hint", "place", "created_at"),
    guard=(),
)
UPDATE_REVOCATION = Statement(
    _revoked.sql.replace("sealed=?", "sealed=CASE WHEN ? IS NOT NULL THEN sealed END", 1), _revoked.values
)
"""Wipes the token or leaves it: the row was read before its request, and a rotation may have sealed it anew since."""
INSERT_INCIDENT = _insert(_names.INCIDENT, _rows.IncidentRow)
UPDATE_INCIDENT = _update(_names.INCIDENT, _rows.IncidentRow, frozen=("public_id", "app_pk", "opened_at"), guard=())
INSERT_CREDENTIAL = _insert(_names.CREDENTIAL, _rows.CredentialRow)
INSERT_QUARANTINE = Statement(
    _insert(_names.QUARANTINE, _rows.QuarantineRow).sql.replace("INSERT INTO", "INSERT OR IGNORE INTO", 1),
    _insert(_names.QUARANTINE, _rows.QuarantineRow).values,
)

_consent = _names.CONSENT
VOID_CONSENTS = (
    f"UPDATE {_consent} SET voided_at=? WHERE app_pk=? AND account=? AND subject_kind=? AND subject_id=? "
    "AND voided_at IS NULL"
)
APPROVED = (
    f"SELECT approved FROM {_consent} WHERE app_pk=? AND account=? AND subject_kind=? AND subject_id=? "
    "AND actor_kind=? AND actor_id=? AND voided_at IS NULL"
)
_credential = _names.CREDENTIAL
WIPE_TOKENS = f"DELETE FROM {_names.TOKEN_SET} WHERE installation_pk=?"
WIPE_CREDENTIALS = f"DELETE FROM {_credential} WHERE installation_pk=?"
SPEND_CREDENTIAL = f"UPDATE {_credential} SET spent_at=? WHERE hash=? AND spent_at IS NULL"
DROP_CREDENTIAL = f"DELETE FROM {_credential} WHERE hash=?"
DROP_ACCESS = f"DELETE FROM {_credential} WHERE installation_pk=? AND kind='access' AND expires_at<=?"
SELECT_CREDENTIAL = f"SELECT {', '.join(columns(_rows.CredentialRow))} FROM {_credential} WHERE hash=?"

_count = _names.COUNT
ADD_COUNT = (
    f"INSERT INTO {_count} (app_pk, state, slot, n) VALUES (?, ?, ?, ?) "
    f"ON CONFLICT (app_pk, state, slot) DO UPDATE SET n = {_count}.n + excluded.n"
)
COUNTS = (
    f"SELECT a.key, c.state, sum(c.n) FROM {_count} c JOIN {_names.APP} a ON a.pk = c.app_pk "
    "GROUP BY a.key, c.state HAVING sum(c.n) <> 0 ORDER BY a.key, c.state"
)

_installation = _names.INSTALLATION
_app = _names.APP
_parent = _names.PARENT
_token = _names.TOKEN_SET
_attempt = _names.ATTEMPT
_transition = _names.TRANSITION
_quarantine = _names.QUARANTINE

_BLOBS = {"app_state", "code_hash", "binding_hash", "state_hash", "sealed"}


def listed(prefix: str, names: tuple[str, ...]) -> str:
    """Column list under a table alias."""
    return ", ".join(f"{prefix}.{name}" for name in names)


_attempt_json = ", ".join(f"hex({name})" if name in _BLOBS else name for name in ATTEMPT_COLUMNS)
BLOB_POSITIONS = tuple(index for index, name in enumerate(ATTEMPT_COLUMNS) if name in _BLOBS)
_SNAPSHOT = (
    f"SELECT {listed('i', INSTALLATION_COLUMNS)}, {listed('a', APP_COLUMNS)}, {listed('p', PARENT_COLUMNS)}, "
    f"{listed('t', TOKEN_COLUMNS)}, "
    f"(SELECT json_group_array(json_array({_attempt_json})) FROM {_attempt} x "
    "WHERE x.installation_pk = i.pk AND x.outcome IS NULL), "
    f"(SELECT version FROM {_transition} r WHERE r.installation_pk = i.pk AND r.idempotency_key = ?1), "
    f"CASE WHEN i.quarantined THEN (SELECT reason FROM {_quarantine} q WHERE q.installation_pk = i.pk) END "
    f"FROM {_installation} i JOIN {_app} a ON a.pk = i.app_pk "
    f"LEFT JOIN {_parent} p ON p.app_pk = i.app_pk AND p.account = i.account "
    f"LEFT JOIN {_token} t ON t.installation_pk = i.pk WHERE "
)
SNAPSHOT_BY_ID = _SNAPSHOT + "i.public_id = ?2"
SNAPSHOT_BY_PK = _SNAPSHOT + "i.pk = ?2"
SNAPSHOT_BY_NATURAL = (
    _SNAPSHOT + "i.app_pk = ?2 AND i.account = ?3 AND i.subject_kind = ?4 AND i.subject_id = ?5 AND i.label = ?6 "
    "AND i.state <> 'uninstalled'"
)
SNAPSHOT_DUE = _SNAPSHOT + "i.pk IN (SELECT value FROM json_each(?2)) AND i.due_at <= ?3 AND NOT i.quarantined"
SELECT_APP = f"SELECT {listed('a', APP_COLUMNS)} FROM {_app} a WHERE a.key = ?"
SELECT_APP_BY_CLIENT = f"SELECT {listed('a', APP_COLUMNS)} FROM {_app} a WHERE a.client_id = ?"
SELECT_APP_BY_PK = f"SELECT {listed('a', APP_COLUMNS)} FROM {_app} a WHERE a.pk = ?"
SELECT_APPS = f"SELECT {listed('a', APP_COLUMNS)} FROM {_app} a ORDER BY a.key"
SELECT_PARENT = f"SELECT {listed('p', PARENT_COLUMNS)} FROM {_parent} p WHERE p.app_pk = ? AND p.account = ?"
SELECT_ATTEMPT = f"SELECT {listed('x', ATTEMPT_COLUMNS)} FROM {_attempt} x WHERE x.public_id = ?"
SELECT_ATTEMPT_BY_CODE = f"SELECT {listed('x', ATTEMPT_COLUMNS)} FROM {_attempt} x WHERE x.code_hash = ?"
SELECT_ATTEMPT_BY_STATE = f"SELECT {listed('x', ATTEMPT_COLUMNS)} FROM {_attempt} x WHERE x.state_hash = ?"
SELECT_ATTEMPTS = (
    f"SELECT {listed('x', ATTEMPT_COLUMNS)} FROM {_attempt} x WHERE x.installation_pk = ? ORDER BY x.pk DESC LIMIT ?"
)
CLOSE_LOOSE = (
    f"UPDATE {_attempt} SET outcome=?, closed_at=?, sealed=NULL "
    "WHERE installation_pk IS NULL AND outcome IS NULL AND expires_at<=?"
)
FIRST_KEY = f"SELECT pk FROM {_installation} WHERE public_id >= ? ORDER BY public_id LIMIT 1"
HISTORY = (
    f"SELECT {', '.join(columns(_rows.TransitionRow))} FROM {_transition} "
    "WHERE installation_pk=? AND version<? ORDER BY version DESC LIMIT ?"
)
LATEST = f"SELECT at FROM {_transition} ORDER BY pk DESC LIMIT 1"
OVERDUE = (
    f"SELECT count(*) FROM (SELECT 1 FROM {_installation} WHERE due_at IS NOT NULL AND due_at <= ? LIMIT ?) AS late"
)
DUE = (
    f"SELECT pk FROM (SELECT pk FROM {_installation} WHERE due_at IS NOT NULL AND due_at <= ? "
    "AND app_pk NOT IN (SELECT value FROM json_each(?)) ORDER BY due_at LIMIT ?) AS late ORDER BY pk"
)
"""In the order of keys, so that neighbours of a page are written together."""
DUE_BY_APP = (
    f"SELECT d.app_pk, a.key, d.n FROM (SELECT app_pk, count(*) AS n FROM {_installation} "
    "WHERE due_at IS NOT NULL AND due_at <= ?1 AND deadline_at <= ?1 GROUP BY app_pk) d "
    f"JOIN {_app} a ON a.pk = d.app_pk"
)
NEXT_DUE = f"SELECT min(due_at) FROM {_installation} WHERE due_at IS NOT NULL AND due_at > ?"
NEXT_LOOSE = f"SELECT min(expires_at) FROM {_attempt} WHERE installation_pk IS NULL AND outcome IS NULL"
_outbox = _names.OUTBOX
_NOTICE = (
    f"SELECT o.pk, coalesce(i.public_id, ''), a.key, {listed('o', columns(_rows.OutboxRow))} FROM {_outbox} o "
    f"LEFT JOIN {_installation} i ON i.pk = o.installation_pk "
    f"LEFT JOIN {_app} a ON a.pk = coalesce(o.app_pk, i.app_pk) "
)
PENDING = (
    f"{_NOTICE} WHERE o.delivered_at IS NULL AND o.dead_at IS NULL AND (o.next_at IS NULL OR o.next_at <= ?1) "
    "AND (o.installation_pk IS NULL OR o.installation_pk NOT IN (SELECT e.installation_pk "
    f"FROM {_outbox} e WHERE e.next_at > ?1 AND e.installation_pk IS NOT NULL)) ORDER BY o.pk LIMIT ?2"
)
"""A notice that waits to be tried again holds back the later ones of its own installation alone."""
WAITING_NOTICES = f"{_NOTICE} WHERE o.delivered_at IS NULL AND o.dead_at IS NULL ORDER BY o.pk LIMIT ?"
DEAD_NOTICES = f"{_NOTICE} WHERE o.dead_at IS NOT NULL ORDER BY o.pk DESC LIMIT ?"
COUNT_DEAD = f"SELECT count(*) FROM {_outbox} WHERE dead_at IS NOT NULL"
REVIVE_NOTICES = f"UPDATE {_outbox} SET dead_at=NULL, tries=0 WHERE dead_at IS NOT NULL"
NEXT_NOTICE = f"SELECT min(next_at) FROM {_outbox} WHERE next_at IS NOT NULL"
OLDEST_NOTICE = f"SELECT min(at), count(*) FROM {_outbox} WHERE delivered_at IS NULL AND dead_at IS NULL"
DELIVERED = f"UPDATE {_outbox} SET delivered_at=?, next_at=NULL WHERE pk=?"
NOT_DELIVERED = f"UPDATE {_outbox} SET tries=?, next_at=?, dead_at=? WHERE pk=?"
WARNINGS_DUE = (
    f"SELECT public_id, app_pk FROM {_installation} WHERE notice_due_at IS NOT NULL AND notice_due_at <= ?1 "
    "AND (due_at IS NULL OR due_at > ?1) AND app_pk NOT IN (SELECT a.pk "
    f"FROM {_app} a JOIN {_names.CONTROL} c ON c.name = 'held:' || a.key "
    ") AND app_pk NOT IN (SELECT value FROM json_each(?3)) ORDER BY notice_due_at LIMIT ?2"
)
"""What is due itself is left to the sweep, and what its brake holds is not spoken of."""
NEXT_WARNING = f"SELECT min(notice_due_at) FROM {_installation} WHERE notice_due_at > ?"
_control = _names.CONTROL
SET_CONTROL = Statement(
    _insert(_names.CONTROL, _rows.ControlRow).sql.replace("INSERT INTO", "INSERT OR REPLACE INTO", 1),
    _insert(_names.CONTROL, _rows.ControlRow).values,
)
DROP_CONTROL = f"DELETE FROM {_control} WHERE name=?"
CONTROLS = f"SELECT {', '.join(columns(_rows.ControlRow))} FROM {_control} ORDER BY name"
_beat = _names.BEAT
SET_BEAT = Statement(
    _insert(_names.BEAT, _rows.BeatRow).sql.replace("INSERT INTO", "INSERT OR REPLACE INTO", 1),
    _insert(_names.BEAT, _rows.BeatRow).values,
)
DROP_BEAT = f"DELETE FROM {_beat} WHERE process=?"
BEATS = f"SELECT {', '.join(columns(_rows.BeatRow))} FROM {_beat} ORDER BY at DESC"
STOP_RENEWAL = f"UPDATE {_token} SET refresh_at=NULL WHERE installation_pk=?"
_revocation = _names.REVOCATION
_REVOCATION_COLUMNS = ", ".join(columns(_rows.RevocationRow))
REVOCATIONS_DUE = (
    f"SELECT {_REVOCATION_COLUMNS} FROM {_revocation} WHERE next_at IS NOT NULL AND next_at <= ? "
    "ORDER BY next_at LIMIT ?"
)
REVOCATIONS_OPEN = (
    f"SELECT min(created_at), count(*) FROM {_revocation} WHERE next_at IS NOT NULL "
    f"AND outcome IS NOT '{_rows.SHARED}'"
)
REVOCATIONS_SHARED = f"SELECT count(*) FROM {_revocation} WHERE next_at IS NOT NULL AND outcome = '{_rows.SHARED}'"
REVOCATIONS_LOST = f"SELECT count(*) FROM {_revocation} WHERE next_at IS NULL AND outcome LIKE 'given up%'"
SHARED = (
    f"SELECT EXISTS(SELECT 1 FROM {_installation} i JOIN {_token} t ON t.installation_pk = i.pk "
    "WHERE i.app_pk = ?1 AND t.access_sealed IS NOT NULL AND i.reason IS NULL "
    "AND (i.identity = ?2 OR (i.subject_id = ?3 AND (?2 IS NULL OR i.identity IS NULL))))"
)
"""Whether a live installation, a later grant of the same one included, may hold the same grant upstream."""
_incident = _names.INCIDENT
_INCIDENT_COLUMNS = ", ".join(columns(_rows.IncidentRow))
OPEN_INCIDENT = f"SELECT {_INCIDENT_COLUMNS} FROM {_incident} WHERE app_pk = ? AND closed_at IS NULL"
INCIDENTS = (
    f"SELECT a.key, {listed('n', columns(_rows.IncidentRow))} FROM {_incident} n JOIN {_app} a ON a.pk = n.app_pk "
    "WHERE n.closed_at IS NULL OR ?1 ORDER BY n.pk DESC LIMIT ?2"
)
REFRESH_DUE = (
    f"SELECT i.public_id, i.app_pk FROM {_token} t JOIN {_installation} i ON i.pk = t.installation_pk "
    "WHERE t.refresh_at IS NOT NULL AND t.refresh_at <= ?1 AND NOT i.quarantined "
    "AND (i.deadline_at IS NULL OR i.deadline_at > ?1) AND i.app_pk NOT IN "
    f"(SELECT app_pk FROM {_incident} WHERE closed_at IS NULL AND probe_at > ?1 "
    f"UNION ALL SELECT pk FROM {_app} WHERE held_by IS NOT NULL) ORDER BY t.refresh_at LIMIT ?2"
)
NEXT_REFRESH = (
    f"SELECT min(at) FROM (SELECT min(refresh_at) AS at FROM {_token} WHERE refresh_at > ?1 "
    f"UNION ALL SELECT min(probe_at) FROM {_incident} WHERE closed_at IS NULL AND probe_at > ?1) AS awaited"
)
_action = _names.ACTION
MARK_QUARANTINED = f"UPDATE {_installation} SET quarantined=1, due_at=NULL, notice_due_at=NULL WHERE pk=?"
"""Off the clock: a row set aside must not be due for ever."""
LEAVE_QUARANTINE = f"DELETE FROM {_quarantine} WHERE installation_pk=?"
RAW_INSTALLATION = f"SELECT * FROM {_installation} WHERE pk=?"
SCHEMA_ROW = f"SELECT version FROM {_names.SCHEMA}"


def _sealed_batch(table: SealedIn, name: str, join: str = "", key: str = "pk") -> str:
    fields = listed("s", SEALED_FIELDS[table])
    holding = " OR ".join(f"s.{field} IS NOT NULL" for field in SEALED_FIELDS[table])
    return (
        f"SELECT s.{key}, {name}, {fields} FROM {SEALED_TABLES[table]} s {join} "
        f"WHERE s.{key} > ? AND ({holding}) ORDER BY s.{key} LIMIT ?"
    )


SEALED_TABLES = {
    SealedIn.APPS: _app,
    SealedIn.ATTEMPTS: _attempt,
    SealedIn.TOKENS: _token,
    SealedIn.REVOCATIONS: _revocation,
}
SEALED_KEYS = {table: "installation_pk" if table is SealedIn.TOKENS else "pk" for table in SealedIn}
SEALED_BATCH = {
    SealedIn.APPS: _sealed_batch(SealedIn.APPS, "s.public_id"),
    SealedIn.ATTEMPTS: _sealed_batch(SealedIn.ATTEMPTS, "s.public_id"),
    SealedIn.TOKENS: _sealed_batch(
        SealedIn.TOKENS,
        "coalesce(i.public_id, '')",
        f"LEFT JOIN {_installation} i ON i.pk = s.installation_pk",
        "installation_pk",
    ),
    SealedIn.REVOCATIONS: _sealed_batch(SealedIn.REVOCATIONS, "s.place"),
}
RESEAL = {
    (table, field): f"UPDATE {SEALED_TABLES[table]} SET {field}=? WHERE {SEALED_KEYS[table]}=? AND {field}=?"
    for table, names in SEALED_FIELDS.items()
    for field in names
}
UNCHANGED = {
    (table, field): f"SELECT 1 FROM {SEALED_TABLES[table]} WHERE {SEALED_KEYS[table]}=? AND {field}=?"
    for table, field in RESEAL
}
_blobs = " UNION ALL ".join(
    f"SELECT {field} AS value FROM {SEALED_TABLES[table]} WHERE {field} IS NOT NULL"
    for table, field in RESEAL
    if table is not SealedIn.APPS
)
SEALED_PREFIXES = (
    f"SELECT substr(CAST(value AS BLOB), 1, instr(CAST(value AS BLOB), X'3A')) AS prefix, count(*) "
    f"FROM ({_blobs}) AS blobs GROUP BY prefix"
)
APP_SECRETS = f"SELECT secrets FROM {_app} WHERE secrets <> '[]'"
