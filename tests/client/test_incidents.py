"""Incidents: a matter of the app, told once; renewals are held, one probe at a time asks, no installation moves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from grantflow import App
from grantflow.errors import AppMisconfigured, NotFound, PermissionDenied, TokenUnavailable, Unauthorized
from grantflow.testing import SECRET
from tests.client.stage import BOB, HOUR, MARIA, MINUTE, OPS, SECOND, SYSTEM, TICK, WHY, Stage, micro


def desk(stage: Stage) -> App:
    """A second app at the same server."""
    return stage.server.app("desk")


async def open_by_secret(stage: Stage, name: str) -> None:
    """The server takes another secret now."""
    stage.over()
    stage.server.secret = "another secret"
    with pytest.raises(AppMisconfigured):
        await stage.engine.access_token(name)


async def test_a_hundred_installations_make_one_incident_one_notice_and_one_request(stage: Stage) -> None:
    names = await stage.many(100)
    versions = stage.sql("SELECT public_id, version, state FROM grantflow_installation ORDER BY 1")
    stage.over()
    stage.server.secret = "another secret"
    report = await stage.engine.renew_due()
    assert (report.renewed, report.failed, report.died, report.held) == (0, 0, 0, 100)
    for name in names:
        with pytest.raises(AppMisconfigured):
            await stage.engine.access_token(name)
        with pytest.raises(AppMisconfigured):
            await stage.engine.access_token(name)
    assert (await stage.engine.renew_due()).held == 0, "held apps are not even looked at"
    # Those that were already under way when the first refusal came may have gone out too: eight at once, no more.
    assert 1 <= stage.refreshes() <= 8
    (incident,) = await stage.engine.ops.incidents()
    assert (incident.app, incident.cause, incident.probes) == ("crm", "invalid_client", 0)
    assert stage.notices("incident.opened") == ["incident.opened"]
    assert stage.notices("refresh.failed", "installation.expired") == []
    assert stage.sql("SELECT public_id, version, state FROM grantflow_installation ORDER BY 1") == versions


async def test_one_incident_holds_until_a_probe_that_waits_twice_as_long_each_time(stage: Stage) -> None:
    first, second = await stage.active("acme"), await stage.active("bolt")
    await open_by_secret(stage, first)
    refreshes, waits = stage.refreshes(), []
    for _ in range(8):
        (incident,) = await stage.engine.ops.incidents()
        waits.append((incident.probe_at - stage.clock.now()) // MINUTE)
        stage.clock.advance(incident.probe_at - stage.clock.now() - TICK)
        for name in (first, second):
            with pytest.raises(AppMisconfigured) as caught:
                await stage.engine.access_token(name)
            assert caught.value.retry_after == 1e-06
        assert stage.refreshes() == refreshes, "no request before the probe's time"
        stage.clock.advance(TICK)
        for name in (second, first):
            with pytest.raises(AppMisconfigured):
                await stage.engine.access_token(name)
        refreshes += 1
        assert stage.refreshes() == refreshes, "one of all installations is the probe"
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
    assert stage.notices("incident.opened") == ["incident.opened"]
    stage.server.secret = SECRET
    stage.clock.advance(HOUR)
    assert (await stage.engine.access_token(second)).generation == 2
    assert await stage.engine.ops.incidents() == []
    (closed,) = await stage.engine.ops.incidents(closed=True)
    assert (closed.closed_by, closed.probes) == ("probe", 9), "the one that succeeded counts"
    assert stage.notices("incident.opened", "incident.closed") == ["incident.opened", "incident.closed"]
    assert (await stage.engine.access_token(first)).generation == 2, "and everybody goes on"
    assert await stage.state(first) == ("active", None)


async def test_renew_due_brings_the_probe_by_itself(stage: Stage) -> None:
    await stage.many(12)
    stage.until_due()
    stage.answers(400, error="unauthorized_client")
    await stage.engine.renew_due()
    sent = stage.refreshes()
    stage.clock.advance(MINUTE)
    stage.answers(400, error="unauthorized_client")
    report = await stage.engine.renew_due()
    assert (report.renewed, stage.refreshes()) == (0, sent + 1)
    stage.clock.advance(2 * MINUTE)
    report = await stage.engine.renew_due()
    assert report.renewed >= 1, "the first success ends it"
    assert await stage.engine.ops.incidents() == []
    await stage.engine.renew_due()
    assert stage.sql("SELECT count(*) FROM grantflow_token_set WHERE generation = 2") == [(12,)]


async def test_a_new_secret_is_tried_at_once_and_ends_the_incident(stage: Stage) -> None:
    name = await stage.active()
    await open_by_secret(stage, name)
    await stage.engine.apps.add_secret("crm", "another secret", actor=OPS)
    (incident,) = await stage.engine.ops.incidents()
    assert incident.probe_at == stage.clock.now()
    assert (await stage.engine.renew_due()).renewed == 1, "a scheduler finds it due at once"
    assert await stage.engine.ops.incidents() == []
    assert stage.notices("incident.closed") == ["incident.closed"]


async def test_a_wrong_new_secret_is_tried_once_and_the_incident_stays(stage: Stage) -> None:
    name = await stage.active()
    await open_by_secret(stage, name)
    sent = stage.refreshes()
    await stage.engine.apps.add_secret("crm", "wrong as well", actor=OPS)
    for _ in range(3):
        with pytest.raises(AppMisconfigured):
            await stage.engine.access_token(name)
    assert stage.refreshes() - sent == 2, "the new one and the old one, once each"
    assert len(await stage.engine.ops.incidents()) == 1


async def test_while_two_secrets_overlap_either_works_and_no_incident_opens(stage: Stage) -> None:
    name = await stage.active()
    await stage.engine.apps.add_secret("crm", "the next secret", actor=SYSTEM)
    stage.over()
    assert (await stage.engine.access_token(name)).generation == 2, "the server still takes the old one"
    stage.server.secret = "the next secret"
    for generation in (3, 4):
        sent = stage.refreshes()
        stage.over()
        assert (await stage.engine.access_token(name)).generation == generation
    assert stage.refreshes() - sent == 1, "what worked is tried first"
    assert await stage.engine.ops.incidents(closed=True) == []


@pytest.mark.parametrize("actor", [BOB, MARIA])
async def test_only_operators_and_the_platform_add_secrets(stage: Stage, actor: object) -> None:
    with stage.on_record(PermissionDenied):
        await stage.engine.apps.add_secret("crm", "x", actor=actor)  # type: ignore[arg-type]


async def test_a_second_app_at_the_same_server_is_not_affected(stage: Stage) -> None:
    await stage.put(desk(stage))
    name, other = await stage.active(), await stage.active(app="desk")
    stage.over()
    stage.answers(401, error="invalid_client")
    with pytest.raises(AppMisconfigured):
        await stage.engine.access_token(name)
    assert (await stage.engine.access_token(other)).generation == 2
    assert [incident.app for incident in await stage.engine.ops.incidents()] == ["crm"]


async def test_a_token_that_works_is_given_through_an_incident(stage: Stage) -> None:
    name = await stage.active()
    fresh = await stage.active("bolt")
    stage.until_due()
    stage.answers(401, error="invalid_client")
    for _ in range(3):
        assert (await stage.engine.access_token(name)).generation == 1
        assert (await stage.engine.access_token(fresh)).generation == 1
    assert stage.refreshes() == 1


@pytest.mark.parametrize(
    ("total", "bad", "opens"),
    [(4, 4, False), (5, 5, True), (10, 4, False), (25, 5, True), (30, 6, True)],
)
async def test_five_installations_and_a_fifth_of_them_make_an_incident(
    stage: Stage, total: int, bad: int, opens: bool
) -> None:
    names = await stage.many(total)
    stage.until_due()
    for name in names[bad:]:
        await stage.engine.access_token(name)
    for name in names[:bad]:
        stage.answers(503)
        await stage.engine.access_token(name)
    found = await stage.engine.ops.incidents()
    assert [incident.cause for incident in found] == (["renewals-failing"] if opens else [])
    assert stage.notices("incident.opened") == ["incident.opened"] * opens
    states = stage.sql("SELECT DISTINCT state FROM grantflow_installation")
    assert states == [("active",)]


async def test_just_under_a_fifth_makes_no_incident(stage: Stage) -> None:
    names = await stage.many(26)
    stage.until_due()
    for name in names[5:]:
        await stage.engine.access_token(name)
    for name in names[:5]:
        stage.answers(503)
        await stage.engine.access_token(name)
    assert await stage.engine.ops.incidents() == []


async def test_one_installation_that_fails_five_times_is_no_outbreak(stage: Stage) -> None:
    name = await stage.active()
    stage.until_due()
    for _ in range(5):
        stage.answers(503)
        await stage.engine.renew_due()
        stage.clock.advance(timedelta(microseconds=stage.tokens(name)["refresh_at"] - micro(stage.clock.now())))
    assert await stage.engine.ops.incidents() == []


@pytest.mark.parametrize(("apart", "opens"), [(15 * MINUTE, True), (15 * MINUTE + TICK, False)])
async def test_failures_count_for_fifteen_minutes(stage: Stage, apart: timedelta, opens: bool) -> None:
    names = await stage.many(5)
    stage.over()
    for number, name in enumerate(names):
        if number == 4:
            stage.clock.advance(apart)
        stage.answers(503)
        with pytest.raises(TokenUnavailable):
            await stage.engine.access_token(name)
    assert bool(await stage.engine.ops.incidents()) is opens


async def test_many_grants_that_end_at_once_look_like_an_outbreak_and_are_dead_all_the_same(stage: Stage) -> None:
    names = await stage.many(6)
    stage.over()
    stage.server.alive.clear()
    report = await stage.engine.renew_due()
    assert report.died >= 5
    (incident,) = await stage.engine.ops.incidents()
    assert incident.cause == "renewals-failing"
    ended = [name for name in names if (await stage.state(name))[0] == "refresh-expired"]
    assert len(ended) == report.died


async def test_an_operator_closes_an_incident_and_renewals_go_on(stage: Stage) -> None:
    name = await stage.active()
    await open_by_secret(stage, name)
    stage.server.secret = SECRET
    with stage.refused(AppMisconfigured):
        await stage.engine.access_token(name)
    await stage.engine.ops.close_incident("crm", actor=OPS, reason=WHY)
    assert (await stage.engine.access_token(name)).generation == 2
    (closed,) = await stage.engine.ops.incidents(closed=True)
    assert closed.closed_by == "operator:otto"
    assert stage.notices("incident.closed") == ["incident.closed"]
    with stage.on_record(NotFound):
        await stage.engine.ops.close_incident("crm", actor=OPS, reason=WHY)
    _, (_, action), *_ = await stage.engine.ops.actions()
    assert (action.verb, action.target, action.outcome) == ("close-incident", "crm", "applied")


async def test_nobody_but_an_operator_closes_an_incident_and_the_try_is_on_record(stage: Stage) -> None:
    name = await stage.active()
    await open_by_secret(stage, name)
    for actor in (BOB, MARIA, SYSTEM):
        with pytest.raises(PermissionDenied):
            await stage.engine.ops.close_incident("crm", actor=actor, reason=WHY)
    assert len(await stage.engine.ops.incidents()) == 1
    actions = [action for _, action in await stage.engine.ops.actions()]
    assert [action.outcome for action in actions if action.verb == "close-incident"] == ["refused"] * 3


async def test_an_operators_hold_stops_tokens_and_renewals(stage: Stage) -> None:
    name = await stage.active()
    await stage.engine.apps.hold("crm", actor=OPS, reason=WHY)
    stage.until_due()
    with stage.refused(Unauthorized, match="on hold"):
        await stage.engine.access_token(name)
    with stage.unchanged():
        report = await stage.engine.renew_due()
    assert (report.renewed, stage.refreshes()) == (0, 0)
    assert await stage.state(name) == ("active", None)
    await stage.engine.apps.release("crm", actor=OPS, reason=WHY)
    assert (await stage.engine.access_token(name)).generation == 2


@pytest.mark.parametrize("how", ["hold", "incident"])
async def test_a_held_app_with_many_due_rows_does_not_keep_another_waiting(stage: Stage, how: str) -> None:
    await stage.put(desk(stage))
    names = await stage.many(30)
    stage.clock.advance(MINUTE)
    other = await stage.active(app="desk")
    stage.clock.advance(55 * MINUTE - SECOND)
    if how == "hold":
        await stage.engine.apps.hold("crm", actor=OPS, reason=WHY)
    else:
        stage.answers(401, error="invalid_client")
        await stage.engine.access_token(names[0])
    stage.clock.advance(SECOND)
    report = await stage.engine.renew_due(limit=10)
    assert stage.tokens(other)["generation"] == 2, "its rows are older, and there are more of them than the limit"
    assert (report.renewed, report.held) == (1, 0)


async def test_an_exchange_that_the_server_refuses_for_the_app_opens_an_incident_too(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    stage.answers(401, error="invalid_client")
    done = await stage.back(attempt)
    assert (done.outcome, done.why) == ("failed", "invalid_client")
    assert done.installation is not None
    assert done.installation.state == "unauthorized"
    assert [incident.cause for incident in await stage.engine.ops.incidents()] == ["invalid_client"]


async def test_an_exchange_for_tokens_of_another_type_fails_and_gives_them_back(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    stage.server.token_type = "mac"
    done = await stage.back(attempt)
    assert (done.outcome, done.why) == ("failed", "token-type")
    assert done.installation is not None
    assert done.installation.state == "unauthorized"
    assert [incident.cause for incident in await stage.engine.ops.incidents()] == ["token-type"]
    await stage.settled()
    assert stage.server.alive == {}, "nobody holds them, so they live nowhere"
