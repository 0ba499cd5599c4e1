"""The connections that only read: each question goes to the one with the least to do, and can be given up."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import aiosqlite

from grantflow._store._errors import translated
from grantflow._store._tolerant import tolerant
from grantflow.errors import BadInput, DatabaseError

T = TypeVar("T")
_LOOKS_UP = 50_000
"""Steps of the database between two looks at whether anybody still waits; about a millisecond."""


class _Question:
    """One read; whoever stops waiting for it stops it, and no other."""

    def __init__(self) -> None:
        self.given_up = False

    def ask(self, conn: sqlite3.Connection, function: Callable[..., T], *args: Any) -> T:
        if self.given_up:
            msg = "interrupted"
            raise sqlite3.OperationalError(msg)
        conn.set_progress_handler(lambda: self.given_up, _LOOKS_UP)
        try:
            return tolerant(conn, function, *args)
        finally:
            conn.set_progress_handler(None, 0)


class Readers:
    """A few connections in mode=ro."""

    def __init__(self, connections: list[aiosqlite.Connection]) -> None:
        self._connections = connections
        self._waiting = [0] * len(connections)

    def __iter__(self) -> Iterator[aiosqlite.Connection]:
        return iter(self._connections)

    async def read(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function over a connection; a caller that is cancelled interrupts it."""
        number = self._waiting.index(min(self._waiting))
        reader, question = self._connections[number], _Question()
        self._waiting[number] += 1
        try:
            result: T = await reader._execute(question.ask, reader._conn, function, *args)  # noqa: SLF001 - one hop, as the writer
        except asyncio.CancelledError:
            question.given_up = True
            raise
        except sqlite3.Error as error:
            raise translated(error) from error
        except OverflowError as error:
            msg = "a number is too large for the database"
            raise BadInput(msg) from error
        except ValueError as error:
            msg = "the database is closed"
            raise DatabaseError(msg) from error
        finally:
            self._waiting[number] -= 1
        return result
