"""How long a grant lives: policies, what they count from, announcements of the server; to the microsecond."""

from __future__ import annotations

import contextlib
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path

import pytest

from grantflow import CountsFrom, Lifetime, LifetimePolicy
from grantflow.errors import GrantflowError, ReauthorizationRequired
from tests.client.stage import BOB, DAY, HOUR, MINUTE, SECOND, START, TICK, Stage, micro, on_stage

LENGTH = timedelta(days=10)
ASSUMED = 30 * MINUTE
STEPS = (70 * MINUTE + TICK, 3 * DAY, 2 * DAY + 7 * TICK)
"""Between the code answer and the renewals."""
FIXED, SLIDING = LifetimePolicy.FIXED, LifetimePolicy.SLIDING
POLICIES = list(product(LifetimePolicy, CountsFrom))
ANNOUNCED: dict[str, tuple[dict[str, int | None], dict[str, int | None]]] = {
    "nothing": ({}, {}),
    "the refresh token's life, each time": (
        {"refresh_token_expires_in": 5 * 86_400},
        {"refresh_token_expires_in": 5 * 86_400},
    ),
    "the refresh token's life, once": ({"refresh_token_expires_in": 8 * 86_400}, {}),
    "the authorization's life, once": ({"authorization_expires_in": 9 * 86_400}, {}),
    "the authorization's life, each time": (
        {"authorization_expires_in": 4 * 86_400},
        {"authorization_expires_in": 4 * 86_400},
    ),
    "no access lifetime": ({"expires_in": None}, {"expires_in": None}),
    "zero, which means none": (
        {"refresh_token_expires_in": 0, "authorization_expires_in": 0},
        {"refresh_token_expires_in": 0, "authorization_expires_in": 0},
    ),
}


def by_policy(
    policy: LifetimePolicy, counts: CountsFrom, first: datetime, latest: datetime, access: timedelta
) -> datetime | None:
    """What the page on the lifecycle says, told a second time."""
    if policy not in (FIXED, SLIDING):
        return None
    if counts is CountsFrom.CONSENT:
        return first + LENGTH
    start = first if policy is FIXED else latest
    return start + LENGTH + (access if counts is CountsFrom.ACCESS else timedelta(0))


def expected(
    policy: LifetimePolicy, counts: CountsFrom, announced: str, first: datetime, latest: datetime, *, rotates: bool
) -> datetime | None:
    """The deadline after the latest answer."""
    access = ASSUMED if announced == "no access lifetime" else HOUR
    refresh = by_policy(policy, counts, first, latest, access)
    if announced == "the refresh token's life, each time":
        refresh = latest + 5 * DAY
    elif announced == "the refresh token's life, once":
        kept = policy is FIXED or latest == first or (policy is not SLIDING and not rotates)
        refresh = first + 8 * DAY if kept else refresh
    ends = [refresh]
    if announced == "the authorization's life, once":
        ends.append(first + 9 * DAY)
    elif announced == "the authorization's life, each time":
        ends.append(latest + 4 * DAY)
    return min((end for end in ends if end is not None), default=None)


def body(number: int, *, refresh: bool, **more: object) -> dict[str, object]:
    """One answer of the server."""
    values = {"access_token": f"access-{number}", "token_type": "Bearer", "expires_in": 3600, **more}
    if refresh:
        values["refresh_token"] = f"refresh-{number}"
    return {name: value for name, value in values.items() if value is not None}


async def test_a_deadline_is_exact_after_the_code_and_after_three_renewals(tmp_path: Path) -> None:
    async with on_stage(tmp_path) as stage:
        cases = list(product(enumerate(POLICIES), enumerate(ANNOUNCED), (True, False)))
        for (index, (policy, counts)), (spoken, announced), rotates in cases:
            label = f"case-{index}-{spoken}-{rotates}"
            stage.clock.step(START - stage.clock.now())
            lifetime = Lifetime(policy, LENGTH, counts)
            await stage.engine.apps.register(stage.server.app("crm", lifetime=lifetime))
            at_code, at_refresh = ANNOUNCED[announced]
            stage.answers(200, **body(0, refresh=True, **at_code))
            name = await stage.active(label=label)
            context = (policy.value, counts.value, announced, rotates)
            want = expected(policy, counts, announced, START, START, rotates=rotates)
            assert (await stage.engine.get(name)).expires_at == want, ("code", *context)
            for number, step in enumerate(STEPS, 1):
                now = stage.clock.advance(step)
                stage.answers(200, **body(number, refresh=rotates, **at_refresh))
                token = await stage.engine.access_token(name)
                assert (token.value, token.generation) == (f"access-{number}", number + 1), context
                want = expected(policy, counts, announced, START, now, rotates=rotates)
                row = stage.row(name)
                assert row["deadline_at"] == (None if want is None else micro(want)), (number, *context)
                assert row["due_at"] == row["deadline_at"], "the clock looks when the grant ends"


@pytest.mark.parametrize("policy", list(LifetimePolicy))
@pytest.mark.parametrize("announced", [3600, None])
async def test_without_a_refresh_token_the_access_token_is_all_there_is(
    stage: Stage, policy: LifetimePolicy, announced: int | None
) -> None:
    await stage.engine.apps.register(stage.server.app("crm", lifetime=Lifetime(policy, LENGTH)))
    stage.answers(200, **body(0, refresh=False, expires_in=announced))
    name = await stage.active()
    by_clock = policy in (FIXED, SLIDING)
    ends = START + HOUR if announced else (START + LENGTH if by_clock else None)
    found, health = await stage.engine.get(name), await stage.engine.token_health(name)
    assert found.expires_at == ends
    assert health is not None
    assert (health.renewable, health.refresh_at, health.access_expires_at) == (False, None, ends)
    if ends is None:
        stage.clock.advance(timedelta(days=4000))
        assert (await stage.engine.access_token(name)).value == "access-0"
    else:
        stage.clock.advance(ends - START - TICK)
        assert (await stage.engine.access_token(name)).value == "access-0"
        assert (await stage.engine.sweep()).moved == 0, "never early"
        stage.clock.advance(TICK)
        with stage.refused(ReauthorizationRequired):
            await stage.engine.access_token(name)
        assert await stage.state(name) == ("refresh-expired", "time")
    assert stage.refreshes() == 0, "there is nothing to renew with"


async def test_an_authorization_that_ends_earlier_ends_a_grant_without_refresh_token(stage: Stage) -> None:
    stage.answers(200, **body(0, refresh=False, authorization_expires_in=60))
    name = await stage.active()
    assert (await stage.engine.get(name)).expires_at == START + MINUTE
    stage.clock.advance(MINUTE)
    with stage.refused(ReauthorizationRequired):
        await stage.engine.access_token(name)


async def test_a_renewal_without_a_new_refresh_token_keeps_the_old_one(stage: Stage) -> None:
    stage.answers(200, **body(0, refresh=True))
    name = await stage.active()
    for number in (1, 2):
        stage.over()
        stage.answers(200, **body(number, refresh=False))
        assert (await stage.engine.access_token(name)).value == f"access-{number}"
        assert stage.server.asked[-1]["refresh_token"] == "refresh-0"
    health = await stage.engine.token_health(name)
    assert health is not None
    assert health.renewable


async def test_a_code_answer_without_a_refresh_token_clears_the_one_before(stage: Stage) -> None:
    stage.answers(200, **body(0, refresh=True, authorization_expires_in=86_400))
    name = await stage.active()
    stage.answers(200, **body(1, refresh=False))
    assert await stage.active() == name
    health = await stage.engine.token_health(name)
    assert health is not None
    assert (health.renewable, health.refresh_expires_at, health.authorization_expires_at) == (False, None, None)
    assert stage.tokens(name)["refresh_sealed"] is None
    assert (await stage.engine.get(name)).expires_at == START + HOUR
    stage.over()
    with pytest.raises(ReauthorizationRequired):
        await stage.engine.access_token(name)
    assert stage.refreshes() == 0, "a token of the grant before is never sent again"


@pytest.mark.parametrize(
    ("life", "early"),
    [
        (86_400, 5 * MINUTE),
        (3600, 5 * MINUTE),
        (1501, 5 * MINUTE),
        (1500, 5 * MINUTE),
        (1499, timedelta(seconds=299.8)),
        (600, 2 * MINUTE),
        (10, 2 * SECOND),
        (1, SECOND / 5),
    ],
)
async def test_a_token_is_renewed_five_minutes_or_a_fifth_of_its_life_ahead(
    stage: Stage, life: int, early: timedelta
) -> None:
    stage.server.expires_in = life
    name = await stage.active()
    due = START + timedelta(seconds=life) - early
    health = await stage.engine.token_health(name)
    assert health is not None
    assert health.refresh_at == due
    stage.clock.advance(due - START - TICK)
    assert (await stage.engine.access_token(name)).generation == 1
    assert (await stage.engine.renew_due()).renewed == 0
    assert stage.refreshes() == 0, "never early"
    stage.clock.advance(TICK)
    assert (await stage.engine.access_token(name)).generation == 2
    assert stage.refreshes() == 1


async def test_renew_due_renews_ahead_and_only_what_is_due(stage: Stage) -> None:
    first = await stage.active("acme")
    stage.clock.advance(10 * MINUTE)
    second = await stage.active("bolt")
    stage.clock.advance(45 * MINUTE - TICK)
    assert (await stage.engine.renew_due()).renewed == 0
    stage.clock.advance(TICK)
    report = await stage.engine.renew_due()
    assert (report.renewed, report.failed, report.died, report.held) == (1, 0, 0, 0)
    assert (stage.tokens(first)["generation"], stage.tokens(second)["generation"]) == (2, 1)
    assert (await stage.engine.renew_due()).renewed == 0


async def test_the_deadline_is_applied_by_reading_though_no_sweep_ever_ran(stage: Stage) -> None:
    await stage.engine.apps.register(stage.server.app("crm", lifetime=Lifetime(FIXED, LENGTH)))
    name = await stage.active()
    stage.clock.advance(LENGTH - TICK)
    assert (await stage.engine.access_token(name)).generation == 2
    stage.clock.advance(TICK)
    with stage.refused(ReauthorizationRequired) as caught:
        await stage.engine.access_token(name)
    assert caught.value.guidance.reason == "time"
    found = await stage.engine.get(name)
    assert (found.state, found.stored_state, found.overdue) == ("refresh-expired", "active", True)
    assert (await stage.engine.renew_due()).renewed == 0
    assert stage.refreshes() == 1, "what is over by our own clock is not sent"


async def test_an_access_token_that_is_over_at_once_is_not_renewed_for_ever(stage: Stage) -> None:
    name = await stage.active(actor=BOB)
    stage.over()
    for number in range(1, 60):
        stage.answers(200, **body(number, refresh=True, expires_in=0))
    with contextlib.suppress(GrantflowError):
        await stage.engine.access_token(name)
    assert stage.refreshes() <= 2, "one caller asks once"
