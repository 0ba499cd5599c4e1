"""Reauthorization: S-32 … S-37."""

from __future__ import annotations

from grantflow import Prompt
from grantflow.errors import (
    InvalidGrant,
    NotFound,
    PermissionDenied,
    ReauthorizationRequired,
    TransitionRefused,
    Unauthorized,
)
from grantflow.testing import sample_app
from tests.journeys.stage import BOB, CAROL, MALLORY, MARIA, MAX, MINUTE, UMA, YEAR, Stage

PLACE = "App Gallery → the app → Settings > Reauthorize"


async def test_s32_an_admin_reauthorizes_from_the_app_gallery(stage: Stage) -> None:
    engine = stage.engine
    dead = await stage.expired("account-app", MARIA)
    for stranger in (BOB, MALLORY, UMA):
        with stage.refused(PermissionDenied):
            await stage.reopen(dead.id, stranger)
    with stage.unchanged():
        told = await engine.guidance(dead.id, viewer=MAX)
    assert (told.prompt, told.may_act, told.where) == (Prompt.REAUTHORIZE, True, PLACE)

    first = await stage.reopen(dead.id, MAX, entry_point="app gallery")
    assert (first.kind, first.account) == ("reauthorize", "acme")
    second = await stage.reopen(dead.id, MARIA)
    assert (await engine.get(dead.id)).state == "reauthorizing"
    with stage.unchanged():
        lines = (await engine.window(second.id, actor=MARIA)).accounts
    assert [(line.id, line.selectable) for line in lines] == [("acme", True), ("globex", False)]
    with stage.refused(TransitionRefused, match="own account"):
        await engine.select_account(second.id, "globex", actor=MARIA)
    await engine.cancel(second.id, actor=MARIA)
    assert (await engine.get(dead.id)).state == "reauthorizing", "somebody else is still at it"
    await engine.cancel(first.id, actor=MAX)
    again = await engine.get(dead.id)
    assert (again.state, again.reason, again.usable) == ("refresh-expired", "time", False)

    last = await stage.reopen(dead.id, MAX, entry_point="app gallery")
    await engine.select_account(last.id, "acme", actor=MAX)
    tokens = await stage.redeem("account-app", await engine.agree(last.id, actor=MAX))
    assert tokens.installation == dead.id
    assert (await engine.get(dead.id)).usable
    assert await stage.absent("account-app", "globex")


async def test_s33_people_are_told_what_happened_who_can_renew_it_and_where(stage: Stage) -> None:
    engine = stage.engine
    dead = await stage.expired("account-app", MARIA)
    with stage.unchanged():
        agent = await engine.guidance(dead.id, viewer=BOB)
        admin = await engine.guidance(dead.id, viewer=MARIA)
        elsewhere = await engine.guidance(dead.id, viewer=MALLORY)
    assert agent.sentence == (
        "The account app on acme stopped working: its authorization ran out. "
        f"Ask an admin of the account to reauthorize it: {PLACE}."
    )
    assert admin.sentence.endswith(f"Reauthorize it: {PLACE}.")
    assert [told.may_act for told in (agent, admin, elsewhere)] == [False, True, False]
    assert agent.as_dict()["message"] == agent.sentence
    assert (agent.reason, agent.state, agent.who) == ("time", "refresh-expired", "an admin of the account")
    with stage.refused(NotFound):
        await engine.guidance("no-such-installation", viewer=BOB)


async def test_s34_the_front_end_offers_reauthorize(stage: Stage) -> None:
    engine = stage.engine
    tokens = await stage.active("agent-app", BOB)
    assert (await engine.guidance(tokens.installation, viewer=BOB)).prompt is Prompt.NONE
    stage.clock.advance(YEAR)
    for swept in (False, True):
        if swept:
            await engine.sweep()
        with stage.unchanged():
            mine = await engine.guidance(tokens.installation, viewer=BOB)
            by_key = await engine.guidance("agent-app", account="acme", viewer=BOB)
            others = await engine.guidance(tokens.installation, viewer=CAROL)
            admins = await engine.guidance(tokens.installation, viewer=MARIA)
            carols = await engine.guidance("agent-app", account="acme", viewer=CAROL)
        assert (mine.prompt, mine.may_act) == (Prompt.REAUTHORIZE, True)
        assert by_key == mine
        assert (others.may_act, others.who) == (False, "agent bob")
        assert not admins.may_act
        assert carols.prompt is Prompt.AUTHORIZE, "another agent never had a grant"


async def test_s35_reauthorize_is_brought_up_by_the_front_end(stage: Stage) -> None:
    engine = stage.engine
    url = "https://acme.example/apps/{app}?account={account}&reauthorize={installation}"
    await stage.put(sample_app("agent", "desk", authorize_url=url))
    dead = await stage.expired("desk", BOB)
    with stage.unchanged():
        body = (await engine.guidance(dead.id, viewer=BOB)).as_dict()
    assert body["prompt"] == "REAUTHORIZE", "what client.interface.trigger('reAuthorize') stands for"
    assert body["url"] == f"https://acme.example/apps/desk?account=acme&reauthorize={dead.id}"
    assert body["may_act"] is True
    assert (await engine.guidance(dead.id, viewer=CAROL)).may_act is False
    with stage.refused(PermissionDenied):
        await stage.reopen(dead.id, CAROL)
    assert (await engine.get(dead.id)).state == "refresh-expired", "showing the button starts nothing"


async def test_s36_reauthorize_sends_a_new_authorization_code_request(stage: Stage) -> None:
    engine = stage.engine
    for app, actor in (("agent-app", BOB), ("external-app", UMA)):
        dead = await stage.expired(app, actor)
        for stranger in (CAROL, MARIA, MALLORY):
            with stage.refused(PermissionDenied):
                await stage.reopen(dead.id, stranger)
        for entry_point in ("app front end", "app gallery"):
            attempt = await stage.reopen(dead.id, actor, entry_point=entry_point)
            assert (attempt.kind, attempt.installation) == ("reauthorize", dead.id)
            with stage.refused(TransitionRefused, match="choose an account first"):
                await engine.agree(attempt.id, actor=actor)
            with stage.refused(TransitionRefused, match="own account"):
                await engine.select_account(attempt.id, "globex", actor=actor)
            form = await engine.select_account(attempt.id, "acme", actor=actor)
            assert form.awaiting == (), "what was agreed to stays approved"
            returned = await engine.agree(attempt.id, actor=actor)
            assert (await engine.get(dead.id)).state == "reauthorizing"
            stage.clock.advance(MINUTE)
            with stage.refused(InvalidGrant):
                await stage.redeem(app, returned)
            await engine.sweep()
            found = await engine.get(dead.id)
            assert (found.stored_state, found.reason) == ("refresh-expired", "time"), "an unused code changes nothing"
            assert (entry_point,) in stage.sql("SELECT entry_point FROM grantflow_attempt")
        assert await stage.absent(app, "globex", actor)


async def test_s37_both_tokens_are_new_and_the_year_starts_again(stage: Stage) -> None:
    engine = stage.engine
    old = await stage.active("agent-app", BOB)
    stage.clock.advance(YEAR)
    attempt = await stage.reopen(old.installation, BOB)
    await engine.select_account(attempt.id, "acme", actor=BOB)
    returned = await engine.agree(attempt.id, actor=BOB)

    new = await stage.redeem("agent-app", returned)

    assert new.installation == old.installation
    assert new.access_token.value != old.access_token.value
    assert new.refresh_token.value != old.refresh_token.value
    assert new.refresh_expires_at == stage.clock.now() + YEAR
    assert new.generation > old.generation
    found = await engine.get(new.installation)
    assert (found.state, found.usable, found.reason) == ("active", True, None)
    assert found.expires_at == new.refresh_expires_at
    assert (await stage.call(new)).subject == "bob"
    with stage.refused(Unauthorized):
        await stage.call(old)
    with stage.refused(InvalidGrant):
        await stage.renew("agent-app", old)
    assert (await stage.call(new)).subject == "bob", "the old pair does not harm the new one"
    stage.clock.advance(YEAR)
    with stage.refused(ReauthorizationRequired):
        await stage.call(new)
