"""Where one installation can be moved: what the machine allows, what would be forced past it, and what is no way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.text import Text

from grantflow_machines import Origin, Severity
from grantflow_tui._base import BAD, DIM
from grantflow_tui._chart import arrows, forceable
from grantflow_tui._text import clean
from grantflow_tui._themes import tint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grantflow import Definition, Engine, Explanation, Installation, PlannedMove
    from grantflow_machines import Actor
    from grantflow_tui._look import Look

FORCE = "force"
_EFFECTS = (
    ("tokens", ("wipes ", "voids ")),
    ("attempts", ("closes ",)),
    ("notices", ("sends ",)),
    ("timers", ("has nothing due", "stays on the clock")),
)
_NOTHING = {"tokens": "stay as they are", "attempts": "none is closed", "notices": "none goes out"}


@dataclass(frozen=True, slots=True)
class Way:
    """One target, by an event the machine allows or by force."""

    event: str
    target: str
    says: str
    open: bool = True

    @property
    def id(self) -> str:
        """For the list: a forced target is its state's name."""
        return self.target if self.event == FORCE else f"{self.event}:{self.target}"

    def line(self, source: str, look: Look) -> Text:
        """As it stands in the list."""
        text = look.badge(source)
        shown = Text()
        shown.append_text(text)
        shown.append(f" {look.arrow()} ")
        shown.append_text(look.badge(self.target))
        style = "" if not self.open else BAD if self.event == FORCE else tint(Severity.OK)
        shown.append(f"  {self.says}", style=style)
        shown.no_wrap, shown.overflow = True, "ellipsis"
        return shown


async def ways(engine: Engine, definition: Definition, here: Installation, actor: Actor) -> list[Way]:
    """Every state of the chart but this one, the allowed first; each says why or why not."""
    if here.state not in definition.states or here.quarantined is not None:
        return []
    told = {
        name: await engine.explain(here.id, name, actor=actor)
        for name in definition.outside_events()
        if (here.state, name) in definition.cells
    }
    allowed = [
        Way(name, found.target, f"allowed by the machine: {name}")
        for name, found in told.items()
        if found.allowed and found.target not in {None, here.state}
    ]
    reachable = forceable(definition, here.state)
    forced = [Way(FORCE, to, f"FORCED, {skipped(definition, here.state, to, told)}") for to in reachable]
    return [
        *[way for way in allowed if way.target is not None],
        *forced,
        *[
            Way(FORCE, to, f"disabled: {closed(definition, here.state, to, told)}", open=False)
            for to in definition.states
            if to not in reachable and to != here.state
        ],
    ]


def _leading(definition: Definition, source: str, to: str) -> list[str]:
    """Events of the chart that lead there, force aside."""
    found = next((one.events for one in arrows(definition) if (one.source, one.target) == (source, to)), ())
    return [name for name in found if name != FORCE]


def skipped(definition: Definition, source: str, to: str, told: dict[str, Explanation]) -> str:
    """What a force passes over: the guards that say no on the nearest proper way."""
    events = _leading(definition, source, to)
    outside = [told[name] for name in events if name in told and told[name].obstacles]
    if outside:
        nearest = min(outside, key=lambda found: len(found.obstacles))
        guards = ", ".join(dict.fromkeys(one.guard for one in nearest.obstacles))
        return f"skips {guards} of {nearest.event}"
    if events:
        inside = [name for name in events if definition.events[name].origin is not Origin.OUTSIDE]
        return f"in place of {(inside or events)[0]}"
    return "no arrow of the chart leads there"


def closed(definition: Definition, source: str, to: str, told: dict[str, Explanation]) -> str:
    """Why a state is out of reach for an operator."""
    for name in _leading(definition, source, to):
        if name in told and not told[name].allowed:
            return clean(told[name].why)
        return f"only {name} leads there, and the engine alone brings it"
    return "a step that only a person can take"


def what_if(move: PlannedMove, definition: Definition | None, look: Look) -> Text:
    """The plan of one row: state, version, the way back, tokens, attempts, notices, timers, what people see."""
    out = Text()
    out.append("Plan: ")
    out.append_text(look.badge(move.source))
    out.append(f" {look.arrow()} ")
    out.append_text(look.badge(move.target))
    out.append(f"  v{move.version} {look.arrow()} v{move.version + 1}\n")
    out.append(f"  {'way back':<9}", style=DIM)
    if move.irreversible:
        out.append("IRREVERSIBLE: nobody can undo this\n", style=BAD)
    else:
        out.append(f"{way_back(definition, move)}\n")
    for name, value in effect_rows(move.effects):
        out.append(f"  {name:<9}", style=DIM)
        out.append(f"{clean(value)}\n")
    info = look.states.get(move.target)
    if info is not None:
        out.append(f"  {'people':<9}", style=DIM)
        out.append(f"{info.meaning} Who acts: {info.who_acts}.\n")
    out.rstrip()
    return out


def effect_rows(effects: Sequence[str]) -> list[tuple[str, str]]:
    """The plan's effects under their heads; what is not touched says so."""
    rows = []
    rest = list(effects)
    for name, beginnings in _EFFECTS:
        here = [one for one in rest if one.startswith(beginnings)]
        rest = [one for one in rest if one not in here]
        value = ", ".join(here) or _NOTHING.get(name, "")
        if value:
            rows.append((name, value))
    return [*rows, *(("also", one) for one in rest)]


def way_back(definition: Definition | None, move: PlannedMove) -> str:
    """The inverse, where the chart has one for an operator."""
    known = definition is not None and move.target in definition.states
    if definition is not None and known and move.source in forceable(definition, move.target):
        return f"force back to {move.source}"
    return "none for an operator: the person has to authorize again"
