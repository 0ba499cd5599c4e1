"""A chart becomes a table, and the table answers questions about itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from statemachine import Event, State

from grantflow._compile import Definition, compile_chart
from grantflow_machines import (
    CHARTS,
    Actor,
    Answer,
    Effect,
    Facts,
    LifecycleChart,
    Origin,
    TimerKind,
    event,
    role,
)
from tests.machines.host_charts import plain_state
from tests.machines.situations import ANN, BOB, situation


@pytest.fixture
def agent() -> Definition:
    return compile_chart(CHARTS["agent"])


def test_a_chart_is_compiled_once() -> None:
    assert compile_chart(CHARTS["agent"]) is compile_chart(CHARTS["agent"])


def test_the_alternatives_of_a_cell_ask_the_role_first(agent: Definition) -> None:
    cell = agent.cells["active", "expire"]
    assert [(one.names, one.target) for one in cell] == [
        (("by_clock", "deadline_passed", "attempt_open"), "reauthorizing"),
        (("by_clock", "deadline_passed"), "refresh-expired"),
    ]
    assert all(one.guards[0].is_role for cell in agent.cells.values() for one in cell)


def test_kinds_share_the_table_but_not_the_answers(agent: Definition) -> None:
    external = compile_chart(CHARTS["external"])
    assert external.fingerprint == agent.fingerprint
    ours, theirs = (definition.cells["active", "authorize"][0] for definition in (agent, external))
    assert ours.names == theirs.names == ("by_owner",)
    assert ours.guards != theirs.guards


@pytest.mark.parametrize(
    "change",
    [
        {"functional": True},
        {"waits_for_attempt": True},
        {"grant": "dead"},
    ],
    ids=str,
)
def test_the_fingerprint_changes_with_a_state(change: dict[str, Any]) -> None:
    assert compile_chart(_two_states()).fingerprint == compile_chart(_two_states()).fingerprint
    assert compile_chart(_two_states(**change)).fingerprint != compile_chart(_two_states()).fingerprint


@pytest.mark.parametrize("name", ["asks_nothing", "anybody and somebody", "nowhere"])
def test_a_guard_that_was_not_declared_is_refused(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} is not declared with @guard or @role"):
        compile_chart(_two_states(cond=name))


def test_unless_is_refused_because_the_table_only_asks_for_yes() -> None:
    with pytest.raises(TypeError, match="unless=; declare a guard that asks the contrary"):
        compile_chart(_two_states(unless="anybody"))


def test_timers_name_their_event_and_the_states_that_wait(agent: Definition) -> None:
    assert agent.timer(TimerKind.DEADLINE) == "expire"
    assert agent.timer(TimerKind.ATTEMPT) == "attempt_expired"
    assert agent.waits("active", TimerKind.DEADLINE)
    assert not agent.waits("refresh-expired", TimerKind.DEADLINE)
    timeless = replace(agent, timers=())
    assert timeless.timer(TimerKind.DEADLINE) is None
    assert not timeless.waits("active", TimerKind.DEADLINE)


def test_events_from_outside(agent: Definition) -> None:
    outside = agent.outside_events()
    assert "authorize" in outside
    assert "exchange_ok" not in outside
    assert outside == [name for name in agent.events if name in outside]


@pytest.mark.parametrize(
    ("state", "opening"),
    [("unauthorized", "authorize"), ("active", "authorize"), ("refresh-expired", "reauthorize")],
)
def test_the_event_that_opens_an_attempt(agent: Definition, state: str, opening: str) -> None:
    assert agent.opening(state) == opening


def test_nothing_opens_an_attempt_after_the_end(agent: Definition) -> None:
    assert agent.opening("uninstalled") is None


def test_an_event_is_found_by_its_effect(agent: Definition) -> None:
    assert agent.event_with(Effect.REPLACE_TOKENS) == "exchange_ok"
    assert agent.event_with(Effect.RECORD_CONSENT) == "agree"
    assert agent.event_with(Effect.RECORD_CONSENT, origin=Origin.ENGINE) == "callback_ok"


def test_who_may_open_an_attempt_before_any_row_exists(agent: Definition) -> None:
    assert agent.may_open(situation(ANN)) is True
    assert not agent.may_open(situation(BOB))
    assert agent.may_open(situation(Actor.user("ann"))) is not True


def test_nobody_opens_what_has_no_opening(agent: Definition) -> None:
    assert replace(agent, cells={}).may_open(situation(ANN)) is False


def test_targets_are_named_once(agent: Definition) -> None:
    assert agent.targets("expire", "active") == ["reauthorizing", "refresh-expired"]
    assert agent.targets("cancel", "consented") == ["consented", "account-selected", "unauthorized"]
    assert agent.targets("expire", "unauthorized") == []


def _two_states(*, cond: str | None = None, unless: str | None = None, **state: Any) -> type[LifecycleChart]:
    class TwoStates(LifecycleChart):
        here: State = plain_state("here", initial=True, **state)
        there: State = plain_state("there", final=True)
        go: Event = event(here.to(there, cond=cond, unless=unless), says="Goes.", role="anybody")

        @role("anybody")
        def anybody(facts: Facts) -> Answer:
            return True

        @staticmethod
        def asks_nothing() -> bool:
            return True

    return TwoStates
