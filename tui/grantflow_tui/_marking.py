"""Marks on the list of installations, and what is done to the row or to them."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import BindingType
from textual.widgets import Static

from grantflow.errors import BadInput
from grantflow_tui import _window
from grantflow_tui._blast import MAX_BULK
from grantflow_tui._filtered import FilteredScreen
from grantflow_tui._keys import on
from grantflow_tui._marks import Marks
from grantflow_tui._plan_dialog import Targets
from grantflow_tui._text import clean

if TYPE_CHECKING:
    from grantflow import Engine, Installation
    from grantflow_tui._list import InstallationList

_AT_ONCE = 25
"""Ids in one question after hidden marks."""


class Marking(FilteredScreen):
    """The half of screen 2 that acts."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("mark", "mark"),
        on("range", "stretch"),
        on("mark_all", "mark_all"),
        on("unmark", "unmark"),
        on("verbs", "verbs"),
        on("bulk", "bulk"),
    ]
    DEFAULT_CSS = """
    Marking #marks { height: 1; display: none; }
    Marking #marks.-shown { display: block; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.marks = Marks()

    @property
    @abstractmethod
    def list(self) -> InstallationList:
        """The list."""

    @property
    def chosen(self) -> Installation | None:
        """The row under the cursor."""
        return self.list.current

    @property
    def spot(self) -> _window.Spot | None:
        """The row under the cursor, and its place."""
        here, rows = self.chosen, self.list.rows
        at = None if here is None else rows.index(here.id)
        return None if here is None or at is None else (here.id, rows.places[at])

    @property
    def pauses(self) -> str:
        """Marks keep the rows where they are."""
        return "paused: marks" if self.marks else ""

    def acted(self) -> None:
        """What was marked is done with."""
        self._clear()

    # -- marking --------------------------------------------------------------------------------
    def action_mark(self) -> None:
        """Mark the row under the cursor, and go on to the next."""
        if (here := self.spot) is not None:
            self.marks.toggle(*here)
            self.list.action_move(1)
            self.show_marks()

    def action_stretch(self) -> None:
        """Begin a range, or end it, however far away it began."""
        here, anchor, engine = self.spot, self.marks.anchor, self.console_app.engine
        if here is None or engine is None:
            return
        if anchor is None:
            self.marks.anchor = here
            self.tell("range begins here; v again marks up to the row under the cursor")
        else:
            self.run_worker(self._stretch(engine, anchor, here), group="range", exclusive=True)

    async def _stretch(self, engine: Engine, anchor: _window.Spot, here: _window.Spot) -> None:
        async def stretch() -> None:
            ids = None
            with suppress(BadInput):  # it began in another order
                ids = await _window.between(engine, self.filter, anchor, here, MAX_BULK)
            if ids is not None:
                self.marks.stretch(ids)
                self.show_marks()
                return
            self.marks.anchor = here
            told = f"the range began more than {MAX_BULK:,} rows away, or not among these: it begins here now"
            self.tell(f"{told}; * marks whatever matches", bad=True)

        await self.guarded(stretch)

    def action_mark_all(self) -> None:
        """Mark the predicate, not the rows that happen to be read."""
        if not self.filter:
            self.tell("a filter is needed: * marks whatever it matches", bad=True)
            return
        self.marks.all_of(self.filter)
        self.show_marks()

    def action_unmark(self) -> None:
        """Take all marks away."""
        self._clear()
        self.tell(self.hint)

    def _clear(self) -> None:
        self.marks.clear()
        self.show_marks()
        self.action_reload()

    # -- showing --------------------------------------------------------------------------------
    def show_marks(self) -> None:
        """The line above the list, and the header."""
        marks, place = self.marks, self.query_one("#marks", Static)
        place.set_class(bool(marks), "-shown")
        if marks.everything is not None:
            told = f"all that match are marked: {clean(marks.everything)}"
        else:
            told = f"{len(marks):,} marked ({marks.hidden:,} hidden)"
        place.update(Text(f" {told} · refresh paused: marks · a verbs · ctrl+\\ clears", no_wrap=True))
        self.list.marks = marks
        self.console_app.marked = set(marks)
        self.list.refresh()
        self.console_app.refresh_headers()

    async def count_hidden(self, engine: Engine, query: str) -> None:
        """How many marks a filter does not show; rows that are read need no question."""
        marks = self.marks
        read = {item.id for item in self.list.rows.items}
        unseen = [one for one in marks if one not in read]
        found = 0
        for start in range(0, len(unseen), _AT_ONCE):
            some = ",".join(unseen[start : start + _AT_ONCE])
            found += (await engine.count(f"{query} id:{some}".strip())).count
        hidden = len(unseen) - found
        if marks and hidden != marks.hidden:
            marks.hidden = hidden
            self.show_marks()

    # -- acting ---------------------------------------------------------------------------------
    def _marked(self) -> Targets:
        marks = self.marks
        if marks.everything is not None:
            return Targets(query=marks.everything)
        return Targets(ids=tuple(marks), hidden=marks.hidden)

    def action_verbs(self) -> None:
        """Verbs for the marks, or for the row under the cursor."""
        if self.marks:
            self.console_app.open_verbs(self._marked())
        elif (here := self.chosen) is not None:
            self.console_app.open_verbs(Targets(), here.id)

    def action_bulk(self) -> None:
        """Verbs for the marks, or for whatever matches."""
        if self.marks or self.filter:
            self.console_app.open_verbs(self._marked() if self.marks else Targets(query=self.filter))
        else:
            self.tell("nothing is marked, and without a filter all would be meant: / filters, space marks", bad=True)
