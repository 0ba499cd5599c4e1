"""Tokens given back: after the commit, until it is done or given up; and no secret stays where there is no grant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from grantflow import HttpResponse, KeyRing
from grantflow.errors import NoAnswer, NotSent
from grantflow.testing import ForeignServer
from tests.client.stage import BOB, DAY, HOUR, MINUTE, OPS, SYSTEM, TICK, WHY, Stage, cookies, micro

says = ForeignServer.says
FAULTS: dict[str, HttpResponse | Exception] = {
    "503": says(503),
    "429": says(429),
    "a page": HttpResponse(500, {"content-type": "text/html"}, b"<html>"),
    "invalid_client": says(401, error="invalid_client"),
    "no answer": NoAnswer(),
    "no connection": NotSent(),
    "a broken carrier": RuntimeError("x"),
}
DONE = {
    "200": says(200),
    "204 without a body": HttpResponse(204, {}, b""),
    "unknown there already": says(400, error="invalid_grant"),
    "a type it does not know": says(400, error="unsupported_token_type"),
}


async def gone(stage: Stage, *faults: HttpResponse | Exception) -> str:
    """A disconnected installation; what the revocation endpoint says first."""
    name = await stage.active()
    stage.server.faults += faults
    await stage.engine.disconnect(name, actor=BOB)
    await stage.settled()
    return name


async def test_a_disconnect_gives_the_refresh_token_back_after_the_commit(stage: Stage) -> None:
    name = await gone(stage)
    assert await stage.state(name) == ("unauthorized", None)
    (sent,) = [form for form in stage.server.asked if "token" in form]
    assert sent["token_type_hint"] == "refresh_token"
    assert stage.server.alive == {}
    (row,) = stage.revocations()
    assert (row["outcome"], row["sealed"], row["next_at"], row["tries"]) == ("revoked", None, None, 1)
    assert row["done_at"] == micro(stage.clock.now())
    waiting = await stage.engine.ops.outbox()
    assert (waiting.revocations, waiting.oldest_revocation) == (0, None)


async def test_without_a_refresh_token_the_access_token_is_given_back(stage: Stage) -> None:
    stage.answers(200, access_token="only-this", expires_in=3600)
    await gone(stage)
    assert stage.server.asked[-1] == {"token": "only-this", "token_type_hint": "access_token"}


@pytest.mark.parametrize("what", DONE)
async def test_what_is_done_or_gone_already_is_over(stage: Stage, what: str) -> None:
    await gone(stage, DONE[what])
    (row,) = stage.revocations()
    assert (row["outcome"], row["sealed"], row["next_at"]) == ("revoked", None, None)


@pytest.mark.parametrize("what", FAULTS)
async def test_what_fails_is_tried_again_and_nobody_waited_for_it(stage: Stage, what: str) -> None:
    name = await gone(stage, FAULTS[what])
    assert await stage.state(name) == ("unauthorized", None), "the wipe here does not wait"
    assert stage.sql("SELECT * FROM grantflow_token_set") == []
    waiting = await stage.engine.ops.outbox()
    assert (waiting.revocations, waiting.oldest_revocation) == (1, stage.clock.now())
    stage.clock.advance(2 * MINUTE - TICK)
    assert await stage.engine.deliver_revocations() == 0, "never early"
    assert len(stage.revoked()) == 1
    stage.clock.advance(TICK)
    assert await stage.engine.deliver_revocations() == 1
    assert stage.revocations()[0]["outcome"] == "revoked"
    assert stage.server.alive == {}
    assert await stage.engine.ops.incidents(closed=True) == []


async def test_a_server_that_says_when_is_asked_then(stage: Stage) -> None:
    await gone(stage, says(503, {"retry-after": "600"}))
    assert stage.revocations()[0]["next_at"] == micro(stage.clock.now() + 10 * MINUTE)


async def test_after_twelve_tries_it_is_given_up_and_stays_to_be_seen(stage: Stage) -> None:
    await gone(stage, *[says(503)] * 20)
    waits = []
    for _ in range(11):
        next_at = stage.revocations()[0]["next_at"]
        waits.append((next_at - micro(stage.clock.now())) // 60_000_000)
        stage.clock.advance(timedelta(microseconds=next_at - micro(stage.clock.now())))
        await stage.engine.deliver_revocations()
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60, 60, 60, 60]
    (row,) = stage.revocations()
    assert (row["tries"], row["next_at"], row["sealed"]) == (12, None, None)
    assert row["outcome"] == "given up: transient"
    stage.clock.advance(30 * DAY)
    assert await stage.engine.deliver_revocations() == 0
    assert len(stage.revoked()) == 12


async def test_a_server_without_a_revocation_endpoint_is_left_in_peace(stage: Stage) -> None:
    app = await stage.engine.apps.get("crm")
    assert app.server is not None
    await stage.engine.apps.register(replace(app, server=replace(app.server, revocation_endpoint="")))
    await gone(stage)
    (row,) = stage.revocations()
    assert (row["outcome"], row["sealed"], row["next_at"]) == ("unsupported", None, None)
    assert stage.revoked() == []


async def test_the_second_secret_is_tried_here_too(stage: Stage) -> None:
    await stage.engine.apps.add_secret("crm", "not yet known over there", actor=SYSTEM)
    await gone(stage)
    assert [row["outcome"] for row in stage.revocations()] == ["revoked"]


async def test_a_grant_given_meanwhile_is_not_harmed_by_an_older_revocation(stage: Stage) -> None:
    name = await gone(stage, says(503))
    assert await stage.active() == name
    stage.clock.advance(2 * MINUTE)
    assert await stage.engine.deliver_revocations() == 0
    assert stage.revocations()[0]["outcome"] == "shared"
    assert len(stage.revoked()) == 1, "the first try alone"


async def sharing(stage: Stage) -> tuple[str, str]:
    """Two accounts of one person; the first has left, and its token waits."""
    first, second = await stage.active("acme"), await stage.active("bolt")
    await stage.engine.disconnect(first, actor=BOB)
    await stage.settled()
    return first, second


async def test_a_token_waits_while_another_installation_may_share_its_grant_and_goes_back_after_it(
    stage: Stage,
) -> None:
    _, second = await sharing(stage)
    for _ in range(20):  # more often than a server that fails is asked
        stage.clock.advance(DAY)
        assert await stage.engine.deliver_revocations() == 0
        (row,) = stage.revocations()
        assert (row["outcome"], row["tries"], row["done_at"]) == ("shared", 0, None)
        assert row["next_at"] == micro(stage.clock.now() + DAY)
        assert stage.revoked() == []
    await stage.engine.disconnect(second, actor=BOB)
    await stage.settled()
    stage.clock.advance(DAY - TICK)
    assert await stage.engine.deliver_revocations() == 0, "a day has not passed"
    stage.clock.advance(TICK)
    assert await stage.engine.deliver_revocations() == 1
    assert [(row["outcome"], row["tries"], row["sealed"]) for row in stage.revocations()] == [
        ("revoked", 1, None)
    ] * 2
    assert stage.server.alive == {}


async def test_what_was_shared_and_then_fails_is_an_open_one_again(stage: Stage) -> None:
    _, second = await sharing(stage)
    await stage.engine.disconnect(second, actor=BOB)
    await stage.settled()
    stage.answers(503)
    stage.clock.advance(DAY)
    assert await stage.engine.deliver_revocations() == 0
    first = stage.revocations()[0]
    assert (first["outcome"], first["tries"], first["next_at"]) == (None, 1, micro(stage.clock.now() + 2 * MINUTE))
    assert (await stage.engine.ops.outbox()).revocations == 1


async def test_doctor_tells_what_waits_for_a_shared_grant_and_finds_nothing_wrong_with_it(stage: Stage) -> None:
    await sharing(stage)
    stage.clock.advance(HOUR)
    told = [one for one in await stage.engine.ops.diagnose() if one.check == "revocations"]
    assert [(one.health, one.says, one.mend) for one in told] == [
        ("ok", "1 wait while another installation may hold the same grant", None),
        ("ok", "nothing waits", None),
    ]
    waiting = await stage.engine.ops.outbox()
    assert (waiting.revocations, waiting.oldest_revocation) == (0, None)


async def test_after_four_hundred_days_nobody_waits_for_a_shared_grant_any_more(stage: Stage) -> None:
    await sharing(stage)
    stage.clock.advance(400 * DAY - TICK)
    assert await stage.engine.deliver_revocations() == 0
    assert stage.revocations()[0]["sealed"] is not None
    stage.clock.advance(DAY)
    assert await stage.engine.deliver_revocations() == 1
    (row,) = stage.revocations()
    assert (row["outcome"], row["sealed"], row["next_at"]) == ("shared", None, None)
    assert row["done_at"] == micro(stage.clock.now())
    assert stage.revoked() == []


async def test_a_waiting_revocation_outlives_the_engine(stage: Stage) -> None:
    await gone(stage, says(503))
    stage.clock.advance(HOUR)
    async with stage.another_engine() as other:
        assert await other.deliver_revocations() == 1
    assert stage.server.alive == {}


@pytest.mark.parametrize("ring", [KeyRing, lambda: KeyRing.parse(KeyRing.new_key())])
async def test_an_engine_without_the_keys_forgets_no_token_that_is_to_be_given_back(
    stage: Stage, ring: Callable[[], KeyRing]
) -> None:
    name = await stage.active()
    async with stage.another_engine(keys=ring()) as console:
        await console.ops.force(name, to="unauthorized", actor=OPS, reason=WHY)
        task = console._postman._task
        assert task is not None
        await asyncio.wait([task])
    assert stage.revocations()[0]["sealed"] is not None
    stage.clock.advance(DAY)
    assert await stage.engine.deliver_revocations() == 1
    assert stage.server.alive == {}


@pytest.mark.parametrize("target", ["unauthorized", "uninstalled"])
async def test_forced_without_side_effects_nothing_is_given_back_and_nobody_is_told(
    stage: Stage, target: str
) -> None:
    name = await stage.active()
    told = stage.notices()
    plan = await stage.engine.ops.preview_force(name, to=target, actor=OPS, reason=WHY, without_side_effects=True)
    await stage.engine.ops.apply(plan)
    await stage.settled()
    assert (await stage.engine.get(name)).state == target
    assert (stage.revocations(), stage.revoked(), stage.notices()) == ([], [], told)
    assert stage.sql("SELECT * FROM grantflow_token_set") == []
    assert len(stage.server.alive) == 1


@pytest.mark.parametrize("target", ["unauthorized", "uninstalled"])
async def test_forced_with_side_effects_the_tokens_are_given_back(stage: Stage, target: str) -> None:
    name = await stage.active()
    await stage.engine.ops.force(name, to=target, actor=OPS, reason=WHY)
    await stage.settled()
    assert [row["outcome"] for row in stage.revocations()] == ["revoked"]


async def test_taking_the_app_off_an_account_gives_every_grant_there_back(stage: Stage) -> None:
    await stage.many(5)
    await stage.engine.apps.uninstall("crm", "acme", actor=SYSTEM)
    await stage.settled()
    assert [row["outcome"] for row in stage.revocations()] == ["revoked"] * 5
    assert stage.server.alive == {}


async def test_a_reauthorization_does_not_revoke_the_grant_before(stage: Stage) -> None:
    await stage.active()
    await stage.active()
    await stage.settled()
    assert (stage.revocations(), stage.revoked()) == ([], []), "revoking it may take the new one along"


# -- invariant 2 ------------------------------------------------------------------------------------
def blobs(stage: Stage, *, but: tuple[str, ...] = ()) -> list[str]:
    """table.column of every sealed value in the file: what begins with the id of a key."""
    key = next(iter(stage.keys._keys)).encode() + b":"
    found = []
    for (table,) in stage.sql("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB 'grantflow_*'"):
        for row in stage.rows(f"SELECT * FROM {table}"):
            found += [f"{table}.{name}" for name, value in row.items() if isinstance(value, bytes) and key in value]
    return sorted({name for name in found if name not in but})


async def ended(stage: Stage, how: str) -> None:
    """A grant that ends for good."""
    name = await stage.active()
    if how == "disconnect":
        await stage.engine.disconnect(name, actor=BOB)
    elif how == "uninstall":
        await stage.engine.uninstall(name, actor=SYSTEM)
    elif how == "the parent":
        await stage.engine.apps.uninstall("crm", "acme", actor=SYSTEM)
    elif how == "revoked upstream":
        await stage.engine.send(name, "revoked_upstream", actor=SYSTEM)
    else:
        await stage.engine.ops.force(name, to=how, actor=OPS, reason=WHY)
    await stage.settled()


@pytest.mark.parametrize(
    "how", ["disconnect", "uninstall", "the parent", "revoked upstream", "unauthorized", "uninstalled"]
)
async def test_where_there_is_no_grant_there_is_no_sealed_byte_in_any_table(stage: Stage, how: str) -> None:
    await ended(stage, how)
    assert blobs(stage) == []


@pytest.mark.parametrize("how", ["503 for ever", "no endpoint"])
async def test_what_is_given_up_leaves_no_sealed_byte_either(stage: Stage, how: str) -> None:
    if how == "no endpoint":
        app = await stage.engine.apps.get("crm")
        assert app.server is not None
        await stage.engine.apps.register(replace(app, server=replace(app.server, revocation_endpoint="")))
    await gone(stage, *([says(503)] * 12 if how == "503 for ever" else []))
    for _ in range(12):
        stage.clock.advance(HOUR)
        await stage.engine.deliver_revocations()
    assert blobs(stage) == []


@pytest.mark.parametrize("how", ["completed", "cancelled over there", "failed"])
async def test_an_attempt_that_came_back_keeps_no_verifier(stage: Stage, how: str) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    assert blobs(stage) == ["grantflow_attempt.sealed"]
    if how == "failed":
        stage.answers(400, error="invalid_grant")
    await stage.back(attempt, cancel=how == "cancelled over there")
    assert "grantflow_attempt.sealed" not in blobs(stage)


@pytest.mark.parametrize("how", ["cancelled here", "superseded", "expired", "expired without a row", "disconnected"])
async def test_an_attempt_that_is_over_otherwise_keeps_no_verifier(stage: Stage, how: str) -> None:
    if how != "expired without a row":
        await stage.engine.install("crm", account="acme", actor=SYSTEM, subject=BOB)
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    if how == "cancelled here":
        await stage.engine.cancel(attempt.id, actor=BOB)
    elif how == "superseded":
        await stage.active()
    elif how == "disconnected":
        found = await stage.engine.get("crm", account="acme", subject=BOB)
        await stage.engine.disconnect(found.id, actor=BOB)
    else:
        stage.clock.advance(HOUR)
        await stage.engine.sweep()
    assert "grantflow_attempt.sealed" not in blobs(stage)


async def test_no_token_code_state_or_cookie_stands_in_the_file(stage: Stage) -> None:
    attempt = await stage.engine.authorize("crm", actor=BOB, account="acme")
    query = stage.server.back(attempt.authorize_url)
    done = await stage.engine.complete(query, cookies=cookies(attempt))
    assert done.installation is not None
    token = await stage.engine.access_token(done.installation.id)
    stage.over()
    await stage.engine.access_token(done.installation.id)
    secrets = {token.value, *stage.server.alive, *cookies(attempt).values(), stage.server.secret}
    secrets |= {
        value for form in stage.server.asked for name, value in form.items() if name in {"code", "code_verifier"}
    }
    kept = b"".join(path.read_bytes() for path in stage.path.parent.glob("grants.db*"))
    assert [secret for secret in secrets if secret.encode() in kept] == []
