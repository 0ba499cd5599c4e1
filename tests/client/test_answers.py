"""Every answer of a token endpoint to a renewal, and what it does to the grant, the token set and the outbox."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from grantflow import HttpResponse
from grantflow.errors import (
    AppMisconfigured,
    CarrierError,
    NoAnswer,
    NotSent,
    ReauthorizationRequired,
    TokenUnavailable,
)
from grantflow.testing import ForeignServer
from tests.client.stage import BOB, HOUR, MINUTE, OPS, SECOND, TICK, WHY, Stage, micro

says = ForeignServer.says
JSON = {"content-type": "application/json"}


def text(status: int, body: bytes, kind: str = "text/html") -> HttpResponse:
    """An answer that is no JSON object."""
    return HttpResponse(status, {"content-type": kind}, body)


TRANSIENT: dict[str, tuple[HttpResponse | Exception, str]] = {
    "a page with 503": (text(503, b"<html>"), "http-503"),
    "a page with 200": (text(200, b"<html>"), "http-200"),
    "a page with 400": (text(400, b"<html>"), "http-400"),
    "nothing at all": (text(200, b""), "http-200"),
    "a list": (text(200, b"[]", "application/json"), "http-200"),
    "neither token nor error, 200": (says(200, token_type="Bearer"), "http-200"),
    "neither token nor error, 400": (says(400, message="no"), "http-400"),
    "neither token nor error, 401": (says(401, message="no"), "http-401"),
    "429": (says(429), "http-429"),
    "500 alone": (says(500), "http-500"),
    "temporarily_unavailable, 200": (says(200, error="temporarily_unavailable"), "temporarily_unavailable"),
    "temporarily_unavailable, 400": (says(400, error="temporarily_unavailable"), "temporarily_unavailable"),
    "server_error, 500": (says(500, error="server_error"), "server_error"),
    "a word of no specification, 400": (says(400, error="banana"), "banana"),
    "a word of no specification, 500": (says(500, error="banana"), "banana"),
    "invalid_request": (says(400, error="invalid_request"), "invalid_request"),
    "a description that lies": (says(400, error="x", error_description="invalid_grant"), "unrecognised"),
    "a token that is none, 200": (says(200, access_token="x\n", token_type="Bearer"), "malformed_token"),
    "a token and an error": (says(200, access_token="x", error="server_error"), "server_error"),
    "a token with 500": (says(500, access_token="x", token_type="Bearer"), "http-500"),
    "an error that is no text": (says(400, error={"code": 1}), "http-400"),
    "a redirect": (HttpResponse(302, {"location": "https://elsewhere.example/"}, b""), "http-302"),
    "a connection that was never made": (NotSent(), "not_sent"),
}
UNCLEAR = {
    "a page with 200",
    "a page with 400",
    "nothing at all",
    "a list",
    "neither token nor error, 200",
    "neither token nor error, 400",
    "neither token nor error, 401",
    "500 alone",
    "a token that is none, 200",
    "a token with 500",
    "an error that is no text",
    "a redirect",
}
"""Nobody knows whether the server did the work before it answered like that."""
DEAD = {f"invalid_grant with {status}": says(status, error="invalid_grant") for status in (200, 400, 401, 403, 500)}
INTERACTION = {
    f"{word} with {status}": says(status, error=word)
    for word in ("interaction_required", "consent_required", "login_required")
    for status in (200, 400, 403)
}
MISCONFIGURED: dict[str, tuple[HttpResponse | Exception, str]] = {
    f"{word} with {status}": (says(status, error=word), word)
    for word in ("invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope")
    for status in (200, 400, 401, 500)
}


@dataclass
class Told:
    """What a test saw of the world before the answer."""

    row: dict[str, object]
    tokens: dict[str, object]
    transitions: int = field(default=0)


def before(stage: Stage, name: str) -> Told:
    """Kept for a comparison afterwards."""
    return Told(stage.row(name), stage.tokens(name), len(stage.sql("SELECT 1 FROM grantflow_transition")))


def same_but(told: Told, stage: Stage, name: str, *changed: str) -> None:
    """Nothing but the named columns of the token set differs; the row is the same and nothing was recorded."""
    assert stage.row(name) == told.row, "the row moved"
    assert len(stage.sql("SELECT 1 FROM grantflow_transition")) == told.transitions
    now = stage.tokens(name)
    assert {key for key, value in now.items() if value != told.tokens[key]} <= set(changed)


@pytest.mark.parametrize("what", TRANSIENT)
async def test_a_transient_answer_waits_and_changes_nothing_else(stage: Stage, what: str) -> None:
    fault, cause = TRANSIENT[what]
    name = await stage.active()
    told = before(stage, name)
    stage.until_due()
    stage.server.faults.append(fault)
    token = await stage.engine.access_token(name)
    assert token.generation == 1, "the old token still works"
    same_but(told, stage, name, "failing", "failures", "refresh_at", "in_flight_at")
    health = await stage.engine.token_health(name)
    assert health is not None
    assert (health.failing, health.failures) == (cause, 1)
    assert health.unanswered_since == (stage.clock.now() if what in UNCLEAR else None)
    assert health.refresh_at == stage.clock.now() + 2 * MINUTE
    assert stage.notices("refresh.failed", "incident.opened", "installation.expired") == ["refresh.failed"]
    assert stage.bodies("refresh.failed")[0]["cause"] == cause
    assert (await stage.engine.access_token(name)).generation == 1
    assert stage.refreshes() == 1, "nobody asks again before the time"
    stage.clock.advance(3 * MINUTE)
    stage.answers(400, error="invalid_grant")
    with pytest.raises(ReauthorizationRequired):
        await stage.engine.access_token(name)
    reason = "rotation-lost" if what in UNCLEAR else "unknown"
    assert await stage.state(name) == ("refresh-expired", reason)


@pytest.mark.parametrize("what", DEAD)
async def test_invalid_grant_ends_the_grant_whatever_the_status(stage: Stage, what: str) -> None:
    name = await stage.active()
    stage.until_due()
    stage.server.faults.append(DEAD[what])
    with pytest.raises(ReauthorizationRequired) as caught:
        await stage.engine.access_token(name)
    assert caught.value.guidance is not None
    assert caught.value.guidance.prompt == "REAUTHORIZE"
    assert await stage.state(name) == ("refresh-expired", "unknown"), "not the time's: our clock does not say so"
    assert stage.notices("installation.expired") == ["installation.expired"]
    assert stage.notices("refresh.failed", "incident.opened") == []
    assert stage.tokens(name)["refresh_at"] is None
    for _ in range(3):
        stage.clock.advance(2 * HOUR)
        await stage.engine.renew_due()
        with stage.refused(ReauthorizationRequired):
            await stage.engine.access_token(name)
    assert stage.refreshes() == 1, "a dead grant is left alone"


@pytest.mark.parametrize("what", INTERACTION)
async def test_a_server_that_wants_the_person_ends_the_grant(stage: Stage, what: str) -> None:
    name = await stage.active()
    stage.until_due()
    stage.server.faults.append(INTERACTION[what])
    with pytest.raises(ReauthorizationRequired, match="sign in again"):
        await stage.engine.access_token(name)
    assert await stage.state(name) == ("refresh-expired", "interaction-required")
    assert stage.notices("installation.expired", "refresh.failed") == ["installation.expired"]


@pytest.mark.parametrize("what", MISCONFIGURED)
async def test_a_refusal_of_the_app_itself_touches_no_installation(stage: Stage, what: str) -> None:
    fault, cause = MISCONFIGURED[what]
    name = await stage.active()
    told = before(stage, name)
    stage.until_due()
    stage.server.faults.append(fault)
    assert (await stage.engine.access_token(name)).generation == 1, "it works for four more minutes"
    same_but(told, stage, name)
    assert [incident.cause for incident in await stage.engine.ops.incidents()] == [cause]
    assert stage.notices("incident.opened", "refresh.failed", "installation.expired") == ["incident.opened"]
    stage.clock.advance(5 * MINUTE - TICK)
    stage.server.faults.append(fault)
    with pytest.raises(AppMisconfigured):
        await stage.engine.access_token(name)
    same_but(told, stage, name)


@pytest.mark.parametrize("rotates", [True, False])
async def test_a_token_of_another_type_holds_the_app_and_its_refresh_token_is_kept(
    stage: Stage, rotates: bool
) -> None:
    """RFC 6749 §7.1 forbids the access token alone; the refresh token before may be spent by this answer."""
    stage.server.rotates = rotates
    name = await stage.active()
    told = stage.tokens(name)
    stage.clock.advance(HOUR)
    asked = len(stage.server.asked)
    stage.server.token_type = "DPoP"
    with pytest.raises(AppMisconfigured, match="token-type"):
        await stage.engine.access_token(name)
    assert len(stage.server.asked) == asked + 1
    found = stage.tokens(name)
    assert (found["access_sealed"], found["generation"]) == (told["access_sealed"], told["generation"])
    assert (found["refresh_sealed"] != told["refresh_sealed"]) is rotates
    assert (found["lease"], found["in_flight_at"], found["failures"]) == (None, None, 0)
    assert (await stage.engine.get(name)).state == "active"
    assert [incident.cause for incident in await stage.engine.ops.incidents()] == ["token-type"]
    stage.server.token_type = "Bearer"
    stage.clock.advance(HOUR)
    assert (await stage.engine.access_token(name)).generation == told["generation"] + 1
    assert await stage.engine.ops.incidents() == []


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("600", 10 * MINUTE),
        ("1", 2 * MINUTE),
        ("garbage", 2 * MINUTE),
        ("-5", 2 * MINUTE),
        ("Wed, 01 Jan 2025 02:56:00 GMT", 2 * HOUR - timedelta(microseconds=123_457)),
        ("99999999", 24 * HOUR),
    ],
)
async def test_retry_after_is_honoured_and_never_shortens_the_wait(
    stage: Stage, header: str, wait: timedelta
) -> None:
    name = await stage.active()
    stage.until_due()
    stage.answers(429, {"retry-after": header})
    await stage.engine.access_token(name)
    health = await stage.engine.token_health(name)
    assert health is not None
    assert health.refresh_at is not None
    assert abs(health.refresh_at - stage.clock.now() - wait) <= timedelta(microseconds=2)


async def test_waits_double_from_two_minutes_to_an_hour_and_one_notice_tells_each_cause(stage: Stage) -> None:
    name = await stage.active()
    stage.until_due()
    waits = []
    for _ in range(8):
        stage.answers(503)
        report = await stage.engine.renew_due()
        assert (report.renewed, report.failed, report.died) == (0, 1, 0)
        refresh_at = stage.tokens(name)["refresh_at"]
        waits.append((refresh_at - micro(stage.clock.now())) // 60_000_000)
        stage.clock.advance(timedelta(microseconds=refresh_at - micro(stage.clock.now()) - 1))
        assert (await stage.engine.renew_due()).failed == 0, "never early"
        stage.clock.advance(TICK)
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]
    assert stage.notices("refresh.failed") == ["refresh.failed"]
    stage.server.faults.append(NotSent())
    with pytest.raises(TokenUnavailable) as caught:
        await stage.engine.access_token(name)
    assert caught.value.retry_after == 3600.0
    assert stage.notices("refresh.failed") == ["refresh.failed"] * 2, "another cause is told"
    assert await stage.state(name) == ("active", None)
    stage.clock.advance(HOUR)
    assert (await stage.engine.access_token(name)).generation == 2
    assert stage.notices("refresh.failed", "refresh.recovered") == ["refresh.failed"] * 2 + ["refresh.recovered"]
    health = await stage.engine.token_health(name)
    assert health is not None
    assert (health.failing, health.failures) == (None, 0)
    stage.until_due()
    stage.answers(503)
    await stage.engine.renew_due()
    assert stage.tokens(name)["refresh_at"] - micro(stage.clock.now()) == 120_000_000, "counted anew"


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 108), (0.25, 114), (0.75, 126), (1.0, 132)])
async def test_a_wait_is_spread_by_a_tenth_in_both_directions(stage: Stage, chance: float, seconds: int) -> None:
    stage.engine._core.chance = lambda: chance
    name = await stage.active()
    stage.until_due()
    stage.answers(503)
    await stage.engine.access_token(name)
    assert stage.tokens(name)["refresh_at"] == micro(stage.clock.now()) + seconds * 1_000_000


async def test_a_lost_answer_leaves_the_access_token_in_use_and_then_costs_one_retry(stage: Stage) -> None:
    name = await stage.active()
    told = before(stage, name)
    stage.until_due()
    stage.server.lost = 1
    assert (await stage.engine.access_token(name)).generation == 1
    same_but(told, stage, name, "failing", "failures", "refresh_at", "in_flight_at")
    health = await stage.engine.token_health(name)
    assert health is not None
    assert health.unanswered_since == stage.clock.now()
    assert health.refresh_at == health.access_expires_at
    for _ in range(3):
        stage.clock.advance(MINUTE)
        assert (await stage.engine.access_token(name)).generation == 1
        await stage.engine.renew_due()
    assert stage.refreshes() == 1, "while it works nobody asks"
    stage.clock.advance(MINUTE)
    with pytest.raises(ReauthorizationRequired, match="lost on the way"):
        await stage.engine.access_token(name)
    assert await stage.state(name) == ("refresh-expired", "rotation-lost")
    assert stage.refreshes() == 2
    assert stage.server.asked[-1]["refresh_token"] == stage.server.asked[-2]["refresh_token"]


async def test_a_lost_answer_of_a_server_that_does_not_rotate_heals_itself(stage: Stage) -> None:
    stage.server.rotates = False
    name = await stage.active()
    stage.over()
    stage.server.lost = 1
    with pytest.raises(TokenUnavailable):
        await stage.engine.access_token(name)
    assert await stage.state(name) == ("active", None)
    token = await stage.engine.access_token(name)
    assert (token.generation, stage.refreshes()) == (2, 2)
    health = await stage.engine.token_health(name)
    assert health is not None
    assert (health.unanswered_since, health.failing) == (None, None)


async def test_a_second_lost_answer_is_waited_for_like_any_failure(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    for fault in (NoAnswer(), NoAnswer(), NoAnswer()):
        stage.server.faults.append(fault)
    for _ in range(5):
        with pytest.raises(TokenUnavailable):
            await stage.engine.access_token(name)
    assert stage.refreshes() == 2, "one retry at once, then the backoff"
    assert stage.tokens(name)["refresh_at"] == micro(stage.clock.now()) + 240_000_000
    assert await stage.state(name) == ("active", None)


@pytest.mark.parametrize("between", [says(503), NotSent(), says(401, error="invalid_client")])
async def test_an_unknown_outcome_stays_known_through_other_failures(
    stage: Stage, between: HttpResponse | Exception
) -> None:
    name = await stage.active()
    stage.over()
    stage.server.lost = 1
    with pytest.raises(TokenUnavailable):
        await stage.engine.access_token(name)
    stage.server.faults.append(between)
    with pytest.raises(TokenUnavailable):
        await stage.engine.access_token(name)
    stage.clock.advance(10 * MINUTE)
    with pytest.raises(ReauthorizationRequired):
        await stage.engine.access_token(name)
    assert await stage.state(name) == ("refresh-expired", "rotation-lost")


@pytest.mark.parametrize("fault", [RuntimeError("a host's carrier"), ValueError("x"), OSError("y"), TimeoutError()])
async def test_a_carrier_that_breaks_counts_as_an_unknown_outcome(stage: Stage, fault: Exception) -> None:
    name = await stage.active()
    stage.until_due()
    stage.server.faults.append(fault)
    assert (await stage.engine.access_token(name)).generation == 1
    health = await stage.engine.token_health(name)
    assert health is not None
    assert (health.failing, health.unanswered_since) == ("no_answer", stage.clock.now())


@pytest.mark.parametrize("fault", [RuntimeError("a secret"), OSError("no route"), ValueError("no host"), NotSent()])
async def test_discovering_through_a_carrier_that_breaks_is_an_error_of_ours(stage: Stage, fault: Exception) -> None:
    stage.server.faults.append(fault)
    with pytest.raises(CarrierError) as caught:
        await stage.engine.apps.discover("https://server.example")
    assert type(caught.value) is (NotSent if isinstance(fault, NotSent) else NoAnswer)
    assert caught.value.__context__ is None, "what a carrier raised may quote what it sent"
    assert "secret" not in str(caught.value)


async def test_invalid_grant_after_our_own_deadline_is_put_down_to_time(stage: Stage) -> None:
    stage.answers(200, access_token="a", refresh_token="r", expires_in=3600, refresh_token_expires_in=3600)
    name = await stage.active()
    stage.clock.advance(HOUR - SECOND)
    stage.answers(400, error="invalid_grant")
    stage.gate.close()
    task = asyncio.create_task(stage.engine.access_token(name))
    await stage.gate.under_way()
    stage.clock.advance(SECOND)
    stage.gate.open()
    with pytest.raises(ReauthorizationRequired):
        await task
    assert await stage.state(name) == ("refresh-expired", "time")
    assert stage.notices("installation.expired") == ["installation.expired"], "one death, one notice"


async def test_a_refresh_request_never_names_scopes(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    await stage.engine.access_token(name)
    assert set(stage.server.asked[-1]) == {"grant_type", "refresh_token"}


async def test_an_answer_with_fewer_scopes_opens_a_gap_and_tells_it_once(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    stage.answers(200, access_token="a", refresh_token="r", expires_in=3600, scope="tickets.read")
    token = await stage.engine.access_token(name)
    assert token.scopes == ("tickets.read",)
    found = await stage.engine.get(name)
    assert (found.state, found.usable, found.scopes_missing) == ("active", True, ("tickets.write",))
    assert stage.notices("scopes.narrowed") == ["scopes.narrowed"]
    assert stage.bodies("scopes.narrowed")[0]["scopes"] == "people.read tickets.write"
    stage.over()
    stage.answers(200, access_token="a", refresh_token="r", expires_in=3600)
    assert (await stage.engine.access_token(name)).scopes == ("tickets.read",), "as before, where nothing is said"
    assert stage.notices("scopes.narrowed") == ["scopes.narrowed"]


async def test_reauthorizing_a_dead_grant_resets_all_that_was_derived(stage: Stage) -> None:
    name = await stage.active()
    stage.over()
    stage.answers(503)
    with pytest.raises(TokenUnavailable):
        await stage.engine.access_token(name)
    stage.clock.advance(2 * MINUTE)
    stage.answers(400, error="invalid_grant")
    with pytest.raises(ReauthorizationRequired):
        await stage.engine.access_token(name)
    done = await stage.back(await stage.engine.reauthorize(name, actor=BOB))
    assert done.installation is not None
    assert (done.installation.id, done.installation.state, done.installation.reason) == (name, "active", None)
    health = await stage.engine.token_health(name)
    assert health is not None
    assert (health.failing, health.failures, health.unanswered_since) == (None, 0, None)
    assert health.refresh_at == stage.clock.now() + 55 * MINUTE
    assert (await stage.engine.access_token(name)).generation == health.generation == 2


async def test_a_forced_end_by_an_operator_stops_renewals(stage: Stage) -> None:
    name = await stage.active()
    await stage.engine.ops.force(name, to="refresh-expired", actor=OPS, reason=WHY)
    stage.over()
    report = await stage.engine.renew_due()
    assert (report.renewed, report.died, stage.refreshes()) == (0, 0, 0)
