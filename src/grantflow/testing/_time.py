"""A clock that moves when told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class ManualClock:
    """A clock that stands until it is moved.

    >>> clock = ManualClock()
    >>> clock.advance(timedelta(days=1)).isoformat()
    '2025-01-02T00:00:00+00:00'
    """

    def __init__(self, start: datetime = datetime(2025, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._monotonic = 0.0

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return self._now

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return self._monotonic

    def advance(self, length: timedelta) -> datetime:
        """Let time pass; returns the new time."""
        self._monotonic += max(0.0, length.total_seconds())
        self._now += length
        return self._now

    def step(self, length: timedelta) -> datetime:
        """Step the wall clock alone, as a wrong time server does; returns the new time."""
        self._now += length
        return self._now
