"""An answer that comes when the row has moved on: it is not stored, it is not lost, and it harms no other grant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from grantflow import AccessToken, App, Granted
from grantflow.errors import ReauthorizationRequired
from tests.client.stage import BOB, DAY, HOUR, OPS, SYSTEM, WHY, Stage, micro, on_stage


class Whose:
    """The host's `identify`: says what it is told to say."""

    def __init__(self) -> None:
        self.says: str = "identity-1"

    async def __call__(self, app: App, granted: Granted) -> str:
        return self.says


@pytest.fixture
def whose() -> Whose:
    return Whose()


@pytest.fixture
async def known(tmp_path: Path, whose: Whose) -> AsyncIterator[Stage]:
    """A stage whose host says whose grant it is."""
    async with on_stage(tmp_path, identify=whose) as made:
        yield made


async def renewing(stage: Stage, name: str) -> asyncio.Task[AccessToken]:
    """A renewal whose answer is kept back; the server has rotated already, the gate lets everything else through."""
    stage.over()
    stage.gate.close()
    task = asyncio.create_task(stage.engine.access_token(name))
    await stage.gate.under_way()
    return task


def later(stage: Stage) -> asyncio.Event:
    """The gate of the renewal under way; the requests of others pass from here on."""
    shut, stage.gate.shut = stage.gate.shut, None
    assert shut is not None
    return shut


async def test_reauthorized_meanwhile_the_late_answer_is_neither_stored_nor_revoked(known: Stage) -> None:
    name = await known.active()
    task = await renewing(known, name)
    shut = later(known)
    assert await known.active() == name
    kept = known.tokens(name)
    shut.set()
    token = await task
    assert token.generation == 2, "the caller gets the grant that is there now"
    assert known.tokens(name) == kept, "the late answer is not stored"
    await known.settled()
    (row,) = known.revocations()
    assert (row["outcome"], row["next_at"]) == ("shared", micro(known.clock.now() + DAY)), "it waits"
    assert known.revoked() == [], "the live grant may be the same one upstream"
    known.over()
    assert (await known.engine.access_token(name)).generation == 3


async def test_uninstalled_meanwhile_the_late_answer_is_given_back(known: Stage) -> None:
    name = await known.active()
    task = await renewing(known, name)
    shut = later(known)
    await known.engine.uninstall(name, actor=SYSTEM)
    shut.set()
    with pytest.raises(ReauthorizationRequired):
        await task
    await known.settled()
    assert {row["outcome"] for row in known.revocations()} == {"revoked"}
    assert known.server.alive == {}, "nothing lives on at the server"
    assert known.sql("SELECT * FROM grantflow_token_set") == []


@pytest.mark.parametrize("kind", ["Bearer", "DPoP"])
async def test_disconnected_meanwhile_the_late_answer_is_given_back(known: Stage, kind: str) -> None:
    name = await known.active()
    known.server.token_type = kind
    task = await renewing(known, name)
    shut = later(known)
    await known.engine.disconnect(name, actor=BOB)
    shut.set()
    with pytest.raises(ReauthorizationRequired):
        await task
    await known.settled()
    assert await known.state(name) == ("unauthorized", None)
    assert known.server.alive == {}
    assert known.sql("SELECT * FROM grantflow_token_set") == []


LOST_IDENTITY = "_too_late() asks the row whose the answer is: it has forgotten, or belongs to somebody else by now"
STAYS_DUE = "_renewed() leaves refresh_at on a dead row: renew_due() comes back to it for ever"


async def test_disconnected_and_granted_to_another_identity_the_late_answer_is_revoked(
    known: Stage, whose: Whose
) -> None:
    name = await known.active()
    task = await renewing(known, name)
    shut = later(known)
    await known.engine.disconnect(name, actor=BOB)
    whose.says = "identity-2"
    assert await known.active() == name
    lives = set(known.server.alive)
    shut.set()
    assert (await task).generation == 2
    await known.settled()
    assert known.row(name)["identity"] == "identity-2"
    assert len(known.server.alive) == 1, "the grant of the other identity is gone upstream"
    assert set(known.server.alive) < lives
    known.over()
    assert (await known.engine.access_token(name)).generation == 3, "and the live one is not touched"


@pytest.mark.parametrize("end", ["disconnect", "uninstall"])
async def test_a_late_answer_is_not_revoked_while_another_account_shares_the_grant(known: Stage, end: str) -> None:
    name, sister = await known.active("acme"), await known.active("bolt")
    task = await renewing(known, name)
    shut = later(known)
    if end == "disconnect":
        await known.engine.disconnect(name, actor=BOB)
    else:
        await known.engine.uninstall(name, actor=SYSTEM)
    shut.set()
    with pytest.raises(ReauthorizationRequired):
        await task
    await known.settled()
    assert {row["outcome"] for row in known.revocations()} == {"shared"}
    assert known.revoked() == []
    known.over()
    assert (await known.engine.access_token(sister)).generation == 2


async def test_without_identities_the_same_person_counts_as_sharing(stage: Stage) -> None:
    name, sister = await stage.active("acme"), await stage.active("bolt")
    await stage.engine.disconnect(name, actor=BOB)
    await stage.settled()
    assert [row["outcome"] for row in stage.revocations()] == ["shared"]
    await stage.engine.disconnect(sister, actor=BOB)
    await stage.settled()
    assert [row["outcome"] for row in stage.revocations()] == ["shared", "revoked"]


async def test_a_refusal_that_comes_late_kills_nothing(stage: Stage) -> None:
    name = await stage.active()
    stage.answers(400, error="invalid_grant")
    task = await renewing(stage, name)
    shut = later(stage)
    await stage.active()
    shut.set()
    assert (await task).generation == 2
    assert await stage.state(name) == ("active", None)
    assert stage.notices("installation.expired", "refresh.failed") == []
    await stage.settled()
    assert stage.revocations() == []


@pytest.mark.parametrize("status", [503, 401])
async def test_a_failure_that_comes_late_leaves_no_mark(stage: Stage, status: int) -> None:
    name = await stage.active()
    stage.answers(status, error="temporarily_unavailable" if status == 503 else "banana")
    task = await renewing(stage, name)
    shut = later(stage)
    await stage.active()
    kept = stage.tokens(name)
    shut.set()
    assert (await task).generation == 2
    assert stage.tokens(name) == kept
    assert kept["failing"] is None


async def test_ended_by_an_operator_meanwhile_the_grant_stays_ended_and_is_not_renewed_again(stage: Stage) -> None:
    name = await stage.active()
    task = await renewing(stage, name)
    shut = later(stage)
    await stage.engine.ops.force(name, to="refresh-expired", actor=OPS, reason=WHY)
    shut.set()
    with pytest.raises(ReauthorizationRequired):
        await task
    assert await stage.state(name) == ("refresh-expired", "operator")
    for _ in range(3):
        stage.clock.advance(2 * HOUR)
        assert (await stage.engine.renew_due()).died == 0, "a dead grant is not looked at over and over"
    assert stage.refreshes() == 1
    probe = await stage.engine.ops.probe(name, actor=OPS, reason=WHY)
    assert (probe.outcome, probe.state) == ("renewed", "active"), "the rotation was not lost"


async def test_revoked_meanwhile_the_late_answer_is_given_back(stage: Stage) -> None:
    name = await stage.active()
    task = await renewing(stage, name)
    shut = later(stage)
    await stage.engine.send(name, "revoked_upstream", actor=SYSTEM)
    shut.set()
    with pytest.raises(ReauthorizationRequired):
        await task
    await stage.settled()
    assert await stage.state(name) == ("refresh-expired", "revoked")
    assert stage.server.alive == {}
    assert {row["outcome"] for row in stage.revocations()} == {"revoked"}
    health = await stage.engine.token_health(name)
    assert health is None, "no token of a revoked grant is held"


async def test_expired_meanwhile_the_late_answer_is_kept_for_a_probe_and_nobody_renews_it(stage: Stage) -> None:
    stage.answers(200, access_token="a", refresh_token="r", expires_in=3600, refresh_token_expires_in=3660)
    stage.server.alive["r"] = ""
    name = await stage.active()
    stage.clock.advance(HOUR)
    stage.gate.close()
    task = asyncio.create_task(stage.engine.access_token(name))
    await stage.gate.under_way()
    shut = later(stage)
    stage.clock.advance(HOUR)
    await stage.engine.sweep()
    shut.set()
    with pytest.raises(ReauthorizationRequired):
        await task
    assert await stage.state(name) == ("refresh-expired", "time")
    for _ in range(3):
        stage.clock.advance(HOUR)
        report = await stage.engine.renew_due()
        assert (report.renewed, report.died) == (0, 0)
    assert stage.refreshes() == 1


async def test_suspended_meanwhile_the_answer_is_stored(stage: Stage) -> None:
    name = await stage.active()
    task = await renewing(stage, name)
    shut = later(stage)
    await stage.engine.suspend(name, actor=SYSTEM, reason=WHY)
    shut.set()
    await asyncio.gather(task, return_exceptions=True)
    assert stage.tokens(name)["generation"] == 2, "a suspension does not touch the grant, and rotation goes on"
    await stage.engine.unsuspend(name, actor=SYSTEM)
    assert (await stage.engine.access_token(name)).generation == 2
    assert stage.refreshes() == 1
