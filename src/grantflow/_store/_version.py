"""Which code may work on which schema: a row says what wrote a database, and the oldest code that may go on with it.

A release that only adds (tables, columns that may be empty or have a default, indexes that forbid nothing) leaves
`compatible_from` where it is, so that hosts of the release before go on while the others are renewed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from grantflow._store import _names
from grantflow.errors import SchemaMismatch, SchemaOutdated, SchemaTooNew

INSERT = f"INSERT INTO {_names.SCHEMA} (version, made_at, compatible_from) VALUES (?, ?, ?)"


class Stamp(NamedTuple):
    """The row of a database; up to version 3 nothing but the version itself was compatible."""

    version: int
    made_at: int
    compatible_from: int


def stamp(row: Sequence[Any] | None, *, unfinished: bool = False) -> Stamp:
    """Read the row, whatever columns it has; raises SchemaMismatch where there is none that can be read."""
    if row is None and unfinished:
        msg = "the database is a copy that was never finished"
        raise SchemaMismatch(msg, hint="go on with it: grantflow db copy SOURCE TARGET")
    known = tuple(row or ())[: len(Stamp._fields)]  # a later release may have more to say
    if len(known) < 2 or not all(type(value) is int for value in known):
        found = "none" if row is None else "unreadable"
        msg = f"the database has schema version {found}, this release needs {_names.SCHEMA_VERSION}"
        raise SchemaMismatch(msg)
    return Stamp(known[0], known[1], known[2] if len(known) > 2 else known[0])


def check(row: Sequence[Any] | None, *, unfinished: bool = False) -> Stamp:
    """Let pass what this code may work on; raises SchemaOutdated, SchemaTooNew or SchemaMismatch for all else."""
    found = stamp(row, unfinished=unfinished)
    if found.version < _names.SCHEMA_VERSION:
        msg = f"the database has schema version {found.version}, this release needs {_names.SCHEMA_VERSION}"
        raise SchemaOutdated(msg)
    if found.compatible_from > _names.SCHEMA_VERSION:
        msg = (
            f"the database has schema version {found.version}, which needs a release for version "
            f"{found.compatible_from} or later; this one is for {_names.SCHEMA_VERSION}"
        )
        raise SchemaTooNew(msg)
    return found
