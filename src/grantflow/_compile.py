"""A chart becomes an immutable table once; every decision is then a look-up."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache

from grantflow_machines import (
    Answer,
    Effect,
    EventRule,
    Facts,
    Grant,
    Guard,
    LifecycleChart,
    Origin,
    Severity,
    Timer,
    TimerKind,
    edges,
    guard_of,
)


@dataclass(frozen=True, slots=True)
class StateInfo:
    """One row of the state table."""

    value: str
    meaning: str
    who_acts: str
    grant: Grant
    severity: Severity
    functional: bool
    waits_for_attempt: bool
    final: bool


@dataclass(frozen=True, slots=True)
class Alternative:
    """One arrow of a cell: taken when every guard says yes."""

    guards: tuple[Guard, ...]
    names: tuple[str, ...]
    target: str


Cell = tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """The compiled table of one chart."""

    name: str
    title: str
    version: int
    fingerprint: str
    initial: str
    creation: str
    states: dict[str, StateInfo]
    events: dict[str, EventRule]
    cells: dict[tuple[str, str], Cell]
    timers: tuple[Timer, ...]
    entry_points: dict[str, str]
    chart: type[LifecycleChart]

    def timer(self, kind: TimerKind) -> str | None:
        """The event that is due when the instant of this kind has passed."""
        for timer in self.timers:  # a handful at most, and asked for every row of a sweep
            if timer.kind is kind:
                return timer.event
        return None

    def waits(self, state: str, kind: TimerKind) -> bool:
        """Whether this state has an arrow for the timer of this kind."""
        name = self.timer(kind)
        return name is not None and (state, name) in self.cells

    def outside_events(self) -> list[str]:
        """Events a host or a person may bring."""
        return [name for name, rule in self.events.items() if rule.origin is Origin.OUTSIDE]

    def opening(self, state: str) -> str | None:
        """The event that opens an attempt in this state."""
        return next(
            (n for n, r in self.events.items() if Effect.OPEN_ATTEMPT in r.effects and (state, n) in self.cells),
            None,
        )

    def event_with(self, effect: Effect, *, origin: Origin | None = None) -> str:
        """The event that carries an effect nobody else carries."""
        return next(
            n for n, r in self.events.items() if effect in r.effects and (origin is None or r.origin is origin)
        )

    def may_open(self, facts: Facts) -> Answer:
        """Whether this actor may open an attempt for this subject, before any row exists."""
        opening = self.opening(self.initial)
        cell = self.cells.get((self.initial, opening or ""), ())
        roles = [guard for alternative in cell for guard in alternative.guards if guard.is_role]
        return roles[0].check(facts) if roles else False

    def targets(self, event: str, state: str) -> list[str]:
        """Where an event can lead from a state, each target once."""
        return list(dict.fromkeys(alternative.target for alternative in self.cells.get((state, event), ())))


@cache
def compile_chart(chart: type[LifecycleChart]) -> Definition:
    """Compile a chart; raises TypeError for a guard that was not declared as one."""
    states = {
        str(state.value): StateInfo(
            str(state.value),
            state.meaning,
            state.who_acts,
            state.grant,
            state.severity,
            state.functional,
            state.waits_for_attempt,
            bool(state.final),
        )
        for state in chart.states
    }
    cells: dict[tuple[str, str], Cell] = {}
    for edge in edges(chart):
        guards = tuple(guard_of(chart, name) for name in edge.guards)
        cell = cells.get((edge.source, edge.event), ())
        cells[edge.source, edge.event] = (*cell, Alternative(guards, edge.guards, edge.target))
    used = {event for _, event in cells}
    events = {name: rule for name, rule in chart.rules.items() if name in used}
    timers = tuple(timer for timer in chart.timers if timer.event in used)
    return Definition(
        name=chart.__qualname__,
        title=chart.title,
        version=chart.definition_version,
        fingerprint=_fingerprint(states, events, cells, timers),
        initial=str(chart.initial_state.value),
        creation=chart.creation,
        states=states,
        events=events,
        cells=cells,
        timers=timers,
        entry_points=dict(chart.entry_points),
        chart=chart,
    )


def _fingerprint(
    states: dict[str, StateInfo],
    events: dict[str, EventRule],
    cells: dict[tuple[str, str], Cell],
    timers: tuple[Timer, ...],
) -> str:
    table = {
        "states": [[s.value, s.grant, s.functional, s.waits_for_attempt, s.final] for s in states.values()],
        "events": [[n, r.role, r.origin, sorted(r.effects), r.outcome, r.reason] for n, r in events.items()],
        "cells": [[*key, [[a.names, a.target] for a in cell]] for key, cell in sorted(cells.items())],
        "timers": [[timer.kind, timer.event] for timer in timers],
    }
    return hashlib.sha256(json.dumps(table, sort_keys=True).encode()).hexdigest()[:16]
