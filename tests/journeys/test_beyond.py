"""What a person, an admin and an operator do beside the thirty-seven: leaving, pausing, forcing, reporting."""

from __future__ import annotations

import pytest

from grantflow import Actor
from grantflow.errors import InvalidGrant, PermissionDenied, ReauthorizationRequired, TransitionRefused, Unauthorized
from tests.journeys.stage import BOB, CAROL, MALLORY, MARIA, MAX, OPS, UMA, YEAR, Stage

WHY = "ticket 4711, by phone"


async def test_disconnect_is_the_owners(stage: Stage) -> None:
    engine = stage.engine
    tokens = await stage.active("agent-app", BOB)
    for stranger in (CAROL, MARIA, OPS, Actor.app("agent-app")):
        with stage.refused(TransitionRefused):
            await engine.disconnect(tokens.installation, actor=stranger)
    gone = await engine.disconnect(tokens.installation, actor=BOB)
    assert (gone.state, gone.usable, gone.granted) == ("unauthorized", False, ())
    assert stage.sql("SELECT * FROM grantflow_credential") == []
    with stage.refused(Unauthorized):
        await stage.call(tokens)
    assert (await stage.form("agent-app", BOB)).approved == (), "earlier consents are void"


async def test_uninstall_is_the_admins_or_the_owners_and_can_be_vetoed(stage: Stage) -> None:
    engine = stage.engine
    tokens = await stage.active("agent-app", BOB)
    for stranger in (CAROL, MALLORY, OPS, UMA):
        with stage.refused(TransitionRefused):
            await engine.uninstall(tokens.installation, actor=stranger)
    stage.vetoes["uninstall"] = "close the open orders first"
    with stage.refused(TransitionRefused, match="open orders"):
        await engine.uninstall(tokens.installation, actor=MARIA)
    with stage.refused(TransitionRefused, match="open orders"):
        await engine.apps.uninstall("agent-app", "acme", actor=MARIA)
    stage.vetoes.clear()
    gone = await engine.uninstall(tokens.installation, actor=MARIA)
    assert (gone.state, gone.usable) == ("uninstalled", False)
    with stage.refused(TransitionRefused):
        await engine.suspend(gone.id, actor=MARIA, reason="too late")
    assert await stage.absent("agent-app", "acme", BOB), "a tombstone is no installation"
    again = await stage.active("agent-app", BOB)
    assert again.installation != gone.id
    await engine.uninstall(again.installation, actor=BOB)


async def test_suspend_is_lifted_by_the_side_that_suspended(stage: Stage) -> None:
    engine = stage.engine
    tokens = await stage.active("agent-app", BOB)
    for stranger in (BOB, MALLORY, Actor.app("agent-app")):
        with stage.refused(TransitionRefused):
            await engine.suspend(tokens.installation, actor=stranger, reason="because")
    for ours, theirs in ((MARIA, OPS), (OPS, MARIA)):
        stopped = await engine.suspend(tokens.installation, actor=ours, reason=WHY)
        assert (stopped.state, stopped.usable) == ("active", False)
        with stage.refused(Unauthorized):
            await stage.call(tokens)
        with stage.refused(TransitionRefused, match="already"):
            await engine.suspend(tokens.installation, actor=theirs, reason=WHY)
        with stage.refused(TransitionRefused, match="only the"):
            await engine.unsuspend(tokens.installation, actor=theirs)
        assert (await engine.unsuspend(tokens.installation, actor=ours)).usable
    assert (await stage.call(tokens)).subject == "bob"
    with stage.refused(TransitionRefused, match="not suspended"):
        await engine.unsuspend(tokens.installation, actor=MARIA)


async def test_a_revocation_is_reported_by_the_app_or_an_operator(stage: Stage) -> None:
    engine = stage.engine
    tokens = await stage.active("account-app", MARIA)
    for stranger in (BOB, MARIA, MALLORY):
        with stage.refused(TransitionRefused, match="may report"):
            await engine.send(tokens.installation, "revoked_upstream", actor=stranger)
    await engine.send(tokens.installation, "revoked_upstream", actor=Actor.app("account-app"))
    dead = await engine.get(tokens.installation)
    assert (dead.state, dead.reason) == ("refresh-expired", "revoked")
    with stage.refused(ReauthorizationRequired):
        await stage.call(tokens)
    with stage.refused(InvalidGrant):
        await stage.renew("account-app", tokens)
    with_open = await stage.reopen(dead.id, MAX)
    await engine.send(dead.id, "security_event", actor=OPS)
    assert (await engine.get(dead.id)).state == "reauthorizing"
    await engine.cancel(with_open.id, actor=MAX)


async def test_force_reaches_what_needs_no_person_and_cannot_invent_a_grant(stage: Stage) -> None:
    engine, force = stage.engine, stage.engine.ops.force
    tokens = await stage.active("agent-app", BOB)
    key = tokens.installation
    for stranger in (BOB, MARIA, Actor.system()):
        with pytest.raises(PermissionDenied):
            await force(key, to="unauthorized", actor=stranger, reason=WHY)
    await force(key, to="refresh-expired", actor=OPS, reason=WHY)
    assert (await engine.get(key)).state == "refresh-expired"
    await force(key, to="active", actor=OPS, reason=WHY)
    assert (await stage.call(tokens)).subject == "bob", "the tokens were alive"
    for target in ("consented", "account-selected", "reauthorizing"):
        seen = await engine.get(key)
        with pytest.raises(TransitionRefused, match="only a person"):
            await force(key, to=target, actor=OPS, reason=WHY)
        assert await engine.get(key) == seen
    await force(key, to="unauthorized", actor=OPS, reason=WHY)
    assert (await engine.get(key)).state == "unauthorized"
    assert stage.sql("SELECT * FROM grantflow_token_set") == []
    await force(key, to="uninstalled", actor=OPS, reason=WHY)
    assert (await engine.get(key)).state == "uninstalled"

    dead = await stage.active("agent-app", CAROL)
    stage.clock.advance(YEAR)
    await engine.sweep()
    with pytest.raises(TransitionRefused, match="no live token set"):
        await force(dead.installation, to="active", actor=OPS, reason=WHY)
    assert (await engine.get(dead.installation)).state == "refresh-expired"
    forced = (await engine.history(key))[0]
    assert (forced.event, forced.forced, forced.reason, forced.actor) == ("force", True, WHY, "operator:otto")
