"""Notices go out after the commit, at least once, to in-process subscribers; one that fails holds up no other."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable

from grantflow._clock import span, to_datetime
from grantflow._core import Core
from grantflow._model import Notice
from grantflow._ports import Pending
from grantflow._rows import Change
from grantflow.errors import GrantflowError
from grantflow_machines import Instant

Subscriber = Callable[[Notice], "Awaitable[None] | None"]
_log = logging.getLogger("grantflow")
_BATCH = 100
_FIRST_WAIT = 1_000_000
"""Microseconds before a failed notice is tried again; doubles up to the settings' longest backoff."""
_LONGEST_SLEEP = 3600.0


def notice_of(pending: Pending) -> Notice:
    """A row of the outbox as subscribers receive it; an unreadable body is empty."""
    row = pending.row
    try:
        body = json.loads(row.body)
    except (ValueError, TypeError):
        _log.error("the body of notice %s cannot be read", pending.pk)
        body = {}
    at = to_datetime(row.at)
    return Notice(
        pending.installation, row.name, row.version, at, body if isinstance(body, dict) else {}, pending.app
    )


class Courier:
    """Delivers what the outbox holds while somebody listens."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._subscribers: list[Subscriber] = []
        self._task: asyncio.Task[int] | None = None
        self._again = False
        self._retry: asyncio.TimerHandle | None = None

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Add a subscriber; the call that comes back removes it."""
        self._subscribers.append(subscriber)
        self._wake()

        def leave() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return leave

    def committed(self, change: Change) -> None:
        """After-commit hook."""
        if change.notices and self._subscribers:
            self._wake()

    def _wake(self) -> asyncio.Task[int]:
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._rounds())
            self._task.add_done_callback(_looked_at)
        return self._task

    async def deliver(self) -> int:
        """Deliver what waits, what failed before included where its time has come; returns how many were taken."""
        return await asyncio.shield(self._wake())

    async def _rounds(self) -> int:
        done = 0
        while self._again and self._subscribers:
            self._again = False
            try:
                done += await self._round()
                await self._arm()
            except GrantflowError as error:
                _log.warning("delivering notices stopped: %s", error)
                raise
        return done

    async def _arm(self) -> None:
        """Wake again when the earliest failed notice may be tried; a scheduler would, but there may be none."""
        upcoming = await self._core.store.next_notice()
        if self._retry is not None:
            self._retry.cancel()
        if upcoming is not None:
            wait = max(0.0, (upcoming - self._core.now()) / 1_000_000)
            self._retry = asyncio.get_running_loop().call_later(min(wait, _LONGEST_SLEEP), self._wake)

    async def _round(self) -> int:
        taken = 0
        while pending := await self._core.store.pending_notices(self._core.now(), _BATCH):
            done: list[int] = []
            failed: list[tuple[int, int, Instant | None]] = []
            waiting: set[int] = set()
            for one in pending:
                place = one.row.installation_pk
                if place is not None and place in waiting:
                    continue  # its own notices keep their order
                if await self._tell(one):
                    done.append(one.pk)
                    continue
                failed.append(self._later(one))
                if place is not None and failed[-1][2] is not None:
                    waiting.add(place)
            await self._core.store.settle_notices(done, failed, self._core.now())
            taken += len(done)
            if not self._subscribers:
                break
        return taken

    def _later(self, one: Pending) -> tuple[int, int, Instant | None]:
        settings, tries = self._core.settings, one.row.tries + 1
        if tries >= settings.notice_tries:
            _log.error("%s of %s is given up after %d tries", one.row.name, one.installation or one.app, tries)
            return one.pk, tries, None
        wait = min(_FIRST_WAIT << min(2 * (tries - 1), 40), span(settings.backoff_longest))
        return one.pk, tries, self._core.now() + wait

    async def _tell(self, one: Pending) -> bool:
        notice = notice_of(one)
        for subscriber in list(self._subscribers):
            try:
                answer = subscriber(notice)
                if inspect.isawaitable(answer):
                    await answer
            except Exception:  # noqa: BLE001 - a host's callback; logged, the notice stays
                _log.exception("a subscriber failed on %s; the notice stays in the outbox", notice.name)
                return False
        return True

    async def drain(self) -> None:
        """Wait until everything that can be delivered is."""
        while self._task is not None and not self._task.done():
            await asyncio.shield(self._task)

    async def close(self) -> None:
        """Stop delivering; what is undelivered stays in the outbox."""
        if self._retry is not None:
            self._retry.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


def _looked_at(task: asyncio.Task[int]) -> None:
    """What went wrong was logged; whoever waits for the task hears of it, and nobody has to."""
    if not task.cancelled():
        task.exception()
