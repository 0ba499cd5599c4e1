"""Whose grant it is: asked once per exchange, never overwritten by another's, forgotten by a disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from grantflow import Actor, App, Granted, Settings, Version
from grantflow.errors import ReauthorizationRequired
from tests.client.stage import BOB, HOUR, MINUTE, OPS, SYSTEM, WHY, Stage, on_stage


class Whose:
    """The host's `identify`: says, raises or hangs as told."""

    def __init__(self) -> None:
        self.says: object = "identity-1"
        self.hangs = False
        self.asked: list[tuple[str, Granted]] = []

    async def __call__(self, app: App, granted: Granted) -> str:
        self.asked.append((app.key, granted))
        if self.hangs:
            await asyncio.sleep(HOUR.total_seconds())
        if isinstance(self.says, Exception):
            raise self.says
        return self.says  # type: ignore[return-value]


BROKEN: dict[str, object] = {
    "raises": RuntimeError("a secret of the host"),
    "says nothing": None,
    "says an empty name": "",
    "says a number": 5,
    "says too much": "x" * 513,
}


@pytest.fixture
def whose() -> Whose:
    return Whose()


@pytest.fixture
async def known(tmp_path: Path, whose: Whose) -> AsyncIterator[Stage]:
    """A stage whose host says whose grant it is."""
    settings = Settings(synchronous="NORMAL", directory_timeout=MINUTE / 1200)
    async with on_stage(tmp_path, identify=whose, settings=settings) as made:
        yield made


async def test_the_host_is_asked_with_what_was_granted_and_the_answer_is_kept(known: Stage, whose: Whose) -> None:
    known.answers(200, access_token="a-1", refresh_token="r-1", id_token="an-id-token", scope="tickets.read")
    name = await known.active()
    ((app, granted),) = whose.asked
    assert (app, granted.access_token.value, granted.scopes) == ("crm", "a-1", ("tickets.read",))
    assert granted.id_token is not None
    assert (granted.id_token.value, granted.nonce) == ("an-id-token", None)
    assert "a-1" not in repr(granted)
    health = await known.engine.token_health(name)
    assert health is not None
    assert health.identity == "identity-1"
    known.over()
    known.answers(200, access_token="a-2", refresh_token="r-2", expires_in=3600)
    await known.engine.access_token(name)
    assert len(whose.asked) == 1, "a renewal asks nobody"


async def test_a_nonce_goes_out_with_openid_and_comes_to_the_host(known: Stage, whose: Whose) -> None:
    await known.engine.apps.register(known.server.app("crm", versions=(Version("1.0", ("openid",)),)))
    attempt = await known.engine.authorize("crm", actor=BOB, account="acme")
    sent = parse_qs(urlsplit(attempt.authorize_url).query)["nonce"][0]
    await known.back(attempt)
    assert whose.asked[0][1].nonce == sent


@pytest.mark.parametrize("how", [*BROKEN, "hangs"])
async def test_where_the_identity_cannot_be_learned_nothing_is_stored_and_the_tokens_go_back(
    known: Stage, whose: Whose, how: str
) -> None:
    whose.says, whose.hangs = BROKEN.get(how, "x"), how == "hangs"
    attempt = await known.engine.authorize("crm", actor=BOB, account="acme")
    done = await known.back(attempt)
    assert (done.outcome, done.why) == ("failed", "identity-unavailable")
    assert done.installation is not None
    assert done.installation.state == "unauthorized"
    await known.settled()
    assert known.sql("SELECT * FROM grantflow_token_set") == []
    assert [row["outcome"] for row in known.revocations()] == ["revoked"]
    assert known.server.alive == {}
    assert known.sql("SELECT * FROM grantflow_consent") == []


async def test_an_identity_that_cannot_be_learned_touches_no_live_grant(known: Stage, whose: Whose) -> None:
    name = await known.active()
    kept = known.tokens(name)
    whose.says = RuntimeError("down")
    done = await known.back(await known.engine.reauthorize(name, actor=BOB))
    assert done.outcome == "failed"
    assert known.tokens(name) == kept
    assert known.row(name)["identity"] == "identity-1"
    assert await known.state(name) == ("active", None)


async def test_tokens_of_an_unknown_identity_are_not_revoked_beside_the_same_persons_live_grant(
    known: Stage, whose: Whose
) -> None:
    name = await known.active()
    whose.says = RuntimeError("down")
    await known.back(await known.engine.reauthorize(name, actor=BOB))
    await known.settled()
    assert known.revoked() == [], "it may be the live grant that is revoked upstream"


@pytest.mark.parametrize("dead", [False, True])
async def test_another_identity_never_overwrites(known: Stage, whose: Whose, dead: bool) -> None:
    name = await known.active()
    if dead:
        await known.engine.ops.force(name, to="refresh-expired", actor=OPS, reason=WHY)
    before, kept = await known.state(name), known.tokens(name)
    whose.says = "identity-2"
    done = await known.back(await known.engine.reauthorize(name, actor=BOB))
    assert (done.outcome, done.why) == ("wrong-account", "wrong-account")
    assert (await known.state(name), known.tokens(name)) == (before, kept)
    assert known.row(name)["identity"] == "identity-1"
    await known.settled()
    assert [(row["identity"], row["outcome"]) for row in known.revocations()] == [("identity-2", "revoked")]
    assert len(known.server.alive) == 1
    whose.says = "identity-1"
    assert (await known.back(await known.engine.reauthorize(name, actor=BOB))).outcome == "completed"


async def test_a_grant_of_another_identity_is_not_given_back_where_another_installation_lives_on_it(
    known: Stage, whose: Whose
) -> None:
    name = await known.active("acme")
    whose.says = "identity-2"
    await known.active("bolt")
    done = await known.back(await known.engine.reauthorize(name, actor=BOB))
    assert done.outcome == "wrong-account"
    await known.settled()
    assert [row["outcome"] for row in known.revocations()] == ["shared"]
    assert known.revoked() == []


async def test_a_disconnect_forgets_the_identity_and_anybody_may_come(known: Stage, whose: Whose) -> None:
    name = await known.active()
    await known.engine.disconnect(name, actor=BOB)
    assert known.row(name)["identity"] is None
    whose.says = "identity-2"
    assert await known.active() == name
    assert known.row(name)["identity"] == "identity-2"


async def test_the_identity_outlives_the_death_of_the_grant(known: Stage, whose: Whose) -> None:
    name = await known.active()
    known.over()
    known.answers(400, error="invalid_grant")
    with pytest.raises(ReauthorizationRequired):
        await known.engine.access_token(name)
    assert known.row(name)["identity"] == "identity-1"
    whose.says = "identity-2"
    assert (await known.back(await known.engine.reauthorize(name, actor=BOB))).outcome == "wrong-account"
    assert await known.state(name) == ("refresh-expired", "unknown")


async def test_without_a_host_that_says_an_identity_stays_unverified(stage: Stage) -> None:
    name = await stage.active()
    health = await stage.engine.token_health(name)
    assert health is not None
    assert health.identity is None


async def test_two_people_with_one_identity_share_it_and_the_last_one_gives_it_back(known: Stage) -> None:
    known.people.add(Actor.agent("dora"), "acme")
    first, second = await known.active(), await known.active(actor=Actor.agent("dora"))
    await known.engine.uninstall(first, actor=SYSTEM)
    await known.settled()
    assert known.revoked() == []
    await known.engine.uninstall(second, actor=SYSTEM)
    await known.settled()
    assert len(known.revoked()) == 1
