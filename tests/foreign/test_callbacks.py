"""Callbacks that are not what they seem change no row: the rules of RFC 6749 §10.12, RFC 9207 and RFC 9700 §4.

Source: R-01 … R-08, R-11 of the security rules; S-17.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from grantflow.errors import BadCallback, TransitionRefused
from tests.foreign.cases import incident_of
from tests.foreign.world import (
    MINUTE,
    UNA,
    World,
    beside,
    cookies,
    described,
    opened,
    params,
    with_params,
)
from tests.servers.control import RealServer

Brought = tuple[str, Mapping[str, str]]
"""A query, and the cookies of the browser it came from."""


def another_browser(query: str, own: Mapping[str, str]) -> Brought:
    return query, dict.fromkeys(own, "gfb_" + "A" * 43)


def no_cookies(query: str, own: Mapping[str, str]) -> Brought:
    return query, {}


def another_name(query: str, own: Mapping[str, str]) -> Brought:
    return query, {"grantflow_attempt": next(iter(own.values()))}


def unknown_state(query: str, own: Mapping[str, str]) -> Brought:
    return with_params(query, state="gfs_" + "B" * 43), own


def no_state(query: str, own: Mapping[str, str]) -> Brought:
    return with_params(query, state=None), own


def two_states(query: str, own: Mapping[str, str]) -> Brought:
    return f"{query}&state={params(query)['state']}", own


def two_codes(query: str, own: Mapping[str, str]) -> Brought:
    return f"{query}&code=another", own


def a_code_and_an_error(query: str, own: Mapping[str, str]) -> Brought:
    return with_params(query, error="access_denied"), own


def neither(query: str, own: Mapping[str, str]) -> Brought:
    return with_params(query, code=None), own


def another_issuer(query: str, own: Mapping[str, str]) -> Brought:
    return with_params(query, iss="https://attacker.example"), own


def denied_without_state(query: str, own: Mapping[str, str]) -> Brought:
    return "error=access_denied", own


def denied_with_a_made_up_state(query: str, own: Mapping[str, str]) -> Brought:
    return "error=access_denied&state=gfs_forged", own


def denied_from_another_browser(query: str, own: Mapping[str, str]) -> Brought:
    return with_params(query, code=None, error="access_denied"), {}


def denied_by_another_issuer(query: str, own: Mapping[str, str]) -> Brought:
    return with_params(query, code=None, error="access_denied", iss="https://attacker.example"), own


FORGERIES: dict[Callable[[str, Mapping[str, str]], Brought], str] = {
    another_browser: "browser",
    no_cookies: "browser",
    another_name: "browser",
    unknown_state: "unknown",
    no_state: "malformed",
    two_states: "malformed",
    two_codes: "malformed",
    a_code_and_an_error: "malformed",
    neither: "malformed",
    another_issuer: "issuer",
    denied_without_state: "malformed",
    denied_with_a_made_up_state: "unknown",
    denied_from_another_browser: "browser",
    denied_by_another_issuer: "issuer",
}


@pytest.mark.parametrize(("forge", "why"), FORGERIES.items())
async def test_a_forged_callback_changes_no_row(
    world: World, forge: Callable[[str, Mapping[str, str]], Brought], why: str
) -> None:
    await world.granted()
    heard: list[str] = []
    world.engine.on_bad_callback(heard.append)
    attempt = await world.leaves()
    query = await world.consents(attempt)
    forged, browser = forge(query, cookies(attempt))
    await world.told()
    before, requests = world.checksum(), len(world.server.requests("token"))
    with pytest.raises(BadCallback) as refused:
        await world.engine.complete(forged, cookies=browser)
    assert (refused.value.why, heard) == (why, [why])
    assert world.checksum() == before
    assert len(world.server.requests("token")) == requests, "no code was sent"
    done = await world.comes_back(attempt, query)
    assert done.outcome == "completed", "and nothing of the person's own attempt was burnt"


async def test_a_thousand_callbacks_of_nobody_change_no_row(world: World) -> None:
    await world.granted()
    attempt = await world.leaves()
    query, chance = await world.consents(attempt), random.Random(7)
    await world.told()
    heard: list[str] = []
    world.engine.on_bad_callback(heard.append)
    before, requests = world.checksum(), len(world.server.requests("token"))
    for _ in range(1_000):
        at, sign = chance.randrange(len(query)), chance.choice("&=%?#aZ0-_\0é")
        forged = chance.choice([query[:at] + sign + query[at + 1 :], query[:at], query[at:] + query])
        browser = chance.choice([{}, {"grantflow_attempt": "x"}, {next(iter(cookies(attempt))): "gfb_forged"}])
        with pytest.raises(BadCallback):
            await world.engine.complete(forged, cookies=browser)
    assert world.checksum() == before
    assert len(world.server.requests("token")) == requests
    assert len(heard) == 20, "a flood is not told to the end"
    assert (await world.comes_back(attempt, query)).outcome == "completed"


async def test_a_state_is_used_once(world: World) -> None:
    attempt = await world.leaves()
    query = await world.consents(attempt)
    done = await world.comes_back(attempt, query)
    assert done.installation is not None
    await world.told()
    before = world.checksum()
    replayed = (query, with_params(query, code="another"), with_params(query, code=None, error="access_denied"))
    for again in replayed:
        with pytest.raises(BadCallback) as refused:
            await world.comes_back(attempt, again)
        assert refused.value.why == "used"
    assert world.checksum() == before
    assert world.server.counters().redemptions() == {"ok": 1}
    assert await world.calls(done.installation.id) == (200, world.person.sub)


@pytest.mark.parametrize("swept", [False, True])
async def test_a_callback_after_ten_minutes_is_too_late(world: World, swept: bool) -> None:
    attempt = await world.leaves()
    query = await world.consents(attempt)
    world.advance(10 * MINUTE)
    if swept:
        await world.engine.sweep()
    before = world.checksum()
    for late in (query, with_params(query, code=None, error="access_denied")):
        with pytest.raises(BadCallback) as refused:
            await world.comes_back(attempt, late)
        assert refused.value.why == "expired"
    assert world.checksum() == before
    assert world.server.counters().redemptions() == {}


# --- codes that belong elsewhere ----------------------------------------------------------------------
async def test_a_code_of_one_attempt_does_not_serve_another(world: World) -> None:
    first, second = await world.leaves("acme"), await world.leaves("bolt")
    codes = {one.id: await world.consents(one) for one in (first, second)}
    injected = with_params(codes[second.id], code=params(codes[first.id])["code"])
    done = await world.comes_back(second, injected)
    assert (done.outcome, done.why) == ("failed", "invalid_grant")
    assert done.installation is not None
    assert (done.installation.account, done.installation.state) == ("bolt", "unauthorized")
    assert world.live() == (0, 0)
    own = await world.comes_back(first, codes[first.id])
    assert (own.outcome, own.installation and own.installation.account) == ("completed", "acme")
    assert await incident_of(world) is None


async def test_a_code_of_another_person_is_not_put_into_an_attempt(world: World) -> None:
    """RFC 9700 §4.5: the verifier belongs to the attempt, so a stolen code is worth nothing in another one."""
    installation = await world.granted()
    eve, stolen = world.server.person("eve"), await world.leaves()
    code = params(await world.consents(stolen, eve))["code"]
    attempt = await world.leaves()
    query = await world.consents(attempt)
    done = await world.comes_back(attempt, with_params(query, code=code))
    assert (done.outcome, done.why) == ("failed", "invalid_grant")
    assert await world.seen(installation) == ("active", None)
    assert await world.calls(installation) == (200, world.person.sub)
    assert world.live(eve) == (0, 0)


@pytest.fixture
async def two(
    server: RealServer, another: RealServer, tmp_path: Path, iss: bool
) -> AsyncIterator[tuple[World, World]]:
    """One engine, two apps, each at a server of its own."""
    for one in (server, another):
        one.set(AUTHORIZATION_RESPONSE_ISS=iss)
    async with opened(server, tmp_path, at={"sends_iss": iss}) as world:
        yield world, await beside(world, another, sends_iss=iss)


@pytest.mark.parametrize("iss", [True])
async def test_swapped_codes_of_two_servers_are_refused_by_iss(two: tuple[World, World]) -> None:
    here = two[0]
    attempts = [await world.leaves() for world in two]
    queries = [await world.consents(attempt) for world, attempt in zip(two, attempts, strict=True)]
    states = [params(query)["state"] for query in queries]
    browser = cookies(attempts[0]) | cookies(attempts[1])
    before = here.checksum()
    for query, state in zip(queries, reversed(states), strict=True):
        with pytest.raises(BadCallback) as refused:
            await here.engine.complete(with_params(query, state=state), cookies=browser)
        assert refused.value.why == "issuer"
    assert here.checksum() == before
    for world in two:
        assert world.server.counters().outcomes == {}, "no code went to the wrong server"
    for world, query in zip(two, queries, strict=True):
        done = await world.engine.complete(query, cookies=browser)
        assert (done.outcome, done.installation and done.installation.app) == ("completed", world.app.key)


@pytest.mark.parametrize("iss", [False])
async def test_without_iss_swapped_codes_end_at_the_wrong_server_and_bring_nothing(two: tuple[World, World]) -> None:
    """RFC 9700 §4.4: nothing tells them apart before; the verifier, the client and the code do not fit."""
    here = two[0]
    attempts = [await world.leaves() for world in two]
    queries = [await world.consents(attempt) for world, attempt in zip(two, attempts, strict=True)]
    states = [params(query)["state"] for query in queries]
    browser = cookies(attempts[0]) | cookies(attempts[1])
    for query, state in zip(queries, reversed(states), strict=True):
        done = await here.engine.complete(with_params(query, state=state), cookies=browser)
        assert (done.outcome, done.why) == ("failed", "invalid_grant")
        assert done.installation is not None
        assert done.installation.state == "unauthorized"
    for world in two:
        assert world.server.counters().redemptions() == {"invalid_grant": 1}
        assert world.live() == (0, 0)
    assert [item.state for item in (await here.engine.find()).items] == ["unauthorized"] * 2
    assert await here.engine.ops.incidents() == []


async def test_an_attempt_of_another_issuer_is_not_continued(world: World) -> None:
    """The app was moved to another server while somebody was away."""
    attempt = await world.leaves()
    query = await world.consents(attempt)
    moved = described(world.server, issuer="https://moved.example")
    await world.engine.apps.register(replace(world.app, server=moved))
    before = world.checksum()
    with pytest.raises(BadCallback) as refused:
        await world.comes_back(attempt, query)
    assert (refused.value.why, world.checksum() == before) == ("issuer", True)
    assert world.server.counters().redemptions() == {}


async def test_an_account_that_was_taken_away_meanwhile_gets_nothing(world: World) -> None:
    attempt = await world.leaves("bolt")
    query = await world.consents(attempt)
    people = world.engine._core.directory
    people.accounts[UNA].remove("bolt")  # type: ignore[union-attr]  # the world's own directory
    before = world.checksum()
    with pytest.raises(TransitionRefused):
        await world.comes_back(attempt, query)
    assert world.checksum() == before
    people.accounts[UNA].append("bolt")  # type: ignore[union-attr]  # the same
    assert (await world.comes_back(attempt, query)).outcome == "completed"
