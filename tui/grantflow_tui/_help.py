"""The help page: keys, the filter, and every state with the sentence its chart says of it."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from grantflow_tui._base import DIM, TITLE
from grantflow_tui._look import Look

KEYS = (
    ("1 2 5", "fleet, installations, bulk jobs"),
    ("j k g G", "down, up, first, last (arrows, home, end too)"),
    ("ctrl+d ctrl+u", "half a page; page down and page up"),
    ("enter esc", "open, back"),
    ("/", "filter; enter runs it, esc leaves it; esc in the list clears it"),
    ("space v * ctrl+\\", "mark a row, a range, whatever matches; no marks"),
    ("a", "verbs for the row or the marks: probe, remind, suspend, hold …"),
    ("b", "verbs for the marks, or for whatever matches"),
    ("f", "force dialog (WRITE mode, operator); F9 applies, enter never does"),
    ("P u x R e", "a bulk job: pause, resume, cancel, retry, export"),
    ("W", "write mode for 15 minutes, with a reason; W again ends it"),
    ("y Y", "copy the id; copy the command line (F8 in a dialog)"),
    ("r p", "refresh now, pause the refresh"),
    ("tab", "next panel or field"),
    ("? q", "this page, quit"),
)
FILTERS = (
    ("state:active,reauthorizing", "stored states"),
    ("app:crm-* account:acme", "a trailing * is a prefix"),
    ("expires:<7d  expires:7d..30d", "when the grant ends"),
    ("entered:>7d", "how long in its state"),
    ("is:overdue is:forced is:quarantined", "flags; is:suspended is:expiring is:any"),
    ("-reason:time  scope:+crm.read", "a minus negates; a granted scope"),
    ("sort:expires  sort:-entered", "the order"),
)


class HelpScreen(ModalScreen[None]):
    """Keys, filter and states."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "leave", show=False),
        Binding("j", "scroll_by(1)", show=False),
        Binding("k", "scroll_by(-1)", show=False),
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
        for title, rows in (("Keys", KEYS), ("Filter", FILTERS)):
            out.append(f"{title}\n", style=TITLE)
            for left, right in rows:
                out.append(f"  {left:<36}")
                out.append(f"{right}\n", style=DIM)
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
