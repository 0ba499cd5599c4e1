"""An app for the whole account: S-01 … S-03."""

from __future__ import annotations

from grantflow import Prompt
from grantflow.errors import NotFound, PermissionDenied, TransitionRefused
from tests.journeys.stage import BOB, CAROL, MALLORY, MARIA, MAX, UMA, Stage

APP = "account-app"


async def test_s01_one_admin_authorizes_for_the_whole_account(stage: Stage) -> None:
    engine = stage.engine
    for stranger in (BOB, UMA):
        with stage.refused(PermissionDenied, match="only an admin"):
            await stage.open(APP, stranger)
        with stage.refused(PermissionDenied, match="only an admin"):
            await stage.open(APP, stranger, account="acme")
    with stage.refused(PermissionDenied, match="only an admin"):
        await stage.open(APP, MALLORY, account="acme")
    with stage.unchanged():
        told = await engine.guidance(APP, account="acme", viewer=BOB)
    assert (told.prompt, told.may_act, told.who) == (Prompt.AUTHORIZE, False, "an admin of the account")
    assert "Ask an admin of the account to authorize it" in told.sentence

    tokens = await stage.active(APP, MARIA)

    found = await engine.get(APP, account="acme")
    assert (found.state, found.usable, found.subject_kind, found.subject) == ("active", True, "account", "acme")
    assert (await stage.call(tokens)).account == "acme"
    assert await engine.can_use(found, MAX), "it is there for everybody, not for the admin who authorized"
    assert await stage.absent(APP, "globex"), "the admin's other account was not picked"
    attempt = await stage.open(APP, MALLORY)
    with stage.refused(TransitionRefused, match="not among"):
        await engine.select_account(attempt.id, "acme", actor=MALLORY)


async def test_s02_a_switch_of_its_own_makes_it_available(stage: Stage) -> None:
    engine = stage.engine
    with stage.refused(NotFound, match="not installed"):
        await engine.apps.set_available(APP, "acme", True, actor=MARIA)
    tokens = await stage.active(APP, MARIA)
    before = await engine.get(tokens.installation)
    assert not (await engine.apps.on_account(APP, "acme")).available, "authorizing alone does not"
    assert not await engine.can_use(before, BOB)
    for stranger in (BOB, MALLORY, UMA):
        with stage.refused(PermissionDenied):
            await engine.apps.set_available(APP, "acme", True, actor=stranger)

    await engine.apps.set_available(APP, "acme", True, actor=MARIA)

    after = await engine.get(tokens.installation)
    assert after.available
    assert await engine.can_use(after, BOB)
    assert (after.state, after.version) == (before.state, before.version), "the switch is not a step of the machine"
    with stage.refused(NotFound, match="not installed"):
        await engine.apps.set_available(APP, "globex", True, actor=MARIA)
    await engine.apps.set_available(APP, "acme", False, actor=MAX)
    assert not await engine.can_use(after, BOB)
    assert (await engine.get(tokens.installation)).usable, "the admins go on"


async def test_s03_agents_use_it_without_authorizing(stage: Stage) -> None:
    engine = stage.engine
    tokens = await stage.active(APP, MARIA)
    found = await engine.get(tokens.installation)
    with stage.unchanged():
        assert not await engine.can_use(found, BOB), "not while it is not available"
    await engine.apps.set_available(APP, "acme", True, actor=MARIA)

    with stage.unchanged():
        assert await engine.can_use(found, BOB)
        assert await engine.can_use(found, CAROL)
        told = await engine.guidance(tokens.installation, viewer=BOB)
    assert (told.prompt, told.may_act, told.url) == (Prompt.NONE, False, None)
    assert [attempt.actor for attempt in await engine.attempts(found.id)] == [MARIA]
    stage.people.add(MALLORY.agent("mallory"), "globex")
    with stage.unchanged():
        assert not await engine.can_use(found, MALLORY.agent("mallory")), "an agent of another account"
        assert not await engine.can_use(found, MALLORY)
        assert not await engine.can_use(found, UMA.agent("uma"))
    stage.people.accounts[CAROL].remove("acme")
    assert not await engine.can_use(found, CAROL), "no longer an agent here"
