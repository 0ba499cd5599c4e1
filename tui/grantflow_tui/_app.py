"""The console app: opens the engine behind a painted skeleton and moves between the screens."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segments
from rich.text import Text
from textual.binding import BindingType
from textual.filter import LineFilter

from grantflow.errors import GrantflowError
from grantflow_tui import _keys, _late, _saved
from grantflow_tui._ascii import AsciiFilter
from grantflow_tui._base import ConsoleScreen, said
from grantflow_tui._blast import MAX_BULK
from grantflow_tui._fleet import FleetScreen
from grantflow_tui._horizon import Horizon
from grantflow_tui._lines import Lines
from grantflow_tui._places import Place, Places
from grantflow_tui._text import clean
from grantflow_tui._themes import DARK, LIGHT, PALETTES
from grantflow_tui._travel import KEYS as TIME_KEYS
from grantflow_tui._travel import Advance, Travelling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grantflow import Engine
    from grantflow_machines import Actor, LifecycleChart

EngineFactory = Callable[[], "AbstractAsyncContextManager[Engine]"]
INTERVAL = 2.0
STALE_AFTER = 3 * INTERVAL


class Console(Travelling):
    """The operator console."""

    TITLE = "grantflow"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS = {_late.commands}  # noqa: RUF012 - textual's own declaration
    MODES = {  # noqa: RUF012 - textual's own declaration
        "fleet": FleetScreen,
        "installations": _late.installations,
        "jobs": _late.jobs,
        "apps": _late.apps,
        "sweeps": _late.sweeps,
        "audit": _late.audit,
    }
    DEFAULT_MODE = "fleet"
    CSS = """
    CommandPalette > Vertical { width: 84; max-width: 100%; }
    CommandPalette SearchIcon { display: none; }
    ModalScreen #box, ModalScreen #help { background: $surface; }
    """
    BINDINGS: ClassVar[list[BindingType]] = []

    def __init__(
        self,
        factory: EngineFactory,
        *,
        name: str,
        actor: Actor | None,
        write: bool,
        ascii_only: bool = False,
        charts: Mapping[str, type[LifecycleChart]] | None = None,
        theme: str | None = None,
        interval: float = INTERVAL,
        max_bulk: int = MAX_BULK,
        monotonic: Callable[[], float] = time.monotonic,
        advance: Advance | None = None,
    ) -> None:
        super().__init__(
            actor=actor,
            write=write,
            ascii_only=ascii_only,
            charts=charts,
            max_bulk=max_bulk,
            monotonic=monotonic,
            advance=advance,
        )
        self._factory, self._stack = factory, AsyncExitStack()
        self._opening: asyncio.Task[None] | None = None
        self._interval = interval
        self._loaded_at: tuple[datetime, float] | None = None
        self.database = clean(name)
        self.places = Places()
        self._heading: Place | None = None
        self.paused = False
        self.app_keys: list[str] = []
        self.marked: set[str] = set()
        """Ids that are marked: what `is:marked` means."""
        self._letters = [AsciiFilter()] if ascii_only else []
        self.ansi_theme_dark, self.ansi_theme_light = DARK.terminal(), LIGHT.terminal()
        for palette in PALETTES.values():
            self.register_theme(palette.theme())
        self.keymap: _keys.Keymap = {}
        self._wrong_keys = ""
        try:
            self.keymap = _keys.keymap(_saved.keys(_saved.default_path()))
        except _keys.WrongKeys as error:
            self._wrong_keys = f"console.json, {error}: the keys are as shipped"
        self.set_keymap(self.keymap)
        remembered = PALETTES.get(_saved.theme(_saved.default_path()) or "", DARK)
        self.palette = remembered if theme is None else PALETTES[theme]
        self.theme = self.palette.theme_name

    def get_line_filters(self) -> Sequence[LineFilter]:
        """The filters of every painted line, and with `--ascii` one more."""
        return [*super().get_line_filters(), *self._letters]

    # -- opening and closing --------------------------------------------------------------------
    def on_mount(self) -> None:
        """The skeleton stands; now the database, and the pulse."""
        self.places.visit(Place(self.DEFAULT_MODE))
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
        if self._wrong_keys:
            self.tell(clean(self._wrong_keys), bad=True)
        await asyncio.to_thread(_late.load)

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
        as_of = "as of opening" if self._loaded_at is None else f"as of {self._loaded_at[0]:%H:%M:%S}Z"
        if self.advance is not None and self._loaded_at is not None:
            as_of = f"VIRTUAL {self._loaded_at[0]:%Y-%m-%d %H:%M}Z"
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
        told = f" grantflow  {name}  {self.mode_words()}  op={who}{claimed}  {as_of}  {pulse}"
        return Text(told, no_wrap=True)

    # -- going places ---------------------------------------------------------------------------
    async def action_fleet(self) -> None:
        """Screen 1."""
        await self._show_mode("fleet")

    async def action_installations(self) -> None:
        """Screen 2."""
        await self._show_mode("installations")

    async def action_jobs(self) -> None:
        """Screen 5."""
        await self._show_mode("jobs")

    async def action_apps(self) -> None:
        """Screen 3."""
        await self._show_mode("apps")

    async def action_sweeps(self) -> None:
        """Screen 4."""
        await self._show_mode("sweeps")

    async def action_audit(self) -> None:
        """Screen 6."""
        await self._show_mode("audit")

    async def on_lines_opened(self, event: Lines.Opened) -> None:
        """A number opens the rows it counts, a name what it stands for."""
        if event.line.installation is not None:
            self.open_detail(event.line.installation)
        elif event.query is not None:
            await self.open_filter(event.query)

    async def on_horizon_opened(self, event: Horizon.Opened) -> None:
        """A bar opens the rows it counts."""
        await self.open_filter(event.query)

    async def _show_mode(self, name: str) -> None:
        self._heading = None
        await self.switch_mode(name)
        if isinstance(self.screen, ConsoleScreen):
            self.visited(self.screen.place)

    async def open_filter(self, query: str) -> None:
        """Show what a filter finds."""
        await self.go(Place("installations", query))

    async def go(self, place: Place) -> None:
        """Show a view, whatever is on screen."""
        self._heading = None
        await self.switch_mode(place.screen)
        while len(self.screen_stack) > 1:
            await self.pop_screen()
        screen = self.screen
        if isinstance(screen, ConsoleScreen) and screen.place != Place(place.screen, place.filter):
            self._heading = Place(place.screen, place.filter)
            screen.use(place.filter)
        if place.installation is not None:
            self._heading = None
            self.push_screen(_late.detail(place.installation))
        if self._heading is None:
            self.visited(place)

    def visited(self, place: Place) -> None:
        """A view came up; while another one is on its way it is none."""
        if self._heading is None or place == self._heading:
            self._heading = None
            self.places.visit(place)

    async def action_history(self, by: int) -> None:
        """Back or forward through the views."""
        await self._return(self.places.step(by))

    async def action_last_view(self) -> None:
        """The view before this one."""
        await self._return(self.places.last())

    async def _return(self, place: Place | None) -> None:
        if place is None:
            self.tell("there is no view beyond this one")
        else:
            await self.go(place)

    def open_detail(self, installation_id: str) -> None:
        """Push the detail of one installation."""
        below = self.screen.place if isinstance(self.screen, ConsoleScreen) else Place(self.current_mode)
        self.push_screen(_late.detail(installation_id))
        self.visited(replace(below, installation=installation_id))

    def action_help(self) -> None:
        """Keys, filter, states."""
        own = self.screen.own_keys if isinstance(self.screen, ConsoleScreen) else ()
        more = () if self.advance is None else (TIME_KEYS,)
        self.push_screen(_late.help_on(self.look, self.keymap, own, more))
        self.refresh_headers()

    def action_pause(self) -> None:
        """Stop and start the refresh of the screen; production goes on either way."""
        self.paused = not self.paused
        self.refresh_headers()

    def action_turn_theme(self) -> None:
        """The other theme, now and from the next start on."""
        self.palette = LIGHT if self.palette is DARK else DARK
        self.theme = self.palette.theme_name
        try:
            _saved.keep_theme(_saved.default_path(), self.palette.name)
        except _saved.CannotSave as error:
            self.tell(clean(error), bad=True)
        else:
            self.tell(f"{self.palette.name} theme, from the next start on, too")

    def copy_id(self, installation_id: str) -> None:
        """Put an id on the clipboard."""
        self.copy_to_clipboard(clean(installation_id))
        self.tell(f"copied {clean(installation_id)}")

    # -- saved filters and the palette ----------------------------------------------------------
    def saved_filters(self) -> dict[str, str]:
        """Name and filter, from the user's own file."""
        return _saved.load(_saved.default_path())

    def action_save_filter(self) -> None:
        """Ask for a name and keep the filter on screen under it."""
        screen = self.screen
        text = screen.filter if _late.lists_installations(screen) else ""
        if not text:
            self.tell("there is no filter on screen to save")
            return

        def keep(name: str | None) -> None:
            self.refresh_headers()
            if name is None:
                return
            try:
                _saved.save(_saved.default_path(), name, text)
            except _saved.CannotSave as error:
                self.tell(clean(error), bad=True)
            else:
                self.tell(f"saved: {clean(name)}; the palette has it as filter {clean(name)}")

        self.ask_line("Save the filter", text, "its name; enter saves", keep, longest=_saved.MAX_NAME)

    def ask_line(
        self, title: str, about: str, asks: str, then: Callable[[str | None], None], *, longest: int = 200
    ) -> None:
        """Ask for a line of text, or None where it is not given."""
        self.push_screen(_late.line_dialog(title, about, asks, longest=longest, ascii_only=self.look.ascii), then)
        self.refresh_headers()

    def action_command_palette(self) -> None:
        """Open the palette with the apps that there are."""
        self.run_worker(self._open_palette(), group="palette", exclusive=True)

    async def _open_palette(self) -> None:
        screen = self.screen
        if self.engine is not None and isinstance(screen, ConsoleScreen):
            engine = self.engine

            async def keys() -> None:
                self.app_keys = [app.app for app in await engine.ops.app_overview()]

            await screen.guarded(keys)
        if self.screen is screen:
            super().action_command_palette()
            self.refresh_headers()

    def monotonic(self) -> float:
        """Seconds that never step back."""
        return self.now_monotonic()
