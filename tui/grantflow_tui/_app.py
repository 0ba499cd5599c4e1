"""The console app: opens the engine behind a painted skeleton and moves between the screens."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segments
from rich.text import Text
from textual.binding import BindingType
from textual.filter import LineFilter

from grantflow.errors import GrantflowError
from grantflow_machines import Actor
from grantflow_tui._acting import Acting
from grantflow_tui._ascii import AsciiFilter
from grantflow_tui._base import ConsoleScreen, said
from grantflow_tui._blast import MAX_BULK
from grantflow_tui._browse import BrowseScreen
from grantflow_tui._detail import DetailScreen
from grantflow_tui._fleet import FleetScreen
from grantflow_tui._help import HelpScreen
from grantflow_tui._jobs import JobsScreen
from grantflow_tui._text import clean

if TYPE_CHECKING:
    from grantflow import Engine

EngineFactory = Callable[[], "AbstractAsyncContextManager[Engine]"]
INTERVAL = 2.0
STALE_AFTER = 3 * INTERVAL


class Console(Acting):
    """The operator console."""

    TITLE = "grantflow"
    ENABLE_COMMAND_PALETTE = False
    MODES = {  # noqa: RUF012 - textual's own declaration
        "fleet": FleetScreen,
        "installations": BrowseScreen,
        "jobs": JobsScreen,
    }
    DEFAULT_MODE = "fleet"
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        factory: EngineFactory,
        *,
        name: str,
        actor: Actor | None,
        write: bool,
        ascii_only: bool = False,
        interval: float = INTERVAL,
        max_bulk: int = MAX_BULK,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(actor=actor, write=write, ascii_only=ascii_only, max_bulk=max_bulk, monotonic=monotonic)
        self._factory, self._stack = factory, AsyncExitStack()
        self._opening: asyncio.Task[None] | None = None
        self._interval = interval
        self._loaded_at: tuple[datetime, float] | None = None
        self.database = clean(name)
        self.paused = False
        self._letters = [AsciiFilter()] if ascii_only else []

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The filters of every painted line, and with `--ascii` one more."""
        return [*super().get_line_filters(), *self._letters]

    # -- opening and closing --------------------------------------------------------------------
    def on_mount(self) -> None:
        """The skeleton stands; now the database, and the pulse."""
        self._opening = asyncio.create_task(self._open())
        self.set_interval(self._interval, self.tick)

    async def _open(self) -> None:
        try:
            self.engine = await self._stack.enter_async_context(self._factory())
        except GrantflowError as error:
            self.exit(return_code=1, message=Text(f"grantflow: {said(error)}"))
            return
        except Exception as error:  # noqa: BLE001 - reported by the app's own panic path
            self._handle_exception(error)
            return
        for screen in self.screen_stack:
            if isinstance(screen, ConsoleScreen):
                screen.action_reload()

    async def close_engine(self) -> None:
        """Close what was opened, also when it was still opening."""
        if self._opening is not None:
            await asyncio.wait((self._opening,))
        self.engine = None
        await self._stack.aclose()

    def _fatal_error(self) -> None:
        """Say what broke and where: no local variables, no source lines, no message that may quote data."""
        error = self._exception
        told = Text(f"grantflow console stopped: {type(error).__name__}\n")
        for frame in traceback.extract_tb(error.__traceback__ if error else None)[-8:]:
            told.append(f"  {frame.filename}:{frame.lineno} in {frame.name}\n")
        self._exit_renderables.append(Segments(self.console.render(told, self.console.options)))
        self._close_messages_no_wait()

    def now(self) -> datetime:
        """The engine's time; there is none before it is open."""
        if self.engine is None:
            msg = "the database is not open yet"
            raise RuntimeError(msg)
        return self.engine.now()

    # -- the pulse ------------------------------------------------------------------------------
    @property
    def held(self) -> bool:
        """Whether the refresh stands still: by hand, by marks, or because a dialog is open."""
        return bool(self.why_held())

    def why_held(self) -> str:
        """What the header says of a refresh that stands still."""
        if not isinstance(self.screen, ConsoleScreen):
            return "paused: dialog"
        return self.screen.pauses or ("paused" if self.paused else "")

    def tick(self) -> None:
        """Read the screen's data again, unless the refresh is paused."""
        if self.ground.may_ask and self.engine is not None:
            if not self.held and isinstance(self.screen, ConsoleScreen):
                self.screen.action_reload()
            elif self.held:
                self.run_worker(self.feel_ground(), group="ground", exclusive=True)
        elif self.ground.lost:
            self.tell(self.ground.banner(), bad=True)
        self.refresh_headers()

    def loaded(self) -> None:
        """A screen has fresh data."""
        self._loaded_at = (self.now(), self._monotonic())
        self.answered()
        self.refresh_headers()

    @property
    def age(self) -> float:
        """Seconds since data was last read."""
        return 0.0 if self._loaded_at is None else self._monotonic() - self._loaded_at[1]

    def header(self) -> Text:
        """The line on top of every screen."""
        who = "-" if self.actor is None else clean(self.actor.id)
        claimed = " (claimed)" if self.actor is not None and self.actor.claimed else ""
        as_of = "opening" if self._loaded_at is None else f"{self._loaded_at[0]:%H:%M:%S}Z"
        turn = "~" if self.look.ascii else "↻"
        if self.ground.lost:
            pulse = f"DATABASE LOST, data {self.age:.0f}s old"
        elif self.held:
            pulse = self.why_held()
        elif self.age > STALE_AFTER:
            pulse = f"stale {self.age:.0f}s"
        else:
            pulse = f"{turn}{self._interval:g}s"
        name = self.database if len(self.database) <= 24 else self.database[:23] + self.look.dots
        told = f" grantflow  {name}  {self.mode_words()}  op={who}{claimed}  as of {as_of}  {pulse}"
        return Text(told, no_wrap=True)

    # -- going places ---------------------------------------------------------------------------
    async def action_fleet(self) -> None:
        """Screen 1."""
        await self.switch_mode("fleet")

    async def action_installations(self) -> None:
        """Screen 2."""
        await self.switch_mode("installations")

    async def action_jobs(self) -> None:
        """Screen 5."""
        await self.switch_mode("jobs")

    async def on_lines_opened(self, event: object) -> None:
        """A number on the fleet page opens the rows it counts."""
        await self.open_filter(getattr(event, "query", ""))

    async def open_filter(self, query: str) -> None:
        """Screen 2 with a filter."""
        await self.switch_mode("installations")
        while not isinstance(self.screen, BrowseScreen):
            await self.pop_screen()
        self.screen.use(query)

    def open_detail(self, installation_id: str) -> None:
        """Push the detail of one installation."""
        self.push_screen(DetailScreen(installation_id))

    def action_help(self) -> None:
        """Keys, filter, states."""
        self.push_screen(HelpScreen(self.look))
        self.refresh_headers()

    def action_pause(self) -> None:
        """Stop and start the refresh of the screen; production goes on either way."""
        self.paused = not self.paused
        self.refresh_headers()

    def copy_id(self, installation_id: str) -> None:
        """Put an id on the clipboard."""
        self.copy_to_clipboard(clean(installation_id))
        self.tell(f"copied {clean(installation_id)}")
