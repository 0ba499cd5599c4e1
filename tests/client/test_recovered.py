"""A dead grant that lives after all: an operator's probe brings it back; reminders go to whoever can act."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from grantflow import Actor, Lifetime
from grantflow.errors import BadInput, NotFound, NotHeldHere, PermissionDenied, TransitionRefused
from grantflow.testing import sample_app
from tests.client.stage import BOB, DAY, HOUR, MARIA, MINUTE, OPS, START, SYSTEM, WHY, Stage, micro

YEAR = timedelta(days=365)


async def expired(stage: Stage) -> str:
    """A clock that jumps a year and a half ahead expires a grant that lives."""
    name = await stage.active()
    stage.clock.advance(YEAR + 180 * DAY)
    await stage.engine.ops.release_sweep("crm", actor=OPS, reason=WHY)
    await stage.engine.sweep()
    assert await stage.state(name) == ("refresh-expired", "time")
    assert stage.row(name)["state"] == "refresh-expired"
    return name


async def test_a_probe_brings_back_what_the_clock_took_for_dead(stage: Stage) -> None:
    name = await expired(stage)
    probe = await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    assert (probe.outcome, probe.why, probe.state) == ("renewed", None, "active")
    found = await stage.engine.get(name)
    assert (found.state, found.reason, found.usable) == ("active", None, True)
    assert found.expires_at == stage.clock.now() + YEAR, "the server's word wins, and the span starts anew"
    health = await stage.engine.token_health(name)
    assert health is not None
    assert health.refresh_at == stage.clock.now() + 55 * MINUTE
    assert (await stage.engine.access_token(name)).generation == 2
    last = (await stage.engine.history(name))[0]
    assert (last.event, last.source, last.target, last.actor) == (
        "recovered",
        "refresh-expired",
        "active",
        "operator:otto",
    )
    assert stage.notices("installation.recovered") == ["installation.recovered"]
    stage.over()
    assert (await stage.engine.renew_due()).renewed == 1, "renewals go on by themselves"
    assert (await stage.engine.sweep()).moved == 0


async def test_after_the_clock_was_set_right_the_true_deadline_stands(stage: Stage) -> None:
    name = await expired(stage)
    stage.clock.step(START + DAY - stage.clock.now())
    await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    found = await stage.engine.get(name)
    assert found.state == "active"
    assert found.expires_at == START + YEAR, "a fixed end is not moved by a probe that comes in time"
    assert stage.tokens(name)["refresh_at"] == micro(stage.clock.now() + 55 * MINUTE)
    stage.over()
    assert (await stage.engine.access_token(name)).generation == 3


async def test_a_probe_keeps_an_open_reauthorization_beside_the_living_grant(stage: Stage) -> None:
    name = await expired(stage)
    attempt = await stage.engine.reauthorize(name, actor=BOB)
    assert (await stage.state(name))[0] == "reauthorizing"
    assert (await stage.engine.ops.probe(name, actor=OPS, reason=WHY)).state == "active"
    assert (await stage.engine.get(name)).open_attempts == 1
    assert (await stage.back(attempt)).outcome == "completed"


@pytest.mark.parametrize("reason", ["time", "unknown"])
async def test_a_probe_of_what_is_really_dead_changes_nothing(stage: Stage, reason: str) -> None:
    name = await expired(stage) if reason == "time" else await stage.active()
    stage.server.alive.clear()
    if reason == "unknown":
        stage.over()
        await stage.engine.renew_due()
    row, told = stage.row(name), stage.notices()
    probe = await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    assert (probe.outcome, probe.why, probe.state) == ("dead", "invalid_grant", "refresh-expired")
    assert stage.row(name) == row, "state, reason, version and deadline stand"
    assert stage.notices() == told
    tokens = stage.tokens(name)
    assert (tokens["refresh_at"], tokens["lease"], tokens["in_flight_at"]) == (None, None, None)
    assert (await stage.engine.renew_due()).died == 0


@pytest.mark.parametrize("status", [503, 401])
async def test_a_probe_that_learns_nothing_leaves_the_dead_alone(stage: Stage, status: int) -> None:
    name = await expired(stage)
    row = stage.row(name)
    stage.answers(status, error="temporarily_unavailable" if status == 503 else "invalid_client")
    probe = await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    assert (probe.outcome, probe.state) == ("later" if status == 503 else "held", "refresh-expired")
    assert stage.row(name) == row


async def test_a_probe_that_learns_nothing_starts_no_renewals_of_the_dead(stage: Stage) -> None:
    name = await expired(stage)
    stage.answers(503)
    await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    assert stage.tokens(name)["refresh_at"] is None
    stage.clock.advance(HOUR)
    assert (await stage.engine.renew_due()).died == 0
    assert stage.notices("refresh.failed") == []


async def test_a_probe_of_what_was_wiped_finds_nothing(stage: Stage) -> None:
    name = await stage.active()
    await stage.engine.send(name, "revoked_upstream", actor=SYSTEM)
    await stage.settled()
    asked, row = len(stage.server.asked), stage.row(name)
    probe = await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    assert (probe.outcome, probe.state) == ("nothing", "refresh-expired")
    assert (len(stage.server.asked), stage.row(name)) == (asked, row)


async def test_a_probe_of_what_was_never_granted_finds_nothing(stage: Stage) -> None:
    name = (await stage.engine.install("crm", account="acme", actor=SYSTEM, subject=BOB)).id
    probe = await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    assert (probe.outcome, probe.state, stage.server.asked) == ("nothing", "unauthorized", [])


async def test_a_probe_goes_through_a_wait_a_hold_and_an_incident(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    stage.answers(503)
    await stage.engine.renew_due()
    assert (await stage.engine.ops.probe(name, actor=OPS, reason=WHY)).outcome == "renewed"
    await stage.engine.apps.hold("crm", actor=OPS, reason=WHY)
    assert (await stage.engine.ops.probe(name, actor=OPS, reason=WHY)).outcome == "renewed"
    await stage.engine.apps.release("crm", actor=OPS, reason=WHY)
    stage.over()
    stage.answers(401, error="invalid_client")
    await stage.engine.renew_due()
    assert len(await stage.engine.ops.incidents()) == 1
    assert (await stage.engine.ops.probe(name, actor=OPS, reason=WHY)).outcome == "renewed"
    assert await stage.engine.ops.incidents() == [], "and what works ends the incident"
    assert stage.tokens(name)["generation"] == 4


async def test_a_probe_is_not_put_off_with_what_somebody_else_was_told(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    stage.answers(401, error="invalid_client")
    await stage.engine.renew_due()
    for _ in range(5):
        callers = [asyncio.create_task(stage.engine.access_token(name)) for _ in range(10)]
        probe = await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
        await asyncio.gather(*callers, return_exceptions=True)
        assert probe.outcome in {"renewed", "already"}, "an operator asks through the incident"
        stage.over()
        stage.answers(401, error="invalid_client")
        await stage.engine.renew_due()


@pytest.mark.parametrize("actor", [BOB, MARIA, SYSTEM, Actor.app("crm")])
@pytest.mark.parametrize("verb", ["probe", "remind"])
async def test_nobody_but_an_operator_probes_or_reminds_and_the_try_is_on_record(
    stage: Stage, actor: Actor, verb: str
) -> None:
    name = await expired(stage)
    row, asked, told = stage.row(name), len(stage.server.asked), stage.notices()
    with pytest.raises(PermissionDenied):
        await getattr(stage.engine.ops, verb)(name, actor=actor, reason=WHY)
    assert (stage.row(name), len(stage.server.asked), stage.notices()) == (row, asked, told)
    (_, action), *_ = await stage.engine.ops.actions()
    assert (action.verb, action.actor, action.outcome) == (verb, str(actor), "refused")


@pytest.mark.parametrize("verb", ["probe", "remind"])
async def test_a_short_reason_or_an_unknown_installation_is_refused(stage: Stage, verb: str) -> None:
    name = await expired(stage)
    with stage.refused(BadInput):
        await getattr(stage.engine.ops, verb)(name, actor=OPS, reason="short")
    with stage.on_record(NotFound):
        await getattr(stage.engine.ops, verb)("01941f29-0000-7000-8000-000000000000", actor=OPS, reason=WHY)


async def test_a_probe_is_on_record_with_what_it_found(stage: Stage) -> None:
    name = await expired(stage)
    stage.server.alive.clear()
    await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    (_, action), *_ = await stage.engine.ops.actions()
    assert (action.verb, action.outcome, action.detail, action.reason) == (
        "probe",
        "applied",
        "dead: invalid_grant",
        WHY,
    )


async def test_in_host_mode_there_is_nothing_to_probe(stage: Stage) -> None:
    await stage.put(sample_app("agent", "hosted"))
    name = (await stage.engine.install("hosted", account="acme", actor=SYSTEM, subject=BOB)).id
    with pytest.raises(NotHeldHere):
        await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    assert stage.server.asked == []


async def test_a_reminder_tells_whoever_can_act_and_changes_nothing_else(stage: Stage) -> None:
    name = await expired(stage)
    row = stage.row(name)
    await stage.engine.ops.remind(name, actor=OPS, reason=WHY)
    assert stage.row(name) == row
    (body,) = stage.bodies("installation.reminded")
    assert (body["guidance"]["prompt"], body["guidance"]["who"]) == ("REAUTHORIZE", "agent bob")
    (_, action), *_ = await stage.engine.ops.actions()
    assert (action.verb, action.target, action.outcome) == ("remind", name, "applied")


async def test_of_a_grant_that_works_nobody_is_reminded(stage: Stage) -> None:
    name = await stage.active()
    with stage.on_record(TransitionRefused, match="nobody has to act"):
        await stage.engine.ops.remind(name, actor=OPS, reason=WHY)


async def test_recovery_never_revives_a_grant_that_a_person_ended(stage: Stage) -> None:
    name = await stage.active()
    await stage.engine.disconnect(name, actor=BOB)
    await stage.settled()
    probe = await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    assert (probe.outcome, probe.state) == ("nothing", "unauthorized")
    await stage.engine.uninstall(name, actor=SYSTEM)
    assert (await stage.engine.ops.probe(name, actor=OPS, reason=WHY)).state == "uninstalled"


async def test_an_idle_policy_of_the_app_does_not_bring_back_a_year_by_a_live_probe(stage: Stage) -> None:
    await stage.engine.apps.register(stage.server.app("crm", lifetime=Lifetime(length=10 * DAY)))
    name = await stage.active()
    stage.clock.advance(9 * DAY)
    assert (await stage.engine.ops.probe(name, actor=OPS, reason=WHY)).outcome == "renewed"
    assert (await stage.engine.get(name)).expires_at == START + 10 * DAY, "a probe of a live grant is a renewal"
