"""What an API says about a token: 401 about an old, the current, a forced generation; 403 bare or about a scope."""

from __future__ import annotations

import asyncio

import pytest

from grantflow import Reported
from grantflow.errors import BadInput, NoAnswer, NotFound, ReauthorizationRequired, Unauthorized
from tests.client.stage import MINUTE, OPS, SECOND, SYSTEM, TICK, WHY, Stage, micro


async def reported(stage: Stage, name: str, generation: int, status: int = 401) -> Reported:
    return await stage.engine.report(name, status=status, generation=generation)


async def unrenewable(stage: Stage) -> str:
    """A grant without a refresh token."""
    stage.answers(200, access_token="only-an-access-token", expires_in=3600)
    return await stage.active()


async def test_a_401_about_an_older_generation_is_answered_with_the_current_token(stage: Stage) -> None:
    name = await stage.active()
    for _ in range(2):
        stage.over()
        await stage.engine.access_token(name)
    current = await stage.engine.access_token(name)
    asked = len(stage.server.asked)
    for old in (1, 2):
        with stage.unchanged():
            answer = await reported(stage, name, old)
        assert answer.outcome == "stale"
        assert answer.token is not None
        assert (answer.token.generation, answer.token.value) == (3, current.value)
    assert len(stage.server.asked) == asked, "it counts for nothing"


async def test_a_401_about_the_current_generation_renews_it_though_it_should_still_work(stage: Stage) -> None:
    name = await stage.active()
    answer = await reported(stage, name, 1)
    assert answer.outcome == "renewed"
    assert answer.token is not None
    assert (answer.token.generation, stage.refreshes()) == (2, 1)
    assert await stage.state(name) == ("active", None)


async def test_only_a_401_about_what_a_forced_renewal_gave_ends_the_grant(stage: Stage) -> None:
    name = await stage.active()
    await reported(stage, name, 1)
    assert (await reported(stage, name, 1)).outcome == "stale"
    assert await stage.state(name) == ("active", None), "about the older one: still nothing"
    assert (await reported(stage, name, 2)).outcome == "rejected"
    assert await stage.state(name) == ("refresh-expired", "api-rejected")
    assert stage.refreshes() == 1
    assert stage.notices("installation.expired") == ["installation.expired"]
    with stage.refused(ReauthorizationRequired, match="rejects its credentials"):
        await reported(stage, name, 2)


async def test_a_renewal_in_good_order_between_two_reports_starts_the_count_anew(stage: Stage) -> None:
    name = await stage.active()
    await reported(stage, name, 1)
    stage.over()
    assert (await stage.engine.access_token(name)).generation == 3
    assert (await reported(stage, name, 3)).outcome == "renewed"
    assert await stage.state(name) == ("active", None)
    assert (await reported(stage, name, 4)).outcome == "rejected"


async def test_a_reauthorization_clears_what_was_reported_before(stage: Stage) -> None:
    name = await stage.active()
    await reported(stage, name, 1)
    assert await stage.active() == name
    assert (await reported(stage, name, 2)).outcome == "stale"
    assert (await reported(stage, name, 3)).outcome == "renewed"
    assert await stage.state(name) == ("active", None)


@pytest.mark.parametrize("engines", [1, 2])
async def test_many_workers_with_one_bad_token_cost_one_renewal_and_no_grant(stage: Stage, engines: int) -> None:
    name = await stage.active()
    async with stage.another_engine() as other:
        doors = (stage.engine, other)[:engines]
        async with asyncio.timeout(20):
            ends = await asyncio.gather(
                *(doors[n % engines].report(name, status=401, generation=1) for n in range(20))
            )
    assert {end.outcome for end in ends} <= {"renewed", "stale"}
    assert {end.token.generation for end in ends if end.token is not None} == {2}
    assert stage.refreshes() == 1
    assert await stage.state(name) == ("active", None)


async def test_reports_while_a_renewal_is_under_way_wait_for_it_and_force_no_second_one(stage: Stage) -> None:
    name = await stage.active()
    stage.until_due()
    stage.gate.close()
    renewal = asyncio.create_task(stage.engine.renew_due())
    await stage.gate.under_way()
    report = asyncio.create_task(reported(stage, name, 1))
    await asyncio.sleep(0.05)
    stage.gate.open()
    assert (await report).outcome in {"renewed", "stale"}
    assert (await renewal).renewed == 1
    assert stage.refreshes() == 1
    assert (await reported(stage, name, 2)).outcome == "renewed", "what came in good order is not a forced one"


async def test_a_401_brings_the_one_retry_after_a_lost_answer_forward(stage: Stage) -> None:
    name = await stage.active()
    stage.server.faults.append(NoAnswer())
    assert (await reported(stage, name, 1)).outcome == "pending"
    assert (await reported(stage, name, 1)).outcome == "renewed", (
        "the access token works no more: nothing to wait for"
    )
    assert stage.refreshes() == 2


@pytest.mark.parametrize("fault", ["transient", "configuration"])
async def test_a_forced_renewal_that_fails_for_now_ends_nothing(stage: Stage, fault: str) -> None:
    name = await stage.active()
    stage.answers(503) if fault == "transient" else stage.answers(401, error="invalid_client")
    for _ in range(5):
        answer = await reported(stage, name, 1)
        assert (answer.outcome, answer.token) == ("pending", None)
    assert stage.refreshes() == 1, "a failed renewal is waited for, whoever reports"
    assert await stage.state(name) == ("active", None)
    stage.clock.advance(61 * MINUTE)
    assert (await stage.engine.access_token(name)).generation == 2


async def test_a_forced_renewal_that_the_server_refuses_ends_the_grant_as_any(stage: Stage) -> None:
    name = await stage.active()
    stage.answers(400, error="invalid_grant")
    with pytest.raises(ReauthorizationRequired):
        await reported(stage, name, 1)
    assert await stage.state(name) == ("refresh-expired", "unknown")


async def test_without_a_refresh_token_one_401_ends_nothing(stage: Stage) -> None:
    name = await unrenewable(stage)
    for _ in range(5):
        assert (await reported(stage, name, 1)).outcome == "pending"
    stage.clock.advance(30 * SECOND - TICK)
    assert (await reported(stage, name, 1)).outcome == "pending"
    assert await stage.state(name) == ("active", None)
    assert (await stage.engine.access_token(name)).generation == 1
    stage.clock.advance(TICK)
    assert (await reported(stage, name, 1)).outcome == "rejected"
    assert await stage.state(name) == ("refresh-expired", "api-rejected")
    assert stage.refreshes() == 0


async def test_without_a_refresh_token_many_workers_at_once_end_nothing(stage: Stage) -> None:
    name = await unrenewable(stage)
    ends = await asyncio.gather(*(reported(stage, name, 1) for _ in range(20)))
    assert {end.outcome for end in ends} == {"pending"}
    assert await stage.state(name) == ("active", None)


@pytest.mark.parametrize("status", [403, 400, 404, 429, 500, 503, 200])
@pytest.mark.parametrize("generation", [1, 2, 99])
async def test_any_other_status_means_nothing(stage: Stage, status: int, generation: int) -> None:
    name = await stage.active()
    await reported(stage, name, 1)
    asked = len(stage.server.asked)
    with stage.unchanged():
        assert (await reported(stage, name, generation, status)).outcome == "noted"
    assert len(stage.server.asked) == asked


@pytest.mark.parametrize(
    ("error", "scope"),
    [
        (None, "tickets.read"),
        ("insufficient_scope", None),
        ("insufficient_scope", ""),
        ("invalid_token", "tickets.read"),
    ],
)
async def test_a_403_without_a_named_missing_scope_means_nothing(
    stage: Stage, error: str | None, scope: str | None
) -> None:
    name = await stage.active()
    with stage.unchanged():
        answer = await stage.engine.report(name, status=403, generation=1, error=error, scope=scope)
    assert answer.outcome == "noted"


async def test_a_403_about_a_scope_opens_a_gap_and_never_ends_the_grant(stage: Stage) -> None:
    name = await stage.active()
    for _ in range(3):
        answer = await stage.engine.report(
            name, status=403, generation=1, error="insufficient_scope", scope="tickets.write"
        )
    assert answer.outcome == "noted", "told once"
    found = await stage.engine.get(name)
    assert (found.state, found.usable, found.scopes_missing) == ("active", True, ("tickets.write",))
    assert stage.notices("scopes.narrowed", "installation.expired") == ["scopes.narrowed"]
    assert (await stage.engine.access_token(name)).scopes == ("people.read", "tickets.read")
    assert stage.refreshes() == 0
    assert await stage.active() == name
    assert (await stage.engine.get(name)).scopes_missing == (), "a new grant closes it"


async def test_a_403_about_an_old_token_or_a_scope_never_granted_means_nothing(stage: Stage) -> None:
    name = await stage.active()
    await reported(stage, name, 1)
    with stage.unchanged():
        for generation, scope in ((1, "tickets.write"), (2, "never.granted")):
            answer = await stage.engine.report(
                name, status=403, generation=generation, error="insufficient_scope", scope=scope
            )
            assert answer.outcome == "noted"


@pytest.mark.parametrize("generation", [0, -1, 2, 99])
async def test_a_401_about_a_generation_that_was_never_given_is_an_error(stage: Stage, generation: int) -> None:
    name = await stage.active()
    with stage.refused(BadInput):
        await reported(stage, name, generation)


@pytest.mark.parametrize("status", ["401", None])
async def test_a_report_that_is_no_number_is_an_error(stage: Stage, status: object) -> None:
    name = await stage.active()
    with stage.refused(BadInput):
        await stage.engine.report(name, status=status, generation=1)  # type: ignore[arg-type]


async def test_reports_about_what_is_not_live_are_refused_and_change_nothing(stage: Stage) -> None:
    name = await stage.active()
    with stage.refused(NotFound):
        await reported(stage, "01941f29-0000-7000-8000-000000000000", 1)
    await stage.engine.suspend(name, actor=SYSTEM, reason=WHY)
    with stage.refused(Unauthorized):
        await reported(stage, name, 1)
    await stage.engine.unsuspend(name, actor=SYSTEM)
    await stage.engine.ops.force(name, to="refresh-expired", actor=OPS, reason=WHY)
    with stage.refused(ReauthorizationRequired):
        await reported(stage, name, 1)


async def test_a_stale_report_whose_current_token_cannot_be_had_is_still_stale(stage: Stage) -> None:
    name = await stage.active()
    await reported(stage, name, 1)
    stage.over()
    stage.answers(503)
    answer = await reported(stage, name, 1)
    assert (answer.outcome, answer.token) == ("stale", None)
    assert stage.tokens(name)["refresh_at"] == micro(stage.clock.now()) + 120_000_000


async def test_a_report_takes_the_natural_key(stage: Stage) -> None:
    await stage.active("acme")
    answer = await stage.engine.report("crm", account="acme", subject="bob", status=401, generation=1)
    assert answer.outcome == "renewed"
