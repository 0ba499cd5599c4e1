"""A look at a database from outside, by a connection and a thread of its own, as another program would."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import zlib
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from grantflow._store import _pg_schema, _tables
from grantflow._store._pg_connection import Answer
from grantflow._store._pg_dialect import spoken
from grantflow.errors import GrantflowError
from tests.journeys.stage import Stage

TABLES = "SELECT tablename FROM pg_tables WHERE tablename LIKE 'grantflow%' ORDER BY 1"


class Outside:
    """Answers at once, whatever loop is running."""

    def __init__(self, url: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        try:
            self._conn = self._wait(asyncpg.connect(url))
        except BaseException:
            self._stop()
            raise

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows of a statement in SQLite's words."""
        return [tuple(row) for row in self._wait(self._conn.fetch(spoken(sql).sql, *values))]

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Answer:
        """The same as a connection of the store's plain functions."""
        made = spoken(sql)
        return Answer([tuple(row) for row in self._wait(self._conn.fetch(made.returning, *made.bound(parameters)))])

    def executemany(self, sql: str, parameters: Iterable[Sequence[Any]], /) -> Answer:
        """See execute."""
        made = spoken(sql)
        rows = [made.bound(values) for values in parameters]
        return Answer([tuple(row) for row in self._wait(self._conn.fetchmany(made.returning, rows))])

    def alone(self) -> None:
        """Nobody else is connected any more."""
        self.rows(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    def clear(self) -> None:
        """Take every row away, the trail included, and count keys from one again; in one call, for each test."""
        tables = [one for one in _tables.Base.metadata.tables.values() if one.name != "grantflow_schema"]
        gone = "; ".join(f"DELETE FROM {table.name}" for table in tables)
        first = ", ".join(f"setval('{table.name}_pk_seq', 1, FALSE)" for table in tables if "pk" in table.columns)
        role = "SET session_replication_role"
        text = f"{role} = replica; {gone}; SELECT {first}; {role} = origin"
        self._wait(self._conn.execute(text))

    def close_gaps(self) -> None:
        """The next keys follow those that are there: a transaction that was undone has used some up."""
        for table in _tables.Base.metadata.tables.values():
            if "pk" in table.columns:
                last = f"coalesce((SELECT max(pk) FROM {table.name}), 0) + 1"
                self.rows(f"SELECT setval('{table.name}_pk_seq', {last}, FALSE)")

    def create_schema(self) -> None:
        """Make the tables, as an engine does on an empty database."""
        self._wait(_pg_schema.ensure(self._conn, 0))

    def checksum(self, *, audit: bool = True) -> str:
        """One value over every row of every table of ours, or without the audit."""
        digest = hashlib.sha256()
        for (table,) in self.rows(TABLES):
            if table != "grantflow_action" or audit:
                digest.update(f"{table}\n".encode())
                for row in sorted(map(repr, self.rows(f"SELECT * FROM {table}"))):
                    digest.update(f"{row}\n".encode())
        return digest.hexdigest()

    def close(self) -> None:
        """Let go of the connection and the thread."""
        self._wait(self._conn.close())
        self._stop()

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _wait(self, call: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result(20)


@dataclass
class PostgresStage(Stage):
    """A stage whose rows lie on a server."""

    outside: Outside | None = None

    @property
    def _seen(self) -> Outside:
        assert self.outside is not None
        return self.outside

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """See Stage.sql."""
        return self._seen.rows(statement, *values)

    def checksum(self, *, audit: bool = True) -> str:
        """See Stage.checksum."""
        return self._seen.checksum(audit=audit)

    def record(self) -> list[tuple[str, str]]:
        """See Stage.record."""
        return [
            (str(who), str(told)) for who, told in self.sql("SELECT actor, outcome FROM grantflow_action ORDER BY pk")
        ]

    def commits(self) -> int:
        """See Stage.commits."""
        return zlib.crc32(self._seen.checksum().encode())

    def on_record(self, *kinds: type[GrantflowError], match: str | None = None) -> AbstractContextManager[None]:
        """See Stage.on_record."""
        return self._on_record(kinds, match)

    @contextmanager
    def _on_record(self, kinds: tuple[type[GrantflowError], ...], match: str | None) -> Iterator[None]:
        before, known = self._seen.checksum(audit=False), self.record()
        with pytest.raises(kinds, match=match):
            yield
        assert self._seen.checksum(audit=False) == before, "a row was changed by what was refused"
        assert [outcome for _, outcome in self.record()[len(known) :]] == ["refused"]
