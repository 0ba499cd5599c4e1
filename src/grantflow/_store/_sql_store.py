"""Every port method that is plain SQL, said once; the adapters bring connections, transactions and sweeps."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from array import array
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypeVar

from grantflow._filter import Query
from grantflow._job_rows import JobItemRow, JobRow
from grantflow._ports import (
    End,
    Forgotten,
    Listed,
    Moved,
    Pending,
    Ran,
    Reseal,
    Retention,
    Rules,
    SealedIn,
    SealedRow,
    Work,
)
from grantflow._rows import (
    ActionRow,
    AppRow,
    AttemptRow,
    BeatRow,
    Change,
    ControlRow,
    IncidentRow,
    Load,
    OutboxRow,
    ParentRow,
    RevocationRow,
    Snapshot,
    TransitionRow,
)
from grantflow._store import _jobs, _overview, _reading, _search, _upkeep, _writing
from grantflow._store import _statements as sql
from grantflow._store._connection import Connection, Counts, Job
from grantflow._store._tolerant import tolerant
from grantflow_machines import Instant

T = TypeVar("T")


class SqlStore(ABC):
    """What SQLite and PostgreSQL have in common: the Store port over two doors, one to write and one to read."""

    @abstractmethod
    async def _write(self, job: Job, load: Load | None = None) -> Any:
        """Run one job inside a transaction, whole or not at all; raises what the job raises.

        `load` names what the job reads, for adapters that must lock it first.
        """

    @abstractmethod
    async def _read(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function over a connection that only reads, then its arguments."""

    @abstractmethod
    def _hold(self, conn: Any, installations: Sequence[int], attempts: Sequence[int]) -> None:
        """Keep these installations, and those of these attempts, from everybody else until the transaction ends."""

    # -- writing --------------------------------------------------------------------------------
    async def transact(self, load: Load, work: Work) -> Change:
        """See Store.transact."""

        def job(conn: Connection, counts: Counts) -> Change:
            change = work(tolerant(conn, _reading.load, load))
            _writing.write(conn, change, counts)
            return change

        done: Change = await self._write(job, load)
        return done

    async def close_lapsed_attempts(self, now: Instant, outcome: str) -> int:
        """See Store.close_lapsed_attempts."""
        closed: int = await self._write(lambda conn, _: conn.execute(sql.CLOSE_LOOSE, (outcome, now, now)).rowcount)
        return closed

    async def quarantine(self, pk: int, reason: str, now: Instant) -> None:
        """See Store.quarantine."""
        await self._write(lambda conn, _: _writing.quarantine(conn, pk, reason, now))

    async def reseal(self, changes: Sequence[Reseal], now: Instant) -> list[Reseal]:
        """See Store.reseal."""
        tokens = [change.pk for change in changes if change.table is SealedIn.TOKENS]
        attempts = [change.pk for change in changes if change.table is SealedIn.ATTEMPTS]

        def job(conn: Connection, _: Counts) -> list[Reseal]:
            self._hold(conn, tokens, attempts)
            return _writing.reseal(conn, changes, now)

        lost: list[Reseal] = await self._write(job)
        return lost

    async def settle_notices(
        self, delivered: Sequence[int], failed: Sequence[tuple[int, int, Instant | None]], now: Instant
    ) -> None:
        """See Store.settle_notices."""
        done = [(now, pk) for pk in delivered]
        later = [(tries, again, None if again is not None else now, pk) for pk, tries, again in failed]

        def job(conn: Connection, _: Counts) -> None:
            conn.executemany(sql.DELIVERED, done)
            conn.executemany(sql.NOT_DELIVERED, later)

        await self._write(job)

    async def revive_notices(self) -> int:
        """See Store.revive_notices."""
        revived: int = await self._write(lambda conn, _: conn.execute(sql.REVIVE_NOTICES).rowcount)
        return revived

    async def beat(self, row: BeatRow, lead: int = 0) -> bool:
        """See Store.beat."""
        del lead  # one machine: two looks at one file cost less than to agree on one
        await self._write(lambda conn, _: conn.execute(sql.SET_BEAT.sql, sql.SET_BEAT.values(row)))
        return True

    async def stop_beating(self, process: str) -> None:
        """See Store.stop_beating."""
        await self._write(lambda conn, _: conn.execute(sql.DROP_BEAT, (process,)))

    async def forget(self, before: Retention, limit: int) -> Forgotten:
        """See Store.forget."""
        old = await self._read(_upkeep.old, before, limit)
        if not any(old.values()):
            return Forgotten()

        def job(conn: Connection, _: Counts) -> Forgotten:
            self._hold(conn, [pk for (pk,) in old["tokens"]], ())
            return _upkeep.forget(conn, old)

        gone: Forgotten = await self._write(job)
        return gone

    async def correct_counts(self) -> int:
        """See Store.correct_counts."""
        wrong = await self._read(_upkeep.miscounted)
        if not wrong:
            return 0
        corrected: int = await self._write(lambda conn, _: _upkeep.correct(conn, wrong))
        return corrected

    # -- reading --------------------------------------------------------------------------------
    async def _rows(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        return await self._read(lambda conn: conn.execute(text, values).fetchall())

    async def _instant(self, text: str, *values: Any) -> Instant | None:
        found: Instant | None = (await self._rows(text, *values))[0][0]
        return found

    async def load(self, load: Load) -> Snapshot:
        """See Store.load."""
        return await self._read(_reading.load, load)

    async def parents(self, app_pk: int, accounts: Sequence[str]) -> dict[str, ParentRow]:
        """See Store.parents."""

        def read(conn: Connection) -> dict[str, ParentRow]:
            found = ((account, _reading.parent_row(conn, app_pk, account)) for account in accounts)
            return {account: row for account, row in found if row is not None}

        return await self._read(read)

    async def apps(self) -> list[AppRow]:
        """See Store.apps."""
        return [AppRow(*row) for row in await self._rows(sql.SELECT_APPS)]

    async def find(self, query: Query, now: Instant, *, after: str | None, limit: int, back: bool) -> list[Listed]:
        """See Store.find."""
        return await self._read(_search.find, query, now, after, limit, back)

    async def count(self, query: Query, now: Instant, bound: int) -> int:
        """See Store.count."""
        return await self._read(_search.count, query, now, bound)

    async def first_key(self, start: str) -> int | None:
        """See Store.first_key."""
        return next((int(pk) for (pk,) in await self._rows(sql.FIRST_KEY, start)), None)

    async def history(self, pk: int, limit: int, before: int | None) -> list[TransitionRow]:
        """See Store.history."""
        rows = await self._rows(sql.HISTORY, pk, before if before is not None else 1 << 62, limit)
        return [TransitionRow(*row) for row in rows]

    async def counts(self) -> list[tuple[str, str, int]]:
        """See Store.counts."""
        return [(str(key), str(state), int(n)) for key, state, n in await self._rows(sql.COUNTS)]

    async def overdue(self, now: Instant, bound: int) -> int:
        """See Store.overdue."""
        return int((await self._rows(sql.OVERDUE, now, bound))[0][0])

    async def due(self, now: Instant, limit: int, without: Collection[int] = ()) -> Sequence[int]:
        """See Store.due."""
        values = (now, json.dumps(sorted(without)), limit)
        return await self._read(lambda conn: array("q", (pk for (pk,) in conn.execute(sql.DUE, values))))

    async def due_by_app(self, now: Instant) -> list[tuple[int, str, int]]:
        """See Store.due_by_app."""
        return [(int(pk), str(key), int(n)) for pk, key, n in await self._rows(sql.DUE_BY_APP, now)]

    async def next_due(self, after: Instant | None) -> Instant | None:
        """See Store.next_due."""
        row = await self._rows(sql.NEXT_DUE, -1 if after is None else after)
        loose = await self._rows(sql.NEXT_LOOSE)
        instants = [found[0][0] for found in (row, loose) if found[0][0] is not None]
        return min(instants) if instants else None

    async def horizon(self, edges: Sequence[Instant], live: Collection[str]) -> list[int]:
        """See Store.horizon."""
        return await self._read(_search.horizon, edges, live)

    async def pending_notices(self, now: Instant, limit: int) -> list[Pending]:
        """See Store.pending_notices."""
        rows = await self._rows(sql.PENDING, now, limit)
        return [_pending(row) for row in rows]

    async def waiting_notices(self, limit: int) -> list[Pending]:
        """See Store.waiting_notices."""
        return [_pending(row) for row in await self._rows(sql.WAITING_NOTICES, limit)]

    async def dead_notices(self, limit: int) -> list[Pending]:
        """See Store.dead_notices."""
        return [_pending(row) for row in await self._rows(sql.DEAD_NOTICES, limit)]

    async def next_notice(self) -> Instant | None:
        """See Store.next_notice."""
        return await self._instant(sql.NEXT_NOTICE)

    async def warnings_due(self, now: Instant, limit: int, without: Collection[int] = ()) -> list[tuple[str, int]]:
        """See Store.warnings_due."""
        rows = await self._rows(sql.WARNINGS_DUE, now, limit, json.dumps(sorted(without)))
        return [(str(name), app if isinstance(app, int) else -1) for name, app in rows]

    async def next_warning(self, after: Instant) -> Instant | None:
        """See Store.next_warning."""
        return await self._instant(sql.NEXT_WARNING, after)

    async def controls(self) -> list[ControlRow]:
        """See Store.controls."""
        return [ControlRow(*row) for row in await self._rows(sql.CONTROLS)]

    async def beats(self) -> list[BeatRow]:
        """See Store.beats."""
        return [BeatRow(*row) for row in await self._rows(sql.BEATS)]

    async def broken_promises(self, rules: Rules, limit: int) -> list[str]:
        """See Store.broken_promises."""
        return await self._read(_upkeep.broken_promises, rules, limit)

    async def ends(self, after: int, limit: int, live: Sequence[str], lifetime: int | None) -> list[End]:
        """See Store.ends."""
        return await self._read(_upkeep.ends, after, limit, live, lifetime)

    async def latest(self) -> Instant | None:
        """See Store.latest."""
        rows = await self._rows(sql.LATEST)
        return int(rows[0][0]) if rows else None

    async def outbox(self) -> tuple[Instant | None, int, Instant | None, int, int]:
        """See Store.outbox."""
        notices, revocations = await self._rows(sql.OLDEST_NOTICE), await self._rows(sql.REVOCATIONS_OPEN)
        return (*notices[0], *revocations[0], int((await self._rows(sql.COUNT_DEAD))[0][0]))

    async def lost_revocations(self) -> int:
        """See Store.lost_revocations."""
        return int((await self._rows(sql.REVOCATIONS_LOST))[0][0])

    async def shared_revocations(self) -> int:
        """See Store.shared_revocations."""
        return int((await self._rows(sql.REVOCATIONS_SHARED))[0][0])

    async def due_revocations(self, now: Instant, limit: int) -> list[RevocationRow]:
        """See Store.due_revocations."""
        return [RevocationRow(*row) for row in await self._rows(sql.REVOCATIONS_DUE, now, limit)]

    async def shared(self, row: RevocationRow) -> bool:
        """See Store.shared."""
        values = (row.app_pk, row.identity, row.subject_id)
        return bool((await self._rows(sql.SHARED, *values))[0][0])

    async def refresh_due(self, now: Instant, limit: int) -> list[tuple[str, int]]:
        """See Store.refresh_due."""
        return [(str(name), int(app)) for name, app in await self._rows(sql.REFRESH_DUE, now, limit)]

    async def next_refresh(self, after: Instant) -> Instant | None:
        """See Store.next_refresh."""
        return await self._instant(sql.NEXT_REFRESH, after)

    async def incidents(self, limit: int, *, closed: bool) -> list[tuple[str, IncidentRow]]:
        """See Store.incidents."""
        return [(str(row[0]), IncidentRow(*row[1:])) for row in await self._rows(sql.INCIDENTS, closed, limit)]

    async def actions(
        self, limit: int, before: int | None, query: Query | None = None
    ) -> list[tuple[int, ActionRow]]:
        """See Store.actions."""
        return await self._read(_overview.actions, limit, before, query)

    async def recent(self, look_back: int, limit: int, since: Instant) -> tuple[list[Moved], list[Ran]]:
        """See Store.recent."""
        return await self._read(_overview.recent, look_back, limit, since)

    async def values(self, field: str, prefix: str, limit: int) -> list[str]:
        """See Store.values."""
        return await self._read(_overview.values, field, prefix, limit)

    async def attempts(self, pk: int, limit: int) -> list[AttemptRow]:
        """See Store.attempts."""
        return [AttemptRow(*row) for row in await self._rows(sql.SELECT_ATTEMPTS, pk, limit)]

    async def snapshots(self, pks: Sequence[int]) -> list[Snapshot | None]:
        """See Store.snapshots."""
        return await self._read(_reading.snapshots, pks)

    async def jobs(self, limit: int, before: str | None) -> list[JobRow]:
        """See Store.jobs."""
        return [JobRow(*row) for row in await self._rows(_jobs.JOBS, before, limit)]

    async def jobs_to_take(self, now: Instant) -> list[str]:
        """See Store.jobs_to_take."""
        return [str(name) for (name,) in await self._rows(_jobs.TO_TAKE, now)]

    async def job_items(self, job_pk: int, outcome: str | None, after: int, limit: int) -> list[JobItemRow]:
        """See Store.job_items."""
        return await self._read(_jobs.items, job_pk, outcome, after, limit)

    async def sealed_batch(self, table: SealedIn, after: int, limit: int) -> list[SealedRow]:
        """See Store.sealed_batch."""
        return [SealedRow(row[0], row[1], row[2:]) for row in await self._rows(sql.SEALED_BATCH[table], after, limit)]

    async def sealed_by_key(self) -> dict[str, int]:
        """See Store.sealed_by_key."""
        return await self._read(_reading.sealed_by_key)


def _pending(row: tuple[Any, ...]) -> Pending:
    return Pending(row[0], row[1], row[2], OutboxRow(*row[3:]))
