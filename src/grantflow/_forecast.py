"""Expiries to come, by calendar day, week or month, and what if lifetimes or warnings were others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from grantflow._clock import span, to_datetime, to_instant
from grantflow._core import Core
from grantflow.errors import BadInput
from grantflow_machines import Grant, Instant

_SLICE = 5_000
_WORDS = ("day", "week", "month")
_MOST = 400


@dataclass(frozen=True, slots=True)
class ForecastSpan:
    """One day, week or month."""

    start: datetime
    end: datetime
    """The first instant after it."""
    expiries: int
    warnings: int | None
    """Warnings that fall into it; None where none were asked for."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """Ends of the grants that live now; renewals and new grants to come are not guessed."""

    at: datetime
    by: str
    spans: tuple[ForecastSpan, ...]
    overdue: int
    """Ends that have passed and wait for a sweep."""
    later: int
    never: int
    total: int


async def forecast(
    core: Core, *, by: str, spans: int, lifetime: timedelta | None, warn: timedelta | None, app: str | None
) -> Forecast:
    """Count ends in slices by key. See Calendar.forecast."""
    if by not in _WORDS:
        msg = f"{str(by)[:40]!r} is no span of a calendar"
        raise BadInput(msg, hint=f"one of {', '.join(_WORDS)}")
    if not isinstance(spans, int) or not 1 <= spans <= _MOST:
        msg = f"spans lies between 1 and {_MOST}"
        raise BadInput(msg)
    if any(length is not None and length <= timedelta(0) for length in (lifetime, warn)):
        msg = "lifetime and warn are positive spans"
        raise BadInput(msg)
    only = None if app is None else (await core.app(app))[0].pk
    now = core.now()
    starts = calendar(core.clock.now(), by, spans + 1)
    edges = [to_instant(start) for start in starts]
    ends, warnings = [0] * (spans + 2), [0] * (spans + 2)
    overdue = never = 0
    async for at in _ends(core, only, None if lifetime is None else span(lifetime)):
        if at is None:
            never += 1
        elif at <= now:
            overdue += 1
        else:
            ends[bisect_right(edges, at)] += 1
            if warn is not None and at - span(warn) > now:
                warnings[bisect_right(edges, at - span(warn))] += 1
    made = tuple(
        ForecastSpan(start, end, ends[place], None if warn is None else warnings[place])
        for place, (start, end) in enumerate(pairwise(starts), 1)
    )
    later = ends[spans + 1]
    return Forecast(
        at=to_datetime(now),
        by=by,
        spans=made,
        overdue=overdue,
        later=later,
        never=never,
        total=sum(ends) + overdue + never,
    )


async def _ends(core: Core, only: int | None, lifetime: int | None) -> AsyncIterator[Instant | None]:
    live = [
        name
        for kind in core.charts
        for name, info in core.definition(kind).states.items()
        if info.grant is Grant.LIVE
    ]
    after = 0
    while rows := await core.store.ends(after, _SLICE, sorted(set(live)), lifetime):
        for row in rows:
            if only is None or row.app_pk == only:
                yield row.at
        after = rows[-1].pk


def calendar(now: datetime, by: str, count: int) -> list[datetime]:
    """The starts of `count` spans in UTC, the one `now` lies in first.

    >>> [start.date().isoformat() for start in calendar(datetime(2026, 12, 15, tzinfo=UTC), "month", 3)]
    ['2026-12-01', '2027-01-01', '2027-02-01']
    """
    start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if by == "week":
        start -= timedelta(days=start.weekday())
    if by != "month":
        return [start + timedelta(days=1 if by == "day" else 7) * index for index in range(count)]
    months = [start.year * 12 + start.month - 1 + index for index in range(count)]
    return [start.replace(year=month // 12, month=month % 12 + 1, day=1) for month in months]
