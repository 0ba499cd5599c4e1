"""Random events under random facts: the table decides as the real chart does, guards and all."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from statemachine.exceptions import TransitionNotAllowed

from grantflow._compile import compile_chart
from grantflow._decide import Accepted, decide
from grantflow_machines import CHARTS, Facts, LifecycleChart
from tests.machines.situations import random_situation

WALKS = 1_000
STEPS = 12


@dataclass
class Row:
    state: str


class Walker:
    """The chart itself; a machine that has ended refuses everything and is replaced."""

    def __init__(self, chart: type[LifecycleChart]) -> None:
        self._chart = chart
        self._machine = chart(Row(str(chart.initial_state.value)))

    def at(self, state: str) -> None:
        if self._machine.is_terminated:
            self._machine = self._chart(Row(state))
        else:
            self._machine.current_state_value = state

    def send(self, event: str, facts: Facts) -> str | None:
        try:
            self._machine.send(event, facts=facts)
        except TransitionNotAllowed:
            return None
        return str(self._machine.current_state_value)


@pytest.mark.parametrize(("kind", "seed"), list(zip(CHARTS, (11, 12, 13), strict=True)))
def test_walks_end_where_the_chart_ends(kind: str, seed: int) -> None:
    definition = compile_chart(CHARTS[kind])
    rng = Random(seed)
    walker = Walker(CHARTS[kind])
    targets = sorted({one.target for cell in definition.cells.values() for one in cell})
    starts = [name for name, info in definition.states.items() if not info.final]
    untaken = {(*key, one.target): None for key, cell in definition.cells.items() for one in cell}
    differences = []
    for _ in range(WALKS):
        state = rng.choice(starts)
        walker.at(state)
        for _ in range(STEPS):
            # Half of the events are any; the others look for arrows that no walk has taken so far.
            curious = [event for source, event, _ in untaken if source == state] if rng.random() < 0.5 else []
            event = rng.choice(curious or list(definition.events))
            facts = random_situation(rng, targets)
            decision = decide(definition, state, event, facts)
            decided = decision.target if isinstance(decision, Accepted) else None
            happened = walker.send(event, facts)
            if decided != happened:
                differences.append((state, event, facts, decided, happened))
            if happened is not None:
                untaken.pop((state, event, happened), None)
                state = happened
    assert differences == []
    assert not untaken, "the walks must take every arrow of the chart"
