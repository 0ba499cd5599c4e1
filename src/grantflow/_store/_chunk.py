"""One chunk of a sweep: every row decided on its own, all of them written together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grantflow._ports import ChunkDone, Work
from grantflow._rows import Change
from grantflow._store import _writing
from grantflow._store._connection import Connection, Counts
from grantflow._store._reading import snapshot_of
from grantflow.errors import GrantflowError, Quarantined
from grantflow_machines import Instant


class Chunk:
    """Collects what becomes of the rows, inside one transaction."""

    def __init__(self, conn: Connection, work: Work, now: Instant) -> None:
        self._conn = conn
        self._work = work
        self._now = now
        self._changes: list[Change] = []
        self._quarantined = 0
        self.skipped = 0

    def take(self, pk: int, row: tuple[Any, ...] | None) -> None:
        """Decide one joined row; None is one that is no longer due."""
        try:
            found = snapshot_of(row)
            if found is None:
                self.skipped += 1
            else:
                self._changes.append(self._work(found))
        except Quarantined as error:
            _writing.quarantine(self._conn, pk, str(error), self._now)
            self._quarantined += 1
        except GrantflowError:
            self.skipped += 1
        except (ValueError, TypeError, LookupError, OverflowError) as error:
            self.set_aside(pk, error)

    def set_aside(self, pk: int, error: Exception) -> None:
        """Quarantine a row that cannot be read."""
        _writing.quarantine(self._conn, pk, f"the row cannot be read: {error}"[:200], self._now)
        self._quarantined += 1

    def written(self, counts: Counts, left: Sequence[int], *, one_by_one: bool) -> ChunkDone:
        """Write what was decided, all at once or each behind a savepoint; `left` is for the next chunk."""
        changes = self._changes
        if one_by_one:
            changes = _writing.write_each(self._conn, self._changes, counts, self._now)
            self._quarantined += len(self._changes) - len(changes)
        else:
            _writing.write_chunk(self._conn, changes, counts)
        return ChunkDone(changes, self.skipped, self._quarantined, left)
