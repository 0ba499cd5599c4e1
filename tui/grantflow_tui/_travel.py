"""Virtual time: a host whose clock can be moved on lends the console a way to do that, and there are keys for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import BindingType

from grantflow.errors import GrantflowError
from grantflow_machines import Severity
from grantflow_tui._acting import Acting
from grantflow_tui._base import DIM, ConsoleScreen, said
from grantflow_tui._text import clean
from grantflow_tui._themes import tint

Advance = Callable[[timedelta], AsyncGenerator[str]]
"""Lets that much time pass in steps, does what is due on the way, and tells after each step what became of it."""
SPANS = (
    ("f2", "a day", timedelta(days=1)),
    ("f3", "a week", timedelta(weeks=1)),
    ("f4", "a year", timedelta(days=365)),
)
KEYS = ("F2 F3 F4", "a day, a week, a year on; again: stop (virtual time)")
_WATCHED = 4.0
"""Seconds that a way lasts at least: whoever looks on sees what changes."""
_STEP = 0.3
_DAY = timedelta(days=1)


class Travelling(Acting):
    """What a console does where time is virtual; without `advance` nothing of it is there."""

    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(self, *, advance: Advance | None, **options: Any) -> None:
        super().__init__(**options)
        self.advance = advance
        self.under_way = False
        """Time is being moved on."""
        self.looks_back = _DAY
        """How long ago something is that changed lately: what the last way brought is looked at when it ends."""
        self._told = ""

    def on_mount(self) -> None:
        """The keys, where there is something to move."""
        if self.advance is not None:
            for at, (key, name, _) in enumerate(SPANS):
                self.bind(key, f"travel({at})", description=f"{name} on")

    def now(self) -> datetime:
        """The engine's time; there is none before it is open."""
        return self.opened_engine().now()

    def time_line(self) -> Text:
        """Under every screen: that time is virtual, how to move it, and what came of it."""
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append("virtual time ", style=tint(Severity.WARN, bold=True))
        if self.under_way:
            text.append(" F2 F3 F4 stop it", style=Style(bold=True))
        for key, name, _ in () if self.under_way else SPANS:
            text.append(f" {key.upper()}", style=Style(bold=True))
            text.append(f" {name} on ", style=DIM)
        if self._told:
            text.append(f"  {clean(self._told)}")
        return text

    def action_travel(self, at: int) -> None:
        """Move time on; while it moves, stop it."""
        if self.under_way:
            self.under_way = False
        elif self.engine is None:
            self.tell("the database is not open yet", bad=True)
        elif self.advance is not None:
            self.under_way, self.looks_back = True, max(_DAY, SPANS[at][2])
            self.run_worker(self._travel(self.advance, SPANS[at][2]), group="travel")

    async def _travel(self, advance: Advance, length: timedelta) -> None:
        pause = min(_STEP, _WATCHED / max(1, length.days))
        try:
            async with aclosing(advance(length)) as steps:
                async for self._told in steps:
                    self._show_time()
                    if not self.under_way:
                        break
                    await asyncio.sleep(pause)
        except GrantflowError as error:
            self.tell(said(error), bad=True)
        finally:
            self.under_way = False
            self._show_time()

    def _show_time(self) -> None:
        self.refresh_headers()
        if isinstance(self.screen, ConsoleScreen) and not self.screen.pauses:
            self.screen.action_reload()
