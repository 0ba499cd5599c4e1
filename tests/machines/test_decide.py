"""Every refusal says why, and what would help."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantflow._compile import Alternative, Definition, compile_chart
from grantflow._decide import Accepted, Refused, choose, decide
from grantflow._model import Obstacle
from grantflow_machines import CHARTS, Actor, Guard, InstallationLifecycle, No, Step
from tests.machines.situations import (
    ANN,
    BOB,
    NOW,
    OPERATOR,
    SECOND,
    SYSTEM,
    attempt,
    situation,
)

AGENT = compile_chart(CHARTS["agent"])


@pytest.fixture
def agent() -> Definition:
    return AGENT


def test_an_accepted_event_brings_its_target_and_rule(agent: Definition) -> None:
    over = situation(SYSTEM, deadline=NOW)
    assert decide(agent, "active", "expire", over) == Accepted("refresh-expired", agent.events["expire"])
    assert choose(agent, "active", "expire", over) == "refresh-expired"


def test_expiry_goes_to_whoever_is_at_it_already(agent: Definition) -> None:
    over = situation(SYSTEM, deadline=NOW, others=Step.WINDOW)
    assert decide(agent, "active", "expire", over) == Accepted("reauthorizing", agent.events["expire"])


def test_a_live_grant_does_not_expire_before_its_deadline(agent: Definition) -> None:
    deadline = NOW + 1
    assert decide(agent, "active", "expire", situation(SYSTEM, deadline=deadline)) == Refused(
        why="the grant is still live",
        obstacles=(Obstacle("deadline_passed", "the grant is still live", is_role=False, available_at=deadline),),
        available_at=deadline,
    )


def test_a_grant_without_a_deadline_is_never_available(agent: Definition) -> None:
    refused = decide(agent, "active", "expire", situation(SYSTEM))
    assert refused == Refused(
        "the grant has no deadline",
        (Obstacle("deadline_passed", "the grant has no deadline", is_role=False),),
    )


def test_time_alone_does_not_help_where_a_person_is_in_the_way(agent: Definition) -> None:
    refused = decide(agent, "active", "expire", situation(ANN, deadline=NOW + SECOND))
    assert isinstance(refused, Refused)
    assert [(one.guard, one.is_role, one.available_at) for one in refused.obstacles] == [
        ("by_clock", True, None),
        ("deadline_passed", False, NOW + SECOND),
    ]
    assert refused.why == "only the engine itself does this; the grant is still live"
    assert refused.available_at is None


def test_an_attempt_is_expired_when_its_time_is_over(agent: Definition) -> None:
    early = decide(agent, "consented", "attempt_expired", situation(SYSTEM, attempt=attempt()))
    assert isinstance(early, Refused)
    assert early.available_at == NOW + 10 * SECOND
    late = decide(agent, "consented", "attempt_expired", situation(SYSTEM, attempt=attempt(expires_at=NOW)))
    assert late == Accepted("unauthorized", agent.events["attempt_expired"])


def test_missing_scopes_are_all_named(agent: Definition) -> None:
    facts = situation(
        attempt=attempt(),
        required=frozenset({"write", "read", "profile", "mail"}),
        approved=frozenset({"profile"}),
        agreed=frozenset({"mail", "extra"}),
    )
    why = "required scopes are not agreed to: read, write"
    assert decide(agent, "account-selected", "agree", facts) == Refused(
        why=why,
        obstacles=(Obstacle("scopes_covered", why, is_role=False, missing=("read", "write")),),
    )


def test_a_form_is_agreed_to_once(agent: Definition) -> None:
    again = situation(attempt=attempt(step=Step.CONSENTED))
    refused = decide(agent, "consented", "agree", again)
    assert isinstance(refused, Refused)
    assert refused.why == "choose an account first; a form is agreed to once"


def test_the_wrong_person_is_told_who_may(agent: Definition) -> None:
    facts = situation(BOB, attempt=attempt(ANN), account_listed=True)
    why = "only the person who opened the attempt may do this"
    assert decide(agent, "account-selected", "agree", facts) == Refused(
        why=why, obstacles=(Obstacle("by_attempt_actor", why, is_role=True),)
    )


@pytest.mark.parametrize(
    ("kind", "actor", "why"),
    [
        ("account", ANN, "only an admin of the account may do this"),
        ("agent", BOB, "only the agent themself may do this"),
        ("external", ANN, "only the user themself may do this"),
    ],
)
def test_every_kind_says_who_may_authorize(kind: str, actor: Actor, why: str) -> None:
    refused = decide(compile_chart(CHARTS[kind]), "unauthorized", "authorize", situation(actor))
    assert refused == Refused(why, (Obstacle("by_owner", why, is_role=True),))


def test_a_chart_of_no_kind_lets_nobody_authorize() -> None:
    everybody = [Actor.admin("ann"), ANN, Actor.user("ann"), Actor.app("ann"), OPERATOR, SYSTEM]
    definition = compile_chart(InstallationLifecycle)
    why = "nobody may authorize an installation of an unnamed kind"
    for actor in everybody:
        refused = decide(definition, "unauthorized", "authorize", situation(actor, is_account_admin=True))
        assert refused == Refused(why, (Obstacle("by_owner", why, is_role=True),))


def test_an_actor_is_named_by_kind_and_id() -> None:
    assert [str(actor) for actor in (Actor.admin("ann"), SYSTEM)] == ["admin:ann", "system:grantflow"]
    assert Actor.operator("olga", claimed=True) == OPERATOR


def test_a_plain_no_is_explained_by_the_guards_sentence(agent: Definition) -> None:
    facts = situation(OPERATOR, reason="ticket 7", force_target="consented")
    refused = decide(agent, "unauthorized", "force", facts)
    assert isinstance(refused, Refused)
    assert refused.obstacles == (
        Obstacle("to_refresh_expired", "refused unless the operator asks for refresh-expired", is_role=False),
    )


def test_the_nearest_alternative_is_the_one_explained(agent: Definition) -> None:
    facts = situation(OPERATOR, reason="ticket 7", force_target="active")
    refused = decide(agent, "refresh-expired", "force", facts)
    assert isinstance(refused, Refused)
    assert refused.why in {
        "force cannot invent a grant: there is no live token set",
        "refused unless the operator asks for unauthorized",
    }
    assert len(refused.obstacles) == 1


def refusing(name: str, *, is_role: bool = False, until: int | None = None) -> Guard:
    return Guard(lambda _: No(name, available_at=until), name, is_role=is_role)


def one_of(*alternatives: tuple[Guard, ...]) -> Definition:
    cell = tuple(Alternative(guards, tuple(g.sentence for g in guards), "active") for guards in alternatives)
    return replace(AGENT, cells={("active", "expire"): cell})


def test_an_event_is_available_when_the_last_of_its_times_has_come() -> None:
    table = one_of((refusing("soon", until=NOW + 1), refusing("later", until=NOW + 2)))
    refused = decide(table, "active", "expire", situation())
    assert isinstance(refused, Refused)
    assert (refused.why, refused.available_at) == ("soon; later", NOW + 2)


def test_what_anybody_else_may_do_is_farther_away_than_any_condition() -> None:
    other_person = (refusing("not you", is_role=True), refusing("not now"))
    same_person = (refusing("first"), refusing("second"), refusing("third"))
    refused = decide(one_of(other_person, same_person), "active", "expire", situation())
    assert isinstance(refused, Refused)
    assert refused.why == "first; second; third"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("agre", "agree"),
        ("expires", "expire"),
        ("selectaccount", "select_account"),
        ("uninstal", "uninstall"),
    ],
)
def test_an_unknown_event_offers_the_nearest(agent: Definition, typed: str, meant: str) -> None:
    why = f"no event is called '{typed}'; did you mean '{meant}'?"
    assert decide(agent, "active", typed, situation()) == Refused(why, nearest=meant)


def test_a_table_without_events_has_nothing_to_offer(agent: Definition) -> None:
    empty = replace(agent, events={}, cells={})
    assert decide(empty, "active", "expire", situation()) == Refused("no event is called 'expire'")


def test_an_event_that_does_not_happen_here_says_where(agent: Definition) -> None:
    assert decide(agent, "active", "recovered", situation(OPERATOR, secrets_held=True)) == Refused(
        "recovered does not happen in active, only in refresh-expired, reauthorizing"
    )


@pytest.mark.parametrize("event", AGENT.events)
def test_a_tombstone_accepts_nothing(agent: Definition, event: str) -> None:
    refused = decide(agent, "uninstalled", event, situation())
    assert isinstance(refused, Refused)
    assert refused.why.startswith(f"{event} does not happen in uninstalled, only in ")


@given(
    state=st.text() | st.sampled_from(list(AGENT.states)),
    event=st.text() | st.sampled_from(list(AGENT.events)),
)
def test_garbage_is_refused_and_never_raises(state: str, event: str) -> None:
    decision = decide(AGENT, state, event, situation(SYSTEM))
    if (state, event) in AGENT.cells:
        assert isinstance(decision, Accepted) or decision.obstacles
    else:
        assert isinstance(decision, Refused)
        assert decision.obstacles == ()
        assert repr(event[:80]) in decision.why or event in AGENT.events
        assert decision.nearest is None or decision.nearest in AGENT.events
