"""The only wall clock, and the border between aware datetimes and stored instants."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from grantflow_machines import Instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
WRONG_CLOCK = timedelta(minutes=1)
"""Two machines that are further apart disagree so much that one of them is wrong."""
_TICK = timedelta(microseconds=1)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return time.monotonic()


class FollowedClock:
    """The clock of another machine, carried on by this one's steady clock between two looks at it.

    A step of this machine's wall clock does not move it, and it is behind the other one by the way of an answer.
    """

    def __init__(self) -> None:
        self._ahead: int | None = None
        self.skew = timedelta(0)
        """How far this machine's wall clock was ahead of the other one at the last look."""

    def look(self, other: Instant) -> None:
        """Take what the other clock has just said."""
        self._ahead = other - _steady()
        self.skew = _TICK * (to_instant(datetime.now(UTC)) - other)

    def now(self) -> datetime:
        """The other machine's time, aware, UTC; this machine's own before the first look."""
        return datetime.now(UTC) if self._ahead is None else EPOCH + _TICK * (_steady() + self._ahead)

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return time.monotonic()


def _steady() -> int:
    """Microseconds that never step back and, where the system can tell, go on while it is suspended."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return (time.monotonic_ns() if boot is None else time.clock_gettime_ns(boot)) // 1_000


def to_instant(moment: datetime) -> Instant:
    """Microseconds since the epoch; a naive datetime is an error.

    >>> to_instant(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC))
    1000000
    """
    return (moment - EPOCH) // _TICK


def to_datetime(instant: Instant) -> datetime:
    """The aware datetime of a stored instant; the epoch for what is none, so that a damaged row can be shown.

    >>> to_datetime(1_000_000).isoformat()
    '1970-01-01T00:00:01+00:00'
    """
    try:
        return EPOCH + timedelta(microseconds=instant)
    except (OverflowError, TypeError):
        return EPOCH


def maybe_datetime(instant: Instant | None) -> datetime | None:
    """`to_datetime`, where there may be none."""
    return None if instant is None else to_datetime(instant)


def span(length: timedelta) -> int:
    """A span in microseconds."""
    return length // _TICK
