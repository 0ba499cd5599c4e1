"""An installation base of any size: the few hundred lives of `grantflow demo`, copied inside the file.

A copy is its original on an account of its own, with its tokens, its open attempt, and the first and the last step
of its trail; everything in the past lies up to two weeks further back, everything to come as much later. What nobody
but its owner reads back is not copied: closed attempts, consents, delivered notices, hashes of tokens. The counters
are counted, and `engine.ops.broken_promises` agrees.
"""

from __future__ import annotations

import contextlib
import io
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from grantflow._ids import bucket_of
from grantflow.demo import run_demo

LIVES = 300
"""Played by the demonstration, and copied."""
LEAST = 1_000
_CHUNK = 250_000
_SPREAD = 1_209_600_000_003
"""Two weeks in microseconds, and a little, so that the steps of the copies meet every part of it."""
_MIXED = "n.k * 2654435761"
_TABLES = ("installation", "token_set", "transition", "attempt", "parent")

Told = Callable[[str, int, int], None]
"""Hears of progress: what is done, how much of it, of how much."""


def size_of(text: str) -> int:
    """A number of rows as people write it.

    >>> size_of("10k"), size_of("1M"), size_of("12_500")
    (10000, 1000000, 12500)
    """
    number, unit = text[:-1], text[-1:].lower()
    factor = {"k": 1_000, "m": 1_000_000}.get(unit)
    return int(text) if factor is None else round(float(number) * factor)


def short(rows: int) -> str:
    """The same backwards.

    >>> short(10_000), short(2_500_000), short(1_234)
    ('10 k', '2.5 M', '1,234')
    """
    for factor, unit in ((1_000_000, "M"), (1_000, "k")):
        if rows >= factor and rows * 10 % factor == 0:
            return f"{rows / factor:g} {unit}"
    return f"{rows:,}"


def make(file: Path, rows: int, told: Told = lambda what, done, of: None) -> None:
    """Make a database with so many installations; nothing stands under its name before it is whole.

    Raises ValueError for fewer than `LEAST` rows, FileExistsError where there is a file already.
    """
    if rows < LEAST:
        msg = f"an installation base has at least {LEAST:,} rows"
        raise ValueError(msg)
    if file.exists():
        raise FileExistsError(file)
    making = file.with_name(f"{file.name}.making")
    told(f"{LIVES} lives", 0, 1)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            run_demo(LIVES, making, operator="maria")
        with closing(sqlite3.connect(making, isolation_level=None)) as conn, _unsafe(conn):
            _Copies(conn, rows, told).run()
        making.replace(file)
    finally:
        for left in file.parent.glob(f"{making.name}*"):
            left.unlink()


@contextmanager
def _unsafe(conn: sqlite3.Connection) -> Iterator[None]:
    """Nothing is flushed while the file is made: one that is not whole is thrown away."""
    conn.execute("PRAGMA journal_mode=DELETE")
    for name, value in (
        ("journal_mode", "OFF"),
        ("synchronous", "OFF"),
        ("locking_mode", "EXCLUSIVE"),
        ("cache_size", -400_000),
        ("threads", 2),
    ):
        conn.execute(f"PRAGMA {name}={value}")
    yield
    conn.execute("PRAGMA locking_mode=NORMAL")
    conn.execute("PRAGMA journal_mode=WAL")


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    instant: bool


class _Copies:
    """Rows of the tables multiplied, each table by one statement a chunk."""

    def __init__(self, conn: sqlite3.Connection, rows: int, told: Told) -> None:
        self._conn, self._told, self._rows = conn, told, rows
        (self._lives,) = conn.execute("SELECT count(*) FROM grantflow_installation").fetchone()
        (self._first,) = conn.execute("SELECT max(pk) + 1 FROM grantflow_installation").fetchone()
        (self._now,) = conn.execute("SELECT max(updated_at) FROM grantflow_installation").fetchone()

    def run(self) -> None:
        """Copy, index, count."""
        self._conn.create_function("bucket_of", 1, bucket_of, deterministic=True)
        self._remember()
        indexes = self._without_indexes()
        last = self._first + self._rows - self._lives
        for start in range(self._first, last, _CHUNK):
            self._told("rows", start, self._rows)
            self._conn.execute("BEGIN")
            self._chunk(start, min(start + _CHUNK, last) - 1)
            self._conn.execute("COMMIT")
        for number, statement in enumerate(indexes):
            self._told("indexes", number, len(indexes))
            self._conn.execute(statement)
        self._conn.execute("DELETE FROM grantflow_count")
        self._conn.execute(
            "INSERT INTO grantflow_count (app_pk, state, slot, n) "
            "SELECT app_pk, state, 0, count(*) FROM grantflow_installation GROUP BY app_pk, state"
        )
        self._told("indexes", len(indexes), len(indexes))

    def _remember(self) -> None:
        """The originals by number, so that a copy finds its own by remainder."""
        self._conn.executescript(
            """
            CREATE TEMP TABLE life (slot INTEGER PRIMARY KEY, pk INTEGER UNIQUE, steps INTEGER);
            INSERT INTO life SELECT row_number() OVER (ORDER BY pk) - 1, pk, min(version, 2)
              FROM grantflow_installation;
            CREATE TEMP TABLE step AS SELECT * FROM (
              SELECT l.slot, t.*, row_number() OVER (PARTITION BY l.slot ORDER BY t.version) AS up,
                row_number() OVER (PARTITION BY l.slot ORDER BY t.version DESC) AS down
              FROM grantflow_transition t JOIN life l ON l.pk = t.installation_pk) WHERE up = 1 OR down = 1;
            CREATE INDEX temp.step_slot ON step (slot, version);
            CREATE TEMP TABLE root AS SELECT * FROM grantflow_parent;
            """
        )

    def _without_indexes(self) -> list[str]:
        """Sorted once at the end they cost a third; those of constraints stay."""
        marks = ", ".join("?" * len(_TABLES))
        found = self._conn.execute(
            f"SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ({marks})",
            [f"grantflow_{table}" for table in _TABLES],
        ).fetchall()
        for name, _ in found:
            self._conn.execute(f"DROP INDEX {name}")
        return [statement for _, statement in found]

    def _chunk(self, first: int, last: int) -> None:
        copy, slot = f"((n.k - {self._first}) / {self._lives})", f"(n.k - {self._first}) % {self._lives}"
        account, key = f"t.account || '-' || {copy}", f"{_MIXED} % 281474976710597"
        own = f"CROSS JOIN temp.life l ON l.slot = {slot} "
        subject = f"CASE t.subject_id WHEN t.account THEN {account} ELSE t.subject_id END"
        made = f"printf('019a%04x-%04x-7%03x-8%03x-%012x', n.k >> 16, n.k & 65535, {key} & 4095, n.k & 4095, {key})"
        named = {"pk": "n.k", "public_id": made, "account": account, "subject_id": subject, "version": "l.steps",
                 "bucket": f"bucket_of({account})"}  # fmt: skip
        mine = {"installation_pk": "n.k"}
        self._insert("installation", f"{own}CROSS JOIN grantflow_installation t ON t.pk = l.pk", first, last, named)
        tokens = f"{own}CROSS JOIN grantflow_token_set t ON t.installation_pk = l.pk"
        self._insert("token_set", tokens, first, last, mine)
        trail = mine | {"pk": None, "version": "min(t.up, 2)", "idempotency_key": "NULL"}
        self._insert("transition", f"CROSS JOIN temp.step t ON t.slot = {slot}", first, last, trail)
        code = "CASE WHEN t.code_hash IS NOT NULL THEN randomblob(32) END"
        waits = {
            "public_id": made,
            "account": account,
            "subject_id": subject,
            "code_hash": code,
            "state_hash": "NULL",
        }
        attempts = f"{own}CROSS JOIN grantflow_attempt t ON t.installation_pk = l.pk AND t.outcome IS NULL"
        self._insert("attempt", attempts, first, last, mine | waits | {"pk": None})
        self._parents(first, last)

    def _parents(self, first: int, last: int) -> None:
        """One for each app on each account of the copies that begin in this chunk."""
        begin, end = (-(-(edge - self._first) // self._lives) for edge in (first, last + 1))
        account = "t.account || '-' || n.k"
        self._insert("parent", "CROSS JOIN temp.root t", begin, end - 1, {"pk": None, "account": account})

    def _insert(self, table: str, source: str, first: int, last: int, named: Mapping[str, str | None]) -> None:
        """Columns as in the original `t`, but for those that are named; instants spread."""
        spread = f"{_MIXED} % {_SPREAD}"
        values = {
            column.name: named.get(column.name, self._spread(column, spread))
            for column in self._columns(table)
            if named.get(column.name, "") is not None
        }
        self._conn.execute(
            "WITH RECURSIVE n(k) AS (SELECT ? WHERE ?1 <= ?2 UNION ALL SELECT k + 1 FROM n WHERE k < ?2) "
            f"INSERT INTO grantflow_{table} ({', '.join(values)}) SELECT {', '.join(map(str, values.values()))} "
            f"FROM n {source}",
            (first, last),
        )

    def _spread(self, column: _Column, spread: str) -> str:
        name = f"t.{column.name}"
        return f"{name} + ({spread}) * iif({name} > {self._now}, 1, -1)" if column.instant else name

    def _columns(self, table: str) -> list[_Column]:
        found = self._conn.execute(f"PRAGMA main.table_info(grantflow_{table})")
        return [_Column(row[1], row[2] == "BIGINT") for row in found]


def main(file: Path, rows: int) -> None:
    """Make it, and say how far it is."""
    began = time.monotonic()
    with Progress(TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"),
                  TimeElapsedColumn()) as progress:  # fmt: skip
        tasks = {what: progress.add_task(what, total=1) for what in (f"{LIVES} lives", "rows", "indexes")}

        def told(what: str, done: int, of: int) -> None:
            for earlier, task in tasks.items():
                if earlier == what:
                    progress.update(task, completed=done, total=of)
                    break
                progress.update(task, completed=1, total=1)

        make(file, rows, told)
        told("", 1, 1)
    print(f"{rows:,} installations in {file}: {file.stat().st_size / 1e9:.2f} GB, {time.monotonic() - began:.0f} s")
    print(f"look at them: grantflow --database {file} tui")
