"""The verbs that the pages needed of the engine, and the guard where no page is: lifespan and websockets."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from grantflow import Account, Actor, ClientCredentials, hosting, new_pkce
from grantflow.errors import BadInput, InvalidClient, InvalidScope, NotFound, ReauthorizationRequired
from grantflow.testing import SECRET, ManualClock, People, authorize, sample_app, throwaway_engine
from tests.hosting.world import World
from tests.journeys.stage import BOB, CAROL, MARIA, UMA


async def test_an_attempt_is_shown_to_its_person_over_or_not(world: World) -> None:
    async with world.engine() as engine:
        opened = await engine.authorize("agent-app", actor=BOB, code_challenge=new_pkce()[1])
        with world.unchanged():
            found = await engine.attempt(opened.id, actor=BOB)
            assert (found.app, found.outcome, found.cookie) == ("agent-app", None, None)
            for stranger in (CAROL, Actor.admin("bob"), Actor.operator("otto")):
                with pytest.raises(NotFound):
                    await engine.attempt(opened.id, actor=stranger)
            with pytest.raises(BadInput):
                await engine.attempt("", actor=BOB)
        await engine.select_account(opened.id, "acme", actor=BOB)
        await engine.cancel(opened.id, actor=BOB)
        found = await engine.attempt(opened.id, actor=BOB)
        assert (found.account, found.outcome) == ("acme", "cancelled")
        assert found.installation == (await engine.get("agent-app", account="acme", subject=BOB)).id


async def test_accounts_are_those_of_the_role(world: World) -> None:
    async with world.engine() as engine:
        assert await engine.accounts(MARIA) == (
            Account("acme", "Acme", "admin"),
            Account("globex", "Globex", "admin"),
        )
        assert [account.id for account in await engine.accounts(Actor.agent("maria"))] == ["initech"]
        assert await engine.accounts(Actor.system()) == ()


async def test_a_client_is_known_and_proved(world: World) -> None:
    async with world.engine() as engine:
        ledger = engine.ledger
        assert (await ledger.client("agent-app")).key == "agent-app"
        assert (await ledger.prove(ClientCredentials("agent-app", SECRET))).key == "agent-app"
        for client_id in ("mail", "nobody", "", "x" * 5000):
            with pytest.raises(InvalidClient):
                await ledger.client(client_id)
        for secret in (None, "", "wrong", SECRET + " "):
            with pytest.raises(InvalidClient):
                await ledger.prove(ClientCredentials("agent-app", secret))


async def test_a_refresh_that_asks_for_more_spends_nothing() -> None:
    async with throwaway_engine(directory=People({UMA: ["acme"]}), clock=ManualClock()) as engine:
        await engine.apps.register(sample_app("external"))
        tokens = await authorize(engine, "external-app", "acme", actor=UMA)
        client, old = ClientCredentials("external-app", SECRET), tokens.refresh_token.value
        with pytest.raises(InvalidScope):
            await engine.ledger.renew(old, client=client, scope="tickets.read admin")
        fresh = await engine.ledger.renew(old, client=client, scope="tickets.read")
        assert fresh.scopes == tokens.scopes
        with pytest.raises(ReauthorizationRequired):
            await reused(engine, old, client, fresh.access_token.value)


async def reused(engine: Any, old: str, client: ClientCredentials, access: str) -> None:
    """A spent token ends the grant, whatever scope it comes with."""
    with pytest.raises(Exception, match="refresh token"):
        await engine.ledger.renew(old, client=client, scope="admin")
    await engine.ledger.authenticate(access)


async def talked(world: World, *headers: tuple[bytes, bytes]) -> list[dict[str, Any]]:
    """What a client of a websocket behind the guard hears."""

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(socket.state.grant.account)
        await socket.close()

    heard: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        heard.append(message)

    scope = {"type": "websocket", "path": "/talk", "query_string": b"", "headers": list(headers), "subprotocols": []}
    async with world.engine() as engine:
        rest = Starlette(routes=[WebSocketRoute("/talk", talk)])
        await hosting.protect(engine)(rest)(scope, receive, send)
    return heard


async def test_a_websocket_is_guarded_like_a_call(world: World) -> None:
    tokens = await world.connected("agent-app", "bob")
    heard = await talked(world, (b"authorization", f"Bearer {tokens['access_token']}".encode()))
    assert [message.get("text") for message in heard][1] == "acme"
    for wrong in ([], [(b"authorization", b"Bearer guess")]):
        assert [(message["type"], message["code"]) for message in await talked(world, *wrong)] == [
            ("websocket.close", 1008)
        ]


async def test_a_guarded_app_still_starts_and_stops(world: World) -> None:
    told: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append(scope["type"])

    async def never() -> Any:
        raise AssertionError

    async with world.engine() as engine:
        await hosting.protect(engine)(app)({"type": "lifespan"}, never, never)  # type: ignore[arg-type]
    assert told == ["lifespan"]
