"""A short list of lines, some of which lead somewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

_ON = Style(reverse=True)
_PLAIN = Style()


@dataclass(frozen=True, slots=True)
class Line:
    """One line; with a filter it is a link."""

    text: Text
    filter: str | None = None


class Lines(ScrollView, can_focus=True):
    """Lines with a cursor that stops only at links.

    | key | does |
    |---|---|
    | j k, arrows | next link |
    | g G | first, last |
    | enter | open as a filter |
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "move(1)", show=False),
        Binding("k,up", "move(-1)", show=False),
        Binding("g,home", "move(-1000)", show=False),
        Binding("G,end", "move(1000)", show=False),
        Binding("enter", "open", show=False),
    ]
    DEFAULT_CSS = """
    Lines { height: 1fr; overflow: hidden; scrollbar-size: 0 0; background: transparent; }
    """

    class Opened(Message):
        """Enter on a link."""

        def __init__(self, source: Lines, query: str) -> None:
            super().__init__()
            self.source, self.query = source, query

        @property
        def control(self) -> Lines:
            """The list that was asked."""
            return self.source

    def __init__(self, *, id: str) -> None:  # noqa: A002 - textual's word
        super().__init__(id=id)
        self.lines: Sequence[Line] = ()
        self._link = 0
        self._top = 0

    def show(self, lines: Sequence[Line]) -> None:
        """Take new lines; the cursor keeps its place among the links."""
        self.lines = lines
        self.action_move(0)

    @property
    def links(self) -> list[int]:
        """Which lines can be opened."""
        return [at for at, line in enumerate(self.lines) if line.filter is not None]

    def action_move(self, by: int) -> None:
        """Go to another link and keep it in sight."""
        links, height = self.links, max(1, self.size.height)
        self._link = max(0, min(self._link + by, len(links) - 1))
        at = links[self._link] if links else 0
        if self._link == 0:
            self._top = 0
        elif at < self._top:
            self._top = at
        self._top = max(self._top, at - height + 1)
        self.refresh()

    def action_open(self) -> None:
        """Open the link under the cursor."""
        links = self.links
        query = self.lines[links[self._link]].filter if links else None
        if query is not None:
            self.post_message(self.Opened(self, query))

    def on_click(self, event: events.Click) -> None:
        """A click chooses a link."""
        at = self._top + event.y
        if at in self.links:
            self._link = self.links.index(at)
            self.refresh()

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.action_move(0)

    def render_line(self, y: int) -> Strip:
        """One line of the screen."""
        at, width = self._top + y, self.size.width
        if at >= len(self.lines):
            return Strip.blank(width, _PLAIN)
        links = self.links
        on = self.has_focus and bool(links) and links[self._link] == at
        added = _ON if on else _PLAIN
        rendered = self.lines[at].text.render(self.app.console, "")
        segments = [Segment(text, (style or _PLAIN) + added) for text, style, _ in rendered]
        strip = Strip(segments).adjust_cell_length(width, _ON if on else _PLAIN)
        return strip.crop(0, width)
