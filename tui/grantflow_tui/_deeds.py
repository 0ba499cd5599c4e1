"""What operators do to one row or its app: why not, how, and the command line that does the same."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grantflow import Prompt
from grantflow.errors import GrantflowError
from grantflow_tui._base import said
from grantflow_tui._chart import forceable
from grantflow_tui._text import clean

if TYPE_CHECKING:
    from grantflow import Attempt, Engine, Incident, Installation
    from grantflow_machines import Actor
    from grantflow_tui._look import Look

Does = Callable[["Engine", "Actor", str], Awaitable[str]]
Sees = Callable[["Engine"], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Offer:
    """One line of the menu of verbs."""

    verb: str
    words: str
    why_not: str | None = None
    to: str | None = None
    """With `force`, the state to go to."""
    deed: Deed | None = None
    """How it is done, where it is no plan of rows."""


@dataclass(frozen=True, slots=True)
class Deed:
    """A change that is not planned row by row; done only while `sees` answers as it did when the dialog opened."""

    title: str
    tells: str
    does: Does
    sees: Sees
    words: tuple[str, ...] = ()
    """Of the command line, where it has any for this."""
    typed: str | None = None


PLANNED = (
    ("probe", "ask the foreign server once, by renewing"),
    ("remind", "tell whoever can act"),
    ("suspend", "stop the app here; the grant stays"),
    ("unsuspend", "let it work here again"),
    ("repair", "bring a row that was set aside back"),
)
"""Verbs that a plan of one row or many can carry."""


def hold(app: str) -> Deed:
    """Stop an app everywhere."""

    async def does(engine: Engine, actor: Actor, reason: str) -> str:
        await engine.apps.hold(app, actor=actor, reason=reason)
        return f"{clean(app)} is held everywhere"

    return Deed(
        f"Hold app {clean(app)}",
        "It stops working everywhere at once and its renewals rest. No installation is touched. Way back: resume.",
        does,
        held(app),
        ("hold", app),
        typed=clean(app),
    )


def release(app: str) -> Deed:
    """Let a held app work again."""

    async def does(engine: Engine, actor: Actor, reason: str) -> str:
        await engine.apps.release(app, actor=actor, reason=reason)
        return f"{clean(app)} works again"

    return Deed(
        f"Resume app {clean(app)}",
        "Whatever lives of it works again at once. Way back: hold.",
        does,
        held(app),
        ("release", app),
    )


def close_incident(app: str) -> Deed:
    """End an app's incident by hand."""

    async def does(engine: Engine, actor: Actor, reason: str) -> str:
        await engine.ops.close_incident(app, actor=actor, reason=reason)
        return f"the incident of {clean(app)} is closed; its renewals go on"

    async def sees(engine: Engine) -> object:
        found = await incident_of(engine, app)
        return None if found is None else found.id

    return Deed(
        f"Close the incident of {clean(app)}",
        "Its renewals go on. Should its server still refuse it, a new incident opens by itself.",
        does,
        sees,
        ("apps", "resume", app),
    )


def cancel_attempt(attempt: Attempt) -> Deed:
    """Close a person's open attempt."""

    async def does(engine: Engine, actor: Actor, reason: str) -> str:
        await engine.ops.cancel_attempt(attempt.id, actor=actor, reason=reason)
        return "the attempt is closed"

    async def sees(engine: Engine) -> object:
        assert attempt.installation is not None
        return [one.id for one in await engine.attempts(attempt.installation) if one.outcome is None]

    return Deed(
        f"Cancel the open attempt of {clean(attempt.actor)}",
        "The window the person has open leads nowhere. No grant is touched; they may begin again.",
        does,
        sees,
        ("cancel-attempt", attempt.id),
    )


def held(app: str) -> Sees:
    """Whether the app is held, and by whom."""

    async def sees(engine: Engine) -> object:
        return (await engine.apps.held()).get(app)

    return sees


async def incident_of(engine: Engine, app: str) -> Incident | None:
    """The open incident of an app."""
    return next((one for one in await engine.ops.incidents() if one.app == app), None)


async def for_one(engine: Engine, look: Look, here: Installation, actor: Actor) -> list[Offer]:
    """Every verb for one row, in the order of their force; what cannot be done says why not."""
    whys = {verb: await why_not(engine, here, verb, actor) for verb, _ in PLANNED}
    planned = {verb: Offer(verb, words, whys[verb]) for verb, words in PLANNED}
    still_open = [one for one in await engine.attempts(here.id) if one.outcome is None]
    stopped, incident = (await engine.apps.held()).get(here.app), await incident_of(engine, here.app)
    definition = look.definitions.get(here.kind)
    reachable = [] if definition is None or here.state not in definition.states else forceable(definition, here.state)
    return [
        planned["probe"],
        planned["remind"],
        Offer(
            "cancel attempt",
            "close the window a person has open",
            None if still_open else "no attempt is open",
            deed=cancel_attempt(still_open[0]) if still_open else None,
        ),
        planned["suspend"],
        planned["unsuspend"],
        Offer(
            "hold app",
            f"stop {clean(here.app)} everywhere",
            f"it is held: {clean(stopped)}" if stopped is not None else None,
            deed=hold(here.app),
        ),
        Offer(
            "resume app",
            f"let {clean(here.app)} work again",
            None if stopped is not None else "it is not held",
            deed=release(here.app),
        ),
        Offer(
            "close incident",
            "let its renewals go on" if incident is None else clean(f"{incident.cause}: {incident.detail}"),
            None if incident is not None else "no incident of the app is open",
            deed=close_incident(here.app),
        ),
        planned["repair"],
        Offer("force", "move it past the machine's guards", None if reachable else "nothing can be forced from here"),
    ]


def for_many(look: Look) -> list[Offer]:
    """Every verb for many rows; which of them it reaches is the plan's to say."""
    targets = dict.fromkeys(
        to
        for definition in look.definitions.values()
        for state in definition.states
        for to in forceable(definition, state)
    )
    forced = [Offer("force", f"to {look.glyph(to)} {to}", to=to) for to in targets]
    return [*(Offer(verb, words) for verb, words in PLANNED), *forced]


async def why_not(engine: Engine, here: Installation, verb: str, actor: Actor) -> str | None:
    """Why a verb would be refused for this row now, or None; the engine has the last word either way."""
    try:
        if verb == "repair":
            return None if here.quarantined else "the row is in order"
        if here.quarantined:
            return "the row is set aside: repair it first"
        if verb == "remind":
            told = await engine.guidance(here.id, viewer=actor)
            return f"nobody has to act: it is {here.state}" if told.prompt is Prompt.NONE else None
        if verb == "probe":
            app = await engine.apps.get(here.app)
            if app.mode != "client":
                return "the app keeps its grants itself (host mode)"
            tokens = await engine.token_health(here.id)
            return None if tokens is not None and tokens.renewable else "nothing is left to renew with"
        told_of = await engine.explain(here.id, verb, actor=actor)
    except GrantflowError as error:
        return said(error)
    return None if told_of.allowed else clean(told_of.why)
