"""What all screens share: the header line, the status line, and data that comes from workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.css.query import NoMatches
from textual.visual import VisualType
from textual.widgets import Static

from grantflow.errors import DatabaseError, GrantflowError
from grantflow_machines import Severity
from grantflow_tui._command import command
from grantflow_tui._field import TypesFirst
from grantflow_tui._keys import on, words
from grantflow_tui._places import Place
from grantflow_tui._text import clean
from grantflow_tui._themes import tint

if TYPE_CHECKING:
    from grantflow import Engine
    from grantflow_tui._app import Console
    from grantflow_tui._confirm import ConfirmDialog

BAD = tint(Severity.BAD, bold=True)
TITLE = Style(bold=True, underline=True)
DIM = Style(dim=True)


def said(error: GrantflowError) -> str:
    """An error and its hint on one line."""
    return clean(f"{error} · {error.hint}" if error.hint else error)


class Quiet(Static):
    """A text that is drawn, and places others, only when it says something else."""

    _said: VisualType = ""

    def update(self, content: VisualType = "", *, layout: bool = True) -> None:
        """Say something, unless it stands there."""
        if content != self._said:
            self._said = content
            super().update(content, layout=layout)


class ConsoleScreen(TypesFirst[None]):
    """A screen with the header on top and a status line at the bottom."""

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - textual declares it so
        (0, "-narrow"),
        (100, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = [
        on("fleet", "app.fleet"),
        on("installations", "app.installations"),
        on("jobs", "app.jobs"),
        on("apps", "app.apps"),
        on("sweeps", "app.sweeps"),
        on("audit", "app.audit"),
        on("earlier_view", "app.history(-1)"),
        on("later_view", "app.history(1)"),
        on("last_view", "app.last_view"),
        on("palette", "app.command_palette"),
        on("refresh", "reload"),
        on("pause", "app.pause"),
        on("theme", "app.turn_theme"),
        on("write", "app.ask_to_write"),
        on("copy_line", "app.copy_command"),
        on("help", "app.help"),
        on("quit", "app.quit"),
    ]
    DEFAULT_CSS = """
    ConsoleScreen { layout: vertical; background: $background; }
    ConsoleScreen #header { height: 1; color: $background; background: $foreground; }
    ConsoleScreen #status, ConsoleScreen #time { height: 1; }
    """
    hints = ""
    """The status line at rest; names of the keymap in braces."""
    own_keys: tuple[str, ...] = ()
    """The groups of the keymap that are this screen's own."""
    twin: tuple[str, ...] = ()
    """The command that shows the same, for scripts and screen readers: with --json or --plain."""

    def __init__(self) -> None:
        super().__init__()
        self._reading = False
        self._again = False
        self._failed = False
        self.turn = asyncio.Lock()
        """Held by whoever reads for this screen."""

    @property
    def console_app(self) -> Console:
        """The app, by its own type."""
        return cast("Console", self.app)

    def compose(self) -> ComposeResult:
        """Header, body, status."""
        yield Quiet(self.console_app.header(), id="header", markup=False)
        yield from self.body()
        if self.console_app.advance is not None:
            yield Static(self.console_app.time_line(), id="time", markup=False)
        yield Static(self.hint, id="status", markup=False)

    def body(self) -> ComposeResult:
        """The screen's own widgets."""
        yield from ()

    @property
    def hint(self) -> str:
        """The status line at rest, with the keys as they are."""
        return self.hints.format_map(words(self.console_app.keymap))

    @property
    def pauses(self) -> str:
        """Why this screen's refresh stands still, for the header; empty while it does not."""
        return ""

    def command(self) -> str:
        """The command line that shows the same."""
        return command(*self.twin)

    def acted(self) -> None:
        """Something was changed from here."""

    async def load(self, engine: Engine) -> None:
        """Read what the screen shows, and show it."""

    def on_screen_resume(self) -> None:
        """Data may be old when a screen comes back."""
        self.action_reload()

    @property
    def idle(self) -> bool:
        """Whether what it shows is not read again by itself."""
        return False

    @property
    def place(self) -> Place:
        """The view it shows, for the history."""
        return Place(self.app.current_mode)

    def use(self, query: str) -> None:
        """Show what a filter finds; a screen without one shows everything."""

    def action_reload(self) -> None:
        """Read again, in a worker; a second wish while one runs is served once, afterwards."""
        if self._reading:
            self._again = True
            return
        if self.console_app.engine is not None and self.query("#status") and not self.idle:
            self._reading = True
            self.run_worker(self._reload(), group="load")

    async def _reload(self) -> None:
        try:
            engine = self.console_app.engine
            if engine is not None:
                async with self.turn:
                    went_well = await self.guarded(lambda: self.load(engine))
                if went_well:
                    self.console_app.loaded()
                    if self._failed:
                        self.tell(self.hint)
                self._failed = not went_well
        finally:
            self._reading = False
        if self._again:
            self._again = False
            self.action_reload()

    async def guarded(self, work: Callable[[], Awaitable[Any]]) -> bool:
        """Run something that reads or writes; an error of the engine stands in the status line, data stays."""
        try:
            await work()
        except GrantflowError as error:
            if isinstance(error, DatabaseError):
                self.console_app.failed(said(error))
            self.tell(said(error), bad=True)
            return False
        except NoMatches:
            if self.is_attached and self.query("#status"):
                raise
            return False  # the screen went away while its data was on the way
        return True

    def ask_first(self, dialog: Callable[[Engine], Awaitable[ConfirmDialog]]) -> None:
        """Open the dialog of a deed, or say why nothing may be done."""
        app, engine = self.console_app, self.console_app.engine
        if (why := app.why_read_only()) is not None or engine is None:
            self.tell(why or "the database is not open yet", bad=True)
            return

        async def ask() -> None:
            made = await dialog(engine)
            if app.screen is self:
                await app.push_screen(made, self._done)
                app.refresh_headers()

        self.run_worker(self.guarded(ask), group="dialog", exclusive=True)

    def _done(self, told: str | None) -> None:
        self.console_app.refresh_headers()
        if told is not None:
            self.tell(told)

    def refresh_header(self) -> None:
        """Draw the header anew."""
        for place in self.query("#header").results(Static):
            place.update(self.console_app.header(), layout=False)
        for place in self.query("#time").results(Static):
            place.update(self.console_app.time_line())

    def tell(self, message: str, *, bad: bool = False) -> None:
        """Say something in the status line."""
        for place in self.query("#status").results(Static):
            place.update(Text(message, style=BAD if bad else Style()), layout=False)
