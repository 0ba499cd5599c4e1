"""The pure decision: the same call serves sending, preview, explanation, replay, sweeps and tests."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from grantflow._compile import Alternative, Definition
from grantflow._model import Obstacle
from grantflow_machines import EventRule, Facts, Instant, No

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Accepted:
    """The event happens: the row goes to `target` and the rule's effects follow."""

    target: str
    rule: EventRule


@dataclass(frozen=True, slots=True)
class Refused:
    """The event does not happen, and why."""

    why: str
    obstacles: tuple[Obstacle, ...] = ()
    nearest: str | None = None
    available_at: Instant | None = None


def choose(definition: Definition, state: str, event: str, facts: Facts) -> str | None:
    """The target, or None; the hot path, without an explanation."""
    cell = definition.cells.get((state, event))
    if cell is None:
        return None
    for alternative in cell:
        for guard in alternative.guards:
            if not guard.check(facts):
                break
        else:
            return alternative.target
    return None


def decide(definition: Definition, state: str, event: str, facts: Facts) -> Accepted | Refused:
    """Decide one event on one row; never raises for an event or state that does not exist."""
    target = choose(definition, state, event, facts)
    if target is not None:
        return Accepted(target, definition.events[event])
    return _refusal(definition, state, event, facts)


def _refusal(definition: Definition, state: str, event: str, facts: Facts) -> Refused:
    if event not in definition.events:
        shown = event[:_SHOWN]
        near = get_close_matches(shown, definition.events, n=1, cutoff=0.0)
        nearest = near[0] if near else None
        hint = f"; did you mean {nearest!r}?" if nearest else ""
        return Refused(f"no event is called {shown!r}{hint}", (), nearest)
    cell = definition.cells.get((state, event))
    if cell is None:
        sources = [source for source, name in definition.cells if name == event]
        return Refused(f"{event} does not happen in {state}, only in {', '.join(sources)}")
    closest = _obstacles(min(cell, key=lambda alternative: _distance(alternative, facts)), facts)
    whys = "; ".join(obstacle.why for obstacle in closest)
    waits = [obstacle.available_at for obstacle in closest]
    only_time = all(instant is not None for instant in waits)
    return Refused(whys, closest, None, max(i for i in waits if i is not None) if only_time else None)


def _distance(alternative: Alternative, facts: Facts) -> tuple[bool, int, int]:
    """A plain False means that the arrow is about something else; a No is a reason on the arrow that was meant."""
    answers = [guard.check(facts) for guard in alternative.guards]
    refused = [guard for guard, answer in zip(alternative.guards, answers, strict=True) if not answer]
    return any(guard.is_role for guard in refused), sum(answer is False for answer in answers), len(refused)


def _obstacles(alternative: Alternative, facts: Facts) -> tuple[Obstacle, ...]:
    found = []
    for name, guard in zip(alternative.names, alternative.guards, strict=True):
        answer = guard.check(facts)
        if isinstance(answer, No):
            found.append(Obstacle(name, answer.why, guard.is_role, answer.available_at, answer.missing))
        elif not answer:
            found.append(Obstacle(name, f"refused unless {guard.sentence}", guard.is_role))
    return tuple(found)
