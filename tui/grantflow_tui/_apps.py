"""Screen 3, apps: how each one stands, and what of it needs somebody."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult

from grantflow_machines import Severity
from grantflow_tui._base import BAD, DIM, ConsoleScreen
from grantflow_tui._keys import TAIL
from grantflow_tui._lines import Line, Lines
from grantflow_tui._text import bar, cell, term
from grantflow_tui._themes import tint

if TYPE_CHECKING:
    from grantflow import AppOverview, Engine, Matches

_EVERY = 15
"""Awaited scopes are looked for row by row: every so many refreshes, behind what is on screen."""
_WELL = tint(Severity.OK)
_SOON = tint(Severity.WARN)
_WIDE = 100


class AppsScreen(ConsoleScreen):
    """Apps; enter shows the installations of one."""

    DEFAULT_CSS = "AppsScreen Lines { height: 1fr; }"
    twin = ("apps", "list")
    hints = "{open} installations of the app · " + TAIL

    def __init__(self) -> None:
        super().__init__()
        self._apps: tuple[AppOverview, ...] = ()
        self._awaiting: dict[str, Matches] = {}
        self._turn = 0

    def body(self) -> ComposeResult:
        """One list."""
        yield Lines(id="apps")

    def on_mount(self) -> None:
        """Say that data is on its way."""
        self.query_one("#apps", Lines).show([Line(Text("  counting …", style=DIM))])

    def on_screen_suspend(self) -> None:
        """Nobody looks: the search behind stops."""
        self.workers.cancel_group(self, "awaiting")

    def on_resize(self) -> None:
        """Columns follow the width."""
        self._show()

    async def load(self, engine: Engine) -> None:
        """The overview; now and then the scopes."""
        self._apps = await engine.ops.app_overview()
        self._show()
        if self._turn % _EVERY == 0:
            self.run_worker(self._count_awaiting(engine), group="awaiting", exclusive=True)
        self._turn += 1

    async def _count_awaiting(self, engine: Engine) -> None:
        async def count() -> None:
            for app in self._apps:
                self._awaiting[app.app] = await engine.count(f"{term('app', app.app)} scope:?*")
                self._show()

        await self.guarded(count)

    def _show(self) -> None:
        if not self._apps:
            empty = "  no app yet: grantflow apps register FILE"
            lines = [Line(Text(empty, style=DIM))] if self._turn else []
        else:
            wide = self.size.width >= _WIDE
            lines = [Line(_heading(self.size.width, wide=wide)), *(self._line(app, wide=wide) for app in self._apps)]
        for place in self.query("#apps").results(Lines):
            if lines:
                place.show(lines)

    def _line(self, app: AppOverview, *, wide: bool) -> Line:
        look, width = self.console_app.look, self.size.width
        share = app.working / app.installed if app.installed else 0.0
        text = Text("  ")
        text.append(cell(app.app, _room(width, wide=wide), dots=look.dots) + " ")
        text.append(cell(app.kind, 9, dots=look.dots))
        if wide:
            text.append(cell(app.mode or "?", 7))
        text.append(f"{app.installed:>10,} ")
        text.append(f"{100 * share:5.1f}% " if app.installed else "     - ")
        if wide:
            text.append(f"{bar(share, 10, ascii_only=look.ascii):<10} ", style=_WELL)
        text.append(f"{app.expiring:>8,} ", style=_SOON if app.expiring else DIM)
        awaiting = self._awaiting.get(app.app)
        text.append(f"{_number(awaiting):>8} ", style=BAD if awaiting is not None and awaiting.count else DIM)
        if app.incident is not None:
            text.append(f" {look.bad} {cell(app.incident, 22).rstrip()}", style=BAD)
        if app.held is not None:
            text.append(f" ! held: {cell(app.held, 30, dots=look.dots).rstrip()}", style=Style(bold=True))
        return Line(text, term("app", app.app))


def _room(width: int, *, wide: bool) -> int:
    return max(10, min(32, width - (104 if wide else 66)))


def _heading(width: int, *, wide: bool) -> Text:
    text = "  " + cell("app", _room(width, wide=wide)) + " " + cell("kind", 9)
    text += cell("mode", 7) if wide else ""
    text += f"{'installs':>10} {'works':>6} " + (" " * 11 if wide else "")
    return Text(f"{text}{'in 30 d':>8} {'awaiting':>8}  trouble", style=Style(bold=True, dim=True))


def _number(matches: Matches | None) -> str:
    if matches is None:
        return "…"
    return f"{matches.count:,}" if matches.exact else f"≥{matches.count - 1:,}"
