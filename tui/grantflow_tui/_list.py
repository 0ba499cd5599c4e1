"""The virtual list: draws only the lines on screen, from a window that never holds more than a few hundred rows."""

from __future__ import annotations

from collections.abc import Container
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from grantflow_tui._keys import on
from grantflow_tui._look import Look
from grantflow_tui._text import cell, lasting, short_id
from grantflow_tui._window import MARGIN, Rows

if TYPE_CHECKING:
    from grantflow import Installation

_HEAD = Style(bold=True, dim=True)
_PLAIN = Style()
_ON = Style(reverse=True)
_WIDE, _WIDER = 92, 110
_REDRAWN = timedelta(seconds=20)
"""What ends soon counts its minutes down, even where nothing else happens."""
Column = tuple[str, int]


def columns(width: int) -> list[Column]:
    """What fits, in order; narrow screens lose subject, then scopes, then room for app and account."""
    wide = width >= _WIDE
    fixed = [("id", 18 if width >= _WIDER else 13), ("state", 18), ("expires", 9)]
    if wide:
        fixed.insert(2, ("scopes", 7))
    left = max(12, width - 2 - sum(size + 1 for _, size in fixed))
    shares = {"app": 3, "account": 3, "subject": 4} if wide else {"app": 3, "account": 4}
    flexible = [(name, max(4, left * share // sum(shares.values()) - 1)) for name, share in shares.items()]
    return [fixed[0], *flexible, *fixed[1:]]


class InstallationList(ScrollView, can_focus=True):
    """Installations in the filter's order; the cursor is bound to an id, never to a line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("down", "move(1)"),
        on("up", "move(-1)"),
        on("half_down", "page(0.5)"),
        on("half_up", "page(-0.5)"),
        on("page_down", "page(1)"),
        on("page_up", "page(-1)"),
        on("first", "edge(False)"),
        on("last", "edge(True)"),
        on("open", "open"),
    ]
    DEFAULT_CSS = """
    InstallationList { height: 1fr; overflow: hidden; scrollbar-size: 0 0; background: transparent; }
    """

    class Wanted(Message):
        """The cursor came near an edge of the window, or asks for an end of the matches."""

        def __init__(self, source: InstallationList, what: str) -> None:
            super().__init__()
            self.source, self.what = source, what

        @property
        def control(self) -> InstallationList:
            """The list that asks."""
            return self.source

    class Moved(Message):
        """The cursor stands on another row, or the row changed."""

        def __init__(self, source: InstallationList) -> None:
            super().__init__()
            self.source = source

        @property
        def control(self) -> InstallationList:
            """The list that moved."""
            return self.source

    class Opened(Message):
        """Enter on a row."""

        def __init__(self, source: InstallationList, installation: Installation) -> None:
            super().__init__()
            self.source, self.installation = source, installation

        @property
        def control(self) -> InstallationList:
            """The list that was asked."""
            return self.source

    def __init__(self, look: Look, *, id: str) -> None:  # noqa: A002 - textual's word
        super().__init__(id=id)
        self.look = look
        self.rows = Rows("")
        self.now: datetime | None = None
        self.marks: Container[str] = ()
        self.cursor_id: str | None = None
        self._cursor = 0
        self._top = 0
        self._drawn: datetime | None = None

    @property
    def current(self) -> Installation | None:
        """The row under the cursor."""
        items = self.rows.items
        return items[self._cursor] if self._cursor < len(items) else None

    def show(self, rows: Rows, now: datetime, *, go: str = "") -> None:
        """Take a new window; the cursor stays on its installation unless it is sent to `start` or `end`."""
        line = self._cursor - self._top
        still = not go and rows == self.rows and self._drawn is not None and now - self._drawn < _REDRAWN
        self.rows, self.now = rows, now
        found = rows.index(self.cursor_id)
        if go:
            self._cursor = 0 if go == "start" else max(0, len(rows.items) - 1)
        elif found is not None:
            self._cursor, self._top = found, found - line
        self._settle(self._cursor if still else None)

    def _body(self) -> int:
        return max(1, self.size.height - 1)

    def _settle(self, came_from: int | None = None) -> None:
        """Put cursor and window right, and draw; a cursor that only moved within the window is two lines."""
        count, body, top = len(self.rows.items), self._body(), self._top
        self._cursor = max(0, min(self._cursor, count - 1))
        self._top = max(0, min(self._top, count - body, self._cursor))
        self._top = max(self._top, self._cursor - body + 1)
        here = self.current
        self.cursor_id = None if here is None else here.id
        self.post_message(self.Moved(self))
        if came_from is None or self._top != top:
            self._drawn = self.now
            self.refresh()
            return
        for line in {came_from, self._cursor}:
            self.refresh_lines(1 + line - top)

    def action_move(self, by: int) -> None:
        """Move the cursor, and fetch ahead where the window ends."""
        came_from, self._cursor = self._cursor, self._cursor + by
        self._settle(came_from)
        what = "onward" if by > 0 else "backward"
        if self.wish(what) is not None:
            self.post_message(self.Wanted(self, what))

    def wish(self, what: str) -> int | None:
        """The row the next window should be cut at, or None while the cursor is far from that edge."""
        rows, at = self.rows, self._cursor
        if what == "onward":
            return max(0, at - 2 * MARGIN) if not rows.at_end and at > len(rows.items) - MARGIN else None
        return at + 2 * MARGIN if not rows.at_start and at < MARGIN else None

    def action_page(self, pages: float) -> None:
        """Move by a share of what is visible."""
        self.action_move(int(self._body() * pages) or 1)

    def action_edge(self, end: bool) -> None:  # noqa: FBT001 - written in the bindings
        """Go to an end of the matches; it is sought from there, not walked to."""
        if self.rows.at_end if end else self.rows.at_start:
            self._cursor = len(self.rows.items) - 1 if end else 0
            self._settle()
        else:
            self.post_message(self.Wanted(self, "end" if end else "start"))

    def action_open(self) -> None:
        """Open the row under the cursor."""
        if (here := self.current) is not None:
            self.post_message(self.Opened(self, here))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves the cursor."""
        event.stop()
        self.action_move(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves the cursor."""
        event.stop()
        self.action_move(-3)

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; it opens nothing."""
        self.action_move(self._top + event.y - 1 - self._cursor)

    def on_resize(self) -> None:
        """Keep the cursor in sight."""
        self._settle()

    def render_line(self, y: int) -> Strip:
        """One line of the screen, on the theme's ground."""
        return self._shown(y).apply_style(self.rich_style)

    def _shown(self, y: int) -> Strip:
        width = self.size.width
        fields = columns(width)
        if y == 0:
            head = "  " + " ".join(cell(name, size) for name, size in fields)
            return Strip([Segment(head, _HEAD)]).adjust_cell_length(width, _PLAIN)
        at = self._top + y - 1
        if at >= len(self.rows.items):
            text = "  no installation matches" if y == 1 and self.now is not None else ""
            return Strip([Segment(text, _HEAD)]).adjust_cell_length(width, _PLAIN)
        return self._line(at, fields).adjust_cell_length(width, _ON if at == self._cursor else _PLAIN)

    def _line(self, at: int, fields: list[Column]) -> Strip:
        item, on = self.rows.items[at], at == self._cursor
        base = _ON if on else _PLAIN
        gutter = (">" if self.look.ascii else "▶") if on else " "
        segments = [Segment(gutter + ("*" if item.id in self.marks else " "), base)]
        soon = self.now is not None and self.look.expiring(item.state, item.expires_at, self.now)
        for name, size in fields:
            style = base
            if name == "state":
                shown = f"{self.look.glyph(item.state, expiring=soon)} {item.state}"
                style = base + self.look.style(item.state, expiring=soon)
            elif name == "id":
                shown = short_id(item.id, size)
            else:
                shown = self._field(item, name)
            segments += [Segment(cell(shown, size, dots=self.look.dots), style), Segment(" ", base)]
        return Strip(segments)

    def _field(self, item: Installation, name: str) -> str:
        if name == "scopes":
            return f"{len(item.granted)}/{len(item.granted) + len(item.scopes_missing)}"
        if name == "subject":
            return f"{item.subject_kind}:{item.subject}"
        if name == "expires":
            ends = self.look.ends(item)
            if ends is None or self.now is None:
                return "-"
            away = lasting(ends - self.now).split()[0]
            return f"in {away}" if ends > self.now else f"{away} ago"
        return str(getattr(item, name))
