"""A server refuses the app itself: one incident, few requests, no installation touched.

Source: R-37; LIFECYCLE §7.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from grantflow.errors import AppMisconfigured, ReauthorizationRequired
from tests.foreign.world import HOUR, MINUTE, OPERATOR, SYSTEM, World, held_refresh, rows

MANY = 1_000


async def adopted(world: World, many: int, refresh_token: str, access: timedelta = HOUR) -> list[str]:
    """So many installations of other people; they share one grant, or have a made-up one."""
    return [
        (
            await world.engine.adopt(
                world.app.key,
                account="acme",
                actor=SYSTEM,
                subject=f"person-{number}",
                access_token="made-up",
                refresh_token=refresh_token,
                expires_in=access,
            )
        ).id
        for number in range(many)
    ]


def states(world: World) -> dict[str, int]:
    return dict(rows(world.database, "SELECT state, count(*) FROM grantflow_installation GROUP BY state"))


async def until_nothing_is_due(world: World, limit: int = 400) -> int:
    """What a scheduler does; how many were renewed."""
    renewed = 0
    for _ in range(50):
        report = await world.engine.renew_due(limit=limit)
        renewed += report.renewed
        if report.renewed + report.failed + report.died + report.held == 0:
            return renewed
    raise AssertionError("something is due for ever")


async def opened_by_a_wrong_secret(world: World, many: int) -> str:
    """An incident with many installations behind it; the id of the one whose grant is known to the person."""
    world.server.set(REFRESH_TOKEN_GRACE_PERIOD_SECONDS=86_400)  # one real refresh token for all of them
    first = await world.granted()
    await adopted(world, many - 1, held_refresh(world, first))
    world.server.set_secret(world.client.client_id, "another secret")
    world.notices.clear()
    world.advance(HOUR)
    assert await until_nothing_is_due(world) == 0
    return first


@pytest.mark.parametrize("many", [100, pytest.param(MANY, marks=pytest.mark.slow)])
async def test_a_wrong_secret_is_one_incident_and_touches_nobody(world: World, many: int) -> None:
    first = await opened_by_a_wrong_secret(world, many)
    assert states(world) == {"active": many}, "none left"
    refused = world.refreshes()
    assert refused.keys() == {"invalid_client"}
    assert refused["invalid_client"] <= 8, "those that were under way together when the first answer came"
    (incident,) = await world.engine.ops.incidents()
    assert (incident.app, incident.cause, incident.closed_at) == (world.app.key, "invalid_client", None)
    assert [notice for notice in await world.told() if notice.startswith("incident")] == ["incident.opened"]
    with pytest.raises(AppMisconfigured, match="invalid_client"):
        await world.engine.access_token(first)
    assert world.refreshes() == refused, "nobody asks before the probe's time"

    world.advance(MINUTE)
    assert await until_nothing_is_due(world) == 0
    assert world.refreshes() == {"invalid_client": refused["invalid_client"] + 1}, "one probe"
    world.advance(MINUTE)
    assert await until_nothing_is_due(world) == 0
    assert world.refreshes() == {"invalid_client": refused["invalid_client"] + 1}, "the next one waits twice as long"

    await world.engine.apps.add_secret(world.app.key, "another secret", actor=OPERATOR)
    assert await until_nothing_is_due(world) == many, "the first is the probe, the others follow"
    assert await world.engine.ops.incidents() == []
    (closed,) = await world.engine.ops.incidents(closed=True)
    assert (closed.id, closed.closed_by, closed.probes) == (incident.id, "probe", 2)
    assert states(world) == {"active": many}
    assert world.refreshes()["ok"] == many
    assert await world.calls(first) == (200, world.person.sub)
    told = [notice for notice in await world.told() if notice.startswith("incident")]
    assert told == ["incident.opened", "incident.closed"]


async def test_with_made_up_grants_a_wrong_secret_touches_nobody_either(world: World) -> None:
    """The server cannot tell them from real ones before it knows the client."""
    await world.granted()
    await adopted(world, MANY - 1, "made-up")
    world.server.set_secret(world.client.client_id, "another secret")
    world.advance(HOUR)
    for _ in range(6):
        assert await until_nothing_is_due(world) == 0
        world.advance(20 * MINUTE)
    assert states(world) == {"active": MANY}
    assert world.refreshes()["invalid_client"] <= 8 + 6
    assert len(await world.engine.ops.incidents(closed=True)) == 1


async def test_an_app_token_wish_probes_too_when_the_time_has_come(world: World) -> None:
    first = await opened_by_a_wrong_secret(world, 3)
    world.server.set_secret(world.client.client_id, world.client.secret or "")
    with pytest.raises(AppMisconfigured) as refused:
        await world.engine.access_token(first)
    assert refused.value.retry_after == 60
    world.advance(MINUTE)
    assert (await world.engine.access_token(first)).generation == 2
    assert await world.engine.ops.incidents() == []


async def test_two_secrets_are_valid_while_they_overlap(world: World) -> None:
    installation, key = await world.granted(), world.app.key
    await world.engine.apps.add_secret(key, "the next one", actor=OPERATOR)
    for generation, secret in ((2, world.client.secret), (3, "the next one"), (4, world.client.secret)):
        world.server.set_secret(world.client.client_id, secret or "")
        world.advance(HOUR)
        assert (await world.engine.access_token(installation)).generation == generation
    assert await world.engine.ops.incidents() == []
    done = await world.grant("bolt")
    assert done.outcome == "completed", "a code is tried with both, too"
    world.server.set_secret(world.client.client_id, "the next one")
    assert (await world.grant("bolt")).outcome == "completed"
    await world.engine.apps.add_secret(key, "the one after", actor=OPERATOR)
    world.server.set_secret(world.client.client_id, world.client.secret or "")
    world.advance(HOUR)
    with pytest.raises(AppMisconfigured):
        await world.engine.access_token(installation)
    assert await world.seen(installation) == ("active", None), "the oldest of three is gone, and nobody's grant"


async def test_the_secret_that_worked_is_tried_first(world: World) -> None:
    installation = await world.granted()
    await world.engine.apps.add_secret(world.app.key, "the next one", actor=OPERATOR)
    for generation in (2, 3, 4):
        world.advance(HOUR)
        assert (await world.engine.access_token(installation)).generation == generation
    assert world.refreshes() == {"invalid_client": 1, "ok": 3}


async def test_an_app_that_the_server_dropped_is_an_incident(world: World) -> None:
    installations = [await world.granted(account) for account in ("acme", "bolt")]
    world.server.delete_app(world.client.client_id)
    world.advance(HOUR)
    assert await until_nothing_is_due(world) == 0
    for installation in installations:
        with pytest.raises(AppMisconfigured):
            await world.engine.access_token(installation)
        assert await world.seen(installation) == ("active", None)
        assert len(await world.engine.history(installation)) == 4
    (incident,) = await world.engine.ops.incidents()
    assert incident.cause == "invalid_client"
    done = [notice for notice in await world.told() if notice.startswith("incident")]
    assert done == ["incident.opened"]


async def test_while_an_incident_is_open_what_works_is_used(world: World) -> None:
    installation = await world.granted()
    world.server.set_secret(world.client.client_id, "another secret")
    world.advance(56 * MINUTE)
    for _ in range(3):
        assert (await world.engine.access_token(installation)).generation == 1
    assert await world.calls(installation) == (200, world.person.sub)
    assert len(await world.engine.ops.incidents()) == 1
    told = await world.engine.report(installation, status=401, generation=1)
    assert (told.outcome, await world.seen(installation)) == ("pending", ("active", None))
    assert world.refreshes() == {"invalid_client": 1}


async def test_an_operator_looks_through_an_incident_and_a_hold(world: World) -> None:
    installation, key, why = await world.granted(), world.app.key, "looking into it"
    world.server.set_secret(world.client.client_id, "another secret")
    world.advance(HOUR)
    await world.engine.renew_due()
    probe = await world.engine.ops.probe(installation, actor=OPERATOR, reason=why)
    assert (probe.outcome, probe.why, probe.state) == ("held", "invalid_client", "active")
    world.server.set_secret(world.client.client_id, world.client.secret or "")
    await world.engine.apps.hold(key, actor=OPERATOR, reason=why)
    probe = await world.engine.ops.probe(installation, actor=OPERATOR, reason=why)
    assert (probe.outcome, probe.why, probe.state) == ("renewed", None, "active")
    assert await world.engine.ops.incidents() == []
    await world.engine.apps.release(key, actor=OPERATOR, reason=why)
    assert await world.calls(installation) == (200, world.person.sub)


async def test_an_app_that_was_refused_at_the_consent_opens_the_incident_once(world: World) -> None:
    attempt = await world.leaves()
    query = await world.consents(attempt)
    world.server.set_secret(world.client.client_id, "another")
    done = await world.comes_back(attempt, query)
    assert (done.outcome, done.why) == ("failed", "invalid_client")
    assert await world.told() == ["attempt.failed", "incident.opened"]
    world.server.set_secret(world.client.client_id, world.client.secret or "")
    world.advance(MINUTE)
    installation = await world.granted()
    assert await world.seen(installation) == ("active", None)


async def test_a_person_who_removes_the_app_ends_their_own_grant_alone(world: World) -> None:
    theirs, other = world.person, world.server.person("una")
    one, two = await world.granted("acme", theirs), await world.granted("bolt", other)
    world.server.forget(theirs, world.client.client_id)
    world.advance(HOUR)
    report = await world.engine.renew_due()
    assert (report.renewed, report.died) == (1, 1)
    assert await world.seen(one) == ("refresh-expired", "unknown"), "not by time"
    assert await world.seen(two) == ("active", None)
    with pytest.raises(ReauthorizationRequired) as told:
        await world.engine.access_token(one)
    assert told.value.guidance is not None
    assert told.value.guidance.reason == "unknown"
    assert await world.engine.ops.incidents() == []


LEFT_OPEN = "only a successful probe ends an incident, though invalid_grant proves the client as well"


async def test_a_probe_that_finds_a_dead_grant_has_found_a_working_app(world: World) -> None:
    first, second = await world.granted("acme"), await world.granted("bolt", world.server.person("una"))
    world.server.set_secret(world.client.client_id, "another secret")
    world.advance(HOUR)
    await world.engine.renew_due()
    world.server.forget(world.person, world.client.client_id)
    await world.engine.apps.add_secret(world.app.key, "another secret", actor=OPERATOR)
    assert await until_nothing_is_due(world) == 1
    assert (await world.seen(first), await world.seen(second)) == (("refresh-expired", "unknown"), ("active", None))
    assert await world.engine.ops.incidents() == []
