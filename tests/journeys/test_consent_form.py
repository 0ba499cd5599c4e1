"""The consent form: S-13 … S-17."""

from __future__ import annotations

from itertools import chain, combinations

from grantflow import App, Version
from grantflow.errors import BadInput, InvalidScope, NotFound, TransitionRefused
from grantflow.testing import sample_app
from tests.journeys.stage import BOB, CAROL, MARIA, MAX, MINUTE, Stage, query_of

FIRST = Version("1.0", ("tickets.read", "tickets.write"), ("people.read",))
SECOND_VERSION = Version("2.0", ("tickets.read", "tickets.write", "notes.write"), ("people.read",))


def grown(kind: str) -> App:
    """The sample app with a second version that needs more."""
    return sample_app(kind, versions=(FIRST, SECOND_VERSION))


async def test_s13_the_form_lists_the_scopes_of_the_request(stage: Stage) -> None:
    form = await stage.form("agent-app", BOB)
    assert {*form.approved, *form.awaiting} == set(FIRST.scopes)
    await stage.engine.cancel(form.attempt, actor=BOB)
    with stage.refused(InvalidScope):
        await stage.open("agent-app", BOB, scope="tickets.read everything")
    with stage.refused(InvalidScope):
        await stage.open("agent-app", BOB, scope="  ")
    form = await stage.form("agent-app", BOB, scope="tickets.write tickets.read")
    assert {*form.approved, *form.awaiting} == {"tickets.read", "tickets.write"}
    assert form.required == ("tickets.read", "tickets.write")
    with stage.refused(NotFound):
        await stage.engine.form(form.attempt, actor=CAROL)
    with stage.refused(BadInput, match="people.read"):
        await stage.engine.agree(form.attempt, actor=BOB, scopes=["tickets.read", "tickets.write", "people.read"])


async def test_s14_scopes_agreed_to_for_an_earlier_version_are_already_approved(stage: Stage) -> None:
    engine = stage.engine
    tokens = await stage.active("account-app", MARIA)
    await stage.put(grown("account"))
    assert (await engine.get(tokens.installation)).scopes_missing == (), "the account still runs 1.0"
    await engine.apps.upgrade("account-app", "acme", "2.0", actor=MARIA)
    assert (await engine.get(tokens.installation)).scopes_missing == ("notes.write",)

    form = await stage.form("account-app", MARIA)

    assert form.approved == ("people.read", "tickets.read", "tickets.write")
    assert form.awaiting == ("notes.write",)
    assert (await stage.call(tokens)).scopes == form.approved, "the old grant goes on working"
    other = await stage.form("account-app", MAX)
    assert other.approved == (), "what another admin agreed to is not this person's consent"
    await engine.refuse(form.attempt, actor=MARIA)
    await engine.refuse(other.attempt, actor=MAX)
    assert (await engine.get(tokens.installation)).usable, "refusing changes nothing"
    assert (await stage.call(tokens)).scopes == form.approved


async def test_s15_scopes_not_yet_approved_await_approval(stage: Stage) -> None:
    engine = stage.engine
    form = await stage.form("agent-app", BOB)
    assert (form.approved, form.awaiting) == ((), ("people.read", "tickets.read", "tickets.write"))
    await engine.cancel(form.attempt, actor=BOB)
    assert (await stage.form("agent-app", BOB)).awaiting == form.awaiting, "looking at a form approves nothing"

    again = await stage.form("agent-app", BOB)
    returned = await engine.agree(again.attempt, actor=BOB, scopes=FIRST.required)
    tokens = await stage.redeem("agent-app", returned)
    assert tokens.scopes == FIRST.required
    later = await stage.form("agent-app", BOB)
    assert (later.approved, later.awaiting) == (FIRST.required, ("people.read",))
    assert (await stage.form("agent-app", CAROL)).approved == ()
    assert (await stage.form("agent-app", BOB, "globex")).approved == (), "consent is given per account"


async def test_s16_the_groups_are_disjoint_and_together_are_the_request(stage: Stage) -> None:
    asked = ("people.read", "tickets.read", "tickets.write")
    subsets = list(chain.from_iterable(combinations(asked, size) for size in (1, 2, 3)))
    for label, agreed in enumerate(subsets):
        before = await stage.form("agent-app", BOB, label=f"l{label}", scope=" ".join(agreed))
        assert not {*before.approved} & {*before.awaiting}
        with stage.unchanged():
            assert await stage.engine.form(before.attempt, actor=BOB) == before
        await stage.engine.agree(before.attempt, actor=BOB)
        for request in subsets:
            form = await stage.form("agent-app", BOB, label=f"l{label}", scope=" ".join(request))
            assert not {*form.approved} & {*form.awaiting}
            assert sorted([*form.approved, *form.awaiting]) == sorted(request)
            assert {*form.approved} >= {*agreed} & {*request}
            await stage.engine.cancel(form.attempt, actor=BOB)
    with stage.refused(NotFound):
        await stage.engine.form(form.attempt, actor=CAROL)


async def test_s17_agree_leads_back_to_the_instance(stage: Stage) -> None:
    engine = stage.engine
    form = await stage.form("agent-app", BOB, state="tab 7 &=?ü")
    with stage.refused(TransitionRefused, match=r"tickets\.write"):
        await engine.agree(form.attempt, actor=BOB, scopes=["tickets.read"])
    for stranger in (CAROL, MARIA):
        with stage.refused(NotFound):
            await engine.agree(form.attempt, actor=stranger)
    stage.people.accounts[BOB].remove("acme")
    with stage.refused(TransitionRefused, match="not among"):
        await engine.agree(form.attempt, actor=BOB)
    stage.people.accounts[BOB].append("acme")

    returned = await engine.agree(form.attempt, actor=BOB)

    assert returned.redirect_to.startswith("https://app.example/callback?")
    assert returned.code is not None
    assert query_of(returned) == {"code": returned.code.value, "state": "tab 7 &=?ü"}
    assert returned.code.value not in repr(returned)
    found = await engine.get("agent-app", account="acme", subject=BOB)
    assert (found.state, found.usable) == ("consented", False), "a code is not yet a grant"
    with stage.refused(TransitionRefused, match="agreed to once"):
        await engine.agree(form.attempt, actor=BOB)
    late = await stage.form("agent-app", CAROL)
    stage.clock.advance(10 * MINUTE)
    await stage.over(late.attempt, CAROL)
