"""How each case of the table of answers is brought about at a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from grantflow import Completed, Settings
from grantflow._renewal import Ask
from grantflow.errors import GrantflowError
from tests.foreign.answers import EXCHANGE_FAULTS, REFRESH_FAULTS, Exchange, Refresh
from tests.foreign.world import MINUTE, QUICK, SYSTEM, UNA, Spy, World, elsewhere, held_refresh, opened, params, until
from tests.servers.control import RealServer
from tests.servers.plain_client import OK, Asker

SHORT = Settings(synchronous="NORMAL", code_lifetime=timedelta(seconds=0.1))
NOBODY = "http://127.0.0.1:9/"  # the discard port: no server of the tests listens there
WRONG = "y" * 43


async def settled(world: World, many: int) -> None:
    """Until the server has finished what it began for requests whose sender is gone."""
    await until(lambda: len([one for one in world.server.requests("token") if one.outcome != "pending"]) >= many)


async def incident_of(world: World) -> str | None:
    found = await world.engine.ops.incidents()
    return found[0].cause if found else None


# --- a code -------------------------------------------------------------------------------------------
Meddling = Callable[[World, str], Awaitable[None]]


async def nothing(world: World, query: str) -> None: ...


async def secret_changed(world: World, query: str) -> None:
    world.server.set_secret(world.client.client_id, "another")


async def app_deleted(world: World, query: str) -> None:
    world.server.delete_app(world.client.client_id)


async def code_redeemed(world: World, query: str) -> None:
    asker = world.asker()
    form = asker.form(params(query)["code"])
    del form["code_verifier"]
    told = await asyncio.to_thread(asker.post, world.server.endpoints.token, form)
    assert told.told == OK


async def code_grown_old(world: World, query: str) -> None:
    world.server.advance(timedelta(seconds=60))


EXCHANGES: Mapping[str, tuple[Meddling, Mapping[str, Any]]] = {
    "in order": (nothing, {}),
    "wrong verifier": (nothing, {}),
    "wrong secret": (secret_changed, {}),
    "deleted app": (app_deleted, {}),
    "reused code": (code_redeemed, {"pkce": False}),
    "expired code": (code_grown_old, {}),
    "nobody listens": (nothing, {"token_endpoint": NOBODY}),
}


async def exchange(server: RealServer, folder: Path, case: str) -> Exchange:
    """One callback from the consent to its end."""
    fault = EXCHANGE_FAULTS.get(case)
    meddle, at = EXCHANGES[case] if fault is None else (nothing, {})
    hasty = fault is not None and fault.kind == "hold"
    spy = Spy()
    server.set(PKCE_REQUIRED="pkce" not in at)
    async with opened(server, folder, http=spy, at=at, settings=SHORT) as world:
        attempt = await world.leaves()
        at_server = elsewhere(attempt, code_challenge=WRONG) if case == "wrong verifier" else attempt
        query = await world.consents(at_server)
        await meddle(world, query)
        before = len(server.requests("token"))
        if fault is not None:
            fault.plant(server, "authorization_code")
        spy.patience = 0.3 if hasty else 10
        done = await world.comes_back(attempt, query)
        if hasty:
            server.release()
            await settled(world, before + 1)
        seen = server.requests("token")[before:]
        return await ended(world, spy, done, tuple(one.outcome for one in seen))


async def ended(world: World, spy: Spy, done: Completed, at_server: tuple[str, ...]) -> Exchange:
    assert done.installation is not None
    state, reason = await world.seen(done.installation.id)
    assert reason is None
    return Exchange(tuple(spy.brought), done.outcome, done.why, state, await incident_of(world), at_server)


# --- a refresh token ----------------------------------------------------------------------------------
Removing = Callable[[World, str], Awaitable[None]]


async def rotated(world: World, installation: str) -> None:
    told = await asyncio.to_thread(world.asker().refresh, held_refresh(world, installation))
    assert told.told == OK


async def grown_old(world: World, installation: str) -> None:
    world.server.set(REFRESH_TOKEN_EXPIRE_SECONDS=1)
    world.server.advance(61 * MINUTE)


async def revoked(world: World, installation: str) -> None:
    told = await asyncio.to_thread(world.asker().revoke, held_refresh(world, installation))
    assert told.told == OK


async def forgotten(world: World, installation: str) -> None:
    world.server.forget(world.person, world.client.client_id)


async def untouched(world: World, installation: str) -> None: ...


REFRESHES: Mapping[str, Removing] = {
    "in order": untouched,
    "unknown token": untouched,
    "token of another client": untouched,
    "rotated token": rotated,
    "expired token": grown_old,
    "revoked token": revoked,
    "forgotten by the person": forgotten,
    "wrong secret": secret_changed,
    "deleted app": app_deleted,
    "nobody listens": untouched,
}


async def refresh(server: RealServer, folder: Path, case: str) -> Refresh:
    """One renewal while the access token works, and one wish for a token after it has ended."""
    fault = REFRESH_FAULTS.get(case)
    hasty = fault is not None and fault.kind == "hold"
    spy = Spy()
    at = {"token_endpoint": NOBODY} if case == "nobody listens" else {}
    async with opened(server, folder, http=spy, at=at, settings=QUICK) as world:
        installation = await begin(world, case)
        if fault is None:
            await REFRESHES[case](world, installation)
        world.advance(58 * MINUTE)
        spy.brought.clear()
        before = len(server.requests("token"))
        if fault is not None:
            fault.plant(server, "refresh_token")
        spy.patience = 0.3 if hasty else 10
        ending = await world.engine._renewals.renew(installation, Ask())
        spy.patience = 10
        if hasty:
            server.release()
            await settled(world, before + 1)
        world.advance(3 * MINUTE)
        then = await wish(world, installation)
        state, reason = await world.seen(installation)
        return Refresh(
            tuple(spy.brought), ending.how.value, ending.why, then, state, reason, await incident_of(world)
        )


async def begin(world: World, case: str) -> str:
    if case in {"unknown token", "token of another client", "nobody listens"}:
        theirs = "made-up"
        if case == "token of another client":
            theirs = (await asyncio.to_thread(Asker(world.server).tokens))["refresh_token"]
        adopted = await world.engine.adopt(
            world.app.key,
            account="acme",
            actor=SYSTEM,
            subject=UNA,
            access_token="made-up too",
            refresh_token=theirs,
            expires_in=60 * MINUTE,
        )
        return adopted.id
    return await world.granted()


async def wish(world: World, installation: str) -> str:
    try:
        return str((await world.engine.access_token(installation)).generation)
    except GrantflowError as error:
        return type(error).__name__
