"""A connection as the plain functions see it: SQLite's own, or PostgreSQL's behind the same methods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

Counts = Counter[tuple[int, str]]
"""Differences of the maintained counters, added up for one commit."""


class Cursor(Protocol):
    """What a statement came to."""

    @property
    def rowcount(self) -> int:
        """Rows that an INSERT, UPDATE or DELETE changed."""
        ...

    @property
    def lastrowid(self) -> int | None:
        """The key of the row that one INSERT made."""
        ...

    def fetchone(self) -> Any:
        """The first row as a tuple, or None."""
        ...

    def fetchall(self) -> list[Any]:
        """Every row, as tuples."""
        ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """Runs statements written in SQLite's words, inside whatever transaction is open."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Cursor:
        """Run one statement."""
        ...

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Cursor:
        """Run one statement for each of many rows."""
        ...


Job = Callable[[Any, Counts], Any]
"""A whole transaction as one function; the first argument is the adapter's own connection."""


class RowRefused(Exception):
    """A constraint of the database refuses a row; SQLite says it by an IntegrityError of its own."""
