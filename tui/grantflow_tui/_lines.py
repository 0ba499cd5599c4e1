"""A short list of lines, some of which lead somewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from grantflow_tui._keys import moving, on

_ON = Style(reverse=True, dim=False)
_PLAIN = Style()
_TITLE = Style(bold=True)
_RULE = Style(dim=True)


@dataclass(frozen=True, slots=True)
class Line:
    """One line; with a filter, or an installation, it is a link."""

    text: Text
    filter: str | None = None
    installation: str | None = None
    key: int | None = None
    """What tells it from other lines that lead to the same, or nowhere; the cursor stops at it."""
    ruled: bool = False
    """A title: the rest of the line is drawn through."""

    @property
    def link(self) -> tuple[str | None, str | None, int | None] | None:
        """What the cursor is bound to; None where it does not stop."""
        found = (self.filter, self.installation, self.key)
        return None if found == (None, None, None) else found


def lit(style: Style) -> Style:
    """As it is drawn under the cursor: reversed, and in one colour, which glyphs and words do without."""
    return style.without_color + _ON


def rule(title: str) -> Line:
    """A title over a panel."""
    return Line(Text(f"─ {title} ", style=_TITLE), ruled=True)


class Lines(ScrollView, can_focus=True):
    """Lines with a cursor that stops only at links."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *moving("move", 10, 1000),
        on("open", "open"),
    ]
    DEFAULT_CSS = """
    Lines { height: 1fr; overflow: hidden; scrollbar-size: 0 0; background: transparent; }
    """

    class Opened(Message):
        """Enter on a link."""

        def __init__(self, source: Lines, line: Line) -> None:
            super().__init__()
            self.source, self.line = source, line
            self.query = line.filter

        @property
        def control(self) -> Lines:
            """The list that was asked."""
            return self.source

    class Chosen(Message):
        """The cursor stands on a line."""

        def __init__(self, source: Lines, line: Line | None) -> None:
            super().__init__()
            self.source, self.line = source, line

        @property
        def control(self) -> Lines:
            """The list."""
            return self.source

    class Edge(Message):
        """The cursor stands at an end and was moved beyond it."""

        def __init__(self, source: Lines, by: int) -> None:
            super().__init__()
            self.source, self.by = source, by

        @property
        def control(self) -> Lines:
            """The list."""
            return self.source

    def __init__(self, *, id: str) -> None:  # noqa: A002 - textual's word
        super().__init__(id=id)
        self.lines: Sequence[Line] = ()
        self._link = 0
        self._top = 0

    def show(self, lines: Sequence[Line]) -> None:
        """Take new lines; the cursor stays on its link, or near it where that is gone. What is the same rests."""
        if [*lines] == [*self.lines]:
            return
        here = self.current
        self.lines = lines
        if here is not None:
            same = [number for number, at in enumerate(self.links) if lines[at].link == here.link]
            self._link = min(same, key=lambda number: abs(number - self._link)) if same else self._link
        self.action_move(0)

    @property
    def links(self) -> list[int]:
        """Which lines can be opened."""
        return [at for at, line in enumerate(self.lines) if line.link is not None]

    @property
    def current(self) -> Line | None:
        """The link under the cursor."""
        links = self.links
        return self.lines[links[self._link]] if links and self._link < len(links) else None

    def action_move(self, by: int) -> None:
        """Go to another link and keep it in sight."""
        links, height = self.links, max(1, self.size.height)
        before = self._link
        self._link = max(0, min(self._link + by, len(links) - 1))
        if by and self._link == before:
            self.post_message(self.Edge(self, by))
        at = links[self._link] if links else 0
        if self._link == 0:
            self._top = 0
        elif at < self._top:
            self._top = at
        self._top = max(self._top, at - height + 1)
        self.post_message(self.Chosen(self, self.current))
        self.refresh()

    def action_open(self) -> None:
        """Open the link under the cursor."""
        if (here := self.current) is not None:
            self.post_message(self.Opened(self, here))

    def on_click(self, event: events.Click) -> None:
        """A click chooses a link."""
        at = self._top + event.y
        if at in self.links:
            self.action_move(self.links.index(at) - self._link)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self.action_move(0)

    def render_line(self, y: int) -> Strip:
        """One line of the screen, on the theme's ground."""
        return self._line(y).apply_style(self.rich_style)

    def _line(self, y: int) -> Strip:
        at, width = self._top + y, self.size.width
        if at >= len(self.lines):
            return Strip.blank(width, _PLAIN)
        links = self.links
        on = self.has_focus and bool(links) and links[self._link] == at
        rendered = self.lines[at].text.render(self.app.console, "")
        segments = [Segment(text, lit(style or _PLAIN) if on else style or _PLAIN) for text, style, _ in rendered]
        if self.lines[at].ruled:
            segments.append(Segment("─" * width, _RULE))
            return Strip(segments).crop(0, width)
        strip = Strip(segments)
        if strip.cell_length > width:
            strip = Strip([*strip.crop(0, width - 1), Segment("…", _ON if on else _PLAIN)])
        return strip.adjust_cell_length(width, _ON if on else _PLAIN)
