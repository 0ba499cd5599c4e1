"""What we rely on in python-statemachine, so that a new version cannot change it unnoticed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from statemachine import Event, State, StateChart
from statemachine.exceptions import InvalidDefinition, TransitionNotAllowed

from grantflow_machines import Answer, Facts, LifecycleChart, event, guard, role
from tests.machines.host_charts import plain_state
from tests.machines.situations import situation


@dataclass
class Row:
    state: str


class Door(LifecycleChart):
    """A chart small enough to see through."""

    asked: ClassVar[list[object]] = []
    entered: ClassVar[list[str]] = []

    closed: State = plain_state("closed", initial=True)
    ajar: State = plain_state("ajar")
    walled_up: State = plain_state("walled-up", final=True)

    push: Event = event(closed.to(ajar, cond="unlocked"), says="Opens.", role="anybody")
    slam: Event = event(ajar.to(closed), says="Fails on the way in.", role="anybody")
    wall_up: Event = event(closed.to(walled_up) | ajar.to(walled_up), says="Ends.", role="anybody")

    @role("anybody")
    def anybody(facts: Facts) -> Answer:
        Door.asked.append("anybody")
        return facts.reason != "broken"

    @guard("it is unlocked")
    def unlocked(facts: Facts) -> Answer:
        Door.asked.append(facts)
        if facts.reason == "jammed":
            raise LookupError("the key is stuck")
        return True

    def on_enter_ajar(self) -> None:
        Door.entered.append("ajar")

    def on_enter_closed(self) -> None:
        Door.entered.append("closed")
        if Door.entered == ["closed"]:
            raise LookupError("it does not fit")


@pytest.fixture(autouse=True)
def forget() -> None:
    Door.asked.clear()
    Door.entered.clear()


def test_the_librarys_own_defaults_are_the_dangerous_ones() -> None:
    assert StateChart.allow_event_without_transition is True
    assert StateChart.catch_errors_as_events is True
    assert StateChart.atomic_configuration_update is False


@pytest.mark.parametrize("name", ["kick", "", "__initial__"])
def test_an_unknown_event_is_refused(name: str) -> None:
    machine = Door(Row("closed"))
    with pytest.raises(TransitionNotAllowed):
        machine.send(name, facts=situation())
    assert machine.model.state == "closed"


def test_an_event_of_another_state_is_refused() -> None:
    machine = Door(Row("ajar"))
    with pytest.raises(TransitionNotAllowed):
        machine.send("push", facts=situation())
    assert machine.model.state == "ajar"


def test_an_error_in_a_guard_surfaces_and_the_state_does_not_move() -> None:
    machine = Door(Row("closed"))
    with pytest.raises(LookupError, match="the key is stuck"):
        machine.send("push", facts=situation(reason="jammed"))
    assert machine.model.state == "closed"
    machine.send("push", facts=situation())
    assert machine.model.state == "ajar"


def test_an_error_in_a_hook_surfaces_and_the_state_does_not_move() -> None:
    machine = Door(Row("ajar"))
    with pytest.raises(LookupError, match="it does not fit"):
        machine.send("slam", facts=situation())
    assert Door.entered == ["closed"]
    assert machine.model.state == "ajar"


def test_a_state_set_before_construction_is_restored_without_entering_it() -> None:
    machine = Door(Row("ajar"))
    assert machine.current_state_value == "ajar"
    assert Door.entered == []


@pytest.mark.parametrize("name", ["push", "slam", "wall_up", "kick"])
def test_a_restored_final_state_refuses_everything(name: str) -> None:
    machine = Door(Row("walled-up"))
    with pytest.raises(TransitionNotAllowed):
        machine.send(name, facts=situation())
    assert machine.model.state == "walled-up"


def test_a_machine_that_has_ended_takes_no_state_any_more() -> None:
    machine = Door(Row("closed"))
    machine.send("wall_up", facts=situation())
    assert machine.is_terminated
    machine.current_state_value = "closed"
    with pytest.raises(TransitionNotAllowed):  # why an oracle is renewed once it has ended
        machine.send("push", facts=situation())


def test_an_unknown_stored_state_surfaces_only_when_it_is_used() -> None:
    machine = Door(Row("bricked"))
    with pytest.raises((KeyError, InvalidDefinition)):
        machine.send("push", facts=situation())


def test_static_guards_are_found_by_name_and_asked_the_facts_role_first() -> None:
    facts = situation()
    Door(Row("closed")).send("push", facts=facts)
    assert len(Door.asked) == 2
    assert Door.asked[0] == "anybody"
    assert Door.asked[1] is facts


def test_a_refused_role_asks_nothing_else() -> None:
    with pytest.raises(TransitionNotAllowed):
        Door(Row("closed")).send("push", facts=situation(reason="broken"))
    assert Door.asked == ["anybody"]


class Kwargs(LifecycleChart):
    """A guard that wants a keyword the library keeps for itself."""

    here: State = plain_state("here", initial=True)
    there: State = plain_state("there", final=True)
    go: Event = event(here.to(there), says="Goes.", role="echoes")

    seen: ClassVar[list[object]] = []

    @role("anybody")
    def echoes(state: object) -> Answer:
        Kwargs.seen.append(state)
        return True


def test_keywords_of_the_library_are_lost_to_callers() -> None:
    Kwargs(Row("here")).send("go", state="the state of an authorization request")
    assert len(Kwargs.seen) == 1
    assert isinstance(Kwargs.seen[0], State), "why everything travels in one object called facts"
