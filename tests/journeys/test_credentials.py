"""Credentials: S-18, S-27, S-28."""

from __future__ import annotations

from grantflow import ClientCredentials
from grantflow.errors import InvalidClient, InvalidGrant, ReauthorizationRequired, Unauthorized
from grantflow.testing import SECRET, sample_app
from tests.journeys.stage import BOB, CAROL, MINUTE, SECOND, Stage, query_of

APP = "agent-app"


async def test_s18_the_app_gets_credentials_and_calls_the_api(stage: Stage) -> None:
    ledger = stage.engine.ledger
    returned = await stage.agreed(APP, BOB)
    for client in (ClientCredentials(APP, "wrong"), ClientCredentials(APP), ClientCredentials("account-app", SECRET)):
        with stage.refused(InvalidClient):
            await stage.redeem(APP, returned, client=client)

    tokens = await stage.redeem(APP, returned)

    assert tokens.headers == {"Authorization": f"Bearer {tokens.access_token.value}"}
    with stage.unchanged():
        caller = await stage.call(tokens)
    assert (caller.app, caller.account, caller.subject, caller.scopes) == (APP, "acme", "bob", tokens.scopes)
    assert tokens.access_token.value not in repr(tokens)
    with stage.refused(Unauthorized):
        await ledger.authenticate(tokens.refresh_token.value)
    with stage.refused(InvalidGrant):
        await ledger.renew(tokens.access_token.value, client=ClientCredentials(APP, SECRET))
    stage.clock.advance(30 * MINUTE)
    with stage.refused(Unauthorized, match="renew it"):
        await stage.call(tokens)
    renewed = await stage.renew(APP, tokens)
    assert (await stage.call(renewed)).subject == "bob"
    carols = await stage.active(APP, CAROL)
    assert (await stage.call(carols)).subject == "carol", "each has their own"
    secrets = [s.value for t in (tokens, renewed, carols) for s in (t.access_token, t.refresh_token)]
    content = stage.path.read_bytes()
    assert not any(secret.encode() in content for secret in secrets), "only hashes are kept"


async def test_s27_the_app_takes_the_code_from_the_response_url(stage: Stage) -> None:
    returned = await stage.agreed(APP, BOB, state="xyz")
    with stage.unchanged():
        parsed = query_of(returned)
    assert returned.code is not None
    assert (parsed["code"], parsed["state"], "error" in parsed) == (returned.code.value, "xyz", False)
    client = ClientCredentials(APP, SECRET)
    for code in (parsed["code"][:-1], parsed["code"] + "x", parsed["code"].swapcase(), "", parsed["state"]):
        with stage.refused(InvalidGrant):
            await stage.engine.ledger.redeem(code, client=client, code_verifier=stage.verifiers[returned.attempt])
    tokens = await stage.engine.ledger.redeem(
        parsed["code"], client=client, code_verifier=stage.verifiers[returned.attempt]
    )
    assert tokens.generation == 1
    refused = await stage.engine.refuse((await stage.form(APP, CAROL, state="abc")).attempt, actor=CAROL)
    assert query_of(refused) == {"error": "access_denied", "state": "abc"}


async def test_s28_the_code_becomes_an_access_token(stage: Stage) -> None:
    ledger = stage.engine.ledger
    two = sample_app("agent", "two", redirect_uris=("https://app.example/a", "https://app.example/b"))
    await stage.put(two)
    returned = await stage.agreed("two", BOB, redirect_uri="https://app.example/b")
    for changes in (
        {"code_verifier": "x" * 43, "redirect_uri": "https://app.example/b"},
        {"code_verifier": None, "redirect_uri": "https://app.example/b"},
        {"redirect_uri": "https://app.example/a"},
        {"redirect_uri": None},
    ):
        with stage.refused(InvalidGrant):  # nothing is burnt: the right app still comes through
            await stage.redeem("two", returned, **changes)
    stage.clock.advance(MINUTE - SECOND)
    tokens = await stage.redeem("two", returned, redirect_uri="https://app.example/b")
    assert (await stage.call(tokens)).installation == tokens.installation
    assert (await stage.engine.get(tokens.installation)).state == "active"

    late = await stage.agreed(APP, CAROL)
    stage.clock.advance(MINUTE)
    with stage.refused(InvalidGrant):
        await stage.redeem(APP, late)
    assert (await stage.engine.get(APP, account="acme", subject=CAROL)).state == "unauthorized"

    assert returned.code is not None
    with stage.refused(Unauthorized):
        await ledger.authenticate(returned.code.value)
    again = await stage.renew("two", tokens)
    raised = None
    try:
        await stage.redeem("two", returned, redirect_uri="https://app.example/b")
    except InvalidGrant as error:
        raised = error
    assert raised is not None, "a code works once"
    dead = await stage.engine.get(tokens.installation)
    assert (dead.state, dead.reason) == ("refresh-expired", "reused"), "whoever replays it ends the grant"
    with stage.refused(ReauthorizationRequired):
        await stage.call(again)
