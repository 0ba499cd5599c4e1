"""An app each agent authorizes: S-04 … S-06."""

from __future__ import annotations

from grantflow import Prompt
from grantflow.errors import InvalidRequest, InvalidScope, NotFound, PermissionDenied
from tests.journeys.stage import BOB, CAROL, MARIA, UMA, Stage

APP = "agent-app"


async def test_s04_the_front_end_offers_authorize_before_first_use(stage: Stage) -> None:
    engine = stage.engine
    with stage.unchanged():
        told = await engine.guidance(APP, account="acme", viewer=BOB)
    assert (told.prompt, told.may_act, told.state) == (Prompt.AUTHORIZE, True, "unauthorized")
    assert "the app's front end" in told.where
    assert await stage.absent(APP, "acme", BOB), "the admin's installation is no grant for agents"

    tokens = await stage.active(APP, BOB)

    with stage.unchanged():
        assert (await engine.guidance(APP, account="acme", viewer=BOB)).prompt is Prompt.NONE
        assert (await engine.guidance(APP, account="acme", viewer=CAROL)).prompt is Prompt.AUTHORIZE
        assert (await engine.guidance(APP, account="globex", viewer=BOB)).prompt is Prompt.AUTHORIZE
        found = await engine.get(tokens.installation)
        assert (found.subject_kind, found.subject) == ("agent", "bob")
        assert await engine.can_use(found, BOB)
        assert not await engine.can_use(found, CAROL)
        assert not await engine.can_use(found, MARIA)
    assert await stage.absent(APP, "acme", CAROL)


async def test_s05_authorize_works_from_the_front_end_and_the_marketplace(stage: Stage) -> None:
    engine = stage.engine
    for actor in (BOB, MARIA):  # an admin authorizes as themself
        for entry_point in ("app front end", "marketplace"):
            attempt = await stage.open(APP, actor, entry_point=entry_point)
            assert (await engine.window(attempt.id, actor=actor)).app_name == "The agent app"
            form = await engine.select_account(attempt.id, "acme", actor=actor)
            returned = await engine.agree(form.attempt, actor=actor)
            tokens = await stage.redeem(APP, returned)
            found = await engine.get(tokens.installation)
            assert (found.state, found.subject) == ("active", actor.id)
            assert (entry_point, "completed") in stage.sql("SELECT entry_point, outcome FROM grantflow_attempt")
            await engine.disconnect(found.id, actor=actor)
    with stage.refused(PermissionDenied, match="only the agent themself"):
        await stage.open(APP, BOB, subject=CAROL)
    with stage.refused(PermissionDenied, match="only the agent themself"):
        await stage.open(APP, MARIA, subject=CAROL)
    with stage.refused(PermissionDenied, match="only the agent themself"):
        await stage.open(APP, UMA)
    bobs = await engine.get(APP, account="acme", subject=BOB)
    with stage.refused(PermissionDenied, match="only the agent themself"):
        await stage.reopen(bobs.id, CAROL)
    assert await stage.absent(APP, "acme", CAROL)


async def test_s06_authorize_sends_an_authorization_code_request(stage: Stage) -> None:
    engine = stage.engine
    with stage.refused(InvalidRequest, match="PKCE"):
        await engine.authorize(APP, actor=BOB)
    with stage.refused(InvalidRequest, match="redirect URI"):
        await stage.open(APP, BOB, redirect_uri="https://evil.example/callback")
    with stage.refused(InvalidScope, match="accounts.delete"):
        await stage.open(APP, BOB, scope="tickets.read accounts.delete")
    with stage.refused(NotFound, match="no app"):
        await engine.authorize("nothing", actor=BOB)

    attempt = await stage.open(APP, BOB, scope="tickets.read tickets.write", state="s")

    assert (attempt.kind, attempt.actor, attempt.installation, attempt.outcome) == ("initial", BOB, None, None)
    assert attempt.id in attempt.authorize_url
    written = stage.sql("SELECT client_id, redirect_uri, requested, code_hash FROM grantflow_attempt")
    assert written == [(APP, "https://app.example/callback", "tickets.read tickets.write", None)]
    assert (await engine.counts()).total == 0, "a request installs nothing"
    cookie = attempt.cookie
    assert cookie is not None
    assert cookie.value not in repr(attempt)
