"""Expiry: S-29 … S-31."""

from __future__ import annotations

from datetime import timedelta

from grantflow import Actor, Prompt
from grantflow.errors import InvalidGrant, ReauthorizationRequired, TransitionRefused
from tests.journeys.stage import BOB, CAROL, MARIA, MINUTE, OPS, SECOND, YEAR, Stage

APP = "agent-app"


async def test_s29_a_refresh_token_lives_365_days(stage: Stage) -> None:
    engine = stage.engine
    tokens = await stage.active(APP, BOB)
    ends = stage.clock.now() + timedelta(days=365)
    assert tokens.refresh_expires_at == ends
    assert (await engine.get(tokens.installation)).expires_at == ends
    assert await engine.next_due() == ends
    stage.clock.advance(timedelta(days=180))
    tokens = await stage.renew(APP, tokens)
    assert tokens.refresh_expires_at == ends, "renewal does not prolong it"
    stage.clock.advance(timedelta(days=185) - SECOND)
    assert (await engine.sweep()).moved == 0, "never early"
    with stage.refused(TransitionRefused, match="still live"):
        await engine.send(tokens.installation, "expire", actor=Actor.system())
    tokens = await stage.renew(APP, tokens)
    assert (await stage.call(tokens)).expires_at == ends, "no access token outlives it"
    stage.clock.advance(SECOND)
    for stranger in (BOB, MARIA, OPS):
        with stage.refused(TransitionRefused, match="does not happen"):
            await engine.send(tokens.installation, "expire", actor=stranger)
    report = await engine.sweep()
    assert (report.seen, report.moved) == (1, 1)
    latest = (await engine.history(tokens.installation))[0]
    assert (latest.event, latest.actor, latest.reason, latest.at) == ("expire", "system:grantflow", "time", ends)


async def test_s29_only_the_clock_says_that_time_is_over(stage: Stage) -> None:
    tokens = await stage.active(APP, BOB)
    for stranger in (BOB, MARIA, OPS, Actor.app(APP)):
        with stage.refused(TransitionRefused, match="only the engine itself"):
            await stage.engine.send(tokens.installation, "expire", actor=stranger)
    form = await stage.form(APP, CAROL)
    found = await stage.engine.get(APP, account="acme", subject=CAROL)
    for actor in (Actor.system(), CAROL):
        with stage.refused(TransitionRefused):
            await stage.engine.send(found.id, "attempt_expired", actor=actor, payload={"attempt": form.attempt})
    assert (await stage.engine.get(found.id)).state == "account-selected"


async def test_s30_an_expired_refresh_token_brings_nothing(stage: Stage) -> None:
    engine = stage.engine
    tokens = await stage.active(APP, BOB)
    stage.clock.advance(YEAR)
    told = None
    with stage.unchanged():
        try:
            await stage.renew(APP, tokens)
        except InvalidGrant as error:
            told = error.guidance
    assert told is not None, "the app is told what a person can do"
    assert (told.prompt, told.who) == (Prompt.REAUTHORIZE, "agent bob")
    with stage.unchanged():  # it holds though no sweep ever ran
        found = await engine.get(tokens.installation)
    assert (found.state, found.stored_state, found.overdue) == ("refresh-expired", "active", True)
    await engine.sweep()
    with stage.unchanged():
        assert (await engine.sweep()).seen == 0, "twice is once"
    with stage.refused(InvalidGrant):
        await stage.renew(APP, tokens)
    found = await engine.get(tokens.installation)
    assert (found.state, found.reason, found.usable) == ("refresh-expired", "time", False)
    with stage.refused(TransitionRefused, match="does not happen"):
        await engine.send(found.id, "expire", actor=Actor.system())


async def test_s30_an_attempt_that_is_open_goes_on(stage: Stage) -> None:
    engine = stage.engine
    tokens = await stage.active(APP, BOB)
    stage.clock.advance(YEAR - 5 * MINUTE)
    form = await stage.form(APP, BOB)
    stage.clock.advance(5 * MINUTE)
    assert (await engine.get(tokens.installation)).state == "reauthorizing"
    await engine.sweep()
    found = await engine.get(tokens.installation)
    assert (found.stored_state, found.reason) == ("reauthorizing", "time")
    with stage.refused(InvalidGrant):
        await stage.renew(APP, tokens)
    renewed = await stage.redeem(APP, await engine.agree(form.attempt, actor=BOB))
    assert (await stage.call(renewed)).installation == tokens.installation


async def test_s31_every_call_is_answered_401(stage: Stage) -> None:
    engine = stage.engine
    bobs = await stage.active(APP, BOB)
    stage.clock.advance(timedelta(days=1))
    carols = await stage.active(APP, CAROL)
    stage.clock.advance(YEAR - timedelta(days=1) - SECOND)
    bobs, carols = await stage.renew(APP, bobs), await stage.renew(APP, carols)
    assert (await stage.call(bobs)).subject == "bob"
    stage.clock.advance(SECOND)
    for swept in (False, True):
        if swept:
            await engine.sweep()
        body = None
        with stage.unchanged():
            try:
                await stage.call(bobs)
            except ReauthorizationRequired as error:
                body = error.guidance.as_dict() if error.guidance is not None else None
        assert body is not None
        assert (body["prompt"], body["state"], body["reason"]) == ("REAUTHORIZE", "refresh-expired", "time")
        assert body["who"] == "agent bob"
        assert (await stage.call(carols)).subject == "carol", "the others go on"
        assert not await engine.can_use(await engine.get(bobs.installation), BOB)
