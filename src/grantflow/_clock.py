"""The only wall clock, and the border between aware datetimes and stored instants."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from grantflow_machines import Instant

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Wall time, aware, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return time.monotonic()


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
