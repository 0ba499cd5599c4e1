"""The lifecycle drawn from the chart: the states in its order, and the arrows one hop around the current one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text

from grantflow_machines import Effect

if TYPE_CHECKING:
    from grantflow import Definition
    from grantflow_tui._look import Look

_LIT = Style(bold=True, reverse=True)
_DIM = Style(dim=True)


@dataclass(frozen=True, slots=True)
class Arrow:
    """All events that lead from one state into another."""

    source: str
    target: str
    events: tuple[str, ...]


def arrows(definition: Definition) -> list[Arrow]:
    """Every arrow of a chart, grouped by its two ends, in the chart's order."""
    found: dict[tuple[str, str], list[str]] = {}
    for (source, event), cell in definition.cells.items():
        for alternative in cell:
            names = found.setdefault((source, alternative.target), [])
            if event not in names:
                names.append(event)
    order = list(definition.states)
    keys = sorted(found, key=lambda key: (order.index(key[0]), order.index(key[1])))
    return [Arrow(source, target, tuple(found[source, target])) for source, target in keys]


def forceable(definition: Definition, state: str) -> list[str]:
    """The states an operator can force from here, as the chart says."""
    return definition.targets(definition.event_with(Effect.FORCED), state)


def draw(definition: Definition, state: str, look: Look) -> Text:
    """The picture: all states with the current one lit, then the arrows out of it and into it."""
    out = Text()
    for index, value in enumerate(definition.states):
        if index:
            out.append("  ")
        badge = look.badge(value)
        if value == state:
            badge = Text(f"[{badge.plain}]", style=look.style(value) + _LIT)
        out.append_text(badge)
    if state not in definition.states:
        out.append("\n")
        out.append_text(look.badge(state))
        out.append(" is no state of this chart", style=_DIM)
        return out
    around = arrows(definition)
    leaving = [arrow for arrow in around if arrow.source == state and arrow.target != state]
    staying = [arrow for arrow in around if arrow.source == state == arrow.target]
    coming = [arrow for arrow in around if arrow.target == state and arrow.source != state]
    for arrow in leaving:
        out.append(f"\n  {look.arrow()} ")
        out.append_text(look.badge(arrow.target))
        out.append("  by " + ", ".join(arrow.events), style=_DIM)
    for arrow in staying:
        out.append("\n  = stays", style=look.style(state))
        out.append("  by " + ", ".join(arrow.events), style=_DIM)
    for arrow in coming:
        out.append(f"\n  {look.arrow(back=True)} ")
        out.append_text(look.badge(arrow.source))
        out.append("  by " + ", ".join(arrow.events), style=_DIM)
    if not leaving:
        out.append("\n  nothing leads out of here", style=_DIM)
    return out
