"""A filter line over a list: typed with completion, run on enter, explained where it fails or finds nothing."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static
from textual.worker import Worker

from grantflow.errors import FilterSyntaxError, GrantflowError
from grantflow_tui._base import BAD, DIM, ConsoleScreen, Quiet, said
from grantflow_tui._command import command
from grantflow_tui._field import Field
from grantflow_tui._keys import on
from grantflow_tui._places import Place
from grantflow_tui._text import clean

if TYPE_CHECKING:
    from grantflow import Engine

_SHOWN = 6
"""Completions shown at once."""


class FilterInput(Field):
    """The filter line; esc gives the keyboard back to the list, tab completes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "screen.leave_filter", show=False),
        Binding("tab", "screen.complete", show=False),
    ]


class FilteredScreen(ConsoleScreen):
    """A screen whose list is what a filter finds."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("filter", "edit_filter", priority=True),
        on("leave", "clear_filter"),
    ]
    DEFAULT_CSS = """
    FilteredScreen #bar { height: 1; }
    FilteredScreen #slash { width: 3; }
    FilteredScreen #filter { width: 1fr; }
    FilteredScreen #count { width: auto; margin-left: 1; }
    FilteredScreen #caret { height: auto; max-height: 4; display: none; }
    FilteredScreen #caret.-shown { display: block; }
    """
    everything = "everything"

    def __init__(self) -> None:
        super().__init__()
        self.filter = ""
        self.scanned: tuple[str, ...] = ()
        """Fields of the filter on screen that no index answers: it is not run again by itself."""
        self._search: Worker[None] | None = None
        self._offered: Sequence[str] = ()
        self._offer = 0

    # -- what a screen brings -------------------------------------------------------------------
    @abstractmethod
    async def found(self, engine: Engine, query: str) -> bool:
        """Read and show what a filter finds; returns whether that is anything."""

    def scans(self, engine: Engine, query: str) -> tuple[str, ...]:  # noqa: ARG002 - for those that have indexes
        """Fields that no index answers."""
        return ()

    async def suggestions(self, engine: Engine, text: str) -> Sequence[str]:  # noqa: ARG002 - as above
        """Whole filters that the text may become."""
        return ()

    async def without(self, engine: Engine, query: str) -> Sequence[tuple[str, str]]:  # noqa: ARG002 - as above
        """Each term, and in words how many match without it."""
        return ()

    @property
    @abstractmethod
    def main(self) -> Any:
        """The widget that has the keyboard when the filter line has not."""

    # -- the line -------------------------------------------------------------------------------
    def filter_line(self) -> ComposeResult:
        """The filter, the number of matches, and below them what is to be said of it."""
        with Horizontal(id="bar"):
            yield Static(" / ", id="slash", markup=False)
            yield FilterInput(id="filter", compact=True, placeholder=self.everything, max_length=1000)
            yield Quiet("", id="count", markup=False)
        yield Static("", id="caret", markup=False)

    def command(self) -> str:
        """What is on screen, on the command line."""
        return command(*self.twin, *([self.filter] if self.filter else []))

    @property
    def place(self) -> Place:
        """The view, with its filter."""
        return Place(self.app.current_mode, self.filter)

    @property
    def idle(self) -> bool:
        """A search through all rows is repeated by enter alone."""
        return bool(self.scanned)

    def use(self, query: str) -> None:
        """Show what another screen asks for."""
        self.query_one("#filter", Input).value = query
        self.run_filter(query)

    def action_edit_filter(self) -> None:
        """Give the keyboard to the filter line, before the next key is looked at."""
        self.set_focus(self.query_one("#filter", Input))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 - as the base
        """In the filter line a slash is a letter."""
        return not (action == "edit_filter" and isinstance(self.focused, FilterInput))

    def action_leave_filter(self) -> None:
        """Stop what is searched; back to the list, and the line shows the filter that is on screen."""
        self._interrupt()
        self.query_one("#filter", Input).value = self.filter
        self.note(None)
        self.set_focus(self.main)

    def action_clear_filter(self) -> None:
        """Stop what is searched, or show everything again."""
        if not self._interrupt() and self.filter:
            self.use("")

    def _interrupt(self) -> bool:
        search = self._search
        if search is None or search.is_finished:
            return False
        search.cancel()
        self.tell("interrupted; what was found before stays")
        return True

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter runs the filter."""
        if event.input.id == "filter":
            self.run_filter(event.value)

    def run_filter(self, query: str) -> None:
        """Search in a worker; the search before it is given up."""
        self.search(self._try(query))

    def search(self, work: Coroutine[Any, Any, None]) -> None:
        """Do what esc interrupts."""
        self._search = self.run_worker(work, group="filter", exclusive=True)

    async def _try(self, query: str) -> None:
        """Only a filter that can be read replaces the one on screen."""
        engine = self.console_app.engine
        if engine is None:
            self.filter = query
            return
        try:
            scanned = self.scans(engine, query)
            if scanned:
                self.tell(f"scan: no index answers {', '.join(scanned)}, so every row is read · esc interrupts")
            async with self.turn:
                something = await self.found(engine, query)
                self.filter, self.scanned = query, scanned
        except FilterSyntaxError as error:
            self._caret(error)
        except GrantflowError as error:
            self.tell(said(error), bad=True)
        else:
            self.console_app.loaded()
            if self.app.screen is self:
                self.console_app.visited(self.place)
            self.note(None)
            self.set_focus(self.main)
            self.tell(f"scanned {', '.join(scanned)}: not refreshed, / enter runs it again" if scanned else self.hint)
            if query and not something:
                await self._explain(engine, query)

    async def _explain(self, engine: Engine, query: str) -> None:
        """Nothing matches: which term removed everything."""
        text = Text()
        text.append("   nothing matches", style=BAD)
        for term, matches in await self.without(engine, query):
            text.append(f"\n   without {clean(term)} {matches}", style=DIM)
        self.note(text)

    # -- what is said of it ---------------------------------------------------------------------
    def note(self, text: Text | None) -> None:
        """Say something under the line."""
        self._offered = ()
        place = self.query_one("#caret", Static)
        place.set_class(text is not None, "-shown")
        if text is not None:
            place.update(text)

    def _caret(self, error: FilterSyntaxError) -> None:
        text, _, caret = error.caret.partition("\n")
        shown = Text(f"   {clean(text)}\n   {caret} ")
        shown.append(said(error), style=BAD)
        self.note(shown)

    # -- completion -----------------------------------------------------------------------------
    def on_input_changed(self, event: Input.Changed) -> None:
        """Look for completions of what is typed, unless it was completed just now."""
        if event.input.id != "filter" or self.focused is not event.input or event.value in self._offered:
            return
        self.run_worker(self._suggest(event.value), group="suggest", exclusive=True)

    async def _suggest(self, text: str) -> None:
        engine = self.console_app.engine
        if engine is None:
            return
        await asyncio.sleep(0)
        found: list[str] = []

        async def look() -> None:
            found.extend(await self.suggestions(engine, text))

        if await self.guarded(look) and self.query_one("#filter", Input).value == text:
            self.note(_offers(found, -1) if found else None)
            self._offered, self._offer = found, -1

    def action_complete(self) -> None:
        """Take the next completion; without any, tab goes on as always."""
        if not self._offered:
            self.focus_next()
            return
        field, offered = self.query_one("#filter", Input), self._offered
        self._offer = (self._offer + 1) % len(offered)
        field.value = offered[self._offer]
        field.cursor_position = len(field.value)
        place = self.query_one("#caret", Static)
        place.update(_offers(offered, self._offer))


def _offers(found: Sequence[str], chosen: int) -> Text:
    start = max(0, chosen - _SHOWN + 1)
    out = Text()
    out.append("   tab ", style=DIM)
    for at, whole in enumerate(found[start : start + _SHOWN], start):
        out.append(clean(whole.split(" ")[-1]), style=Style(reverse=True) if at == chosen else Style())
        out.append("  ")
    return out
