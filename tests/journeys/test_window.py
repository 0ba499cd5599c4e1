"""The authorization window: S-07 … S-12."""

from __future__ import annotations

from grantflow import Actor, ClientCredentials
from grantflow.errors import InvalidGrant, NotFound, PermissionDenied, TransitionRefused
from grantflow.testing import SECRET, sample_app
from tests.journeys.stage import (
    BOB,
    CAROL,
    MALLORY,
    MARIA,
    MAX,
    MINUTE,
    NOBODY_ADMIN,
    NOBODY_AGENT,
    OPS,
    SECOND,
    Stage,
    query_of,
)


async def test_s07_the_authorization_window_opens(stage: Stage) -> None:
    attempt = await stage.open("agent-app", BOB)
    with stage.unchanged():
        window = await stage.engine.window(attempt.id, actor=BOB)
    assert (window.attempt, window.form, window.message) == (attempt.id, None, None)
    for stranger in (CAROL, MARIA, Actor.admin("bob")):
        with stage.refused(NotFound):
            await stage.engine.window(attempt.id, actor=stranger)
    with stage.refused(NotFound):
        await stage.engine.window("0" * 36, actor=BOB)
    stage.clock.advance(10 * MINUTE - SECOND)
    await stage.engine.window(attempt.id, actor=BOB)
    stage.clock.advance(SECOND)
    await stage.over(attempt.id, BOB)


async def test_s08_it_shows_name_and_description_as_registered(stage: Stage) -> None:
    name, description = 'Ünïted "Desk" <b>& Co</b>', "Lists tickets;\n  writes notes — nothing else."
    await stage.put(sample_app("agent", "desk", name=name, description=description))
    attempt = await stage.open("desk", BOB)
    with stage.unchanged():
        window = await stage.engine.window(attempt.id, actor=BOB)
    assert (window.app_name, window.app_description) == (name, description)
    other = await stage.open("agent-app", BOB)
    shown = await stage.engine.window(other.id, actor=BOB)
    assert (shown.app_name, shown.app_description) == ("The agent app", "Made for tests.")
    form = await stage.engine.select_account(attempt.id, "acme", actor=BOB)
    assert (form.app_name, form.app_description) == (name, description)


async def test_s09_an_agent_sees_all_their_accounts_and_no_other(stage: Stage) -> None:
    engine = stage.engine
    attempt = await stage.open("agent-app", BOB)
    with stage.unchanged():
        window = await engine.window(attempt.id, actor=BOB)
    assert [(line.id, line.selectable) for line in window.accounts] == [("acme", True), ("globex", True)]
    assert window.preselected is None
    with stage.refused(TransitionRefused, match="not among"):
        await engine.select_account(attempt.id, "initech", actor=BOB)
    stage.people.add(BOB, "initech")
    last = (await engine.window(attempt.id, actor=BOB)).accounts[-1]
    assert (last.id, last.selectable) == ("initech", False)
    assert last.why_not is not None
    assert "ask an admin" in last.why_not
    with stage.refused(TransitionRefused, match="not installed on this account"):
        await engine.select_account(attempt.id, "initech", actor=BOB)

    lonely = await stage.open("agent-app", NOBODY_AGENT)
    with stage.unchanged():
        empty = await engine.window(lonely.id, actor=NOBODY_AGENT)
    assert (empty.accounts, empty.form) == ((), None)
    assert empty.message is not None
    assert "no account" in empty.message
    with stage.refused(TransitionRefused, match="not among"):
        await engine.select_account(lonely.id, "acme", actor=NOBODY_AGENT)
    assert (await engine.counts()).total == 0


async def test_s10_an_admin_sees_all_their_accounts_and_no_other(stage: Stage) -> None:
    engine = stage.engine
    attempt = await stage.open("account-app", MARIA)
    with stage.unchanged():
        window = await engine.window(attempt.id, actor=MARIA)
    assert [(line.id, line.selectable) for line in window.accounts] == [("acme", True), ("globex", True)]
    with stage.refused(TransitionRefused, match="not among"):  # where she is an agent only
        await engine.select_account(attempt.id, "initech", actor=MARIA)
    other = await stage.open("account-app", MALLORY)
    assert [line.id for line in (await engine.window(other.id, actor=MALLORY)).accounts] == ["hooli"]

    lonely = await stage.open("account-app", NOBODY_ADMIN)
    with stage.unchanged():
        empty = await engine.window(lonely.id, actor=NOBODY_ADMIN)
    assert (empty.accounts, empty.preselected) == ((), None)
    assert empty.message is not None
    assert "nothing was changed" in empty.message
    with stage.refused(PermissionDenied):
        await engine.install("account-app", account="acme", actor=NOBODY_ADMIN)
    assert (await engine.counts()).total == 0


async def test_s11_picking_an_account_leads_to_the_form(stage: Stage) -> None:
    engine = stage.engine
    for app, actor in (("agent-app", BOB), ("account-app", MARIA)):
        attempt = await stage.open(app, actor)
        with stage.refused(TransitionRefused, match="no account is chosen"):
            await engine.form(attempt.id, actor=actor)
        with stage.refused(NotFound):
            await engine.select_account(attempt.id, "acme", actor=CAROL)
        form = await engine.select_account(attempt.id, "globex", actor=actor)
        assert form.account == "globex"
        assert await engine.form(attempt.id, actor=actor) == form
        found = await engine.get(app, account="globex", subject=actor if app == "agent-app" else None)
        assert (found.state, found.usable, found.open_attempts) == ("account-selected", False, 1)
        assert await stage.absent(app, "acme", actor if app == "agent-app" else None)
        with stage.refused(TransitionRefused, match="own account"):
            await engine.select_account(attempt.id, "acme", actor=actor)
    single = await stage.open("agent-app", CAROL)
    with stage.unchanged():
        window = await engine.window(single.id, actor=CAROL)
    assert (window.preselected, window.form) == ("acme", None), "Continue is needed even for a single account"


async def test_s12_cancel_leaves_the_app_unauthorized(stage: Stage) -> None:
    engine = stage.engine
    early = await stage.open("agent-app", BOB)
    with stage.refused(NotFound):
        await engine.cancel(early.id, actor=CAROL)
    left = await engine.cancel(early.id, actor=BOB)
    assert (left.outcome, left.code, left.installation) == ("cancelled", None, None)
    assert query_of(left) == {"error": "access_denied"}
    assert await stage.absent("agent-app", "acme", BOB), "nothing was chosen, nothing is installed"
    await stage.over(early.id, BOB)

    form = await stage.form("agent-app", BOB)
    found = await engine.get("agent-app", account="acme", subject=BOB)
    for stranger in (CAROL, MARIA):
        with stage.refused(NotFound):
            await engine.cancel(form.attempt, actor=stranger)
        with stage.refused(TransitionRefused, match="the person who opened"):
            await engine.send(found.id, "cancel", actor=stranger, payload={"attempt": form.attempt})
    await engine.cancel(form.attempt, actor=BOB)
    found = await engine.get(found.id)
    assert (found.state, found.usable, found.open_attempts) == ("unauthorized", False, 0)
    assert not await engine.can_use(found, BOB)
    assert stage.sql("SELECT * FROM grantflow_consent") == []

    returned = await stage.agreed("agent-app", BOB)
    await engine.cancel(returned.attempt, actor=BOB)
    assert (await engine.get(found.id)).state == "unauthorized"
    with stage.refused(InvalidGrant):
        await stage.redeem("agent-app", returned)
    assert stage.sql("SELECT * FROM grantflow_credential") == []

    await engine.ops.cancel_attempt((await stage.form("agent-app", BOB)).attempt, actor=OPS, reason="asked by phone")
    assert (await engine.get(found.id)).state == "unauthorized"


async def test_s12_cancel_of_one_window_leaves_the_other_where_it_is(stage: Stage) -> None:
    engine = stage.engine
    first, second = await stage.form("account-app", MARIA), await stage.form("account-app", MAX)
    found = await engine.get("account-app", account="acme")
    await engine.cancel(first.attempt, actor=MARIA)
    assert (await engine.get(found.id)).state == "account-selected"
    agreed = await engine.agree(second.attempt, actor=MAX)
    third = await stage.agreed("account-app", MARIA)
    await engine.cancel(agreed.attempt, actor=MAX)
    assert (await engine.get(found.id)).state == "consented"
    await stage.form("account-app", MAX)
    await engine.cancel(third.attempt, actor=MARIA)
    assert (await engine.get(found.id)).state == "account-selected"
    with stage.refused(InvalidGrant):
        await engine.ledger.redeem("gfc_made-up", client=ClientCredentials("account-app", SECRET))
