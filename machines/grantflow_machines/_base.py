"""The vocabulary charts are written in, and the one base class that carries the safe flags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from statemachine import Event, State, StateChart
from statemachine.callbacks import CallbackPriority
from statemachine.transition_list import TransitionList

from grantflow_machines._facts import Answer, Facts


class Grant(StrEnum):
    """What a state says about the grant; entering `NONE` wipes every secret."""

    NONE = "none"
    LIVE = "live"
    DEAD = "dead"


class Severity(StrEnum):
    """How a state is shown to people."""

    IDLE = "idle"
    PENDING = "pending"
    OK = "ok"
    WARN = "warn"
    BAD = "bad"


class Origin(StrEnum):
    """Who may bring an event: people and hosts from outside, or the engine alone."""

    OUTSIDE = "outside"
    ENGINE = "engine"


class TimerKind(StrEnum):
    """Which stored instant a timer waits for."""

    DEADLINE = "deadline"
    ATTEMPT = "attempt"


class Effect(StrEnum):
    """What a transition does besides moving; carried out by the write path as data."""

    OPEN_ATTEMPT = "open-attempt"
    CHOOSE_ACCOUNT = "choose-account"
    RECORD_CONSENT = "record-consent"
    CLOSE_ATTEMPT = "close-attempt"
    CLOSE_ALL_ATTEMPTS = "close-all-attempts"
    REPLACE_TOKENS = "replace-tokens"
    REVOKE_TOKENS = "revoke-tokens"
    VOID_CONSENTS = "void-consents"
    SUSPEND = "suspend"
    UNSUSPEND = "unsuspend"
    FORCED = "forced"


class LifecycleState(State):
    """A state with the sentences people read about it."""

    def __init__(
        self,
        name: str,
        *,
        value: str,
        meaning: str,
        who_acts: str,
        grant: Grant,
        severity: Severity,
        functional: bool = False,
        waits_for_attempt: bool = False,
        initial: bool = False,
        final: bool = False,
    ) -> None:
        super().__init__(name, value=value, initial=initial, final=final)
        self.meaning = meaning
        self.who_acts = who_acts
        self.grant = grant
        self.severity = severity
        self.functional = functional
        self.waits_for_attempt = waits_for_attempt


class Guard(staticmethod):  # type: ignore[type-arg]  # generic only in the stubs
    """A named question over the facts; `sentence` completes *refused unless …*."""

    def __init__(self, check: Callable[[Facts], Answer], sentence: str, *, is_role: bool) -> None:
        super().__init__(check)
        self.check = check
        self.sentence = sentence
        self.is_role = is_role


def guard(sentence: str) -> Callable[[Callable[[Facts], Answer]], Guard]:
    """Declare a condition over the facts."""
    return lambda check: Guard(check, sentence, is_role=False)


def role(sentence: str) -> Callable[[Callable[[Facts], Answer]], Guard]:
    """Declare who may: a guard that is asked before every other one."""
    return lambda check: Guard(check, sentence, is_role=True)


def force_to(target: State) -> Guard:
    """The guard that lets `force` reach one target."""
    value = target.value
    return Guard(lambda facts: facts.force_target == value, f"the operator asks for {value}", is_role=False)


@dataclass(frozen=True, slots=True)
class EventRule:
    """What a chart says of one event beside its edges."""

    says: str
    role: str
    origin: Origin = Origin.OUTSIDE
    effects: frozenset[Effect] = frozenset()
    outcome: str | None = None
    """Outcome written on the attempt that this event closes."""
    reason: str | None = None
    """Why the grant is dead after this event, unless the caller knows better."""
    notice: str | None = None
    """Past-tense name of the notice that goes out."""
    vetoable: bool = False
    """The app's own handler may veto it when an admin asks."""


@dataclass(frozen=True, slots=True)
class Timer:
    """An instant stored with the row and the event that is due when it has passed."""

    kind: TimerKind
    event: str


def event(
    transitions: TransitionList,
    *,
    says: str,
    role: str,
    origin: Origin = Origin.OUTSIDE,
    effects: tuple[Effect, ...] = (),
    outcome: str | None = None,
    reason: str | None = None,
    notice: str | None = None,
    vetoable: bool = False,
) -> Event:
    """Declare an event: its edges, who may bring it, and what it does."""
    for transition in transitions.transitions:
        transition.cond.add(role, priority=CallbackPriority.GENERIC, expected_value=True)
    declared = Event(transitions)
    declared.rule = EventRule(says, role, origin, frozenset(effects), outcome, reason, notice, vetoable)  # type: ignore[attr-defined]  # kept beside the library's own attributes
    return declared


def _refuse_borrowed_sources(chart: type[LifecycleChart]) -> None:
    """An arrow drawn from an inherited state would land in the chart it was inherited from: take it back."""
    inherited = {id(state) for base in chart.__mro__[1:] for state in getattr(base, "states", ())}
    drawn = [getattr(value, "_transitions", value) for value in vars(chart).values()]
    arrows = [arrow for found in drawn if isinstance(found, TransitionList) for arrow in found]
    borrowed = [arrow for arrow in arrows if id(arrow.source) in inherited]
    for arrow in borrowed:
        arrow.source.transitions.transitions.remove(arrow)
    if borrowed:
        msg = f"{chart.__qualname__} draws arrows from inherited states; declare states and events in full"
        raise TypeError(msg)


class LifecycleChart(StateChart[Any]):
    """Base of every chart: unknown events raise, errors surface, a refused event moves nothing."""

    allow_event_without_transition = False
    catch_errors_as_events = False
    atomic_configuration_update = True

    title: ClassVar[str] = ""
    definition_version: ClassVar[int] = 1
    creation: ClassVar[str] = "installed"
    """Name under which the birth of a row is recorded; it is not an event."""
    timers: ClassVar[tuple[Timer, ...]] = ()
    entry_points: ClassVar[dict[str, str]] = {}
    rules: ClassVar[dict[str, EventRule]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _refuse_borrowed_sources(cls)
        own = {name: value.rule for name, value in vars(cls).items() if hasattr(value, "rule")}
        cls.rules = {**cls.rules, **own}
