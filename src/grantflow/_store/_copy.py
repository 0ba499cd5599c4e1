"""From one database into an empty one, row by row in the order of their keys, with the keys they have.

A chunk and how far it reaches are written in one transaction, so that a copy that was stopped goes on where it was.
The version row comes last of all, after both sides were read once more and found the same: until then no engine opens
the copy.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import marshal
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Boolean, Float, Integer, LargeBinary, Table

from grantflow._database_model import Copied, CopiedTable, Progress
from grantflow._store import _names, _tables
from grantflow._store._version import Stamp
from grantflow.errors import CopyRefused
from grantflow_machines import Instant

Row = tuple[Any, ...]
CHUNK = 5_000
"""Rows of one transaction."""
_PLAIN = 0
"""The version of marshal without references: equal rows have equal bytes."""
_WIDEST = 2**63


@dataclass(frozen=True, slots=True)
class Shape:
    """One table as a copy sees it."""

    name: str
    columns: tuple[str, ...]
    kinds: tuple[type, ...]
    nullable: tuple[bool, ...]
    keys: tuple[str, ...]
    """Columns of its key, in the order in which its rows are copied."""

    @classmethod
    def of(cls, table: Table) -> Shape:
        """What the metadata says."""
        columns = list(table.columns)
        return cls(
            table.name,
            tuple(column.name for column in columns),
            tuple(_kind(column.type) for column in columns),
            tuple(bool(column.nullable) for column in columns),
            tuple(column.name for column in table.primary_key.columns),
        )

    def key(self, row: Row) -> Row:
        """Where a row stands."""
        return tuple(row[self.columns.index(name)] for name in self.keys)

    def damage(self, rows: Sequence[Row], before: int) -> str | None:
        """The first cell that holds what its column cannot hold, in words without the value."""
        for number, row in enumerate(rows, start=before + 1):
            for name, kind, nullable, value in zip(self.columns, self.kinds, self.nullable, row, strict=True):
                if value is None and nullable:
                    continue
                if type(value) is not kind or (isinstance(value, str) and "\0" in value):
                    return f"{name} of row {number:,} holds a {type(value).__name__} that does not belong there"
                if isinstance(value, int) and not -_WIDEST <= value < _WIDEST:
                    return f"{name} of row {number:,} holds a number that is too large"
        return None


def _kind(known: object) -> type:
    for column, kind in ((Boolean, bool), (LargeBinary, bytes), (Integer, int), (Float, float)):
        if isinstance(known, column):
            return kind
    return str


SHAPES = tuple(Shape.of(table) for table in _tables.Base.metadata.sorted_tables if table.name != _names.SCHEMA)

_BEATS = next(shape for shape in SHAPES if shape.name == _names.BEAT)


@dataclass(slots=True)
class Reached:
    """How far the copy of one table is."""

    after: Row | None = None
    rows: int = 0


class Side(Protocol):
    """A database that can be read in order."""

    async def count(self, shape: Shape) -> int:
        """How many rows a table has."""
        ...

    async def read(self, shape: Shape, after: Row | None, limit: int) -> list[Row]:
        """The next rows behind a key."""
        ...


class Source(Side, Protocol):
    """Stands still while it is read: whoever wants to write waits, or is told that it is busy."""

    async def stamp(self) -> Stamp:
        """Its version row."""
        ...


class Target(Side, Protocol):
    """An empty database, or a copy that was not finished."""

    async def begin(self, of: Stamp) -> Mapping[str, Reached]:
        """Make the tables without their indexes, or find out how far an earlier run came."""
        ...

    async def write(self, shape: Shape, rows: Sequence[Row], reached: Reached) -> None:
        """A chunk and how far it reaches, in one transaction."""
        ...

    async def index(self, progress: Progress) -> None:
        """Make the indexes that are not there yet."""
        ...

    async def finish(self, of: Stamp) -> None:
        """Set what counts the keys, write the version row, forget how far it was."""
        ...

    async def forget(self) -> None:
        """Take an unfinished copy away, with everything in it; nothing else is touched."""
        ...


async def copy(source: Source, target: Target, progress: Progress, silent_since: Instant) -> Copied:
    """Bring everything over, compare both sides, and make the copy a database; see the module.

    Raises CopyRefused where the sides differ, or where a process of the source said after `silent_since` that it is
    at work.
    """
    of = await source.stamp()
    await _refuse_when_at_work(source, silent_since)
    totals = {shape.name: await source.count(shape) for shape in SHAPES}
    whole, done = sum(totals.values()), 0
    reached = await target.begin(of)
    resumed = sum(one.rows for one in reached.values())
    for shape in SHAPES:
        at = reached.get(shape.name) or Reached()
        progress(shape.name, done + at.rows, whole)
        async for rows in _ahead(source, shape, at.after):
            at = Reached(shape.key(rows[-1]), at.rows + len(rows))
            await target.write(shape, rows, at)
            progress(shape.name, done + at.rows, whole)
        done += at.rows
    tables = []
    for shape in SHAPES:
        tables.append(await _compared(source, target, shape))
        progress("compare", sum(table.rows for table in tables), whole)
    await target.index(progress)
    await target.finish(of)
    return Copied(tuple(tables), whole, resumed)


async def _refuse_when_at_work(source: Source, silent_since: Instant) -> None:
    said = _BEATS.columns.index("at")
    busy = sum(row[said] > silent_since for row in await source.read(_BEATS, None, CHUNK))
    if busy:
        msg = f"{busy} scheduler{'' if busy == 1 else 's'} of the source said a moment ago to be at work"
        raise CopyRefused(msg, hint="stop every host and scheduler; one that was killed is silent within a minute")


async def _compared(source: Side, target: Side, shape: Shape) -> CopiedTable:
    here, there = await asyncio.gather(checksum(source, shape), checksum(target, shape))
    if here != there:
        msg = f"{shape.name} is not the same on both sides: the source was written since the copy was begun"
        raise CopyRefused(msg, hint="stop every host and scheduler, then: grantflow db copy --restart SOURCE TARGET")
    return here


async def checksum(side: Side, shape: Shape) -> CopiedTable:
    """Count and hash the rows of a table in the order of their keys; the same function for every database."""
    digest, count = hashlib.sha256(), 0
    async for rows in _ahead(side, shape, None):
        digest.update(b"".join([marshal.dumps(row, _PLAIN) for row in rows]))
        count += len(rows)
    return CopiedTable(shape.name, count, digest.hexdigest())


async def _ahead(side: Side, shape: Shape, after: Row | None) -> AsyncIterator[list[Row]]:
    """Chunk after chunk; while one is worked on, the next one is read."""
    reading = asyncio.create_task(side.read(shape, after, CHUNK))
    try:
        while rows := await reading:
            if len(rows) < CHUNK:
                yield rows
                return
            reading = asyncio.create_task(side.read(shape, shape.key(rows[-1]), CHUNK))
            yield rows
    finally:
        if not reading.done():
            await asyncio.wait({reading})


def refused(shape: Shape, rows: Sequence[Row], reached: Reached, error: Exception) -> CopyRefused:
    """What is wrong with a chunk that the target does not take."""
    told = shape.damage(rows, reached.rows - len(rows)) or f"a row is refused ({type(error).__name__})"
    return CopyRefused(
        f"{shape.name}: {told}", hint="mend it in the source first; grantflow doctor --thorough finds it"
    )


# -- how far it is -----------------------------------------------------------------------------------
INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX ")
MADE = f"CREATE TABLE {_names.COPY} (name TEXT PRIMARY KEY, after TEXT, rows BIGINT NOT NULL)"
NOTES = f"SELECT name, after, rows FROM {_names.COPY}"
WHOLE = ""
"""Names no table: its row says what is being copied, by the instant in which that database was made."""


def reached(notes: Sequence[Row], of: Stamp) -> Mapping[str, Reached]:
    """How far an earlier run came; raises CopyRefused where the tables are something else."""
    made = {name: (after, rows) for name, after, rows in notes}
    if WHOLE not in made:
        msg = "the target holds tables of grantflow already"
        raise CopyRefused(msg, hint="copy into an empty database")
    if made.pop(WHOLE)[0] != str(of.made_at):
        msg = "the target holds an unfinished copy of another database"
        raise CopyRefused(msg, hint="copy into an empty database, or let go of what is there: --restart")
    return {name: Reached(from_note(after), rows) for name, (after, rows) in made.items()}


def indexes(statements: Sequence[str], progress: Progress) -> Iterator[str]:
    """Those of a schema that make indexes, so that each can be made once more."""
    made = [text for text in statements if INDEX.match(text)]
    for number, text in enumerate(made):
        progress("index", number, len(made))
        yield text.replace("INDEX ", "INDEX IF NOT EXISTS ", 1)


def noted(key: Row | None) -> str | None:
    """A key as text."""
    return (
        None if key is None else json.dumps([[value.hex()] if isinstance(value, bytes) else value for value in key])
    )


def from_note(text: str | None) -> Row | None:
    """The key a text stands for.

    >>> from_note(noted((7, "a", b"xy")))
    (7, 'a', b'xy')
    """
    if text is None:
        return None
    return tuple(bytes.fromhex(value[0]) if isinstance(value, list) else value for value in json.loads(text))


def page(shape: Shape, after: Row | None, place: Callable[[int], str]) -> str:
    """The statement of the next rows; the values are the key's, then the limit."""
    keys = ", ".join(shape.keys)
    names = ", ".join(f'"{name}"' for name in shape.columns)
    places = [place(number) for number in range(1, len(shape.keys) + 2)]
    where, limit = "", places[0]
    if after is not None:
        where, limit = f"WHERE ({keys}) > ({', '.join(places[:-1])})", places[-1]
    return f"SELECT {names} FROM {shape.name} {where} ORDER BY {keys} LIMIT {limit}"
