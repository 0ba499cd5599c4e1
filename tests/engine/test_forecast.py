"""Forecasts are what a count row by row would say, spans are read by one parser, and nobody at work is noticed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow import Actor, Engine, Forecast, Lifetime, LifetimePolicy, duration
from grantflow._clock import to_instant
from grantflow._filter import Span, parse
from grantflow._forecast import calendar
from grantflow.errors import BadInput, FilterSyntaxError, NotFound
from grantflow.testing import ManualClock, People, authorize, sample_app, throwaway_engine

NOW = datetime(2026, 12, 16, 10, 30, tzinfo=UTC)  # a Wednesday
AGENTS = [Actor.agent(f"agent-{number}") for number in range(12)]
LIVES = [timedelta(days=days) for days in (1, 20, 60)]


async def lived(engine: Engine, clock: ManualClock) -> list[datetime]:
    """Grants of three apps, given on three days; returns when each ends."""
    ends = []
    for number, life in enumerate(LIVES):
        app = sample_app("agent", f"app-{number}", lifetime=Lifetime(LifetimePolicy.FIXED, life))
        await engine.apps.register(app)
        await engine.apps.install(app.key, "acme", actor=Actor.system())
        done = await asyncio.gather(
            *(authorize(engine, app.key, "acme", actor=agent) for agent in AGENTS[number * 4 : number * 4 + 4])
        )
        ends += [tokens.refresh_expires_at for tokens in done]
        clock.advance(timedelta(hours=13))
    return [end for end in ends if end is not None]


def by_hand(told: Forecast, ends: list[datetime]) -> list[int]:
    return [
        sum(max(told.at, span.start) < end < span.end or end == span.start for end in ends) for span in told.spans
    ]


@pytest.mark.parametrize(("by", "spans"), [("day", 25), ("week", 9), ("month", 2)])
async def test_a_forecast_is_what_counting_by_hand_says(by: str, spans: int) -> None:
    clock = ManualClock(NOW)
    async with throwaway_engine(directory=People({agent: ["acme"] for agent in AGENTS}), clock=clock) as engine:
        ends = await lived(engine, clock)
        told = await engine.ops.forecast(by=by, spans=spans)
        assert [span.expiries for span in told.spans] == by_hand(told, ends)
        assert told.total == len(ends) == sum(span.expiries for span in told.spans) + told.later + told.overdue
        assert told.overdue == sum(end <= told.at for end in ends) == 4
        assert (sum(span.expiries for span in told.spans), told.later) == (4, 4)
        assert all(span.warnings is None for span in told.spans)
        alone = await engine.ops.forecast(by=by, spans=spans, app="app-1")
        assert [span.expiries for span in alone.spans] == by_hand(alone, ends[4:8])
        with pytest.raises(NotFound):
            await engine.ops.forecast(app="nobodys")


async def test_warnings_fall_before_their_ends_and_what_if_counts_from_the_issue() -> None:
    clock = ManualClock(NOW)
    async with throwaway_engine(directory=People({agent: ["acme"] for agent in AGENTS}), clock=clock) as engine:
        ends = await lived(engine, clock)
        week = timedelta(days=7)
        warned = await engine.ops.forecast(by="day", spans=60, warn=week)
        asked = [end - week for end in ends if end > warned.at and end - week > warned.at]
        assert [span.warnings for span in warned.spans] == by_hand(warned, asked)
        assert sum(span.warnings or 0 for span in warned.spans) == 8
        one_day = await engine.ops.forecast(by="day", lifetime=timedelta(days=1))
        issued = [end - life for end, life in zip(ends, [one for one in LIVES for _ in range(4)], strict=True)]
        assert one_day.overdue == sum(at + timedelta(days=1) <= one_day.at for at in issued)
        assert [span.expiries for span in one_day.spans] == by_hand(
            one_day, [at + timedelta(days=1) for at in issued]
        )


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)), st.sampled_from(["day", "week", "month"]))  # noqa: DTZ001 - made aware below
def test_spans_of_a_calendar_follow_each_other_and_the_first_holds_now(moment: datetime, by: str) -> None:
    now = moment.replace(tzinfo=UTC)
    starts = calendar(now, by, 30)
    assert starts[0] <= now < starts[1]
    assert starts == sorted(set(starts))
    assert all((start.hour, start.minute, start.second, start.microsecond) == (0, 0, 0, 0) for start in starts)
    assert by != "week" or {start.weekday() for start in starts} == {0}
    assert by != "month" or {start.day for start in starts} == {1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"by": "year"},
        {"by": "x" * 10_000},
        {"spans": 0},
        {"spans": 401},
        {"lifetime": timedelta(0)},
        {"warn": timedelta(seconds=-1)},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_what_is_no_forecast_is_refused(wrong: dict[str, object]) -> None:
    async with throwaway_engine() as engine:
        with pytest.raises(BadInput) as caught:
            await engine.ops.forecast(**wrong)  # type: ignore[arg-type]  # that is the point
    assert len(str(caught.value)) < 200


# -- spans of time ----------------------------------------------------------------------------------
@given(st.integers(0, 36_500 * 86_400), st.sampled_from("smhdw"))
def test_one_parser_reads_spans_for_filters_and_commands(count: int, unit: str) -> None:
    text, now = f"{count}{unit}", to_instant(NOW)
    try:
        length = duration(text)
    except BadInput:
        with pytest.raises(FilterSyntaxError):
            parse(f"expires:<{text}", now)
        return
    (term,) = parse(f"expires:>{text}", now).terms
    (value,) = term.values
    assert isinstance(value, Span)
    assert value.low == now + length // timedelta(microseconds=1) + 1


@pytest.mark.parametrize("text", ["", "1", "d", "-1d", "1.5d", "1y", "1 d", "36501d", "9999999999s", "1d\n", "٣d"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        duration(text)


# -- who is at work, and what waits -----------------------------------------------------------------
async def test_a_heartbeat_is_silent_after_a_minute() -> None:
    clock = ManualClock(NOW)
    async with throwaway_engine(clock=clock) as engine:
        await engine.beat("scheduler")
        clock.advance(timedelta(minutes=1))
        assert [one.silent for one in await engine.ops.heartbeats()] == [False]
        clock.advance(timedelta(microseconds=1))
        (silent,) = await engine.ops.heartbeats()
        assert (silent.silent, silent.age) == (True, timedelta(minutes=1, microseconds=1))
        await engine.beat("scheduler")
        assert [one.silent for one in await engine.ops.heartbeats()] == [False]


async def test_a_notice_waits_until_somebody_takes_it() -> None:
    bob, clock = AGENTS[0], ManualClock(NOW)
    async with throwaway_engine(directory=People({bob: ["acme"]}), clock=clock) as engine:
        await engine.apps.register(sample_app("agent"))
        await engine.apps.install("agent-app", "acme", actor=Actor.system())
        name = (await authorize(engine, "agent-app", "acme", actor=bob)).installation
        waiting = await engine.ops.waiting_notices()
        assert [(one.installation, one.name) for one in waiting] == [(name, "installation.activated")]

        def broken(_: object) -> None:
            raise RuntimeError

        leave = engine.subscribe(broken)
        await engine.drain_notices()
        leave()
        assert await engine.ops.waiting_notices() == waiting, "one that failed waits for its next try"
        assert await engine.ops.waiting_notices(limit=0) == []
        clock.advance(timedelta(hours=1))
        engine.subscribe(lambda _: None)
        await engine.deliver_notices()
        assert await engine.ops.waiting_notices() == []
