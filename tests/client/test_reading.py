"""Asking for a token: by id, by natural key, by subject; the errors that say why there is none; adopted grants."""

from __future__ import annotations

import pickle
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from grantflow import Actor, CountsFrom, KeyRing, Lifetime, Version
from grantflow.errors import (
    BadInput,
    ConfigurationError,
    GrantflowError,
    KeysMissing,
    NotFound,
    NotHeldHere,
    PermissionDenied,
    ReauthorizationRequired,
    TransitionRefused,
    Unauthorized,
)
from grantflow.testing import authorize, sample_app
from tests.client.stage import BOB, CAROL, DAY, HOUR, MARIA, MINUTE, OPS, START, SYSTEM, WHY, Stage

UNCHECKED = "Given lets an absent access token through, and tokens that no header may carry (RFC 6749 A.12)"
ABSENT = "01941f29-0000-7000-8000-000000000000"


async def adopt(stage: Stage, **changes: Any) -> str:
    """A grant of a system that grantflow replaces."""
    values: dict[str, Any] = {"account": "acme", "actor": SYSTEM, "subject": BOB, "access_token": "old-access"}
    return (await stage.engine.adopt("crm", **(values | changes))).id


# -- ways in ----------------------------------------------------------------------------------------
async def test_a_token_is_asked_for_by_id_by_natural_key_and_by_subject(stage: Stage) -> None:
    name = await stage.active()
    tokens = [
        await stage.engine.access_token(name),
        await stage.engine.access_token("crm", account="acme", subject=BOB),
        await stage.engine.access_token("crm", account="acme", subject="bob"),
        await stage.engine.access_token("crm", subject=BOB),
        await stage.engine.access_token("crm", subject="bob"),
    ]
    assert {(token.installation, token.value) for token in tokens} == {(name, tokens[0].value)}
    assert tokens[0].headers == {"Authorization": f"Bearer {tokens[0].value}"}
    assert tokens[0].scopes == ("people.read", "tickets.read", "tickets.write")
    assert tokens[0].expires_at == START + HOUR


async def test_a_subject_with_several_accounts_must_name_one(stage: Stage) -> None:
    await stage.active("acme")
    await stage.active("bolt")
    with stage.refused(BadInput, match="several accounts"):
        await stage.engine.access_token("crm", subject=BOB)
    assert (await stage.engine.access_token("crm", subject=BOB, account="bolt")).generation == 1


async def test_labels_are_grants_of_their_own(stage: Stage) -> None:
    first, second = await stage.active(), await stage.active(label="second")
    assert (await stage.engine.access_token("crm", subject=BOB)).installation == first
    assert (await stage.engine.access_token("crm", subject=BOB, label="second")).installation == second
    with stage.refused(NotFound):
        await stage.engine.access_token("crm", subject=BOB, label="third")


async def test_an_account_level_app_is_named_by_its_account(stage: Stage) -> None:
    await stage.engine.apps.register(stage.server.app("board", "account"))
    attempt = await stage.engine.authorize("board", actor=MARIA, account="acme")
    assert (await stage.back(attempt)).outcome == "completed"
    assert (await stage.engine.access_token("board", account="acme")).generation == 1
    with stage.refused(NotFound):
        await stage.engine.access_token("board", account="bolt")


@pytest.mark.parametrize(
    ("name", "more"),
    [
        (ABSENT, {}),
        ("crm", {"account": "acme", "subject": "nobody"}),
        ("crm", {"account": "nowhere", "subject": "bob"}),
        ("nothing", {"account": "acme", "subject": "bob"}),
        ("crm", {"subject": "nobody"}),
        ("crm", {}),
    ],
)
async def test_what_is_not_there_has_no_token(stage: Stage, name: str, more: dict[str, str]) -> None:
    await stage.active()
    with stage.refused(NotFound):
        await stage.engine.access_token(name, **more)


async def test_a_token_never_prints_itself(stage: Stage) -> None:
    token = await stage.engine.access_token(await stage.active())
    assert token.value not in repr(token)
    for show in (str, "{}".format, pickle.dumps):
        with pytest.raises(TypeError):
            show(token)


# -- why there is none ------------------------------------------------------------------------------
async def test_in_host_mode_no_token_is_held(stage: Stage) -> None:
    await stage.put(sample_app("agent", "hosted"))
    tokens = await authorize(stage.engine, "hosted", "acme", actor=BOB)
    with stage.refused(NotHeldHere):
        await stage.engine.access_token(tokens.installation)
    with stage.refused(NotHeldHere):
        await stage.engine.report(tokens.installation, status=401, generation=1)
    assert await stage.engine.token_health(tokens.installation) is None


async def test_a_grant_that_was_never_given_says_who_can_give_it(stage: Stage) -> None:
    name = (await stage.engine.install("crm", account="acme", actor=SYSTEM, subject=BOB)).id
    with stage.refused(ReauthorizationRequired) as caught:
        await stage.engine.access_token(name)
    told = caught.value.guidance
    assert (told.prompt, told.who, told.state) == ("AUTHORIZE", "agent bob", "unauthorized")
    assert "not authorized yet" in str(caught.value)


@pytest.mark.parametrize("how", ["time", "unknown", "revoked", "interaction-required", "operator"])
async def test_a_dead_grant_says_why_and_who_can_act(stage: Stage, how: str) -> None:
    name = await stage.active()
    if how == "time":
        stage.clock.advance(400 * DAY)
    elif how == "unknown":
        stage.over()
        stage.server.alive.clear()
        await stage.engine.renew_due()
    elif how == "operator":
        await stage.engine.ops.force(name, to="refresh-expired", actor=OPS, reason=WHY)
    else:
        await stage.engine.send(name, "revoked_upstream" if how == "revoked" else "security_event", actor=SYSTEM)
        await stage.settled()
    with stage.refused(ReauthorizationRequired) as caught:
        await stage.engine.access_token(name)
    told = caught.value.guidance
    assert (told.prompt, told.who, told.reason) == ("REAUTHORIZE", "agent bob", how)
    assert told.where
    assert told.sentence == str(caught.value)
    assert not told.may_act, "the app itself cannot"


@pytest.mark.parametrize("how", ["suspended", "the account is suspended", "on hold", "taken off", "a blocking gap"])
async def test_a_live_grant_that_may_not_be_used_gives_no_token_and_renews_nothing(stage: Stage, how: str) -> None:
    name = await stage.active()
    if how == "suspended":
        await stage.engine.suspend(name, actor=OPS, reason=WHY)
    elif how == "the account is suspended":
        await stage.engine.apps.suspend("crm", "acme", actor=OPS, reason=WHY)
    elif how == "on hold":
        await stage.engine.apps.hold("crm", actor=OPS, reason=WHY)
    elif how == "taken off":
        await stage.engine.apps.uninstall("crm", "acme", actor=SYSTEM)
        await stage.settled()
    else:
        versions = (Version("1.0", ("tickets.read",)), Version("2.0", ("tickets.read", "new"), blocking=True))
        await stage.engine.apps.register(stage.server.app("crm", versions=versions))
        await stage.engine.apps.upgrade("crm", "acme", "2.0", actor=SYSTEM)
    stage.over()
    with stage.refused(Unauthorized) as caught:
        await stage.engine.access_token(name)
    assert isinstance(caught.value, ReauthorizationRequired) is (how == "taken off")
    assert caught.value.guidance is not None
    assert stage.refreshes() == 0


@pytest.mark.parametrize("how", ["suspended", "the account is suspended"])
async def test_a_suspension_that_ends_gives_the_same_grant_back(stage: Stage, how: str) -> None:
    name = await stage.active()
    if how == "suspended":
        await stage.engine.suspend(name, actor=OPS, reason=WHY)
        await stage.engine.unsuspend(name, actor=OPS)
    else:
        await stage.engine.apps.suspend("crm", "acme", actor=OPS, reason=WHY)
        await stage.engine.apps.unsuspend("crm", "acme", actor=OPS)
    assert (await stage.engine.access_token(name)).generation == 1


async def test_without_the_keys_there_is_no_token_and_nothing_changes(stage: Stage) -> None:
    name = await stage.active()
    async with stage.another_engine(keys=KeyRing()) as engine:
        with stage.refused(KeysMissing):
            await engine.access_token(name)
        stage.over()
        with stage.refused(KeysMissing):
            await engine.access_token(name)
        assert (await engine.renew_due()).renewed == 0
    assert await stage.state(name) == ("active", None)
    assert (await stage.engine.access_token(name)).generation == 2


async def test_without_a_client_secret_nothing_is_marked_as_sent(stage: Stage) -> None:
    await stage.put(replace(stage.server.app("bare"), client_secret=None))
    name = await stage.adopted("bob", "bare")
    stage.over()
    with pytest.raises(GrantflowError):
        await stage.engine.access_token(name)
    tokens = stage.tokens(name)
    assert (tokens["in_flight_at"], tokens["lease"]) == (None, None)
    assert stage.refreshes() == 0


async def test_health_tells_times_and_no_secret(stage: Stage) -> None:
    name = await stage.active()
    health = await stage.engine.token_health(name)
    assert health is not None
    assert (health.generation, health.renewable, health.failing, health.failures) == (1, True, None, 0)
    assert health.access_expires_at == START + HOUR
    assert health.refresh_at == START + 55 * MINUTE
    assert health.refresh_expires_at == START + 365 * DAY
    assert (health.authorization_expires_at, health.unanswered_since, health.identity) == (None, None, None)
    assert "foreign-server" not in repr(health)
    with stage.refused(NotFound):
        await stage.engine.token_health(ABSENT)


# -- tokens that exist already ----------------------------------------------------------------------
async def test_adopted_tokens_become_a_live_installation_with_an_honest_story(stage: Stage) -> None:
    name = await adopt(stage, refresh_token="old-refresh", expires_in=10 * MINUTE, identity="someone")
    trail = [(entry.event, entry.target, entry.reason) for entry in reversed(await stage.engine.history(name))]
    assert trail == [
        ("installed", "unauthorized", None),
        ("callback_ok", "consented", "adopted"),
        ("exchange_ok", "active", "adopted"),
    ]
    token = await stage.engine.access_token(name)
    assert (token.value, token.generation) == ("old-access", 1)
    assert token.scopes == ("people.read", "tickets.read", "tickets.write")
    health = await stage.engine.token_health(name)
    assert health is not None
    assert (health.identity, health.access_expires_at) == ("someone", START + 10 * MINUTE)
    assert (await stage.engine.get(name)).expires_at == START + 365 * DAY
    stage.server.alive["old-refresh"] = ""
    stage.clock.advance(10 * MINUTE)
    assert (await stage.engine.access_token(name)).generation == 2
    assert stage.server.asked[-1]["refresh_token"] == "old-refresh"


async def test_adopted_tokens_live_as_long_as_they_are_said_to(stage: Stage) -> None:
    name = await adopt(stage, refresh_token="r", refresh_expires_in=3 * DAY, scopes=["tickets.read"])
    found = await stage.engine.get(name)
    assert (found.expires_at, found.scopes_missing) == (START + 3 * DAY, ("tickets.write",))
    health = await stage.engine.token_health(name)
    assert health is not None
    assert health.access_expires_at == START + 30 * MINUTE, "the app's assumption"


async def test_adopted_without_a_refresh_token_only_the_access_token_counts(stage: Stage) -> None:
    name = await adopt(stage, expires_in=HOUR)
    assert (await stage.engine.get(name)).expires_at == START + HOUR
    stage.clock.advance(HOUR)
    with stage.refused(ReauthorizationRequired):
        await stage.engine.access_token(name)


async def test_adopting_again_replaces_the_whole_set_and_adopting_twice_makes_no_second_row(stage: Stage) -> None:
    name = await adopt(stage, refresh_token="r", identity="someone")
    assert await adopt(stage, access_token="newer", identity="someone") == name
    token = await stage.engine.access_token(name)
    assert (token.value, token.generation) == ("newer", 2)
    assert stage.tokens(name)["refresh_sealed"] is None
    with stage.refused(TransitionRefused):
        await adopt(stage, identity="somebody else")


async def test_a_dead_grant_is_not_brought_back_by_adopting(stage: Stage) -> None:
    name = await stage.active()
    await stage.engine.ops.force(name, to="refresh-expired", actor=OPS, reason=WHY)
    with stage.refused(TransitionRefused):
        await adopt(stage)


@pytest.mark.parametrize("actor", [BOB, CAROL, MARIA, Actor.app("crm")])
async def test_only_the_platform_and_operators_adopt(stage: Stage, actor: Actor) -> None:
    with stage.on_record(PermissionDenied):
        await adopt(stage, actor=actor)
    assert await adopt(stage, actor=OPS)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"access_token": ""}, BadInput),
        ({"access_token": "x" * 65_537}, BadInput),
        pytest.param({"access_token": None}, BadInput),
        pytest.param({"access_token": "a\r\nX-Admin: 1"}, BadInput),
        pytest.param({"refresh_token": "\0"}, BadInput),
        ({"refresh_token": ""}, BadInput),
        ({"refresh_token": 5}, BadInput),
        ({"scopes": "tickets.read"}, BadInput),
        ({"identity": ""}, BadInput),
        ({"subject": None}, BadInput),
        ({"account": ""}, BadInput),
        ({"account": "nowhere"}, TransitionRefused),
        ({"reason": ""}, BadInput),
    ],
)
async def test_what_is_no_token_set_is_not_adopted(
    stage: Stage, changes: dict[str, Any], kind: type[GrantflowError]
) -> None:
    with stage.refused(kind):
        await adopt(stage, **changes)


@pytest.mark.parametrize("name", ["expires_in", "refresh_expires_in"])
@pytest.mark.parametrize("length", [timedelta(0), -DAY])
async def test_what_is_over_already_is_not_taken_for_alive(stage: Stage, name: str, length: timedelta) -> None:
    made = await adopt(stage, refresh_token="r", **{name: length})
    found = await stage.engine.get(made)
    if name == "refresh_expires_in":
        assert (found.state, found.usable) == ("refresh-expired", False)
    else:
        stage.server.alive["r"] = ""
        assert (await stage.engine.access_token(made)).generation == 2


async def test_an_app_in_host_mode_adopts_nothing(stage: Stage) -> None:
    await stage.put(sample_app("agent", "hosted"))
    with stage.refused(ConfigurationError):
        await stage.engine.adopt("hosted", account="acme", actor=SYSTEM, subject=BOB, access_token="x")


async def test_a_deadline_that_counts_from_the_consent_counts_from_the_adoption(stage: Stage) -> None:
    lifetime = Lifetime(length=10 * DAY, counts_from=CountsFrom.CONSENT)
    await stage.engine.apps.register(stage.server.app("crm", lifetime=lifetime))
    stage.clock.advance(DAY)
    name = await adopt(stage, refresh_token="r")
    assert (await stage.engine.get(name)).expires_at == START + 11 * DAY
