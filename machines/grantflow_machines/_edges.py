"""Reads a chart back as plain rows: the only place that knows how the library stores them."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from grantflow_machines._base import Guard, LifecycleChart


@dataclass(frozen=True, slots=True)
class Edge:
    """One arrow of a chart; guards in the order they are asked."""

    source: str
    event: str
    guards: tuple[str, ...]
    target: str


def edges(chart: type[LifecycleChart]) -> tuple[Edge, ...]:
    """Every arrow of the chart, in the order alternatives are tried; raises TypeError for `unless=`."""
    found: list[Edge] = []
    for state in chart.states:
        for transition in state.transitions:
            conditions = sorted(transition.cond, key=lambda spec: spec.priority)
            if any(spec.expected_value is False for spec in conditions):
                msg = f"{transition} uses unless=; declare a guard that asks the contrary"
                raise TypeError(msg)
            guards = tuple(str(spec.attr_name) for spec in conditions)
            found.extend(
                Edge(str(state.value), str(name), guards, str(transition.target.value)) for name in transition.events
            )
    return tuple(found)


def guard_of(chart: type[LifecycleChart], name: str) -> Guard:
    """The guard a chart names, as the kind answers it."""
    found: Any = inspect.getattr_static(chart, name, None)
    if not isinstance(found, Guard):
        msg = f"{chart.__qualname__}.{name} is not declared with @guard or @role"
        raise TypeError(msg)
    return found
