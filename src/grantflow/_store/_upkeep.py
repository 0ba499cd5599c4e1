"""Keeping a database in order: what may be forgotten, what must agree, when grants end."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from grantflow._ports import End, Forgotten, Retention, Rules
from grantflow._store import _names
from grantflow._store._connection import Connection

_installation = _names.INSTALLATION
_attempt = _names.ATTEMPT
_token = _names.TOKEN_SET
_credential = _names.CREDENTIAL
_transition = _names.TRANSITION
_count = _names.COUNT
_outbox = _names.OUTBOX
_beat = _names.BEAT
_revocation = _names.REVOCATION

# -- forgetting -----------------------------------------------------------------------------------
_OLD = {
    "tokens": (
        f"SELECT t.installation_pk FROM {_installation} i JOIN {_token} t ON t.installation_pk = i.pk "
        "WHERE i.ended_at IS NOT NULL AND i.ended_at < ? AND t.access_sealed IS NOT NULL LIMIT ?"
    ),
    "notices": f"SELECT pk FROM {_outbox} WHERE delivered_at IS NOT NULL AND delivered_at < ? LIMIT ?",
    "revocations": f"SELECT pk FROM {_revocation} WHERE done_at < ? LIMIT ?",
    "attempts": f"SELECT pk FROM {_attempt} WHERE closed_at IS NOT NULL AND closed_at < ? LIMIT ?",
    "beats": f"SELECT process FROM {_beat} WHERE at < ? LIMIT ?",
}
_WIPE_TOKENS = (
    f"UPDATE {_token} SET access_sealed=NULL, refresh_sealed=NULL, refresh_at=NULL WHERE installation_pk=?1 "
    f"AND EXISTS (SELECT 1 FROM {_installation} WHERE pk=?1 AND ended_at IS NOT NULL)"
)
"""It may have been reauthorized since it was looked up."""
_GONE = {
    "tokens": _WIPE_TOKENS,
    "notices": f"DELETE FROM {_outbox} WHERE pk=?",
    "revocations": f"DELETE FROM {_revocation} WHERE pk=?",
    "attempts": f"DELETE FROM {_attempt} WHERE pk=?",
    "beats": f"DELETE FROM {_beat} WHERE process=?",
}
Old = dict[str, list[tuple[Any]]]


def old(conn: Connection, before: Retention, limit: int) -> Old:
    """Keys of what may go, at most `limit` of each kind; for a reader, so that looking costs no writer anything."""
    instants = {
        "tokens": before.tokens,
        "notices": before.delivered,
        "revocations": before.delivered,
        "attempts": before.attempts,
        "beats": before.beats,
    }
    return {kind: conn.execute(_OLD[kind], (instant, limit)).fetchall() for kind, instant in instants.items()}


def forget(conn: Connection, gone: Old) -> Forgotten:
    """Wipe and delete; the trail is never touched."""
    return Forgotten(**{kind: conn.executemany(_GONE[kind], keys).rowcount for kind, keys in gone.items() if keys})


# -- agreeing -------------------------------------------------------------------------------------
COUNT_DIFFERENCES = (
    f"SELECT app_pk, state, sum(n) FROM (SELECT app_pk, state, count(*) AS n FROM {_installation} "
    f"GROUP BY app_pk, state UNION ALL SELECT app_pk, state, -n FROM {_count}) AS sides GROUP BY app_pk, state "
    "HAVING sum(n) <> 0"
)
"""One statement, hence one instant: a difference stays true however many writers go on counting."""

_CORRECTIONS = -1
"""The slot that no transition writes: what a recount added, so that another one at the same time is seen."""
_CORRECTED = f"SELECT app_pk, state, n FROM {_count} WHERE slot = {_CORRECTIONS}"
_FIRST_CORRECTION = f"INSERT OR IGNORE INTO {_count} (app_pk, state, slot, n) VALUES (?, ?, {_CORRECTIONS}, 0)"
_CORRECT = f"UPDATE {_count} SET n = n + ? WHERE app_pk = ? AND state = ? AND slot = {_CORRECTIONS} AND n = ?"
Miscounted = list[tuple[int, str, int, int]]


def miscounted(conn: Connection) -> Miscounted:
    """(app pk, state, real minus counted, corrected so far); what was corrected is read first, see `correct`."""
    corrected = {(app, state): n for app, state, n in conn.execute(_CORRECTED)}
    return [(app, state, n, corrected.get((app, state), 0)) for app, state, n in conn.execute(COUNT_DIFFERENCES)]


def correct(conn: Connection, wrong: Miscounted) -> int:
    """Add the differences, but for those that another recount has added since they were seen; how many."""
    done = 0
    for app, state, more, before in wrong:
        conn.execute(_FIRST_CORRECTION, (app, state))
        done += conn.execute(_CORRECT, (more, app, state, before)).rowcount
    return done


_OPEN = f"(SELECT count(*) FROM {_attempt} x WHERE x.installation_pk = i.pk AND x.outcome IS NULL)"
_LAST = f"FROM {_transition} r WHERE r.installation_pk = i.pk"
_IN = "IN (SELECT value FROM json_each(?))"
_HERE = f"FROM {_installation} i LEFT JOIN {_token} t ON t.installation_pk = i.pk WHERE NOT i.quarantined AND "
_PROMISES: tuple[tuple[str, str, str | None], ...] = (
    (
        "its state is not the one its trail ends in",
        f"i.state IS NOT (SELECT target {_LAST} ORDER BY version DESC LIMIT 1)",
        None,
    ),
    (
        "the versions of its trail have gaps",
        f"(SELECT count(*) <> i.version OR max(version) <> i.version {_LAST})",
        None,
    ),
    ("no chart knows its state", f"i.state NOT {_IN}", "known"),
    ("it holds secrets without a grant", f"t.installation_pk IS NOT NULL AND i.state {_IN}", "without_grant"),
    (
        "it holds hashes of tokens without a grant",
        f"EXISTS (SELECT 1 FROM {_credential} c WHERE c.installation_pk = i.pk) AND i.state {_IN}",
        "without_grant",
    ),
    ("it is alive without a token set", f"t.installation_pk IS NULL AND i.state {_IN}", "live"),
    ("it waits for an attempt, and none is open", f"{_OPEN} = 0 AND i.state {_IN}", "waits_for_attempt"),
    ("it died at no time", f"i.ended_at IS NULL AND i.state {_IN}", "dead"),
    ("it is alive and has an end behind it", f"i.ended_at IS NOT NULL AND i.state {_IN}", "live"),
    (
        "its deadline would be missed",
        f"i.deadline_at IS NOT NULL AND (i.due_at IS NULL OR i.due_at > i.deadline_at) AND i.state {_IN}",
        "live",
    ),
    ("its generation is not its token set's", "t.generation IS NOT NULL AND t.generation <> i.generation", None),
)


def broken_promises(conn: Connection, rules: Rules, limit: int) -> list[str]:
    """Rows that contradict an invariant, at most `limit` for each, and counters that are wrong."""
    return [*_broken(conn, rules, limit), *_miscounted(conn)]


def _broken(conn: Connection, rules: Rules, limit: int) -> Iterator[str]:
    for says, condition, states in _PROMISES:
        values = () if states is None else (json.dumps(sorted(getattr(rules, states))),)
        rows = conn.execute(f"SELECT i.public_id, i.state {_HERE} {condition} LIMIT ?", (*values, limit))
        yield from (f"{name} ({state}): {says}" for name, state in rows)


def _miscounted(conn: Connection) -> Iterator[str]:
    for app_pk, state, more in conn.execute(COUNT_DIFFERENCES):
        yield f"app {app_pk} has {more:+} in {state} beside its counter"


# -- ends to come ---------------------------------------------------------------------------------
_ENDS = (
    f"SELECT i.pk, i.app_pk, i.deadline_at FROM {_installation} i WHERE i.pk > ?1 AND NOT i.quarantined "
    "AND i.state IN (SELECT value FROM json_each(?2)) ORDER BY i.pk LIMIT ?3"
)
_ENDS_IF = (
    "SELECT i.pk, i.app_pk, min(t.issued_at + ?4, coalesce(t.authorization_expires_at, t.issued_at + ?4)) "
    f"FROM {_installation} i JOIN {_token} t ON t.installation_pk = i.pk WHERE i.pk > ?1 AND NOT i.quarantined "
    "AND i.state IN (SELECT value FROM json_each(?2)) ORDER BY i.pk LIMIT ?3"
)


def ends(conn: Connection, after: int, limit: int, live: Sequence[str], lifetime: int | None) -> list[End]:
    """A slice of the live grants by key, so that no reader holds the file for long."""
    values = (after, json.dumps(sorted(live)), limit)
    rows = conn.execute(_ENDS, values) if lifetime is None else conn.execute(_ENDS_IF, (*values, lifetime))
    return [End(pk, app if isinstance(app, int) else -1, at if isinstance(at, int) else None) for pk, app, at in rows]
