"""Screen 2, installations: a filter line, facets, the virtual list, and a preview of the row under the cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from grantflow.errors import GrantflowError
from grantflow_tui import _facets, _window
from grantflow_tui._filtered import FilterInput
from grantflow_tui._keys import ROWS, on
from grantflow_tui._lines import Lines
from grantflow_tui._list import InstallationList
from grantflow_tui._marking import Marking
from grantflow_tui._text import stamp

if TYPE_CHECKING:
    from grantflow import Engine, Matches

__all__ = ["BrowseScreen", "FilterInput", "counted"]
_EXACT_BELOW = 10_001
_FACETS_FROM = 120
_EVERY = 15


def counted(matches: Matches) -> str:
    """A bounded count in words.

    >>> from grantflow import Matches
    >>> counted(Matches(10_001, exact=False)), counted(Matches(3, exact=True))
    ('≥10,000 match', '3 match')
    """
    return f"{matches.count:,} match" if matches.exact else f"≥{_EXACT_BELOW - 1:,} match"


class BrowseScreen(Marking):
    """Installations by filter."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("force", "force"),
        on("count", "count_all"),
        on("jump", "jump"),
        on("copy", "copy"),
        on("save", "app.save_filter"),
    ]
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - textual declares it so
        (0, "-narrow"),
        (100, "-wide"),
        (_FACETS_FROM, "-facets"),
    ]
    DEFAULT_CSS = """
    BrowseScreen #middle { height: 1fr; }
    BrowseScreen #facets, BrowseScreen #preview { display: none; }
    BrowseScreen.-facets #facets { display: block; width: 24; margin-right: 1; }
    BrowseScreen.-facets #preview { display: block; height: 4; border-top: solid $foreground-muted; }
    """
    twin = ("list",)
    hints = (
        "{filter} filter · {open} open · {mark} mark · {verbs} verbs · {bulk} bulk · {force} force · "
        "{copy} copy id · {palette} palette · {help} help · {quit} quit"
    )
    own_keys = (ROWS,)
    everything = "all installations"

    def __init__(self) -> None:
        super().__init__()
        self._go = "start"
        self._faceted: str | None = None
        self._turn = 0
        self._counted: tuple[str | None, str] = (None, "")
        """A filter, and in words how many match it to the end."""

    def body(self) -> ComposeResult:
        """Filter line, facets, the list, and what stands under it."""
        yield from self.filter_line()
        yield Static("", id="marks", markup=False)
        with Horizontal(id="middle"):
            yield Lines(id="facets")
            with Vertical():
                yield InstallationList(self.console_app.look, id="list")
                yield Static("", id="preview", markup=False)

    def on_mount(self) -> None:
        """The list has the keyboard."""
        self.set_focus(self.list)

    @property
    def list(self) -> InstallationList:
        """The list."""
        return self.query_one("#list", InstallationList)

    @property
    def main(self) -> InstallationList:
        """The list has the keyboard."""
        return self.list

    def asked(self, engine: Engine) -> _window.Marked:
        """The engine, with what is marked."""
        return _window.Marked(engine, self.console_app.marked)

    async def load(self, engine: Engine) -> None:
        """The window again, the bounded count, and now and then the facets."""
        go, self._go = self._go, ""
        query, now = self.filter, self.console_app.now
        try:
            asked = self.asked(engine)
            rows = await (_window.from_start(asked, query) if go else _window.again(asked, self.list.rows))
        except GrantflowError:
            self._go = go
            raise
        self.list.show(rows, now(), go=go)
        self._show_count(query, await asked.count(query))
        await self.count_hidden(engine, query)
        self._facet(engine)

    async def found(self, engine: Engine, query: str) -> bool:
        """The first window and the bounded count."""
        asked = self.asked(engine)
        rows = await _window.from_start(asked, query)
        matches = await asked.count(query)
        self._go = ""
        self.list.show(rows, self.console_app.now(), go="start")
        self._show_count(query, matches)
        await self.count_hidden(engine, query)
        self.call_later(self._facet, engine)
        return bool(rows.items)

    def scans(self, engine: Engine, query: str) -> tuple[str, ...]:
        """Fields that no index answers."""
        return engine.scans(query)

    async def suggestions(self, engine: Engine, text: str) -> Sequence[str]:
        """Fields, words and values."""
        return await engine.suggestions(text)

    async def without(self, engine: Engine, query: str) -> Sequence[tuple[str, str]]:
        """Each term, and how many match without it."""
        return [
            (term, counted(matches))
            for term, matches in await engine.narrowing(query, marked=self.console_app.marked)
        ]

    # -- facets and preview ---------------------------------------------------------------------
    def _facet(self, engine: Engine) -> None:
        """Count the parts of what matches, at once and now and then, where there is room and an index."""
        self._turn += 1
        if self.size.width < _FACETS_FROM or (self._faceted == self.filter and self._turn % _EVERY):
            return
        self._faceted = self.filter
        place = self.query_one("#facets", Lines)
        if self.scanned:
            place.show(_facets.none("a scan has no facets"))
        else:
            self.run_worker(self._count_facets(engine, self.filter), group="facets", exclusive=True)

    async def _count_facets(self, engine: Engine, query: str) -> None:
        async def count() -> None:
            lines = await _facets.read(self.asked(engine), query, self.list.rows.items, self.console_app.look)
            if query == self.filter:
                self.query_one("#facets", Lines).show(lines)

        await self.guarded(count)

    def on_resize(self) -> None:
        """A wider screen has facets."""
        if (engine := self.console_app.engine) is not None and self.list.now is not None:
            self._facet(engine)

    def on_installation_list_moved(self) -> None:
        """Another row, another preview."""
        here, now = self.chosen, self.list.now
        shown = _facets.preview(here, self.console_app.look, now) if here is not None and now is not None else ""
        self.query_one("#preview", Static).update(shown, layout=False)

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
        rows, go, asked = self.list.rows, "", self.asked(engine)
        if what in {"start", "end"}:
            go = what
            found = await (_window.from_end if go == "end" else _window.from_start)(asked, self.filter)
        elif (keep := self.list.wish(what)) is None:
            return
        elif what == "onward":
            found = await _window.onward(asked, rows, keep)
        else:
            found = await _window.backward(asked, rows, keep)
        self.list.show(found, self.console_app.now(), go=go)

    def on_installation_list_opened(self, event: InstallationList.Opened) -> None:
        """Enter opens the detail."""
        self.console_app.open_detail(event.installation.id)

    # -- counting and jumping -------------------------------------------------------------------
    def action_count_all(self) -> None:
        """Count to the end of the matches, beside everything else; esc stops it as it stops a search."""
        if self.console_app.engine is not None:
            self.tell("counting … · esc interrupts")
            self.search(self._count_all(self.console_app.engine, self.filter))

    def _show_count(self, query: str, matches: Matches) -> None:
        """A bound gives way to what was counted to the end, with the time of it."""
        asked, told = self._counted
        shown = told if query == asked and matches.count >= _EXACT_BELOW else counted(matches)
        self.query_one("#count", Static).update(shown)

    async def _count_all(self, engine: Engine, query: str) -> None:
        async def count() -> None:
            matches = await engine.count(query, exact=True, marked=self.console_app.marked)
            self._counted = (query, f"{matches.count:,} match at {stamp(self.console_app.now())}")
            if query == self.filter:
                self._show_count(query, matches)
                self.tell(self.hint)

        await self.guarded(count)

    def action_jump(self) -> None:
        """Ask where to."""
        self.console_app.ask_line(
            "Jump", "A date, a duration, the beginning of an account or an id", "enter jumps", self._jump_to
        )

    def _jump_to(self, at: str | None) -> None:
        self.console_app.refresh_headers()
        if at is not None and self.console_app.engine is not None:
            self.run_worker(self._jump(self.console_app.engine, at), group="window")

    async def _jump(self, engine: Engine, at: str) -> None:
        async def read() -> None:
            place = await engine.place(self.filter, at)
            rows = await _window.from_place(self.asked(engine), self.filter, place)
            self.list.show(rows, self.console_app.now(), go="start" if rows.anchor == place else "end")
            self.tell(self.hint)

        async with self.turn:
            await self.guarded(read)

    def action_force(self) -> None:
        """Open the force dialog for the row under the cursor."""
        if (here := self.chosen) is not None:
            self.console_app.open_force(here.id)

    def action_copy(self) -> None:
        """Copy the id under the cursor."""
        if (here := self.chosen) is not None:
            self.console_app.copy_id(here.id)
