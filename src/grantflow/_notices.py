"""Notices go out after the commit, at least once, to in-process subscribers."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable

from grantflow._clock import to_datetime
from grantflow._core import Core
from grantflow._model import Notice
from grantflow._rows import Change

Subscriber = Callable[[Notice], "Awaitable[None] | None"]
_log = logging.getLogger("grantflow")
_BATCH = 100


class Courier:
    """Delivers what the outbox holds while somebody listens."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._subscribers: list[Subscriber] = []
        self._task: asyncio.Task[None] | None = None
        self._again = False

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

    def _wake(self) -> None:
        self._again = True
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._deliver())

    async def _deliver(self) -> None:
        while self._again and self._subscribers:
            self._again = False
            while pending := await self._core.store.pending_notices(_BATCH):
                done = []
                for pk, installation, app, row in pending:
                    try:
                        body = json.loads(row.body)
                    except (ValueError, TypeError):
                        _log.error("notice %s cannot be read; it is passed over", pk)
                        done.append(pk)
                        continue
                    notice = Notice(installation, row.name, row.version, to_datetime(row.at), body, app)
                    if not await self._tell(notice):
                        break
                    done.append(pk)
                await self._core.store.settle_notices(done, self._core.now())
                if len(done) < len(pending):
                    return

    async def _tell(self, notice: Notice) -> bool:
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
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
