"""The help page: keys, the fields of both filters, and every state with the sentence its chart says of it."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from grantflow import help_rows
from grantflow_tui._base import DIM, TITLE
from grantflow_tui._look import Look

KEYS = (
    ("1 2 3 4 5 6", "fleet, installations, apps, sweeps, jobs, audit"),
    ("j k g G", "down, up, first, last (arrows, home, end too)"),
    ("ctrl+d ctrl+u", "half a page; page down and page up"),
    ("enter esc", "open, back"),
    ("[ ] -", "the view before, the view after, the last one again"),
    (": ctrl+p", "command palette: places, saved filters, apps, states"),
    ("/", "filter; tab completes, enter runs, esc stops or leaves"),
    ("c '", "count all that match; jump to a date, an account, an id"),
    ("S", "save the filter on screen; the palette has it by name"),
    ("left right L", "on the horizon: another day or week; logarithmic"),
    ("space v * ctrl+\\", "mark a row, a range, whatever matches; no marks"),
    ("a b", "verbs for the row or the marks; for whatever matches"),
    ("W", "write mode for 15 minutes; W again ends it"),
    ("P u x R e", "on a job: pause, resume, cancel, retry, export"),
    ("f", "force dialog (WRITE); F9 applies, enter never does"),
    ("t P", "on the sweeps page: sweep now, pause or resume"),
    ("y Y", "copy the id; the command line (F8 in a dialog)"),
    ("r p", "refresh now, pause the refresh of the screen"),
    ("tab", "next panel or field"),
    ("? q", "this page, quit"),
)
OPERATORS = (
    "several terms must all hold; - before one negates it · a,b lists · a..b ranges · < > = != · crm-* · quotes"
)


class HelpScreen(ModalScreen[None]):
    """Keys, filter and states."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "leave", show=False),
        Binding("j", "scroll_by(1)", show=False),
        Binding("k", "scroll_by(-1)", show=False),
        Binding("ctrl+d", "scroll_by(10)", show=False),
        Binding("ctrl+u", "scroll_by(-10)", show=False),
        Binding("g", "scroll_by(-100000)", show=False),
        Binding("G", "scroll_by(100000)", show=False),
    ]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen #help { width: 78; max-width: 100%; height: 100%; padding: 0 1; border: round $primary; }
    HelpScreen.-ascii #help { border: ascii $primary; }
    HelpScreen Static { height: auto; }
    """

    def __init__(self, look: Look) -> None:
        super().__init__()
        self._look = look
        self.set_class(look.ascii, "-ascii")

    def compose(self) -> ComposeResult:
        """One long page."""
        with VerticalScroll(id="help"):
            yield Static(self.page(), markup=False)

    def page(self) -> Text:
        """The page as text."""
        out = Text()
        out.append("Keys\n", style=TITLE)
        for left, right in KEYS:
            out.append(f"  {left:<15}")
            out.append(f"{right}\n", style=DIM)
        for title, table in (("Filter of installations", "installations"), ("Filter of the audit", "audit")):
            out.append(f"\n{title}\n", style=TITLE)
            out.append(f"  {OPERATORS}\n", style=DIM)
            for field in help_rows(table):
                out.append(f"  {field.example:<27}")
                scans = " · reads every row" if field.cost == "scan" and table == "installations" else ""
                out.append(f"{field.meaning}{scans}\n", style=DIM)
        out.append("\n")
        out.append("States\n", style=TITLE)
        for value, info in self._look.states.items():
            out.append("  ")
            out.append_text(self._look.badge(value))
            out.append(f"  {info.meaning} Who acts: {info.who_acts}.\n", style=DIM)
        return out

    def action_leave(self) -> None:
        """Close the page."""
        self.dismiss(None)

    def action_scroll_by(self, lines: int) -> None:
        """Scroll without animation."""
        self.query_one("#help", VerticalScroll).scroll_relative(y=lines, animate=False)
