"""How a state looks: glyph, word and colour by the severity its chart declares; never colour alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rich.style import Style
from rich.text import Text

from grantflow_machines import Grant, Severity
from grantflow_tui._text import clean
from grantflow_tui._themes import tint

if TYPE_CHECKING:
    from grantflow import Installation

EXPIRES_SOON = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Face:
    """One of the five classes on screen."""

    glyph: str
    plain: str
    style: Style


FACES: Mapping[Severity, Face] = {
    Severity.IDLE: Face("○", ".", tint(Severity.IDLE)),
    Severity.PENDING: Face("◔", "1", tint(Severity.PENDING)),
    Severity.OK: Face("●", "*", tint(Severity.OK)),
    Severity.WARN: Face("↻", "~", tint(Severity.WARN)),
    Severity.BAD: Face("✖", "X", tint(Severity.BAD)),
}
_LATER_PENDING = ("◑", "2")
_EXPIRING = ("▲", "!")
_UNKNOWN = FACES[Severity.BAD]


class Look:
    """Draws the states of all charts; `states` is every state the definitions declare, in their order."""

    def __init__(
        self, definitions: Mapping[str, Any] | Callable[[], Mapping[str, Any]], *, ascii_only: bool = False
    ) -> None:
        self.ascii = ascii_only
        self._definitions = definitions

    @cached_property
    def definitions(self) -> Mapping[str, Any]:
        """The compiled charts by kind of app; where they are made on demand, by the first row that is drawn."""
        return self._definitions() if callable(self._definitions) else self._definitions

    @cached_property
    def states(self) -> dict[str, Any]:
        """Every state that is declared, in order."""
        found: dict[str, Any] = {}
        for definition in self.definitions.values():
            for value, info in definition.states.items():
                found.setdefault(value, info)
        return found

    @cached_property
    def _later(self) -> frozenset[str]:
        pending = [value for value, info in self.states.items() if info.severity is Severity.PENDING]
        return frozenset(pending[1:])

    def face(self, state: str) -> Face:
        """The class of a state; what no chart knows looks bad."""
        info = self.states.get(state)
        return _UNKNOWN if info is None else FACES[info.severity]

    def glyph(self, state: str, *, expiring: bool = False) -> str:
        """One character for a state."""
        face = self.face(state)
        if expiring:
            return _EXPIRING[self.ascii]
        if state in self._later:
            return _LATER_PENDING[self.ascii]
        return face.plain if self.ascii else face.glyph

    def style(self, state: str, *, expiring: bool = False) -> Style:
        """The colour of a state."""
        return FACES[Severity.WARN].style if expiring else self.face(state).style

    def badge(self, state: str, *, expiring: bool = False) -> Text:
        """Glyph and word of a state in its colour."""
        shown = f"{self.glyph(state, expiring=expiring)} {clean(state)}"
        return Text(shown, style=self.style(state, expiring=expiring))

    def expiring(self, state: str, expires_at: datetime | None, now: datetime) -> bool:
        """Whether a live grant ends within seven days."""
        info = self.states.get(state)
        return info is not None and info.functional and expires_at is not None and expires_at - now < EXPIRES_SOON

    def over(self, state: str) -> bool:
        """Whether the grant is dead."""
        info = self.states.get(state)
        return info is not None and info.grant is Grant.DEAD

    def ends(self, here: Installation) -> datetime | None:
        """When a live grant ends, or a dead one ended; one that somebody ended early has no deadline any more."""
        if not self.over(here.state):
            return here.expires_at
        if here.overdue or (here.expires_at is not None and here.expires_at <= here.entered_at):
            return here.expires_at
        return None if self.states[here.state].waits_for_attempt else here.entered_at

    def arrow(self, *, back: bool = False) -> str:
        """An arrow head with its shaft."""
        if back:
            return "<-" if self.ascii else "◀─"
        return "->" if self.ascii else "─▶"

    @property
    def done(self) -> str:
        """The mark of what was approved."""
        return "*" if self.ascii else "✓"

    @property
    def bad(self) -> str:
        """The mark of what is wrong."""
        return FACES[Severity.BAD].plain if self.ascii else FACES[Severity.BAD].glyph

    @property
    def dots(self) -> str:
        """What stands where text was cut."""
        return "~" if self.ascii else "…"
