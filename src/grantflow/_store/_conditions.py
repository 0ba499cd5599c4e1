"""Conditions of a search: terms of a filter as SQL, with what is bound to them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grantflow._app import App
from grantflow._filter import (
    AWAITING,
    EXPIRING,
    STUCK,
    WORD,
    Exact,
    Prefix,
    Query,
    Span,
    States,
    Term,
    Value,
    id_start,
)
from grantflow._store import _names
from grantflow._store._connection import Connection
from grantflow.errors import ConfigurationError
from grantflow_machines import Instant

_APP = _names.APP
_PARENT = _names.PARENT
_TRANSITION = _names.TRANSITION
_TOKEN = _names.TOKEN_SET
_INCIDENT = _names.INCIDENT


@dataclass(frozen=True, slots=True)
class Clause:
    """A condition and what is bound to it."""

    sql: str
    values: tuple[str | int, ...] = ()


CATALOGUED = frozenset(("app", "kind", "incident"))
"""Fields that are answered with apps, of which there are few."""
FAILING = "t.failing IS NOT NULL"
COLUMNS = {
    "id": "i.public_id",
    "account": "i.account",
    "subject": "i.subject_id",
    "label": "i.label",
    "reason": "i.reason",
    "expires": "i.deadline_at",
    "entered": "i.entered_at",
    "created": "i.created_at",
    "version": "i.version",
}
_FLAGS = {
    "overdue": "i.due_at IS NOT NULL AND i.due_at <= ?",
    "suspended": "i.suspended_by IS NOT NULL",
    "forced": "i.forced = 1",
    "quarantined": "i.quarantined = 1",
    "expiring": "i.deadline_at > ? AND i.deadline_at < ? AND i.state IN (SELECT value FROM json_each(?))",
    "stuck": "i.state IN (SELECT value FROM json_each(?)) AND i.entered_at <= ?",
    "any": "TRUE",
}


def apps_of(conn: Connection, query: Query) -> list[int] | None:
    """Keys of the apps that match, None when any may."""
    terms = [term for term in query.terms if term.field in CATALOGUED]
    if not terms:
        return None
    parts = []
    for term in terms:
        clause = _of_app(term)
        parts.append(Clause(f"NOT ({clause.sql})", clause.values) if term.negated else clause)
    where = " AND ".join(f"({part.sql})" for part in parts)
    values = tuple(value for part in parts for value in part.values)
    return [int(pk) for (pk,) in conn.execute(f"SELECT pk FROM {_APP} a WHERE {where} ORDER BY pk", values)]


def clause_of(conn: Connection, term: Term, now: Instant, states: States) -> Clause:
    """One term, before a minus is looked at."""
    if term.field == WORD.name:
        return either([clause for clause in words_of(term) if clause is not None])
    texts = [value.text for value in term.values if isinstance(value, Exact)]
    if term.field == "is":
        return either([flag_of(text, now, states) for text in texts])
    if term.field == "has":
        return Clause(f"EXISTS (SELECT 1 FROM {_TOKEN} t WHERE t.installation_pk = i.pk AND {FAILING})")
    if term.field == "run":
        run = any_of("r.run_id", term.values)
        sql = f"EXISTS (SELECT 1 FROM {_TRANSITION} r WHERE r.installation_pk = i.pk AND ({run.sql}))"
        return Clause(sql, run.values)
    if term.field == "scope":
        return either([_scope(conn, value, states) for value in term.values if not isinstance(value, Span)])
    return any_of(COLUMNS[term.field], term.values)


def flag_of(name: str, now: Instant, states: States) -> Clause:
    """One word behind `is:`."""
    if name == "overdue":
        return Clause(_FLAGS[name], (now,))
    if name == "expiring":
        return Clause(_FLAGS[name], (now, now + EXPIRING, json.dumps(sorted(states.live))))
    if name == "stuck":
        return Clause(_FLAGS[name], (json.dumps(sorted(states.waiting)), now - STUCK))
    return Clause(_FLAGS[name])


def either(clauses: Sequence[Clause]) -> Clause:
    """At least one of them; none of nothing."""
    if not clauses:
        return Clause("0")
    if len(clauses) == 1:
        return clauses[0]
    sql = " OR ".join(f"({clause.sql})" for clause in clauses)
    return Clause(sql, tuple(value for clause in clauses for value in clause.values))


def any_of(column: str, values: Sequence[Value]) -> Clause:
    """The column has one of the values."""
    plain = [value.text for value in values if isinstance(value, Exact) and value.kind is None]
    clauses = (
        [Clause(f"{column} IN (SELECT value FROM json_each(?))", (json.dumps(plain),))] if len(plain) > 1 else []
    )
    clauses += [value_of(column, value) for value in values if len(plain) == 1 or not _is_plain(value)]
    return either(clauses)


def _is_plain(value: Value) -> bool:
    return isinstance(value, Exact) and value.kind is None


def value_of(column: str, value: Value) -> Clause:
    """The column has this value."""
    if isinstance(value, Span):
        return between(column, value.low, value.high)
    if isinstance(value, Exact):
        made = Clause(f"{column} = ?", (value.text,))
    else:
        made = between(column, value.text, successor(value.text))
    if value.kind is None:
        return made
    return Clause(f"{made.sql} AND i.subject_kind = ?", (*made.values, value.kind))


def between(column: str, low: str | int | None, high: str | int | None) -> Clause:
    if low is None and high is None:
        return Clause(f"{column} IS NOT NULL")
    if high is None:
        return Clause(f"{column} >= ?", () if low is None else (low,))
    if low is None:
        return Clause(f"{column} < ?", (high,))
    return Clause(f"{column} >= ? AND {column} < ?", (low, high))


def successor(prefix: str) -> str | None:
    """The smallest text above everything that begins with the prefix, None when there is none.

    Code points and the bytes of UTF-8, which SQLite compares, have the same order.
    """
    rest = prefix.rstrip("\U0010ffff")
    if not rest:
        return None
    following = ord(rest[-1]) + 1
    return rest[:-1] + chr(0xE000 if 0xD800 <= following <= 0xDFFF else following)


def _of_app(term: Term) -> Clause:
    if term.field != "incident":
        return any_of("key" if term.field == "app" else "kind", term.values)
    cause = any_of("n.cause", term.values)
    here = "n.app_pk = a.pk AND n.closed_at IS NULL"
    return Clause(f"EXISTS (SELECT 1 FROM {_INCIDENT} n WHERE {here} AND ({cause.sql}))", cause.values)


def _scope(conn: Connection, value: Exact | Prefix, states: States) -> Clause:
    if value.kind != AWAITING:
        return _has_scope(value.text)
    return either(list(_awaiting(conn, value, states)))


def _has_scope(name: str) -> Clause:
    return Clause("instr(' ' || i.granted || ' ', ?) > 0", (f" {name} ",))


def _awaiting(conn: Connection, value: Exact | Prefix, states: States) -> Iterator[Clause]:
    """Per app and version the scopes that a row must have and has not; an app nobody can read awaits nothing."""
    running = f"(SELECT p.app_version FROM {_PARENT} p WHERE p.app_pk = i.app_pk AND p.account = i.account)"
    granting = Clause("i.state IN (SELECT value FROM json_each(?))", (json.dumps(sorted(states.granted)),))
    for pk, document in conn.execute(f"SELECT pk, document FROM {_APP}"):
        try:
            app = App.from_document(document)
        except ConfigurationError:
            continue
        for version in app.versions:
            wanted = [name for name in version.required if isinstance(value, Prefix) or name == value.text]
            if not wanted:
                continue
            held = [_has_scope(name) for name in wanted]
            lacks = " OR ".join(f"NOT ({has.sql})" for has in held)
            runs, named = f"{running} IS ?", [version.name]
            if version is app.latest:  # what an account runs whose version is unknown
                named = [known.name for known in app.versions[:-1]]
                runs = f"coalesce({running}, '') NOT IN ({', '.join('?' * len(named))})"
            bound = tuple(bit for has in held for bit in has.values)
            yield Clause(
                f"i.app_pk = ? AND {granting.sql} AND {runs} AND ({lacks})", (pk, *granting.values, *named, *bound)
            )


def words_of(term: Term) -> tuple[Clause, Clause | None]:
    """Accounts that begin with the word, and ids that do where their account does not."""
    text = next(value.text for value in term.values if isinstance(value, Prefix))
    account = value_of(COLUMNS["account"], Prefix(text))
    start = id_start(text)
    if start is None:
        return account, None
    by_id = value_of(COLUMNS["id"], Prefix(start))
    return account, Clause(f"{by_id.sql} AND NOT ({account.sql})", (*by_id.values, *account.values))
