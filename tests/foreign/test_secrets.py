"""What a grant is made of is neither in the files nor in the log. Source: R-03, R-06, R-27, R-28."""

from __future__ import annotations

import logging

import pytest

from grantflow.errors import BadCallback, GrantflowError
from tests.foreign.world import HOUR, OPERATOR, UNA, World, held_refresh, params, with_params


async def a_whole_life(world: World) -> dict[str, str]:
    """Consent, renewals, mistakes, an incident, another consent; every secret that passed, by its name."""
    seen: dict[str, str] = {"client secret": world.client.secret or ""}
    attempt = await world.leaves()
    query = await world.consents(attempt)
    assert attempt.cookie is not None
    asked = params(attempt.authorize_url.partition("?")[2])
    told = params(query)
    seen |= {"cookie": attempt.cookie.value, "state": told["state"], "code": told["code"]}
    assert asked["state"] == told["state"]
    with pytest.raises(BadCallback):
        await world.engine.complete(query, cookies={})
    done = await world.comes_back(attempt, query)
    assert done.installation is not None
    installation = done.installation.id

    async def look(name: str) -> None:
        seen[f"{name} access token"] = (await world.engine.access_token(installation)).value
        seen[f"{name} refresh token"] = held_refresh(world, installation)

    await look("first")
    world.advance(HOUR)
    for kind in ("unavailable", "garbage", "hangup"):
        world.server.fault(kind)
        await wish(world, installation)
        world.advance(HOUR)
    await look("second")
    world.server.set_secret(world.client.client_id, "the very next secret")
    world.advance(HOUR)
    await wish(world, installation)
    seen["next client secret"] = "the very next secret"
    await world.engine.apps.add_secret(world.app.key, "the very next secret", actor=OPERATOR)
    await look("third")
    again = await world.leaves()
    seen["second code"] = params(await world.consents(again))["code"]
    refused = await world.comes_back(again, with_params(await world.consents(again), code=seen["code"]))
    assert refused.outcome == "failed"
    await world.told()
    return seen | {"installation": installation}


async def wish(world: World, installation: str) -> None:
    with pytest.raises(GrantflowError):
        await world.engine.access_token(installation)


async def test_no_secret_is_written_in_the_clear(world: World) -> None:
    seen = await a_whole_life(world)
    installation = seen.pop("installation")
    assert len({*seen.values()}) == len(seen) >= 11
    for again in (False, True):
        files = [*world.database.parent.glob("grants.db*")]
        assert len(files) > 1
        kept = b"".join(file.read_bytes() for file in files)
        assert installation.encode() in kept, "this is where it would be"
        assert [name for name, secret in seen.items() if secret.encode() in kept] == []
        if not again:
            await world.engine.disconnect(installation, actor=UNA)
            await world.given_back()


async def test_no_secret_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        seen = await a_whole_life(world)
        installation = seen.pop("installation")
        await world.engine.disconnect(installation, actor=UNA)
        await world.given_back()
    logged = caplog.text + "".join(repr(vars(record)) for record in caplog.records)
    assert "a callback was turned away: browser" in logged, "this is where it would be"
    assert [name for name, secret in seen.items() if secret in logged] == []


async def test_no_secret_is_in_what_is_told_or_shown(world: World) -> None:
    seen = await a_whole_life(world)
    installation, engine = seen.pop("installation"), world.engine
    shown = [
        await engine.get(installation),
        await engine.history(installation),
        await engine.attempts(installation),
        await engine.token_health(installation),
        await engine.access_token(installation),
        await engine.apps.get(world.app.key),
        await engine.ops.incidents(closed=True),
        await engine.ops.actions(),
        await engine.ops.diagnose(),
        world.notices,
        world.app,
        engine,
        engine._renewals,
        engine._core.keys,
    ]
    assert [name for name, secret in seen.items() if secret in repr(shown)] == []
