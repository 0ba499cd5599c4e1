"""Cancelling, several accounts, another person, and what an API says.

Source: S-12, S-26, S-31, S-32; RFC 6750 §3.1.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from grantflow.errors import BadInput, ReauthorizationRequired
from tests.foreign.world import HOUR, MINUTE, UNA, World, held_refresh, me


@pytest.mark.parametrize("granted", [False, True])
async def test_cancelling_asks_the_server_for_nothing(world: World, granted: bool) -> None:
    before = await world.granted() if granted else None
    requests = len(world.server.requests("token"))
    attempt = await world.leaves()
    done = await world.comes_back(attempt, await world.consents(attempt, allow=False))
    assert (done.outcome, done.why) == ("cancelled", None)
    assert len(world.server.requests("token")) == requests
    if before is None:
        assert done.installation is None
        assert (await world.engine.find()).items == ()
    else:
        assert await world.seen(before) == ("active", None)
        assert await world.calls(before) == (200, world.person.sub), "the grant before is untouched"
        assert [one.outcome for one in await world.engine.attempts(before)] == ["cancelled", "completed"]
    assert "incident.opened" not in await world.told()


async def test_cancelling_a_reauthorization_leaves_the_reason(world: World) -> None:
    installation = await world.granted()
    world.server.forget(world.person, world.client.client_id)
    world.advance(HOUR)
    await world.engine.renew_due()
    attempt = await world.engine.reauthorize(installation, actor=UNA)
    assert await world.seen(installation) == ("reauthorizing", "unknown")
    assert (await world.comes_back(attempt, await world.consents(attempt, allow=False))).outcome == "cancelled"
    assert await world.seen(installation) == ("refresh-expired", "unknown")
    attempt = await world.engine.reauthorize(installation, actor=UNA)
    assert (await world.comes_back(attempt, await world.consents(attempt))).outcome == "completed"
    assert await world.seen(installation) == ("active", None)
    assert await world.calls(installation) == (200, world.person.sub)


async def test_two_accounts_of_one_person_are_two_installations(world: World) -> None:
    acme, bolt = [await world.granted(account) for account in ("acme", "bolt")]
    assert acme != bolt
    tokens = [await world.engine.access_token(world.app.key, account=name, subject=UNA) for name in ("acme", "bolt")]
    assert [token.installation for token in tokens] == [acme, bolt]
    assert tokens[0].value != tokens[1].value
    for installation in (acme, bolt):
        assert await world.calls(installation) == (200, world.person.sub)
    await world.engine.disconnect(acme, actor=UNA)
    assert await world.seen(acme) == ("unauthorized", None)
    assert await world.calls(bolt) == (200, world.person.sub)


@pytest.mark.parametrize("alive", [True, False])
async def test_another_persons_consent_never_overwrites_a_grant(world: World, alive: bool) -> None:
    installation = await world.granted()
    kept, other = held_refresh(world, installation), world.server.person("eve")
    if not alive:
        world.server.forget(world.person, world.client.client_id)
        world.advance(HOUR)
        await world.engine.renew_due()
    before = await world.seen(installation)
    attempt = await world.engine.reauthorize(installation, actor=UNA)
    done = await world.comes_back(attempt, await world.consents(attempt, other))
    assert (done.outcome, done.why) == ("wrong-account", "wrong-account")
    assert await world.seen(installation) == before
    assert held_refresh(world, installation) == kept
    await world.given_back()
    assert world.revocations() == [("refresh_token", "revoked", 0)]
    assert world.live(other) == (0, 0), "their new tokens are gone at the server"
    if alive:
        assert await world.calls(installation) == (200, world.person.sub)
        world.advance(HOUR)
        assert (await world.engine.access_token(installation)).generation == 2
    assert [one.outcome for one in await world.engine.attempts(installation)] == ["wrong-account", "completed"]


async def test_a_disconnected_installation_may_belong_to_somebody_else_next(world: World) -> None:
    installation = await world.granted()
    await world.engine.disconnect(installation, actor=UNA)
    await world.given_back()
    other = world.server.person("eve")
    assert await world.granted("acme", other) == installation
    assert await world.calls(installation) == (200, other.sub)


# --- what the API said --------------------------------------------------------------------------------
async def test_two_workers_that_report_the_same_401_kill_nothing(world: World) -> None:
    world.server.set(REFRESH_TOKEN_REUSE_PROTECTION=True)
    installation = await world.granted()
    told = await asyncio.gather(
        *(world.engine.report(installation, status=401, generation=1) for _ in range(2)),
    )
    assert {one.outcome for one in told} <= {"renewed", "stale"}
    assert [one.token and one.token.generation for one in told] == [2, 2]
    late = await world.engine.report(installation, status=401, generation=1)
    assert (late.outcome, late.token and late.token.generation) == ("stale", 2)
    assert world.refreshes() == {"ok": 1}
    assert await world.seen(installation) == ("active", None)
    assert await world.calls(installation) == (200, world.person.sub)


async def test_a_401_about_the_token_a_forced_refresh_gave_ends_the_grant(world: World) -> None:
    installation = await world.granted()
    first = await world.engine.report(installation, status=401, generation=1)
    assert (first.outcome, first.token and first.token.generation) == ("renewed", 2)
    assert (await world.engine.report(installation, status=403, generation=2)).outcome == "noted"
    assert (await world.engine.report(installation, status=401, generation=1)).outcome == "stale"
    assert await world.seen(installation) == ("active", None)
    second = await world.engine.report(installation, status=401, generation=2)
    assert (second.outcome, second.token) == ("rejected", None)
    assert await world.seen(installation) == ("refresh-expired", "api-rejected")
    assert world.refreshes() == {"ok": 1}
    with pytest.raises(ReauthorizationRequired):
        await world.engine.access_token(installation)
    with pytest.raises(ReauthorizationRequired):
        await world.engine.report(installation, status=401, generation=2)


async def test_a_401_long_after_a_forced_refresh_is_a_first_one_again(world: World) -> None:
    installation = await world.granted()
    await world.engine.report(installation, status=401, generation=1)
    world.advance(HOUR)
    assert (await world.engine.access_token(installation)).generation == 3
    told = await world.engine.report(installation, status=401, generation=3)
    assert (told.outcome, told.token and told.token.generation) == ("renewed", 4)
    assert await world.seen(installation) == ("active", None)


async def test_an_access_token_the_server_ended_at_rotation_is_answered_with_the_new_one(world: World) -> None:
    """One of the two servers does so: who still holds the old one hears 401 and nothing is wrong."""
    installation = await world.granted()
    old = await world.engine.access_token(installation)
    world.advance(56 * MINUTE)
    new = await world.engine.access_token(installation)
    status = (await asyncio.to_thread(me, world.server, old.value)).status
    assert status == (401 if world.server.kind == "dot" else 200)
    told = await world.engine.report(installation, status=401, generation=old.generation)
    assert (told.outcome, told.token and told.token.value) == ("stale", new.value)
    assert world.refreshes() == {"ok": 1}


async def test_a_401_while_the_server_is_down_is_kept_for_later(world: World) -> None:
    installation = await world.granted()
    world.server.fault("unavailable", times=2)
    for _ in range(5):
        told = await world.engine.report(installation, status=401, generation=1)
        assert (told.outcome, told.token) == ("pending", None)
    assert world.refreshes() == {"unavailable": 1}, "a 401 is no reason to knock at a server that asked to wait"
    assert await world.seen(installation) == ("active", None)
    world.advance(3 * MINUTE)
    told = await world.engine.report(installation, status=401, generation=1)
    assert told.outcome == "pending"
    world.advance(6 * MINUTE)
    told = await world.engine.report(installation, status=401, generation=1)
    assert (told.outcome, told.token and told.token.generation) == ("renewed", 2)
    assert world.refreshes() == {"unavailable": 2, "ok": 1}


async def test_a_403_with_a_scope_opens_a_gap_and_touches_no_grant(world: World) -> None:
    installation = await world.granted()
    told = await world.engine.report(installation, status=403, generation=1, error="insufficient_scope", scope="read")
    assert told.outcome == "narrowed"
    seen = await world.engine.get(installation)
    assert (seen.state, seen.granted, seen.scopes_missing) == ("active", ("write",), ("read",))
    assert await world.told() == ["installation.activated", "scopes.narrowed"]
    assert world.refreshes() == {}


@pytest.mark.parametrize("generation", [0, -1, 2])
async def test_a_generation_that_was_never_given_is_refused(world: World, generation: int) -> None:
    installation = await world.granted()
    with pytest.raises(BadInput):
        await world.engine.report(installation, status=401, generation=generation)
    assert world.refreshes() == {}


async def test_a_token_that_cannot_be_renewed_dies_by_its_second_401(world: World) -> None:
    world.server.fault("rewrite", drop=["refresh_token"])
    installation = await world.granted()
    for _ in range(3):
        assert (await world.engine.report(installation, status=401, generation=1)).outcome == "pending"
    world.advance(timedelta(seconds=30))
    assert (await world.engine.report(installation, status=401, generation=1)).outcome == "rejected"
    assert await world.seen(installation) == ("refresh-expired", "api-rejected")
