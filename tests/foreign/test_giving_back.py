"""Tokens are given back to their server after the commit, and nobody waits for it.

Source: R-21, R-22; RFC 7009 §2.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from grantflow.errors import ReauthorizationRequired, TransitionRefused
from tests.foreign.cases import NOBODY
from tests.foreign.world import DAY, HOUR, MINUTE, OPERATOR, SYSTEM, UNA, World, me, opened, rows, until
from tests.servers.control import FaultKind, RealServer

GONE = [("refresh_token", "revoked", 0)]


async def disconnected(world: World, installation: str) -> None:
    await world.engine.disconnect(installation, actor=UNA)


async def uninstalled(world: World, installation: str) -> None:
    await world.engine.uninstall(installation, actor=UNA)


async def removed_from_the_account(world: World, installation: str) -> None:
    await world.engine.apps.uninstall(world.app.key, "acme", actor=SYSTEM)


async def forced_away(world: World, installation: str) -> None:
    await world.engine.ops.force(installation, to="uninstalled", actor=OPERATOR, reason="a test of leaving")


Leaving = Callable[[World, str], Awaitable[None]]
LEAVINGS: list[tuple[Leaving, str]] = [
    (disconnected, "unauthorized"),
    (uninstalled, "uninstalled"),
    (removed_from_the_account, "uninstalled"),
    (forced_away, "uninstalled"),
]


@pytest.mark.parametrize(("leave", "state"), LEAVINGS)
async def test_who_leaves_gives_the_grant_back(world: World, leave: Leaving, state: str) -> None:
    installation = await world.granted()
    token = await world.engine.access_token(installation)
    await leave(world, installation)
    assert (await world.engine.get(installation)).state == state
    await world.given_back()
    assert (world.revocations(), world.live()) == (GONE, (0, 0))
    assert (await asyncio.to_thread(me, world.server, token.value)).status == 401, "both die with the refresh token"
    assert [seen.params for seen in world.server.requests("revocation")] == [["token", "token_type_hint"]]
    with pytest.raises(ReauthorizationRequired):
        await world.engine.access_token(installation)


@pytest.mark.parametrize("kind", ["unavailable", "limited", "broken", "hangup", "lost"])
async def test_a_server_that_is_down_blocks_nobody_and_gets_it_later(world: World, kind: FaultKind) -> None:
    installation = await world.granted()
    world.server.fault(kind, endpoint="revocation")
    await uninstalled(world, installation)
    assert (await world.engine.get(installation)).state == "uninstalled"
    await settled(world, 1)
    assert world.revocations() == [("refresh_token", None, 1)]
    assert await world.engine.deliver_revocations() == 0, "not before its time"
    assert (await world.engine.ops.outbox()).revocations == 1
    world.advance(2 * MINUTE)
    assert await world.engine.deliver_revocations() == 1
    assert (world.revocations(), world.live()) == (GONE, (0, 0))
    assert len(world.server.requests("revocation")) == 2


async def settled(world: World, tries: int) -> None:
    """Until a try to give back has been written down."""
    text = "SELECT count(*) FROM grantflow_revocation WHERE tries >= " + str(tries)
    await until(lambda: rows(world.database, text) == [(1,)])


async def test_a_server_that_hangs_blocks_nobody(world: World) -> None:
    installation = await world.granted()
    world.server.fault("hold", endpoint="revocation")
    async with asyncio.timeout(8):
        await uninstalled(world, installation)
        assert (await world.engine.get(installation)).state == "uninstalled"
        await asyncio.to_thread(world.server.wait_for_waiting, 1)
        assert (await world.engine.ops.outbox()).revocations == 1
        world.server.release()
    await world.given_back()
    assert (world.revocations(), world.live()) == (GONE, (0, 0))


async def test_a_retry_after_is_kept(world: World) -> None:
    installation = await world.granted()
    world.server.fault("unavailable", endpoint="revocation", retry_after="3600")
    await disconnected(world, installation)
    await settled(world, 1)
    world.advance(HOUR - timedelta(seconds=1))
    assert await world.engine.deliver_revocations() == 0
    world.advance(timedelta(seconds=1))
    assert await world.engine.deliver_revocations() == 1
    assert world.revocations() == GONE


async def test_a_server_that_never_comes_back_is_given_up_after_most_of_a_day(
    server: RealServer, tmp_path: Path
) -> None:
    async with opened(server, tmp_path, at={"revocation_endpoint": NOBODY}) as world:
        installation = await world.granted()
        await uninstalled(world, installation)
        await settled(world, 1)
        for _ in range(24):
            world.advance(HOUR)
            await world.engine.deliver_revocations()
        assert world.revocations() == [("refresh_token", "given up: not_sent", 0)]
        assert (await world.engine.ops.outbox()).revocations == 0


async def test_a_server_without_revocation_is_left_alone(server: RealServer, tmp_path: Path) -> None:
    async with opened(server, tmp_path, at={"revocation_endpoint": ""}) as world:
        await disconnected(world, await world.granted())
        await world.given_back()
        assert world.revocations() == [("refresh_token", "unsupported", 0)]


async def test_after_a_new_client_secret_tokens_still_go_back(world: World) -> None:
    installation = await world.granted()
    await world.engine.apps.add_secret(world.app.key, "the next one", actor=OPERATOR)
    await disconnected(world, installation)
    await world.given_back()
    assert (world.revocations(), world.live()) == (GONE, (0, 0))


async def shared(world: World) -> None:
    """Until the one token to give back waits for whoever may share its grant."""
    await until(lambda: world.revocations() == [("refresh_token", "shared", 1)])


async def test_what_another_live_installation_may_share_is_not_revoked(world: World) -> None:
    acme, bolt = [await world.granted(account) for account in ("acme", "bolt")]
    await disconnected(world, acme)
    await shared(world)
    assert world.server.requests("revocation") == []
    assert await world.calls(bolt) == (200, world.person.sub)
    world.advance(HOUR)
    assert (await world.engine.access_token(bolt)).generation == 2
    await disconnected(world, bolt)
    await world.given_back(1)
    assert world.revocations()[1:] == GONE
    world.advance(DAY)
    await world.engine.deliver_revocations()
    assert world.revocations() == GONE * 2
    assert world.live() == (0, 0), "at a server that shares nothing the first one's lived on until then"


async def test_another_identity_shares_nothing(world: World) -> None:
    other = world.server.person("eve")
    acme, bolt = await world.granted("acme"), await world.granted("bolt", other)
    await disconnected(world, acme)
    await world.given_back()
    assert (world.revocations(), world.live()) == (GONE, (0, 0))
    assert await world.calls(bolt) == (200, other.sub)


async def test_without_identities_the_same_subject_is_taken_for_the_same_person(
    server: RealServer, tmp_path: Path
) -> None:
    async with opened(server, tmp_path, identified=False) as world:
        acme, bolt = [await world.granted(account) for account in ("acme", "bolt")]
        await disconnected(world, acme)
        await shared(world)
        assert await world.calls(bolt) == (200, world.person.sub)


async def test_a_reauthorization_of_the_same_account_revokes_nothing(world: World) -> None:
    """Grant-wide revocation exists: giving the old token back could end the new grant."""
    installation = await world.granted()
    assert await world.granted() == installation
    assert (world.revocations(), world.server.requests("revocation")) == ([], [])
    assert await world.calls(installation) == (200, world.person.sub)


async def test_a_grant_that_died_upstream_is_given_back_when_its_owner_leaves(world: World) -> None:
    installation = await world.granted()
    world.server.forget(world.person, world.client.client_id)
    world.advance(HOUR)
    await world.engine.renew_due()
    await disconnected(world, installation)
    await world.given_back()
    assert world.revocations() == GONE, "a server says yes to what it does not know"


# --- answers that come too late -----------------------------------------------------------------------
async def cancelled(world: World, installation: str) -> None:
    (attempt,) = [one for one in await world.engine.attempts(installation) if one.outcome is None]
    await world.engine.cancel(attempt.id, actor=UNA)


async def run_out_of_time(world: World, installation: str) -> None:
    world.advance(2 * MINUTE)
    assert (await world.engine.sweep()).moved == 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    ("leave", "state", "outcome"),
    [
        (disconnected, "unauthorized", "superseded"),
        (uninstalled, "uninstalled", "superseded"),
        (cancelled, "unauthorized", "cancelled"),
        (run_out_of_time, "unauthorized", "expired"),
    ],
)
async def test_tokens_that_come_after_somebody_left_are_given_back(
    world: World, when: Literal["before", "after"], leave: Leaving, state: str, outcome: str
) -> None:
    attempt = await world.leaves()
    query = await world.consents(attempt)
    world.server.fault("hold", when=when, grant="authorization_code")
    coming = asyncio.ensure_future(world.comes_back(attempt, query))
    await asyncio.to_thread(world.server.wait_for_waiting, 1)
    (waiting,) = (await world.engine.find()).items
    assert waiting.state == "consented"
    await leave(world, waiting.id)
    assert (await world.engine.get(waiting.id)).state == state
    world.server.release()
    done = await coming
    late_code = when == "before" and leave is run_out_of_time
    assert (done.outcome, done.why) == (outcome, "too-late")
    assert (await world.engine.get(waiting.id)).state == state
    await world.given_back()
    assert world.revocations() == ([] if late_code else GONE)
    assert world.live() == (0, 0)
    assert await world.engine.token_health(waiting.id) is None
    assert world.server.counters().redemptions() == {"invalid_grant" if late_code else "ok": 1}


@pytest.mark.parametrize(("leave", "state"), LEAVINGS[:2])
async def test_a_refresh_that_is_answered_after_somebody_left_is_given_back(
    world: World, leave: Leaving, state: str
) -> None:
    installation = await world.granted()
    world.advance(HOUR)
    world.server.fault("hold", when="before", grant="refresh_token")
    wish = asyncio.ensure_future(world.engine.access_token(installation))
    await asyncio.to_thread(world.server.wait_for_waiting, 1)
    world.server.fault("unavailable", endpoint="revocation")  # so that the old token is not revoked before
    await leave(world, installation)
    await settled(world, 1)
    world.server.release()
    with pytest.raises((ReauthorizationRequired, TransitionRefused)):
        await wish
    assert (await world.engine.get(installation)).state == state
    await world.given_back(1)
    world.advance(DAY)
    await world.engine.deliver_revocations()
    assert world.revocations() == GONE * 2
    assert world.live() == (0, 0)


async def test_a_second_consent_that_is_answered_after_an_uninstall_leaves_neither(world: World) -> None:
    installation = await world.granted()
    attempt = await world.leaves()
    query = await world.consents(attempt)
    world.server.fault("hold", when="after", grant="authorization_code")
    coming = asyncio.ensure_future(world.comes_back(attempt, query))
    await asyncio.to_thread(world.server.wait_for_waiting, 1)
    await uninstalled(world, installation)
    world.server.release()
    assert (await coming).why == "too-late"
    await world.given_back()
    assert (world.revocations(), world.live()) == (GONE * 2, (0, 0))


async def test_of_two_consents_exchanged_at_once_one_wins_and_the_api_goes_on(world: World) -> None:
    """The loser's tokens may be the same grant upstream, so they are not revoked while the winner lives."""
    installation = await world.granted()
    attempts = [await world.leaves() for _ in range(2)]
    queries = [await world.consents(attempt) for attempt in attempts]
    world.server.fault("hold", times=2, when="after", grant="authorization_code")
    coming = [asyncio.ensure_future(world.comes_back(*one)) for one in zip(attempts, queries, strict=True)]
    await asyncio.to_thread(world.server.wait_for_waiting, 2)
    world.server.release()
    done = await asyncio.gather(*coming)
    assert sorted((one.outcome, one.why) for one in done) == [("completed", None), ("superseded", "too-late")]
    await shared(world)
    assert (await world.engine.get(installation)).generation == 2
    assert await world.calls(installation) == (200, world.person.sub)
    world.advance(HOUR)
    assert (await world.engine.access_token(installation)).generation == 3
