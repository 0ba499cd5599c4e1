"""Proves a compiled table against its chart, run by python-statemachine itself."""

from __future__ import annotations

import inspect
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from grantflow._compile import Alternative, Definition
from grantflow._decide import choose
from grantflow_machines import (
    Actor,
    Answer,
    Effect,
    Facts,
    Guard,
    LifecycleChart,
    TimerKind,
    edges,
    guard_of,
)

_SAFE_FLAGS = {
    "allow_event_without_transition": False,
    "catch_errors_as_events": False,
    "atomic_configuration_update": True,
}
_NO_FACTS = Facts(actor=Actor.system(), now=0)
_REFUSED = "refused"


class Reply(StrEnum):
    """What a guard is made to do in one case."""

    YES = "yes"
    NO = "no"
    RAISES = "raises"


Case = Mapping[str, Reply]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One difference between the chart and its table."""

    where: str
    chart: str
    table: str
    replies: tuple[tuple[str, str], ...] = ()
    """What each guard of the cell replied in this case."""

    def __str__(self) -> str:
        case = ", ".join(f"{name} {reply}" for name, reply in self.replies)
        return f"{self.where}: chart {self.chart}, table {self.table}" + (f" ({case})" if case else "")


@dataclass(frozen=True, slots=True)
class Proof:
    """How many cases were compared, how long it took, and every difference found."""

    cases: int
    seconds: float
    mismatches: tuple[Mismatch, ...]

    @property
    def ok(self) -> bool:
        """Whether chart and table agree in everything, over at least one case."""
        return self.cases > 0 and not self.mismatches


def prove(definition: Definition) -> Proof:
    """Compare table and chart: in what they declare, then case by case.

    A case is a state, an event and a reply of each guard that the cell names on either side. Verdict and
    the guards asked for it, in their order, must be the same.
    """
    started = time.perf_counter()
    found = list(_declared(definition))
    cases = 0
    oracle = _Oracle(definition.chart)
    table = _Table(definition)
    named = _guards_by_cell(definition)
    events = sorted({*_chart_events(definition.chart), *definition.events, *(e for _, e in definition.cells)})
    for state, event in itertools.product(sorted(_chart_states(definition.chart)), events):
        for case in _cases(named.get((state, event), ())):
            cases += 1
            chart_said, table_said = oracle(state, event, case), table(state, event, case)
            if chart_said != table_said:
                replies = tuple((name, reply.value) for name, reply in case.items())
                found.append(Mismatch(f"{event} in {state}", chart_said, table_said, replies))
    return Proof(cases, time.perf_counter() - started, tuple(found))


def waiting(definition: Definition) -> tuple[str, ...]:
    """What is missing so that nobody waits for ever: an empty tuple is the proof."""
    missing = []
    forced = {event for event, rule in definition.events.items() if Effect.FORCED in rule.effects}
    paths: dict[str, set[str]] = {}
    for (source, event), cell in definition.cells.items():
        if event not in forced:
            paths.setdefault(source, set()).update(alternative.target for alternative in cell)
    for state, info in definition.states.items():
        if info.waits_for_attempt and not definition.waits(state, TimerKind.ATTEMPT):
            missing.append(f"{state} waits for an attempt, but nothing happens when its time is over")
        if info.final:
            continue
        if not any(definition.states[other].functional for other in _reach(state, paths)):
            missing.append(f"{state} has no way to a functional state")
        if not any((state, event) in definition.cells for event in forced):
            missing.append(f"{state} has no exit for an operator")
    return tuple(missing)


def _reach(state: str, paths: Mapping[str, set[str]]) -> set[str]:
    seen, todo = {state}, [state]
    while todo:
        fresh = paths.get(todo.pop(), set()) - seen
        seen |= fresh
        todo.extend(fresh)
    return seen


# -- what chart and table declare -----------------------------------------------------------------


def _chart_states(chart: type[LifecycleChart]) -> set[str]:
    return {str(value) for value in chart.states_map}


def _chart_events(chart: type[LifecycleChart]) -> set[str]:
    declared: Any = chart.events  # the list of the metaclass; the stubs see the method of instances
    return {str(event.id) for event in declared}


def _declared(definition: Definition) -> Iterator[Mismatch]:
    chart = definition.chart
    for flag, safe in _SAFE_FLAGS.items():
        value = getattr(chart, flag)
        if value is not safe:
            yield Mismatch(flag, str(value), f"must be {safe}")
    finals = {state for state, info in definition.states.items() if info.final}
    pairs: list[tuple[str, set[str], set[str]]] = [
        ("states", _chart_states(chart), set(definition.states)),
        ("initial state", {str(chart.initial_state.value)}, {definition.initial}),
        ("final states", {str(state.value) for state in chart.final_states}, finals),
        ("events", _chart_events(chart), set(definition.events)),
    ]
    for what, in_chart, in_table in pairs:
        if in_chart != in_table:
            yield Mismatch(what, _beyond(in_chart, in_table), _beyond(in_table, in_chart))
    for (state, event), cell in definition.cells.items():
        for alternative in cell:
            for wrong in _guard_findings(definition, event, alternative):
                yield Mismatch(f"guards of {event} in {state}", *wrong)


def _beyond(side: set[str], other: set[str]) -> str:
    return f"has {', '.join(sorted(side - other)) or 'nothing'} beyond the other"


def _guard_findings(definition: Definition, event: str, alternative: Alternative) -> Iterator[tuple[str, str]]:
    names, guards = alternative.names, alternative.guards
    if len(names) != len(guards):
        yield f"names {len(names)}", f"asks {len(guards)}"
    for name, guard in zip(names, guards, strict=False):
        try:
            own = guard_of(definition.chart, name)
        except TypeError as unknown:
            yield str(unknown), f"asks {name}"
            continue
        if guard is not own:
            yield f"declares another {name}", f"asks {guard.sentence!r}"
        if inspect.iscoroutinefunction(guard.check):
            yield f"declares {name} async", "never waits: every coroutine counts as yes"
    rule = definition.events.get(event)
    if rule is not None and (not names or names[0] != rule.role):
        yield f"asks {rule.role} first", f"asks {names[0] if names else 'nobody'} first"


# -- case by case ---------------------------------------------------------------------------------


def _guards_by_cell(definition: Definition) -> dict[tuple[str, str], tuple[str, ...]]:
    named: dict[tuple[str, str], dict[str, None]] = {}
    for edge in edges(definition.chart):
        named.setdefault((edge.source, edge.event), {}).update(dict.fromkeys(edge.guards))
    for key, cell in definition.cells.items():
        for alternative in cell:
            named.setdefault(key, {}).update(dict.fromkeys(alternative.names))
    return {key: tuple(names) for key, names in named.items()}


def _cases(names: tuple[str, ...]) -> Iterator[Case]:
    """Every combination of yes and no; then each guard raises, the others agreeing or all but one."""
    for replies in itertools.product((Reply.YES, Reply.NO), repeat=len(names)):
        yield dict(zip(names, replies, strict=True))
    for raiser in names:
        calm = dict.fromkeys(names, Reply.YES) | {raiser: Reply.RAISES}
        yield calm
        for other in names:
            if other != raiser:
                yield calm | {other: Reply.NO}


class _GuardRaisedError(Exception):
    """Raised by a stub, so that it cannot be taken for an error of either side."""


class _Stubs:
    """Guards that reply what the case says, and remember in which order they were asked."""

    def __init__(self) -> None:
        self.case: Case = {}
        self.asked: list[str] = []

    def stub(self, name: str) -> Callable[[], bool]:
        def ask() -> bool:
            self.asked.append(name)
            reply = self.case[name]
            if reply is Reply.RAISES:
                raise _GuardRaisedError
            return reply is Reply.YES

        return ask

    def verdict(self, case: Case, send: Callable[[], str]) -> str:
        self.case = case
        self.asked.clear()
        try:
            said = send()
        except _GuardRaisedError:
            said = "raises"
        except Exception as error:  # noqa: BLE001 - whatever else either side raises is the finding
            said = f"raises {error!r}"
        return f"{said} after {', '.join(self.asked)}" if self.asked else said


class _Table:
    """The compiled table behind the real `choose`, its guards replaced by stubs."""

    def __init__(self, definition: Definition) -> None:
        self._stubs = _Stubs()
        self._definition = replace(
            definition,
            cells={
                key: tuple(self._stubbed(alternative) for alternative in cell)
                for key, cell in definition.cells.items()
            },
        )

    def _stubbed(self, alternative: Alternative) -> Alternative:
        pairs = zip(alternative.names, alternative.guards, strict=False)
        return replace(alternative, guards=tuple(self._stub(name, guard) for name, guard in pairs))

    def _stub(self, name: str, guard: Guard) -> Guard:
        ask = self._stubs.stub(name)

        def check(_: Facts) -> Answer:
            return ask()

        return Guard(check, guard.sentence, is_role=guard.is_role)

    def __call__(self, state: str, event: str, case: Case) -> str:
        def send() -> str:
            target = choose(self._definition, state, event, _NO_FACTS)
            return _REFUSED if target is None else f"goes to {target}"

        return self._stubs.verdict(case, send)


@dataclass
class _Row:
    """The model of an oracle; the library reads the state from it and writes it back."""

    state: str


class _Oracle:
    """Real instances of the chart, its guards replaced by stubs.

    An instance is used again only where it stands: one that reached a final state refuses whatever follows.
    """

    def __init__(self, chart: type[LifecycleChart]) -> None:
        self._stubs = _Stubs()
        self._chart = self._subclass(chart)
        self._pool: dict[str, Any] = {}

    def _subclass(self, chart: type[LifecycleChart]) -> Any:
        namespace: dict[str, Any] = {"__module__": __name__, "__qualname__": f"{chart.__qualname__}Oracle"}
        for name in dir(chart):
            if isinstance(inspect.getattr_static(chart, name, None), Guard):
                stub = self._stubs.stub(name)
                # The library caches signatures by qualified name: it has to be nobody else's.
                stub.__qualname__ = f"{__name__}.{chart.__module__}.{chart.__qualname__}.{name}"
                namespace[name] = staticmethod(stub)
        metaclass: Any = type(chart)
        return metaclass(f"{chart.__name__}Oracle", (chart,), namespace)

    def __call__(self, state: str, event: str, case: Case) -> str:
        machine = self._pool.pop(state, None) or self._chart(_Row(state))

        def send() -> str:
            try:
                machine.send(event, facts=_NO_FACTS)
            except self._chart.TransitionNotAllowed:
                return _REFUSED
            return f"goes to {machine.model.state}"

        said = self._stubs.verdict(case, send)
        if machine.model.state == state:
            self._pool[state] = machine
        elif not said.startswith("goes"):
            said += f" and moves to {machine.model.state}"
        return said
