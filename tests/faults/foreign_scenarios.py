"""Client mode in every order: callbacks, callers of an access token, renewals ahead of time, and those who end it."""

from __future__ import annotations

from datetime import timedelta

from grantflow import AccessToken, Completed, Engine
from grantflow.testing import ManualClock, grant
from tests.faults.scenarios import (
    ACME,
    CANCELS,
    Known,
    Scenario,
    forces,
    removes_the_app,
    sweeps,
    waits,
)
from tests.faults.schedules import Player, Step
from tests.faults.upstream import StrictServer
from tests.faults.verbs import BOB, KEY, OPERATOR, PLATFORM, REASON

ACCESS = timedelta(hours=1)
NEARLY = timedelta(minutes=56)
"""Time to renew, and the access token works."""


# -- steps -------------------------------------------------------------------------------------------
async def comes_back(player: Player) -> None:
    """The browser brings the callback; what it says when it comes again is known: refused."""
    known = player.world.known
    done = await player.do("exchange_ok", lambda e: e.complete(known["query"], cookies=known["cookies"]))
    assert done is None or isinstance(done, Completed)


async def asks(player: Player) -> None:
    """The app needs an access token."""
    upstream, name = player.world.upstream, player.world.known["installation"]
    assert upstream is not None
    was_gone = upstream.gone
    token = await player.do("access_token", lambda e: e.access_token(name))
    if isinstance(token, AccessToken):
        upstream.told(token, was_gone=was_gone)


async def renews_ahead(player: Player) -> None:
    """The scheduler renews what is due."""
    await player.do("renew_due", lambda e: e.renew_due())


async def delivers(player: Player) -> None:
    """The scheduler gives tokens back."""
    await player.do("deliver", lambda e: e.deliver_revocations())


def idles(most: int) -> Step:
    """Do nothing for some turns, so that what comes next meets the others anywhere on their way."""

    async def step(player: Player) -> None:
        for _ in range(player.chance.randrange(most)):
            await player.world.turns.wait(player.name, "idles")

    return step


async def disconnects(player: Player) -> None:
    """The owner ends it."""
    name = player.world.known["installation"]
    done = await player.do("disconnect", lambda e: e.disconnect(name, actor=BOB))
    if done is not None and player.world.upstream is not None:
        player.world.upstream.gone = True


# -- what is there before ----------------------------------------------------------------------------
def _server(engine: Engine) -> StrictServer:
    server = engine._core.carrier
    assert isinstance(server, StrictServer)
    return server


async def _app(engine: Engine) -> None:
    await engine.apps.register(_server(engine).app(KEY))
    await engine.apps.install(KEY, ACME, actor=PLATFORM)


async def _callback(engine: Engine, *, of: str | None = None) -> Known:
    if of is None:
        attempt = await engine.authorize(KEY, actor=BOB, account=ACME)
    else:
        attempt = await engine.reauthorize(of, actor=BOB)
    assert attempt.cookie is not None
    return {
        "attempt": attempt.id,
        "query": _server(engine).back(attempt.authorize_url),
        "cookies": {attempt.cookie_name: attempt.cookie.value},
    }


async def _on_the_way(engine: Engine, _: ManualClock) -> Known:
    await _app(engine)
    return await _callback(engine)


async def _live(engine: Engine, _: ManualClock) -> Known:
    await _app(engine)
    done = await grant(engine, _server(engine), KEY, ACME, actor=BOB)
    assert done.installation is not None
    return {"installation": done.installation.id}


async def _over(engine: Engine, clock: ManualClock) -> Known:
    known = await _live(engine, clock)
    clock.advance(ACCESS + timedelta(seconds=1))
    return known


async def _nearly_over(engine: Engine, clock: ManualClock) -> Known:
    known = await _live(engine, clock)
    clock.advance(NEARLY)
    return known


async def _coming_back(engine: Engine, clock: ManualClock) -> Known:
    known = await _nearly_over(engine, clock)
    return known | await _callback(engine, of=known["installation"])


async def _dead_and_coming_back(engine: Engine, clock: ManualClock) -> Known:
    known = await _live(engine, clock)
    await engine.ops.force(known["installation"], to="refresh-expired", actor=OPERATOR, reason=REASON)
    _server(engine).alive.clear()
    return known | await _callback(engine, of=known["installation"])


def _scenario(setting: object, scripts: dict[str, list[Step]], **odds: float) -> Scenario:
    return Scenario(setting, scripts, stale=False, server=StrictServer, odds=odds)  # type: ignore[arg-type]


FOREIGN: dict[str, Scenario] = {
    "callbacks": _scenario(
        _on_the_way,
        {
            "browser": [comes_back],
            "reloaded": [comes_back, comes_back],
            "second thoughts": [idles(24), CANCELS],
            "clock": [sweeps, delivers],
        },
        late=0.1,
        unanswered=0.05,
    ),
    "forced-callback": _scenario(
        _dead_and_coming_back,
        {
            "browser": [comes_back],
            "reloaded": [comes_back],
            "operator": [idles(20), forces("unauthorized"), forces("refresh-expired")],
            "clock": [idles(24), waits(timedelta(minutes=9, seconds=56)), sweeps, delivers, sweeps],
        },
    ),
    "token-at-expiry": _scenario(
        _over,
        {
            "caller": [asks, asks],
            "another caller": [asks],
            "third caller": [asks],
            "person": [idles(24), disconnects],
            "clock": [delivers, delivers],
        },
    ),
    "answers-lost": _scenario(
        _coming_back,
        {
            "caller": [asks, idles(16), waits(timedelta(minutes=5)), asks],
            "browser": [comes_back],
            "reloaded": [comes_back],
            "clock": [renews_ahead, idles(16), waits(timedelta(minutes=2)), renews_ahead, delivers],
        },
        late=0.15,
        unanswered=0.3,
    ),
    "leaving": _scenario(
        _nearly_over,
        {
            "caller": [asks],
            "clock": [renews_ahead, delivers],
            "admin": [idles(16), removes_the_app],
            "other clock": [renews_ahead, delivers],
        },
        late=0.2,
        unanswered=0.05,
    ),
    "taking-over": _scenario(
        _over,
        {
            "caller": [asks],
            "another caller": [asks],
            "clock": [renews_ahead, waits(timedelta(seconds=29)), renews_ahead],
            "other clock": [sweeps, renews_ahead],
        },
        late=0.25,
        crash=0.8,
    ),
    "unheard-commits": _scenario(
        _coming_back,
        {
            "browser": [comes_back, comes_back],
            "caller": [asks, asks],
            "person": [idles(24), disconnects],
            "clock": [renews_ahead, sweeps, delivers],
        },
        commits=0.12,
    ),
}
"""Scenario → who meets whom; `odds` say which faults it is about."""
