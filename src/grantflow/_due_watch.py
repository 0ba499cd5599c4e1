"""What is due earlier than was known: told to whoever waits for it here, and as a hint to other processes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from grantflow._clock import span, to_datetime
from grantflow._core import Core
from grantflow._rows import Change
from grantflow_machines import Instant

_log = logging.getLogger("grantflow")
_SOON = timedelta(hours=1)
"""What is due later is not worth a hint: whoever polls sees it long before."""

OnEarlier = Callable[[datetime], None]


class DueWatch:
    """Looks at every commit of this process."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._waiting: list[OnEarlier] = []
        self._listens = False
        self._hinted: Instant | None = None
        """What the others know for sure: the earliest hint of this process, until its time has come."""
        self.earliest: Instant | None = None
        """The earliest due instant that those who wait here know; None when any is news."""

    def add(self, callback: OnEarlier) -> Callable[[], None]:
        """Call back with every earlier due instant, of other processes too where the database tells."""
        self._waiting.append(callback)
        if not self._listens:
            self._listens = True
            self._core.store.on_hint(self._heard)
        return lambda: self._waiting.remove(callback)

    def committed(self, change: Change) -> None:
        """After-commit hook."""
        due = [attempt.expires_at for attempt in change.new_attempts]
        if change.installation is not None and change.installation.due_at is not None:
            due.append(change.installation.due_at)
        if due:
            self._hint(min(due))
            self._tell(min(due))

    def _hint(self, due: Instant) -> None:
        now = self._core.now()
        if self._hinted is not None and self._hinted <= now:
            self._hinted = None
        if due < now + span(_SOON) and (self._hinted is None or due < self._hinted):
            self._hinted = due
            self._core.store.hint(due)

    def _heard(self, due: Instant) -> None:
        self._tell(due or self._core.now())

    def _tell(self, due: Instant) -> None:
        if not self._waiting or (self.earliest is not None and due >= self.earliest):
            return
        self.earliest = due
        for callback in list(self._waiting):
            try:
                callback(to_datetime(due))
            except Exception:  # noqa: BLE001 - the write is committed; a host's callback cannot undo it
                _log.exception("a callback of on_due_earlier failed")
