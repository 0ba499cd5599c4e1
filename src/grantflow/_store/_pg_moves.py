"""Plain moves on PostgreSQL: one statement reads what they stand on, one writes them, however many they are.

A plain move is the hot path: it changes an installation, and adds to its trail, its notices and the counters. Nothing
is locked between the two statements. The second one compares what the decision stood on with what is there, row
versions of the installation and of its parent, and leaves alone what has changed or is somebody else's just now; who
asked for that goes the long way, behind locks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any

import asyncpg

from grantflow._rows import Change, OutboxRow, Snapshot, TransitionRow
from grantflow._store import _names, _reading
from grantflow._store import _statements as sql
from grantflow._store._pg_connection import Bridge
from grantflow._store._pg_dialect import arrays, spoken

_installation, _parent, _app = _names.INSTALLATION, _names.PARENT, _names.APP
_STEP, _NOTICE = sql.columns(TransitionRow), sql.columns(OutboxRow)
_WIDTH = len(sql.INSTALLATION_COLUMNS)
_MARKS = "i.xmin, p.mark, a.xmin, i.app_pk, "
_HEAD = 4
"""Columns before those of the row: what tells whether it, its parent and its app are as they were."""
PK = _HEAD + sql.INSTALLATION_COLUMNS.index("pk")
PUBLIC_ID = _HEAD + sql.INSTALLATION_COLUMNS.index("public_id")
"""Positions in what is read."""
_VALUES = attrgetter(*sql.INSTALLATION_COLUMNS)
_BESIDE = re.compile(r"LEFT JOIN (\w+) (\w) ON (.*?)(?= LEFT JOIN | WHERE )")
_LOOKED_UP = r"LEFT JOIN LATERAL (SELECT \2.xmin AS mark, \2.* FROM \1 \2 WHERE \3 OFFSET 0) \2 ON TRUE"
"""Row by row, by its key: a plan is made once, and must not count on how small a table was then."""
_PLAIN = ("installation", "expected_version", "whole", "before", "transitions", "notices", "stop_renewal", "result")
_OTHER = attrgetter(*(field.name for field in fields(Change) if field.name not in _PLAIN))
_NOTHING = _OTHER(Change())


def _reads(text: str, key: str) -> str:
    """A snapshot without its app, behind the marks."""
    app = sql.listed("a", sql.APP_COLUMNS)
    made = spoken(text).sql.replace("SELECT ", f"SELECT {_MARKS}", 1).replace(f"{app}, ", "", 1)
    return _BESIDE.sub(_LOOKED_UP, made).replace("$1", key, 1)


READ_ONE = _reads(sql.SNAPSHOT_BY_ID, "$1")
"""Idempotency key or None, public id."""
READ = (
    _reads(sql.SNAPSHOT_BY_ID, "asked.key")
    .replace(
        f"FROM {_installation} i JOIN",
        f"FROM unnest($1::text[], $2::text[]) AS asked(key, id) "
        f"JOIN {_installation} i ON i.public_id = asked.id JOIN",
        1,
    )
    .removesuffix(" WHERE i.public_id = $2")
)
"""Idempotency keys, public ids."""
READ_DUE = _reads(sql.SNAPSHOT_DUE, "$1")
"""None, keys, and the instant at which they must be due."""
READ_APPS = f"SELECT a.pk, a.xmin, {sql.listed('a', sql.APP_COLUMNS)} FROM {_app} a WHERE a.pk = ANY($1::bigint[])"
STEPS = (
    f"SELECT {sql.listed('s', _STEP)} FROM {_names.TRANSITION} s "
    "JOIN unnest($1::bigint[], $2::bigint[]) AS asked(pk, version) "
    "ON s.installation_pk = asked.pk AND s.version = asked.version"
)
"""What is recorded under these installations and versions."""


@dataclass(slots=True)
class Seen:
    """One installation as it was read, and what a move of it is compared with."""

    pk: int
    mark: int
    parent: int | None
    parent_mark: int | None
    values: Sequence[Any]
    snapshot: Snapshot


@dataclass(slots=True)
class Move:
    """What was seen, and what was decided on it."""

    seen: Seen
    change: Change


class Apps:
    """The rows of apps, which hardly ever change and are long; what is kept is asked for by its row version."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, tuple[Any, ...]]] = {}

    async def learn(self, conn: asyncpg.Connection, rows: Iterable[Sequence[Any]]) -> None:
        """Read those of the apps that are not known as they are."""
        wanted = {row[3] for row in rows if self._known.get(row[3], (None,))[0] != row[2]}
        if wanted:
            for pk, mark, *values in await conn.fetch(READ_APPS, list(wanted)):
                self._known[pk] = mark, tuple(values)

    def seen(self, row: Sequence[Any]) -> Seen:
        """Put one row together; raises ValueError, TypeError or LookupError for one that cannot be."""
        values = row[_HEAD : _HEAD + _WIDTH]
        joined = (*values, *self._known[row[3]][1], *row[_HEAD + _WIDTH :])
        snapshot = _reading.snapshot_of(joined)
        assert snapshot is not None
        parent = None if snapshot.parent is None else snapshot.parent.pk
        return Seen(values[0], row[0], parent, row[1], values, snapshot)


def is_empty(change: Change) -> bool:
    """Whether there is nothing to write."""
    return replace(change, installation=None, expected_version=None, before=None, result=None) == Change()


def is_plain(seen: Seen, change: Change) -> bool:
    """Whether it is a move and nothing else, of a row that no attempt is open for."""
    return (
        bool(change.transitions)
        and change.expected_version is not None
        and not seen.snapshot.attempts
        and _OTHER(change) == _NOTHING
    )


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a statement writes; statements are made once for each."""

    columns: tuple[str, ...]
    single: bool
    parents: bool
    notices: bool
    counted: bool
    stopped: bool


def writing(moves: Sequence[Move], slot: int) -> tuple[str, list[Any]]:
    """The statement that writes these moves, each of another row, and its values; it answers with the keys moved."""
    steps = [step for move in moves for step in move.change.transitions]
    notices = [notice for move in moves for notice in move.change.notices]
    counts = _counts(moves)
    ended = [move.seen.pk for move in moves if move.change.stop_renewal]
    after = [_VALUES(move.change.installation) for move in moves]
    changed = _changed(moves, after)
    single = len(moves) == len(steps) == 1 and len(notices) < 2
    parents = any(move.seen.parent is not None for move in moves)
    columns = tuple(sql.INSTALLATION_COLUMNS[n] for n in changed)
    shape = _Shape(columns, single, parents, bool(notices), bool(counts), bool(ended))
    rows = [(*_asked(move), *(values[n] for n in changed)) for move, values in zip(moves, after, strict=True)]
    values = _columns(rows, single=single)
    values += _columns([sql.INSERT_TRANSITION.values(step) for step in steps], single=single)
    if notices:
        values += _columns([sql.INSERT_OUTBOX.values(notice) for notice in notices], single=single)
    if counts:
        values += [*_columns(counts, single=False), slot]
    if ended:
        values.append(ended)
    return _statement(shape), values


def _asked(move: Move) -> tuple[int | None, ...]:
    """What must be as it was."""
    seen = move.seen
    return seen.pk, move.change.expected_version, seen.mark, seen.parent, seen.parent_mark


def written(bridge: Bridge, changes: Sequence[Change]) -> list[Change]:
    """Those of the changes whose last step is recorded, word for word.

    A sweep's steps carry their run; a caller's the instant in microseconds, who it was and why.
    """
    wanted = [change.transitions[-1] for change in changes]
    rows = bridge.fetch(STEPS, [step.installation_pk for step in wanted], [step.version for step in wanted])
    recorded = [TransitionRow(*row) for row in rows]
    return [change for change, step in zip(changes, wanted, strict=True) if step in recorded]


def _columns(rows: Sequence[Sequence[Any]], *, single: bool) -> list[Any]:
    return list(rows[0]) if single else [list(column) for column in zip(*rows, strict=True)]


def _changed(moves: Sequence[Move], after: Sequence[Sequence[Any]]) -> list[int]:
    """Positions of the columns that any of the moves changes."""
    changed: set[int] = set()
    for move, values in zip(moves, after, strict=True):
        if move.seen.values != values:
            changed.update(n for n, value in enumerate(values) if value != move.seen.values[n])
    return sorted(changed)


def _counts(moves: Sequence[Move]) -> list[tuple[int, int, str, int]]:
    """Installation, app, state and difference: only what was moved is counted."""
    counts: list[tuple[int, int, str, int]] = []
    for move in moves:
        row, before = move.change.installation, move.change.before
        if row is not None and before is not None and before != row.state:
            counts += [(row.pk, row.app_pk, row.state, 1), (row.pk, row.app_pk, before, -1)]
    return counts


class _Text:
    """A statement in the making: it numbers the places of the values."""

    def __init__(self, *, single: bool) -> None:
        self._single = single
        self._count = 0

    def place(self, kind: str) -> str:
        self._count += 1
        return f"${self._count}::{kind}"

    def rows(self, names: Sequence[str], kinds: Sequence[str], *, single: bool | None = None) -> str:
        """A table of values: arrays of each column, or one row."""
        if self._single if single is None else single:
            cells = (f"{self.place(kind[:-2])} AS {name}" for name, kind in zip(names, kinds, strict=True))
            return f"(SELECT {', '.join(cells)}, 1 AS ordinality) AS v"
        places = ", ".join(self.place(kind) for kind in kinds)
        return f"unnest({places}) WITH ORDINALITY AS v({', '.join(names)}, ordinality)"

    def added(self, table: str, names: Sequence[str]) -> str:
        """An INSERT of rows of installations that were moved, in their order."""
        source = self.rows(names, arrays(table, names))
        return (
            f"INSERT INTO {table} ({', '.join(names)}) SELECT {sql.listed('v', tuple(names))} FROM {source} "
            "JOIN moved m ON m.pk = v.installation_pk ORDER BY v.ordinality RETURNING 1"
        )


@lru_cache(maxsize=512)
def _statement(shape: _Shape) -> str:
    """Several CTEs as one statement and one commit.

    Of many rows those that somebody else has are left out at once; for one row it may wait.
    """
    text = _Text(single=shape.single)
    names = ("pk", "was", "mark", "parent", "parent_mark", *(f"new_{name}" for name in shape.columns))
    kinds = ("bigint[]", "bigint[]", "xid[]", "bigint[]", "xid[]", *arrays(_installation, shape.columns))
    parts = {f"asked AS {'NOT ' if shape.single else ''}MATERIALIZED": f"SELECT * FROM {text.rows(names, kinds)}"}
    sets = ", ".join(f"{name} = asked.new_{name}" for name in shape.columns)
    unchanged = "i.pk = asked.pk AND i.version = asked.was AND i.xmin = asked.mark"
    skip = "" if shape.single else " SKIP LOCKED"
    if shape.parents:
        parts["kin AS MATERIALIZED"] = (
            "SELECT known.pk FROM (SELECT DISTINCT parent, parent_mark FROM asked) one CROSS JOIN LATERAL ("
            f"SELECT p.pk FROM {_parent} p WHERE p.pk = one.parent AND p.xmin = one.parent_mark FOR SHARE{skip}"
            ") known"
        )
        unchanged += " AND (asked.parent IS NULL OR asked.parent IN (SELECT pk FROM kin))"
    else:
        unchanged += " AND asked.parent IS NULL AND asked.parent_mark IS NULL"
    if not shape.single:
        parts["held AS MATERIALIZED"] = (
            f"SELECT asked.* FROM asked JOIN {_installation} i ON {unchanged} FOR NO KEY UPDATE OF i SKIP LOCKED"
        )
        unchanged = "i.pk = asked.pk"
    source = "asked" if shape.single else "held AS asked"
    parts["moved AS"] = f"UPDATE {_installation} i SET {sets} FROM {source} WHERE {unchanged} RETURNING i.pk"
    parts["steps AS"] = text.added(_names.TRANSITION, _STEP)
    if shape.notices:
        parts["notices AS"] = text.added(_names.OUTBOX, _NOTICE)
    if shape.counted:
        source = text.rows(
            ("pk", "app_pk", "state", "n"), ("bigint[]", "bigint[]", "text[]", "bigint[]"), single=False
        )
        count = _names.COUNT
        parts["tallies AS"] = (
            f"INSERT INTO {count} (app_pk, state, slot, n) SELECT v.app_pk, v.state, {text.place('bigint')}, "
            f"sum(v.n)::bigint FROM {source} JOIN moved m ON m.pk = v.pk GROUP BY v.app_pk, v.state "
            "HAVING sum(v.n) <> 0 ORDER BY v.app_pk, v.state "
            f"ON CONFLICT (app_pk, state, slot) DO UPDATE SET n = {count}.n + excluded.n RETURNING 1"
        )
    if shape.stopped:
        parts["stopped AS"] = (
            f"UPDATE {_names.TOKEN_SET} t SET refresh_at = NULL FROM moved m "
            f"WHERE m.pk = t.installation_pk AND m.pk = ANY({text.place('bigint[]')}) RETURNING 1"
        )
    return f"WITH {', '.join(f'{name} ({part})' for name, part in parts.items())} SELECT pk FROM moved"
