"""Lanes: callers who come while others are being served are served together, each with a verdict of their own.

As on SQLite the work in flight is the window, and there is no timer: one caller alone waits for nobody. An
installation is in one lane at a time. What is no plain move, what lost a race and what the server refused goes the
long way by itself, so that nobody pays for a neighbour's row.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg

from grantflow._ports import ChunkDone, Work
from grantflow._rows import Change, Load, Snapshot
from grantflow._store import _pg_moves as moves
from grantflow._store._ending import ended
from grantflow._store._pg_errors import DATABASE_FAILURES, is_away
from grantflow._store._pg_moves import Move
from grantflow.errors import GrantflowError, Quarantined
from grantflow_machines import Instant

_log = logging.getLogger("grantflow")
_LANES = 2
"""One reads and decides while the server writes for the other."""
_TOGETHER = 64
"""Callers who are served at once; with more of them the other lane has nobody."""
_ALONE, _BESIDE = 200, 40
"""Rows of a sweep in one statement, while there are no callers and beside some, who have a turn the sooner."""
_QUIET = 0.05
"""Seconds without a new caller after which a sweep is alone."""
_BREATH = 0.002
"""Seconds of decisions after which the event loop may see to others."""
_DAMAGED = (Quarantined, ValueError, TypeError, LookupError, OverflowError)


@dataclass(slots=True, eq=False)
class _Asked:
    """A caller who waits."""

    load: Load
    work: Work
    answer: asyncio.Future[Change | None]
    """None sends the caller the long way."""
    maybe: Change | None = None
    """What was sent to be written, while nobody knows whether it was."""

    @property
    def key(self) -> str:
        assert self.load.installation is not None
        return self.load.installation

    def tell(self, change: Change | None) -> None:
        if not self.answer.done():  # a caller who was cancelled has left
            self.answer.set_result(change)

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


@dataclass(slots=True)
class Swept:
    """What became of rows of a sweep."""

    done: ChunkDone
    rest: list[int]
    """For the long way."""
    maybe: list[Move]
    """What was sent to be written, and nobody knows whether it was."""


class Lanes:
    """Plain moves of one process, on connections of their own, whose plans are made once."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        long_way: Callable[[Load, Work, Change | None], Awaitable[Change]],
    ) -> None:
        self._connect, self._long_way = connect, long_way
        self._idle: list[asyncpg.Connection] = []
        self._waiting: list[_Asked] = []
        self._served: set[str] = set()
        self._running = 0
        self._open: set[asyncio.Task[None]] = set()
        self._sweeping: set[asyncio.Task[None]] = set()
        self._apps = moves.Apps()
        self._came = float("-inf")

    @property
    def busy(self) -> bool:
        """Whether somebody is being served, or rows are swept."""
        return bool(self._open or self._sweeping)

    async def transact(self, load: Load, work: Work) -> Change:
        """See Store.transact; for what names an installation and asks for nothing beside it."""
        asked = _Asked(load, work, asyncio.get_running_loop().create_future())
        self._waiting.append(asked)
        self._came = time.perf_counter()
        self._serve()
        change = await asked.answer
        return change if change is not None else await self._long_way(load, work, asked.maybe)

    def _serve(self) -> None:
        if self._running < _LANES:
            self._running += 1
            lane = asyncio.get_running_loop().create_task(self._lane())
            self._open.add(lane)
            lane.add_done_callback(self._open.discard)

    async def _lane(self) -> None:
        try:
            while group := self._next():
                keys = {asked.key for asked in group}
                self._served |= keys
                try:
                    await self._together(group)
                finally:
                    self._served -= keys
                    for asked in group:
                        asked.tell(None)
        finally:
            self._running -= 1  # at once when nobody waits: who comes next must not count on this lane

    def _next(self) -> list[_Asked]:
        """Those who came first, each installation once."""
        taken, left = dict[str, _Asked](), []
        for asked in self._waiting:
            free = len(taken) < _TOGETHER and asked.key not in taken and asked.key not in self._served
            if free:
                taken[asked.key] = asked
            else:
                left.append(asked)
        self._waiting = left
        return list(taken.values())

    async def _together(self, group: list[_Asked]) -> None:
        decided: list[tuple[_Asked, Move]] = []
        try:
            async with self._connection() as conn:
                if len(group) == 1:
                    rows = await conn.fetch(moves.READ_ONE, group[0].load.idempotency_key, group[0].key)
                else:
                    keys = [asked.load.idempotency_key for asked in group]
                    rows = await conn.fetch(moves.READ, keys, [asked.key for asked in group])
                await self._apps.learn(conn, rows)
                found = {str(row[moves.PUBLIC_ID]): row for row in rows}
                breath = _Breath()
                for asked in group:
                    await breath.taken()
                    if (move := self._decided(asked, found.get(asked.key))) is not None:
                        decided.append((asked, move))
                for asked, move in decided:
                    asked.maybe = move.change
                moved = await _write(conn, [move for _, move in decided])
                for asked, move in decided:
                    asked.maybe = None
                    if move.seen.pk in moved:
                        asked.tell(move.change)
        except DATABASE_FAILURES as error:
            if not _uncertain(error):
                for asked, _ in decided:
                    asked.maybe = None
        except Exception:  # noqa: BLE001 - whoever waits must not wait for ever for a defect of ours
            _log.exception("moves were not written together; each goes by itself")

    def _decided(self, asked: _Asked, row: asyncpg.Record | None) -> Move | None:
        """A move to write; None where the caller has the answer already or must go the long way."""
        try:
            seen = None if row is None else self._apps.seen(row)
            change = asked.work(Snapshot() if seen is None else seen.snapshot)
        except Exception as error:  # noqa: BLE001 - it is the caller's, and is raised there
            asked.fail(error)
            return None
        if not change.transitions and moves.is_empty(change):
            asked.tell(change)
        elif seen is not None and moves.is_plain(seen, change):
            return Move(seen, change)
        return None

    # -- sweeps ---------------------------------------------------------------------------------
    async def sweep(self, pks: Sequence[int], now: Instant, work: Work, hurried: Callable[[float], bool]) -> Swept:
        """Bring what is due; each piece is a commit of its own, and nothing is locked while rows are decided.

        `hurried` is asked whether to stop, by the seconds since others had their turn. A caller who is cancelled
        leaves, and the pieces that were begun come to their end.
        """
        swept = Swept(ChunkDone([], 0, 0, ()), [], [])
        ahead = deque(pks)

        async def lane(number: int) -> None:
            while ahead:
                alone = time.perf_counter() - self._came > _QUIET
                if number and not alone:
                    return  # one must do
                piece = [ahead.popleft() for _ in range(min(len(ahead), _ALONE if alone else _BESIDE))]
                if not await self._piece(piece, now, work, swept, hurried):
                    return

        lanes = [asyncio.get_running_loop().create_task(lane(number)) for number in range(_LANES)]
        self._sweeping.update(lanes)
        for one in lanes:
            one.add_done_callback(self._sweeping.discard)
        try:
            await asyncio.shield(asyncio.gather(*lanes))
        except asyncio.CancelledError:
            ahead.clear()
            raise
        swept.done.left = sorted([*swept.done.left, *ahead])
        return swept

    async def _piece(
        self, piece: list[int], now: Instant, work: Work, swept: Swept, hurried: Callable[[float], bool]
    ) -> bool:
        """Returns whether to go on."""
        left, sent, goes_on = dict.fromkeys(piece), list[Move](), True
        try:
            async with self._connection() as conn:
                rows = await conn.fetch(moves.READ_DUE, None, piece, now)
                await self._apps.learn(conn, rows)
                found = {row[moves.PK]: row for row in rows}
                made, breath = list[Move](), _Breath()
                for place, pk in enumerate(piece):
                    if place and hurried(breath.since):
                        swept.done.left, goes_on = [*swept.done.left, *piece[place:]], False
                        left = dict.fromkeys(pk for pk in piece[:place] if pk in left)
                        break
                    await breath.taken()
                    try:
                        seen = self._apps.seen(found[pk]) if pk in found else None
                        change = None if seen is None else work(seen.snapshot)
                    except _DAMAGED:
                        continue
                    except GrantflowError:
                        change = None
                    if seen is None or change is None:
                        swept.done.skipped += 1
                        del left[pk]
                    elif moves.is_plain(seen, change):
                        made.append(Move(seen, change))
                sent = made
                moved = await _write(conn, made)
        except DATABASE_FAILURES as error:
            if _uncertain(error):
                swept.maybe += sent
        else:
            for move in made:
                if move.seen.pk in moved:
                    swept.done.changes.append(move.change)
                    del left[move.seen.pk]
        swept.rest += left
        return goes_on

    # -- connections ----------------------------------------------------------------------------
    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        """One that nobody else uses; it is kept unless something went wrong on it."""
        conn = await self._free()
        try:
            yield conn
        except BaseException:
            conn.terminate()
            raise
        self._idle.append(conn)

    async def _free(self) -> asyncpg.Connection:
        while self._idle:
            conn = self._idle.pop()
            if not conn.is_closed():
                return conn
        return await self._connect()

    async def close(self, patience: float) -> None:
        """Let those who are being served come to their end, then leave."""
        if self.busy:
            await asyncio.wait(self._open | self._sweeping, timeout=patience)
        for lane in self._open | self._sweeping:
            lane.cancel()
            with suppress(asyncio.CancelledError):
                await ended(lane)
        for asked in self._waiting:
            asked.tell(None)
        idle, self._idle = self._idle, []
        for conn in idle:
            with suppress(*DATABASE_FAILURES):
                await conn.close(timeout=patience)


class _Breath:
    """Lets others have their turn in a long row of decisions."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    @property
    def since(self) -> float:
        """Seconds since others had theirs."""
        return time.perf_counter() - self._last

    async def taken(self) -> None:
        if self.since > _BREATH:
            await asyncio.sleep(0)
            self._last = time.perf_counter()


async def _write(conn: asyncpg.Connection, some: list[Move]) -> set[int]:
    """Keys of those that were written."""
    if not some:
        return set()
    text, values = moves.writing(some, int(conn.get_server_pid()) % 64)
    return {pk for (pk,) in await conn.fetch(text, *values)}


def _uncertain(error: BaseException) -> bool:
    """Whether what was sent may have been written."""
    return is_away(error) or isinstance(error, TimeoutError)
