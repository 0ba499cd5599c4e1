"""Nobody waits for ever, and the states are the ones people were told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from grantflow._compile import Definition, compile_chart
from grantflow._prove import waiting
from grantflow_machines import CHARTS, Grant

STATES = {
    "unauthorized",
    "account-selected",
    "consented",
    "active",
    "refresh-expired",
    "reauthorizing",
    "uninstalled",
}


@pytest.fixture(params=list(CHARTS))
def definition(request: pytest.FixtureRequest) -> Definition:
    return compile_chart(CHARTS[request.param])


def without(definition: Definition, gone: Callable[[str, str, str], bool]) -> Definition:
    """The table without the arrows (source, event, target) that are gone."""
    kept = {key: tuple(one for one in cell if not gone(*key, one.target)) for key, cell in definition.cells.items()}
    return replace(definition, cells={key: cell for key, cell in kept.items() if cell})


def test_the_states_are_the_seven(definition: Definition) -> None:
    assert set(definition.states) == STATES
    assert definition.initial == "unauthorized"
    assert [name for name, info in definition.states.items() if info.final] == ["uninstalled"]
    assert [name for name, info in definition.states.items() if info.functional] == ["active"]
    assert [name for name, info in definition.states.items() if info.grant is Grant.LIVE] == ["active"]
    assert {name for name, info in definition.states.items() if info.grant is Grant.DEAD} == {
        "refresh-expired",
        "reauthorizing",
    }


def test_nobody_waits_for_ever(definition: Definition) -> None:
    assert waiting(definition) == ()


@pytest.mark.parametrize("state", ["account-selected", "consented", "reauthorizing"])
def test_a_waiting_state_without_its_timer_is_found(definition: Definition, state: str) -> None:
    gapped = without(definition, lambda source, event, _: (source, event) == (state, "attempt_expired"))
    assert waiting(gapped) == (f"{state} waits for an attempt, but nothing happens when its time is over",)


def test_no_timer_at_all_is_found(definition: Definition) -> None:
    assert len(waiting(replace(definition, timers=()))) == 3


def test_a_state_without_a_way_to_work_is_found(definition: Definition) -> None:
    stuck = without(definition, lambda _source, event, _: event == "exchange_ok")
    assert waiting(stuck) == (
        "unauthorized has no way to a functional state",
        "account-selected has no way to a functional state",
        "consented has no way to a functional state",
    )


def test_a_forced_step_is_no_way_to_work(definition: Definition) -> None:
    only_forced = without(
        definition,
        lambda _source, event, target: target == "active" and event in {"exchange_ok", "recovered"},
    )
    assert "refresh-expired has no way to a functional state" in waiting(only_forced)
    assert ("refresh-expired", "force") in only_forced.cells


@pytest.mark.parametrize("state", sorted(STATES - {"uninstalled"}))
def test_a_state_an_operator_cannot_leave_is_found(definition: Definition, state: str) -> None:
    locked = without(definition, lambda source, event, _: (source, event) == (state, "force"))
    assert waiting(locked) == (f"{state} has no exit for an operator",)
