"""Finding installations: keyset pages and bounded counts through the index that fits.

SQLite keeps no statistics here, so the way into the table is chosen by looking: an index that leads to few
rows is taken and its rows sorted; where every index leads to many, the one that already has the asked order
is walked until the page is full. The chosen index is named in the statement. The text of a statement depends
on the shape of the query alone, so that the connection's statement cache knows it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from grantflow._filter import (
    EXPIRING,
    FIELDS,
    FLAGS,
    HAS,
    SORTS,
    STUCK,
    WORD,
    Exact,
    Query,
    Span,
    States,
    Term,
    Value,
)
from grantflow._ports import Listed
from grantflow._rows import AppRow, InstallationRow, ParentRow
from grantflow._store import _names
from grantflow._store._conditions import (
    CATALOGUED,
    COLUMNS,
    FAILING,
    Clause,
    any_of,
    apps_of,
    clause_of,
    flag_of,
    value_of,
    words_of,
)
from grantflow._store._connection import Connection
from grantflow._store._statements import (
    APP_COLUMNS,
    INSTALLATION_COLUMNS,
    PARENT_COLUMNS,
    listed,
)
from grantflow_machines import Instant

FEW = 10_000
"""Rows that are sorted without a second thought."""
MAX_BRANCHES = 12
_ALL = (1 << 62) - 1
_SAMPLE = 500
"""Rows of a way that are looked at before millions are."""

_TABLE = _names.INSTALLATION
_APP = _names.APP
_TOKEN = _names.TOKEN_SET
_TRANSITION = _names.TRANSITION
_WAYS = ("id", "has", "run", "account", "subject", "word", "is", "reason", "expires", "entered")
"""Terms that lead into the table, in the order they are tried; then the app and the state."""
_PRESENT = (
    f"WITH RECURSIVE s(v) AS (SELECT min(state) FROM {_TABLE} UNION ALL "
    f"SELECT (SELECT min(state) FROM {_TABLE} WHERE state > s.v) FROM s WHERE s.v IS NOT NULL) "
    "SELECT v FROM s WHERE v IS NOT NULL"
)
_I = len(INSTALLATION_COLUMNS)
_A = _I + len(APP_COLUMNS)
_P = _A + len(PARENT_COLUMNS)
_LISTED = (
    f"SELECT {listed('i', INSTALLATION_COLUMNS)}, {listed('a', APP_COLUMNS)}, {listed('p', PARENT_COLUMNS)}, "
    f"(SELECT count(*) FROM {_names.ATTEMPT} x "
    "WHERE x.installation_pk = i.pk AND x.outcome IS NULL) "
    f"FROM k CROSS JOIN {_TABLE} i ON i.pk = k.pk JOIN {_APP} a ON a.pk = i.app_pk "
    f"LEFT JOIN {_names.PARENT} p ON p.app_pk = i.app_pk AND p.account = i.account "
)
_ENDS, _DUE, _UNDUE = (f"{_TABLE}_{name}" for name in ("deadline", "due", "undue"))


@dataclass(frozen=True, slots=True)
class _Branch:
    """One range of one index; None is the table itself."""

    index: str | None
    clause: Clause | None = None
    through: Clause | None = None
    """Keys that another table leads to."""
    deadline: str = "deadline_at"
    """The column that its rows have their deadlines in."""

    def source(self, clauses: Iterable[Clause], begin: Clause | None = None) -> Clause:
        """FROM … WHERE …

        The place where a page begins stands first: of two bounds on one column SQLite goes to the one it reads first.
        """
        every = [*([begin] if begin else []), *([self.clause] if self.clause else []), *clauses]
        where = " AND ".join(f"({clause.sql})" for clause in every) or "TRUE"
        hint = "NOT INDEXED" if self.index is None else f"INDEXED BY {self.index}"
        values = tuple(value for clause in every for value in clause.values)
        if self.through is None:
            return Clause(f"FROM {_TABLE} i {hint} WHERE {where}", values)
        source = f"FROM ({self.through.sql}) o CROSS JOIN {_TABLE} i {hint} ON i.pk = o.pk WHERE {where}"
        return Clause(source, (*self.through.values, *values))


@dataclass(frozen=True, slots=True)
class _Way:
    """Ranges that hold every match once, the conditions they settle, and the sorts they already have."""

    branches: tuple[_Branch, ...]
    settles: frozenset[str]
    sorts: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Search:
    """A query as conditions by name, and the ways in."""

    clauses: dict[str, Clause]
    ways: tuple[_Way, ...]
    states: tuple[str, ...]

    def rest(self, way: _Way) -> list[Clause]:
        """Conditions a way leaves to be checked row by row."""
        return [clause for name, clause in self.clauses.items() if name not in way.settles]


def find(
    conn: Connection,
    query: Query,
    now: Instant,
    after: str | None,
    limit: int,
    back: bool,  # noqa: FBT001 - mirrors Store.find
) -> list[Listed]:
    """Rows strictly after the cursor, or with `back` strictly before it, always in the query's order.

    Without a cursor, `back` gives the last rows. Raises BadInput for a cursor of another order.
    """
    statement = _page(conn, query, now, after, limit, back=back)
    if statement is None:
        return []
    return [
        Listed(
            InstallationRow(*row[:_I]),
            AppRow(*row[_I:_A]),
            None if row[_A] is None else ParentRow(*row[_A:_P]),
            row[_P],
        )
        for row in conn.execute(statement.sql, statement.values)
    ]


def count(conn: Connection, query: Query, now: Instant, bound: int) -> int:
    """How many rows match, counted no further than `bound`."""
    search = _search(conn, query, now)
    if search is None:
        return 0
    way = _chosen(conn, search, query, ordered=False)
    return _counted(conn, way, search.rest(way), bound)


def horizon(conn: Connection, edges: Sequence[Instant], live: Collection[str]) -> list[int]:
    """Live grants that end in each span between two neighbouring edges; the last edge is excluded."""
    states = sorted(live)
    ways = [_deadline_way([Span(low, high)], states, frozenset()) for low, high in pairwise(edges)]
    return [_counted(conn, way, (), _ALL) for way in ways]


def _counted(conn: Connection, way: _Way, rest: Sequence[Clause], bound: int) -> int:
    parts = [branch.source(rest) for branch in way.branches]
    union = " UNION ALL ".join(f"SELECT 1 {part.sql}" for part in parts)
    values = (*(value for part in parts for value in part.values), bound)
    found: int = conn.execute(f"SELECT count(*) FROM ({union} LIMIT ?) AS counted", values).fetchone()[0]
    return found


def explain(conn: Connection, query: Query, now: Instant) -> list[str]:
    """The database's own plan of the first page, line by line; nothing is searched."""
    statement = _page(conn, query, now, None, 50, back=False)
    if statement is None:
        return []
    return [str(row[3]) for row in conn.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.values)]


def _page(
    conn: Connection, query: Query, now: Instant, after: str | None, limit: int, *, back: bool
) -> Clause | None:
    place = None if after is None else query.place(after)
    search = _search(conn, query, now)
    if search is None:
        return None
    way = _chosen(conn, search, query, ordered=True)
    column = SORTS[query.sort]
    falling = query.descending is not back
    clauses = search.rest(way)
    parts = []
    for branch in way.branches:
        mine = branch.deadline if query.sort == "expires" else column
        begin = None if place is None else _begin(mine, place, falling=falling)
        keys = "i.pk AS pk" if column == "pk" else f"i.pk AS pk, i.{mine} AS place"
        part = branch.source(clauses, begin)
        parts.append(Clause(f"SELECT {keys} {part.sql}", part.values))
    union = " UNION ALL ".join(part.sql for part in parts)
    names = ["pk"] if column == "pk" else ["place", "pk"]
    inner = ", ".join(f"{name} DESC" if falling else name for name in names)
    names = ["pk"] if column == "pk" else [column, "pk"]
    outer = ", ".join(f"i.{name} DESC" if query.descending else f"i.{name}" for name in names)
    sql = f"WITH k AS MATERIALIZED ({union} ORDER BY {inner} LIMIT ?) {_LISTED} ORDER BY {outer}"
    return Clause(sql, (*(value for part in parts for value in part.values), limit))


def _begin(column: str, place: tuple[int | str, int], *, falling: bool) -> Clause:
    """Strictly behind a place."""
    sign = "<" if falling else ">"
    if column == "pk":
        return Clause(f"i.pk {sign} ?", (place[1],))
    return Clause(f"(i.{column}, i.pk) {sign} (?, ?)", place)


def _chosen(conn: Connection, search: _Search, query: Query, *, ordered: bool) -> _Way:
    """The first way that leads to few rows, else one that has the order, else the order itself."""
    for way in search.ways:
        if _is_few(conn, way):
            return way
    if not ordered and search.ways:
        return max(search.ways, key=lambda way: _hits(conn, search, way))
    for way in search.ways:
        if query.sort in way.sorts:
            return way
    if query.sort == "expires":
        return _deadline_way([Span(None, None)], search.states, frozenset(("sort",)))
    index = None if query.sort == "id" else FIELDS[query.sort].index
    return _Way((_Branch(index),), frozenset(), frozenset((query.sort,)))


def _is_few(conn: Connection, way: _Way) -> bool:
    left = FEW
    for branch in way.branches:
        part = branch.source(())
        sql = f"SELECT count(*) FROM (SELECT 1 {part.sql} LIMIT ?) AS few"
        left -= conn.execute(sql, (*part.values, left + 1)).fetchone()[0]
        if left < 0:
            return False
    return True


def _hits(conn: Connection, search: _Search, way: _Way) -> int:
    """Matches among the first rows of a way: where all ways lead to many, the densest beginning is counted first."""
    if len(search.ways) == 1:
        return 0
    rest, parts = search.rest(way), [branch.source(()) for branch in way.branches]
    where = " AND ".join(f"({clause.sql})" for clause in rest) or "TRUE"
    union = " UNION ALL ".join(f"SELECT i.pk AS pk {part.sql}" for part in parts)
    first = (value for part in parts for value in part.values)
    values = (*first, _SAMPLE, *(value for clause in rest for value in clause.values))
    keys = f"WITH k AS MATERIALIZED ({union} LIMIT ?) "
    sql = f"{keys}SELECT count(*) FROM k CROSS JOIN {_TABLE} i ON i.pk = k.pk WHERE {where}"
    found: int = conn.execute(sql, values).fetchone()[0]
    return found


# -- conditions and ways ------------------------------------------------------------------------------
def _search(conn: Connection, query: Query, now: Instant) -> _Search | None:
    """The query as conditions; None when nothing can match."""
    present = [str(state) for (state,) in conn.execute(_PRESENT)]
    states = [state for state in present if query.shows(state)]
    apps = apps_of(conn, query)
    if not states or apps == []:
        return None
    clauses: dict[str, Clause] = {}
    ways: list[tuple[int, _Way]] = []
    if query.sort == "expires":
        clauses["sort"] = Clause("i.deadline_at IS NOT NULL")
    for number, term in enumerate(query.terms):
        if term.field == "state" or term.field in CATALOGUED:
            continue
        name = f"{term.field} {number}"
        clause = clause_of(conn, term, now, query.states)
        clauses[name] = Clause(f"({clause.sql}) IS NOT TRUE", clause.values) if term.negated else clause
        way = None if term.negated else _way(term, name, now, states, query.states)
        if way is not None:
            ways.append((_WAYS.index(term.field), way))
    ways.sort(key=lambda ranked: ranked[0])
    found = [way for _, way in ways]
    if apps is not None:
        clauses["app"] = Clause("i.app_pk IN (SELECT value FROM json_each(?))", (json.dumps(apps),))
        found.append(_app_way(apps, states))
    if len(states) < len(present):
        clauses["state"] = Clause("i.state IN (SELECT value FROM json_each(?))", (json.dumps(states),))
        found.append(_state_way(states))
    if not all(way.branches for way in found):
        return None
    return _Search(clauses, tuple(found), tuple(states))


def _way(term: Term, name: str, now: Instant, states: Sequence[str], known: States) -> _Way | None:
    """The way one term leads into the table, over those of the present states that may match."""
    settles = frozenset((name,))
    if term.field == WORD.name:
        branches = _word_branches(term)
        return _Way(branches, settles, frozenset(("account",) if len(branches) == 1 else ()))
    if term.field == "is":
        flags = [FLAGS[value.text] for value in term.values if isinstance(value, Exact)]
        if len(flags) != 1 or flags[0].index is None:
            return None
        flag = flags[0].name
        if flag == "expiring":
            live = [state for state in states if state in known.live]
            return _deadline_way([Span(now + 1, now + EXPIRING)], live, settles)
        if flag == "stuck":
            waiting = [Clause("i.state = ? AND i.entered_at <= ?", (state, now - STUCK)) for state in states]
            pairs = zip(states, waiting, strict=True)
            branches = tuple(_Branch(flags[0].index, one) for state, one in pairs if state in known.waiting)
            return _Way(branches, settles, frozenset(("id",)))
        order: set[str] = set() if flag == "overdue" else {"id"}
        return _Way((_Branch(flags[0].index, flag_of(flag, now, known)),), settles, frozenset(order))
    if term.field not in _WAYS:
        return None
    if term.field in {"has", "run"}:
        return _through(term, settles)
    if term.field == "expires":
        return _deadline_way(term.values, states, settles)
    index, column = FIELDS[term.field].index, COLUMNS[term.field]
    exact = all(isinstance(value, Exact) for value in term.values)
    mixed = len({value.kind for value in term.values if not isinstance(value, Span)}) > 1
    sorts = {term.field} | ({"id"} if exact and term.field != "id" else set())
    if mixed or len(term.values) > MAX_BRANCHES:
        return _Way((_Branch(index, any_of(column, term.values)),), settles, frozenset())
    branches = tuple(_Branch(index, value_of(column, value)) for value in term.values)
    return _Way(branches, settles, frozenset(sorts & SORTS.keys()))


def _deadline_way(values: Sequence[Value], states: Sequence[str], settles: frozenset[str]) -> _Way:
    """Each span of deadlines; two indexes together have the ends of all but the dead, and one those of everybody."""
    state = Clause("i.state IN (SELECT value FROM json_each(?))", (json.dumps(states),))
    few = len(values) <= MAX_BRANCHES
    branches: list[_Branch] = []
    for alternatives in [[value] for value in values] if few else [values]:
        span, due = any_of("i.deadline_at", alternatives), any_of("i.due_at", alternatives)
        bound = (*state.values, *span.values)
        if not _names.DEAD.isdisjoint(states):
            branches.append(_Branch(_ENDS, Clause(f"{state.sql} AND ({span.sql})", bound)))
            continue
        own = Clause(f"{state.sql} AND i.due_at = i.deadline_at AND ({due.sql})", bound)
        other = Clause(f"{state.sql} AND {_names.UNDUE} AND ({span.sql})", bound)
        branches += [_Branch(_DUE, own, deadline="due_at"), _Branch(_UNDUE, other)]
    return _Way(tuple(branches), settles | {"state"}, frozenset(("expires",)) if few else frozenset[str]())


def _word_branches(term: Term) -> tuple[_Branch, ...]:
    account, by_id = words_of(term)
    found = _Branch(WORD.index, account)
    return (found,) if by_id is None else (found, _Branch(FIELDS["id"].index, by_id))


def _through(term: Term, settles: frozenset[str]) -> _Way:
    """Rows that another table's index leads to, each once."""
    if term.field == "has":
        source = f"SELECT t.installation_pk AS pk FROM {_TOKEN} t INDEXED BY {HAS['failure'].index} WHERE {FAILING}"
        through = Clause(source)
    else:
        run = any_of("r.run_id", term.values)
        source = f"SELECT DISTINCT r.installation_pk AS pk FROM {_TRANSITION} r INDEXED BY {FIELDS['run'].index}"
        through = Clause(f"{source} WHERE r.run_id IS NOT NULL AND ({run.sql})", run.values)
    return _Way((_Branch(None, None, through),), settles, frozenset(("id",)))


def _app_way(apps: Sequence[int], states: Sequence[str]) -> _Way:
    """Each app in each state is one range in the order of installation."""
    index = FIELDS["app"].index
    settles = frozenset(("app", "state"))
    if len(apps) * len(states) > MAX_BRANCHES:
        both = "i.app_pk IN (SELECT value FROM json_each(?)) AND i.state IN (SELECT value FROM json_each(?))"
        clause = Clause(both, (json.dumps(apps), json.dumps(states)))
        return _Way((_Branch(index, clause),), settles, frozenset())
    pairs = [Clause("i.app_pk = ? AND i.state = ?", (app, state)) for app in apps for state in states]
    return _Way(tuple(_Branch(index, pair) for pair in pairs), settles, frozenset(("id",)))


def _state_way(states: Sequence[str]) -> _Way:
    clauses = [Clause("i.state = ?", (state,)) for state in states]
    branches = tuple(_Branch(FIELDS["state"].index, clause) for clause in clauses)
    return _Way(branches, frozenset(("state",)), frozenset(("id",)))
