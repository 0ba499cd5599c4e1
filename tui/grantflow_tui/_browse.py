"""Screen 2, installations: a filter line over the virtual list."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from grantflow.errors import FilterSyntaxError, GrantflowError
from grantflow_tui import _window
from grantflow_tui._base import BAD, said
from grantflow_tui._field import Field
from grantflow_tui._list import InstallationList
from grantflow_tui._marking import Marking
from grantflow_tui._text import clean

if TYPE_CHECKING:
    from grantflow import Engine, Matches

_EXACT_BELOW = 10_001


def counted(matches: Matches) -> str:
    """A bounded count in words.

    >>> from grantflow import Matches
    >>> counted(Matches(10_001, exact=False)), counted(Matches(3, exact=True))
    ('≥10,000 match', '3 match')
    """
    return f"{matches.count:,} match" if matches.exact else f"≥{_EXACT_BELOW - 1:,} match"


class FilterInput(Field):
    """The filter line; esc gives the keyboard back to the list."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "screen.leave_filter", show=False)]


class BrowseScreen(Marking):
    """Installations by filter.

    | key | does |
    |---|---|
    | / | edit the filter; enter runs it |
    | esc | back to the list; in the list: clear the filter |
    | f | force dialog |
    | y | copy the id |
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("slash", "edit_filter", "filter", show=False, priority=True),
        Binding("escape", "clear_filter", show=False),
        Binding("f", "force", "force", show=False),
        Binding("y", "copy", "copy id", show=False),
    ]
    DEFAULT_CSS = """
    BrowseScreen #bar { height: 1; }
    BrowseScreen #slash { width: 3; }
    BrowseScreen #filter { width: 1fr; }
    BrowseScreen #count { width: auto; margin-left: 1; }
    BrowseScreen #caret { height: auto; max-height: 4; display: none; }
    BrowseScreen #caret.-shown { display: block; }
    """
    hint = "/ filter · enter open · space mark · a verbs · b bulk · f force · y copy id · ? help · q quit"

    def __init__(self) -> None:
        super().__init__()
        self.filter = ""
        self._go = "start"

    def body(self) -> ComposeResult:
        """Filter line, the place of its errors, the list."""
        with Horizontal(id="bar"):
            yield Static(" / ", id="slash", markup=False)
            yield FilterInput(id="filter", compact=True, placeholder="all installations", max_length=1000)
            yield Static("", id="count", markup=False)
        yield Static("", id="caret", markup=False)
        yield Static("", id="marks", markup=False)
        yield InstallationList(self.console_app.look, id="list")

    def on_mount(self) -> None:
        """The list has the keyboard."""
        self.set_focus(self.list)

    @property
    def list(self) -> InstallationList:
        """The list."""
        return self.query_one("#list", InstallationList)

    def use(self, query: str) -> None:
        """Show what another screen asks for."""
        field = self.query_one("#filter", Input)
        field.value = query
        self._apply(query)

    async def load(self, engine: Engine) -> None:
        """The window again, and the bounded count."""
        go, self._go = self._go, ""
        query, now = self.filter, self.console_app.now
        try:
            rows = await (_window.from_start(engine, query) if go else _window.again(engine, self.list.rows))
        except GrantflowError:
            self._go = go
            raise
        self.list.show(rows, now(), go=go)
        self.query_one("#count", Static).update(counted(await engine.count(query)))
        await self.count_hidden(engine)

    # -- the filter line ------------------------------------------------------------------------
    def action_edit_filter(self) -> None:
        """Give the keyboard to the filter line, before the next key is looked at."""
        self.set_focus(self.query_one("#filter", Input))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - as the base
        """In the filter line a slash is a letter."""
        return not (action == "edit_filter" and isinstance(self.focused, FilterInput))

    def action_leave_filter(self) -> None:
        """Back to the list; the line shows the filter that is on screen."""
        self.query_one("#filter", Input).value = self.filter
        self._caret(None)
        self.set_focus(self.list)

    def action_clear_filter(self) -> None:
        """Show all installations again."""
        if self.filter:
            self.use("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter runs the filter."""
        self._apply(event.value)

    def _apply(self, query: str) -> None:
        self.run_worker(self._try(query), group="filter")

    async def _try(self, query: str) -> None:
        """Only a filter that can be read replaces the one on screen."""
        engine = self.console_app.engine
        if engine is None:
            self.filter, self._go = query, "start"
            return
        try:
            async with self.turn:
                rows = await _window.from_start(engine, query)
                matches = await engine.count(query)
                self.filter, self._go = query, ""
                self.list.show(rows, self.console_app.now(), go="start")
                await self.count_hidden(engine)
        except FilterSyntaxError as error:
            self._caret(error)
        except GrantflowError as error:
            self.tell(said(error), bad=True)
        else:
            self._caret(None)
            self.query_one("#count", Static).update(counted(matches))
            self.set_focus(self.list)
            self.tell(self.hint)

    def _caret(self, error: FilterSyntaxError | None) -> None:
        place = self.query_one("#caret", Static)
        place.set_class(error is not None, "-shown")
        if error is not None:
            text, _, caret = error.caret.partition("\n")
            shown = Text(f"   {clean(text)}\n   {caret} ")
            shown.append(said(error), style=BAD)
            place.update(shown)

    # -- the list -------------------------------------------------------------------------------
    def on_installation_list_wanted(self, event: InstallationList.Wanted) -> None:
        """Fetch the part of the matches the cursor is heading for."""
        self.run_worker(self._fetch(event.what), group="window")

    async def _fetch(self, what: str) -> None:
        engine = self.console_app.engine
        if engine is not None:
            async with self.turn:
                await self.guarded(lambda: self._read(engine, what))

    async def _read(self, engine: Engine, what: str) -> None:
        """By the time it is this wish's turn an earlier one may have fulfilled it."""
        rows, go = self.list.rows, ""
        if what in {"start", "end"}:
            go = what
            found = await (_window.from_end if go == "end" else _window.from_start)(engine, self.filter)
        elif (keep := self.list.wish(what)) is None:
            return
        elif what == "onward":
            found = await _window.onward(engine, rows, keep)
        else:
            found = await _window.backward(engine, rows, keep)
        self.list.show(found, self.console_app.now(), go=go)

    def on_installation_list_opened(self, event: InstallationList.Opened) -> None:
        """Enter opens the detail."""
        self.console_app.open_detail(event.installation.id)

    def action_force(self) -> None:
        """Open the force dialog for the row under the cursor."""
        if (here := self.chosen) is not None:
            self.console_app.open_force(here.id)

    def action_copy(self) -> None:
        """Copy the id under the cursor."""
        if (here := self.chosen) is not None:
            self.console_app.copy_id(here.id)
