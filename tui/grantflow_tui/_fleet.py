"""Screen 1, the fleet: how many stand where, what ends when, and what needs somebody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container

from grantflow_machines import Grant
from grantflow_tui._base import BAD, DIM, TITLE, ConsoleScreen
from grantflow_tui._lines import Line, Lines
from grantflow_tui._text import bar, cell, clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from grantflow import Counts, Engine, Matches
    from grantflow_tui._look import Look

SPANS = 13
SPAN = timedelta(days=30)
_EVERY = 15
"""The horizon walks an index: it is read every so many refreshes."""


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that needs somebody, and the filter that shows it."""

    words: str
    filter: str
    bad: bool = True


def wishes(look: Look) -> list[Attention]:
    """What to look for, derived from the charts: dead grants nobody works on, and attempts that got stuck."""
    found = []
    for value, info in look.states.items():
        if info.grant is Grant.DEAD and not info.waits_for_attempt:
            found.append(Attention(f"{value}: {info.who_acts} must act", f"state:{value}"))
            found.append(Attention(f"{value} for more than 7 days", f"state:{value} entered:>7d"))
        elif info.waits_for_attempt:
            found.append(Attention(f"stuck in {value} for more than 1h", f"state:{value} entered:>1h", bad=False))
    found.append(Attention("overdue: no sweep has written them yet", "is:overdue", bad=False))
    found.append(Attention("quarantined: cannot be understood", "is:quarantined"))
    return found


class FleetScreen(ConsoleScreen):
    """The fleet page; every number leads to the rows it counts."""

    DEFAULT_CSS = """
    FleetScreen #panels { height: 1fr; layout: vertical; }
    FleetScreen.-wide #panels { layout: horizontal; }
    FleetScreen #states { height: 3fr; }
    FleetScreen #horizon { height: 2fr; }
    FleetScreen.-wide Lines { height: 1fr; }
    FleetScreen.-wide #states { width: 3fr; }
    FleetScreen.-wide #horizon { width: 2fr; margin-left: 2; }
    """
    hint = "enter opens as filter · tab panel · 2 installations · ? help · q quit"

    def __init__(self) -> None:
        super().__init__()
        self._turn = 0
        self._horizon: list[tuple[datetime, int]] = []

    def body(self) -> ComposeResult:
        """States and attention, then the horizon."""
        with Container(id="panels"):
            yield Lines(id="states")
            yield Lines(id="horizon")

    def on_mount(self) -> None:
        """Say that data is on its way."""
        self.query_one("#states", Lines).show([Line(Text("  opening the database …", style=DIM))])

    async def load(self, engine: Engine) -> None:
        """Counts every time, the horizon now and then."""
        counts = await engine.counts()
        held = await engine.apps.held()
        found = [(wish, await engine.count(wish.filter)) for wish in wishes(self.console_app.look)]
        states = self._states(counts) + self._attention(found, held)
        self.query_one("#states", Lines).show(states)
        if self._turn % _EVERY == 0:
            self._horizon = await engine.horizon(spans=SPANS, length=SPAN)
        self._turn += 1
        self.query_one("#horizon", Lines).show(self._spans())

    def _states(self, counts: Counts) -> list[Line]:
        look, total = self.console_app.look, max(1, counts.total)
        known = [*look.states, *(value for value in counts.by_state if value not in look.states)]
        lines = [Line(Text(f"States · {counts.total:,} installations", style=TITLE))]
        for value in known:
            count = counts.by_state.get(value, 0)
            text = Text("  ")
            text.append_text(look.badge(value))
            text.append(" " * max(1, 22 - text.cell_len))
            text.append(f"{count:>11,} {100 * count / total:5.1f}% ")
            text.append(bar(count / total, 24, ascii_only=look.ascii), style=look.style(value))
            lines.append(Line(text, f"state:{clean(value)}"))
        if not counts.total:
            lines.append(
                Line(Text("  empty: engine.install(app, account=…, actor=…) makes the first one", style=DIM))
            )
        return lines

    def _attention(self, found: Sequence[tuple[Attention, Matches]], held: dict[str, str]) -> list[Line]:
        lines = [Line(Text()), Line(Text("Needs attention · enter opens as filter", style=TITLE))]
        for wish, matches in found:
            if matches.count:
                mark = "!" if not wish.bad else ("X" if self.console_app.look.ascii else "✖")
                number = f"{matches.count:,}" if matches.exact else f"≥{matches.count - 1:,}"
                text = Text(f"  {mark} {number:>8}  ", style=BAD if wish.bad else Style(bold=True))
                text.append(wish.words, style=Style.null())
                lines.append(Line(text, wish.filter))
        for app, reason in held.items():
            text = Text("  !     held  ", style=Style(bold=True))
            text.append(f"app {clean(app)}: {clean(reason)}")
            lines.append(Line(text, f"app:{clean(app)}"))
        if len(lines) == 2:
            lines.append(Line(Text("  nothing", style=DIM)))
        return lines

    def _spans(self) -> list[Line]:
        look = self.console_app.look
        most = max([count for _, count in self._horizon] or [0]) or 1
        lines = [Line(Text("Live grants that end, per 30 days", style=TITLE))]
        for index, (start, count) in enumerate(self._horizon):
            text = Text(f"  {start:%Y-%m-%d} {cell(f'{count:,}', 10, right=True)} ")
            text.append(
                bar(count / most, 24, ascii_only=look.ascii), style=Style(color="#D3A81A" if not index else None)
            )
            lines.append(Line(text, f"expires:{SPAN.days * index}d..{SPAN.days * (index + 1)}d"))
        return lines
