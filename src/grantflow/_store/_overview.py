"""What an overview asks: what moved lately, what operators did, what a field may hold; all of it bounded."""

from __future__ import annotations

from grantflow._filter import Prefix, Query, Term
from grantflow._ports import Moved, Ran
from grantflow._rows import ActionRow
from grantflow._store import _names
from grantflow._store._conditions import Clause, any_of
from grantflow._store._connection import Connection
from grantflow._store._statements import columns
from grantflow_machines import Instant

_INSTALLATION = _names.INSTALLATION
_TRANSITION = _names.TRANSITION
_APP = _names.APP
_ACTION = _names.ACTION
_INCIDENT = _names.INCIDENT

_LATELY = (
    f"WITH t AS (SELECT installation_pk, source, target, at, run_id FROM {_TRANSITION} NOT INDEXED "
    f"WHERE pk > (SELECT max(pk) FROM {_TRANSITION}) - ?1) "
)
RECENT = (
    f"{_LATELY} SELECT a.key, t.target, i.reason, "
    "CASE WHEN count(DISTINCT t.run_id) = 1 AND count(t.run_id) = count(*) THEN min(t.run_id) END, "
    f"count(*) AS n, min(t.at), max(t.at) AS latest FROM t CROSS JOIN {_INSTALLATION} i ON i.pk = t.installation_pk "
    f"JOIN {_APP} a ON a.pk = i.app_pk WHERE t.source IS NOT t.target AND t.at >= ?3 "
    "AND t.at = i.entered_at AND t.target = i.state "
    "GROUP BY a.key, t.target, i.reason ORDER BY n DESC, latest DESC, a.key, t.target LIMIT ?2"
)
RUNS = (
    f"{_LATELY} SELECT run_id, count(*), min(at), max(at) AS latest FROM t WHERE run_id IS NOT NULL "
    "GROUP BY run_id ORDER BY latest DESC LIMIT ?2"
)
_VALUES = {
    "app": (_APP, "key"),
    "account": (_INSTALLATION, "account"),
    "subject": (_INSTALLATION, "subject_id"),
    "reason": (_INSTALLATION, "reason"),
    "run": (_TRANSITION, "run_id"),
}


def recent(conn: Connection, look_back: int, limit: int, since: Instant) -> tuple[list[Moved], list[Ran]]:
    """See Store.recent."""
    moved = [Moved(*row) for row in conn.execute(RECENT, (look_back, limit, since))]
    return moved, [Ran(*row) for row in conn.execute(RUNS, (look_back, limit))]


def actions(conn: Connection, limit: int, before: int | None, query: Query | None) -> list[tuple[int, ActionRow]]:
    """See Store.actions."""
    clauses = [Clause("pk < ?", (before if before is not None else 1 << 62,))]
    clauses += [_action_clause(term) for term in (query.terms if query is not None else ())]
    where = " AND ".join(f"({clause.sql})" for clause in clauses)
    bound = (*(value for clause in clauses for value in clause.values), limit)
    text = f"SELECT pk, {', '.join(columns(ActionRow))} FROM {_ACTION} WHERE {where} ORDER BY pk DESC LIMIT ?"
    return [(row[0], ActionRow(*row[1:])) for row in conn.execute(text, bound)]


def _action_clause(term: Term) -> Clause:
    clause = any_of("target" if term.field == "word" else term.field, term.values)
    return Clause(f"({clause.sql}) IS NOT TRUE", clause.values) if term.negated else clause


def values(conn: Connection, field: str, prefix: str, limit: int) -> list[str]:
    """See Store.values."""
    if field == "incident":
        cause = any_of("cause", (Prefix(prefix),))
        text = f"SELECT DISTINCT cause FROM {_INCIDENT} WHERE closed_at IS NULL AND ({cause.sql}) LIMIT ?"
        return [str(value) for (value,) in conn.execute(text, (*cause.values, limit))]
    if field not in _VALUES:
        return []
    table, column = _VALUES[field]
    # Every step is one look into the index, however many rows hold a value.
    text = (
        f"WITH RECURSIVE s(v) AS (SELECT min({column}) FROM {table} WHERE {column} >= ?1 UNION ALL "
        f"SELECT (SELECT min({column}) FROM {table} WHERE {column} > s.v) FROM s WHERE s.v IS NOT NULL LIMIT ?2) "
        "SELECT v FROM s WHERE v IS NOT NULL"
    )
    found = [str(value) for (value,) in conn.execute(text, (prefix, limit))]
    return [value for value in found if value.startswith(prefix)]
