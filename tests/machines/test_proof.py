"""The compiled table is proved equal to the chart, and the proof is able to fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from statemachine import Event, State

from grantflow._compile import Cell, Definition, compile_chart
from grantflow._prove import Mismatch, Proof, prove
from grantflow_machines import CHARTS, Answer, Effect, Facts, Guard, LifecycleChart, event, guard, role
from tests.machines.host_charts import ApprovedInstallation, plain_state

DIES = ("active", "expire")
ALWAYS = Guard(lambda _: True, "whatever is so", is_role=False)


@pytest.fixture
def definition() -> Definition:
    """A small chart: what is found in it is found in any."""
    return compile_chart(ApprovedInstallation)


@pytest.mark.parametrize("kind", CHARTS)
def test_the_table_equals_the_chart(kind: str) -> None:
    proof = prove(compile_chart(CHARTS[kind]))
    assert proof.mismatches == ()
    assert proof.ok
    assert proof.cases > 400
    assert proof.seconds < 30


def test_a_proof_over_nothing_is_none() -> None:
    assert not Proof(cases=0, seconds=0.0, mismatches=()).ok


def test_the_proof_leaves_the_chart_as_it_was(definition: Definition) -> None:
    prove(definition)
    assert compile_chart.__wrapped__(definition.chart) == definition


def test_one_lost_alternative_of_a_shipped_chart_is_found() -> None:
    agent = compile_chart(CHARTS["agent"])
    dies = ("active", "code_replayed")
    proof = prove(replace(agent, cells=agent.cells | {dies: agent.cells[dies][1:]}))
    assert {found.where for found in proof.mismatches} == {"code_replayed in active"}


# -- a table that differs is found out ------------------------------------------------------------


def without_first(cell: Cell) -> Cell:
    return cell[1:]


def backwards(cell: Cell) -> Cell:
    return cell[::-1]


def elsewhere(cell: Cell) -> Cell:
    return (*cell[:-1], replace(cell[-1], target="unauthorized"))


def without_a_guard(cell: Cell) -> Cell:
    first = cell[0]
    return (replace(first, guards=first.guards[:-1], names=first.names[:-1]), *cell[1:])


def without_the_role(cell: Cell) -> Cell:
    return tuple(replace(one, guards=one.guards[1:], names=one.names[1:]) for one in cell)


def role_last(cell: Cell) -> Cell:
    first = cell[0]
    turned = replace(first, guards=(*first.guards[1:], first.guards[0]), names=(*first.names[1:], first.names[0]))
    return (turned, *cell[1:])


AFTER_ALL = "after by_clock, deadline_passed, another_consented, by_clock, deadline_passed"
MUTATIONS: dict[Callable[[Cell], Cell], tuple[str, str]] = {
    without_first: (
        "goes to consented after by_clock, deadline_passed, another_consented",
        "goes to refresh-expired after by_clock, deadline_passed",
    ),
    backwards: (
        "goes to consented after by_clock, deadline_passed, another_consented",
        "goes to refresh-expired after by_clock, deadline_passed",
    ),
    elsewhere: (
        f"goes to refresh-expired {AFTER_ALL}",
        f"goes to unauthorized {AFTER_ALL}",
    ),
    without_a_guard: (
        "goes to consented after by_clock, deadline_passed, another_consented",
        "goes to consented after by_clock, deadline_passed",
    ),
    without_the_role: ("asks by_clock first", "asks deadline_passed first"),
    role_last: ("raises after by_clock", "raises after deadline_passed, another_consented, by_clock"),
}


@pytest.mark.parametrize("mutate", MUTATIONS, ids=lambda mutate: mutate.__name__)
def test_a_changed_cell_is_found(definition: Definition, mutate: Callable[[Cell], Cell]) -> None:
    proof = prove(replace(definition, cells=definition.cells | {DIES: mutate(definition.cells[DIES])}))
    assert not proof.ok
    assert MUTATIONS[mutate] in {(found.chart, found.table) for found in proof.mismatches}
    assert {found.where for found in proof.mismatches} <= {"expire in active", "guards of expire in active"}


def test_a_guard_of_somebody_else_is_found_though_its_name_is_right(definition: Definition) -> None:
    first, *rest = definition.cells[DIES]
    swapped = replace(first, guards=(*first.guards[:-1], ALWAYS))
    proof = prove(replace(definition, cells=definition.cells | {DIES: (swapped, *rest)}))
    assert proof.mismatches == (
        Mismatch("guards of expire in active", "declares another another_consented", "asks 'whatever is so'"),
    )


def test_a_guard_missing_under_its_name_is_found(definition: Definition) -> None:
    first, *rest = definition.cells[DIES]
    shorter = replace(first, guards=first.guards[:-1])
    proof = prove(replace(definition, cells=definition.cells | {DIES: (shorter, *rest)}))
    assert Mismatch("guards of expire in active", "names 3", "asks 2") in proof.mismatches


def test_a_guard_the_chart_does_not_have_is_found(definition: Definition) -> None:
    first, *rest = definition.cells[DIES]
    foreign = replace(first, names=(*first.names[:-1], "nobodys"))
    proof = prove(replace(definition, cells=definition.cells | {DIES: (foreign, *rest)}))
    assert "asks nobodys" in {found.table for found in proof.mismatches}


def test_a_missing_and_an_invented_cell_are_found(definition: Definition) -> None:
    missing = {key: cell for key, cell in definition.cells.items() if key != DIES}
    invented = ("uninstalled", "authorize")
    proof = prove(replace(definition, cells=missing | {invented: definition.cells["unauthorized", "authorize"]}))
    assert {found.where for found in proof.mismatches} == {"expire in active", "authorize in uninstalled"}
    said = {(found.chart, found.table) for found in proof.mismatches if found.where.endswith("uninstalled")}
    assert ("refused", "goes to unauthorized after by_owner") in said


def test_other_names_than_the_charts_are_found(definition: Definition) -> None:
    states = {name: info for name, info in definition.states.items() if name != "active"}
    events = definition.events | {"conjure": definition.events["force"]}
    wrong = replace(definition, states=states, events=events, initial="consented")
    found = {mismatch.where: str(mismatch) for mismatch in prove(wrong).mismatches}
    assert found == {
        "states": "states: chart has active beyond the other, table has nothing beyond the other",
        "initial state": "initial state: chart has unauthorized beyond the other, "
        "table has consented beyond the other",
        "events": "events: chart has nothing beyond the other, table has conjure beyond the other",
    }


def test_a_final_state_that_is_none_is_found(definition: Definition) -> None:
    alive = replace(definition.states["uninstalled"], final=False)
    wrong = replace(definition, states=definition.states | {"uninstalled": alive})
    assert [mismatch.where for mismatch in prove(wrong).mismatches] == ["final states"]


# -- a chart that cannot be decided by a table is found out ---------------------------------------


@pytest.mark.parametrize(
    ("flag", "unsafe"),
    [
        ("allow_event_without_transition", True),
        ("catch_errors_as_events", True),
        ("atomic_configuration_update", False),
    ],
)
def test_a_chart_with_an_unsafe_flag_is_found(flag: str, unsafe: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApprovedInstallation, flag, unsafe)
    found = prove(compile_chart(ApprovedInstallation)).mismatches
    assert Mismatch(flag, str(unsafe), f"must be {not unsafe}") in found


async def _ask(facts: Facts) -> Answer:
    return False


class AsyncGuard(LifecycleChart):
    """A coroutine is true whatever it would answer."""

    here: State = plain_state("here", initial=True)
    there: State = plain_state("there", final=True)
    go: Event = event(here.to(there, cond="asked"), says="Goes.", role="anybody")

    @role("anybody")
    def anybody(facts: Facts) -> Answer:
        return True

    asked = guard("somebody was asked")(_ask)  # type: ignore[arg-type]  # the mistake


def test_an_async_guard_is_found() -> None:
    found = prove(compile_chart(AsyncGuard)).mismatches
    assert [(one.where, one.chart) for one in found] == [("guards of go in here", "declares asked async")]


class BareArrow(LifecycleChart):
    """An arrow that says neither who may nor what it does."""

    here: State = plain_state("here", initial=True)
    there: State = plain_state("there", final=True)
    go = here.to(there)


def test_an_arrow_without_a_rule_is_found() -> None:
    found = prove(compile_chart(BareArrow)).mismatches
    assert [str(one) for one in found] == [
        "events: chart has go beyond the other, table has nothing beyond the other"
    ]


class Meddling(LifecycleChart):
    """A hook that fails after the guards said yes: the table knows nothing of hooks."""

    here: State = plain_state("here", initial=True)
    there: State = plain_state("there", final=True)
    go: Event = event(here.to(there), says="Goes.", role="anybody", effects=(Effect.FORCED,))

    @role("anybody")
    def anybody(facts: Facts) -> Answer:
        return True

    def on_enter_there(self) -> None:
        raise LookupError("no")


def test_a_hook_that_changes_the_verdict_is_found() -> None:
    found = prove(compile_chart(Meddling)).mismatches
    assert [str(one) for one in found] == [
        ("go in here: chart raises LookupError('no') after anybody, table goes to there after anybody (anybody yes)")
    ]


class MeddlingLate(LifecycleChart):
    """A hook that fails when the state has moved already."""

    here: State = plain_state("here", initial=True)
    there: State = plain_state("there", final=True)
    go: Event = event(here.to(there), says="Goes.", role="anybody")

    @role("anybody")
    def anybody(facts: Facts) -> Answer:
        return True

    def after_go(self) -> None:
        raise LookupError("too late")


def test_a_hook_that_fails_after_the_move_is_found() -> None:
    found = prove(compile_chart(MeddlingLate)).mismatches
    assert [one.chart for one in found] == ["raises LookupError('too late') after anybody and moves to there"]
