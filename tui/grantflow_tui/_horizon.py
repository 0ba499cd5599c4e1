"""When live grants end, as a picture: a bar per day and per week, each of them a filter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from grantflow_machines import Severity
from grantflow_tui._keys import on
from grantflow_tui._text import cell
from grantflow_tui._themes import tint

if TYPE_CHECKING:
    from grantflow import Engine
    from grantflow_tui._look import Look

DAYS, WEEKS = 14, 26
_EIGHTHS = " ▁▂▃▄▅▆▇█"
_GAP = 3
_SOON = tint(Severity.WARN)
_BAR = tint(Severity.PENDING)
_HEAD = Style(bold=True)
_DIM = Style(dim=True)
_ON = Style(reverse=True)
_PLAIN = Style()
Span = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Bar:
    """One day or week."""

    start: datetime
    count: int
    filter: str
    name: str
    soon: bool


async def read(engine: Engine) -> list[Bar]:
    """The coming days, then the coming weeks; weeks begin today, too."""
    day, week = timedelta(days=1), timedelta(days=7)
    days = await engine.horizon(spans=DAYS, length=day)
    weeks = await engine.horizon(spans=WEEKS, length=week)
    return [*_bars(days, "day", 1), *_bars(weeks, "week", 7)]


def _bars(spans: Sequence[Span], name: str, length: int) -> list[Bar]:
    return [
        Bar(start, count, f"expires:{at * length}d..{(at + 1) * length}d", f"{name} {at + 1}", at * length < 7)
        for at, (start, count) in enumerate(spans)
    ]


class Horizon(Widget, can_focus=True):
    """The picture."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("earlier", "move(-1)"),
        on("later", "move(1)"),
        on("first", "move(-1000)"),
        on("last", "move(1000)"),
        on("open", "open"),
        on("scale", "scale"),
    ]
    DEFAULT_CSS = "Horizon { height: 9; background: transparent; }"

    class Opened(Message):
        """Enter on a bar."""

        def __init__(self, source: Horizon, query: str) -> None:
            super().__init__()
            self.source, self.query = source, query

        @property
        def control(self) -> Horizon:
            """The picture that was asked."""
            return self.source

    def __init__(self, look: Look, *, id: str) -> None:  # noqa: A002 - textual's word
        super().__init__(id=id)
        self.look = look
        self.bars: Sequence[Bar] = ()
        self.at = 0
        self.logarithmic = False

    def show(self, bars: Sequence[Bar]) -> None:
        """Take new numbers; the cursor keeps its day."""
        self.bars = bars
        self.action_move(0)

    @property
    def shown(self) -> list[Bar]:
        """The days, and as many weeks as there is room for."""
        weeks = max(0, (self.size.width - 2 * DAYS - _GAP - 1) // 2)
        return [*self.bars[:DAYS], *self.bars[DAYS:][:weeks]]

    def action_move(self, by: int) -> None:
        """Go to another bar."""
        self.at = max(0, min(self.at + by, len(self.shown) - 1))
        self.refresh()

    def action_scale(self) -> None:
        """Show small numbers beside large ones, or sizes as they are."""
        self.logarithmic = not self.logarithmic
        self.refresh()

    def action_open(self) -> None:
        """Open the installations of the bar."""
        if self.shown:
            self.post_message(self.Opened(self, self.shown[self.at].filter))

    def on_click(self, event: events.Click) -> None:
        """A click chooses a bar."""
        x = event.x - 1
        at = x // 2 if x < 2 * DAYS else DAYS + (x - 2 * DAYS - _GAP) // 2
        self.action_move(at - self.at)

    def height_of(self, bar: Bar, most: int, rows: int) -> int:
        """Eighths of a line; something is visible wherever there is something."""
        if not bar.count or not most:
            return 0
        share = math.log1p(bar.count) / math.log1p(most) if self.logarithmic else bar.count / most
        return max(1, round(share * rows * 8))

    def render_line(self, y: int) -> Strip:
        """Title, bars, axis, and a sentence about the bar under the cursor."""
        return self._line(y).apply_style(self.rich_style)

    def _line(self, y: int) -> Strip:
        width, rows = self.size.width, max(1, self.size.height - 3)
        if y == 0:
            title = "─ Live grants that end " + ("· log " if self.logarithmic else "")
            return Strip([Segment(title, _HEAD), Segment("─" * width, _DIM)]).crop(0, width)
        if y <= rows:
            strip = self._bars_at(rows - y, rows)
        elif y == rows + 1:
            strip = self._axis()
        else:
            strip = Strip([Segment(self._sentence(), _DIM if not self.has_focus else _PLAIN)])
        return strip.adjust_cell_length(width, _PLAIN).crop(0, width)

    def _bars_at(self, above: int, rows: int) -> Strip:
        bars = self.shown
        tops = [max([bar.count for bar in part] or [0]) for part in (bars[:DAYS], bars[DAYS:])]
        segments = [Segment(" ", _PLAIN)]
        for at, bar in enumerate(bars):
            if at == DAYS:
                segments.append(Segment(" " * _GAP, _PLAIN))
            filled = self.height_of(bar, tops[at >= DAYS], rows) - 8 * above
            shown = _EIGHTHS[max(0, min(8, filled))]
            on = self.has_focus and at == self.at
            style = _SOON if bar.soon else _BAR
            segments += [Segment(shown, style + _ON if on else style), Segment(" ", _PLAIN)]
        return Strip(segments)

    def _axis(self) -> Strip:
        """Days of the month, and of the weeks how far away."""
        text = " "
        for at in range(0, DAYS, 2):
            text += cell(f"{self.bars[at].start:%d}" if at < len(self.bars) else "", 4)
        text += " " * _GAP
        for at in range(0, len(self.shown) - DAYS, 4):
            text += cell(f"{at}w", 8)
        return Strip([Segment(text, _DIM)])

    def _sentence(self) -> str:
        if not self.shown:
            return " counting …"
        bar = self.shown[self.at]
        return f" {bar.name} · from {bar.start:%a %Y-%m-%d} · {bar.count:,} end"
