"""Grants of a foreign server: who comes back, whose grant it is, and what a probe may bring back to life."""

from __future__ import annotations

import pytest

from grantflow.errors import BadCallback, ReauthorizationRequired
from grantflow.testing import grant
from tests.journeys.stage import BOB, OPS, YEAR, Stage

REASON = "the clock was wrong"


async def mail(stage: Stage) -> str:
    """An installation with a grant at the foreign server."""
    await stage.put(stage.server.app("mail"))
    done = await grant(stage.engine, stage.server, "mail", "acme", actor=BOB)
    assert done.installation is not None
    assert (done.outcome, done.installation.state) == ("completed", "active")
    return done.installation.id


async def test_a_callback_makes_the_grant_and_comes_once(stage: Stage) -> None:
    await stage.put(stage.server.app("mail"))
    attempt = await stage.engine.authorize("mail", account="acme", actor=BOB)
    assert attempt.cookie is not None
    query, cookies = stage.server.back(attempt.authorize_url), {attempt.cookie_name: attempt.cookie.value}
    with stage.refused(BadCallback):
        await stage.engine.complete(query, cookies={})
    done = await stage.engine.complete(query, cookies=cookies)
    assert done.installation is not None
    trail = await stage.engine.history(done.installation.id)
    assert [step.event for step in trail] == ["exchange_ok", "callback_ok", "authorize", "installed"]
    with stage.refused(BadCallback):
        await stage.engine.complete(query, cookies=cookies)


async def test_another_identity_never_overwrites_a_grant(stage: Stage) -> None:
    installation = await mail(stage)
    before = await stage.engine.access_token(installation)
    stage.server.person = "somebody else"
    attempt = await stage.engine.reauthorize(installation, actor=BOB)
    assert attempt.cookie is not None
    query = stage.server.back(attempt.authorize_url)
    done = await stage.engine.complete(query, cookies={attempt.cookie_name: attempt.cookie.value})
    assert (done.outcome, done.why) == ("wrong-account", "wrong-account")
    assert (await stage.engine.access_token(installation)).value == before.value
    assert await stage.engine.deliver_revocations() in (0, 1)
    assert len(stage.server.alive) == 1, "the stranger's tokens are given back"


async def test_a_probe_brings_back_what_a_wrong_clock_ended(stage: Stage) -> None:
    installation = await mail(stage)
    stage.clock.step(YEAR)
    await stage.engine.sweep()
    stage.clock.step(-YEAR)
    with pytest.raises(ReauthorizationRequired):
        await stage.engine.access_token(installation)
    assert (await stage.engine.ops.probe(installation, actor=OPS, reason=REASON)).outcome == "renewed"
    assert (await stage.engine.get(installation)).usable
    assert (await stage.engine.history(installation, limit=1))[0].event == "recovered"


async def test_a_probe_invents_nothing_where_the_tokens_are_gone(stage: Stage) -> None:
    installation = await mail(stage)
    await stage.engine.send(installation, "revoked_upstream", actor=OPS)
    asked = len(stage.server.asked)
    assert (await stage.engine.ops.probe(installation, actor=OPS, reason=REASON)).outcome == "nothing"
    assert (await stage.engine.get(installation)).state == "refresh-expired"
    assert len(stage.server.asked) == asked
