"""The help page: keys, the fields of both filters, and every state with the sentence its chart says of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from grantflow import help_rows
from grantflow_tui._base import DIM, TITLE
from grantflow_tui._keys import EVERYWHERE, GROUPS, Keymap, moving, on, shown
from grantflow_tui._look import Look

OPERATORS = (
    "several terms must all hold; - before one negates it · a,b lists · a..b ranges · < > = != · crm-* · quotes"
)


class HelpScreen(ModalScreen[None]):
    """Keys, filter and states."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("leave", "leave"),
        on("quit", "leave"),
        on("help", "leave"),
        *moving("scroll_by", 10, 100_000),
    ]
    DEFAULT_CSS = """
    HelpScreen { align: center middle; }
    HelpScreen #help { width: 78; max-width: 100%; height: 100%; padding: 0 1; border: round $primary; }
    HelpScreen.-ascii #help { border: ascii $primary; }
    HelpScreen Static { height: auto; }
    """

    def __init__(
        self,
        look: Look,
        keymap: Keymap,
        own: Sequence[str] = (),
        more_keys: Sequence[tuple[str, str]] = (),
    ) -> None:
        super().__init__()
        self._look, self._keymap, self._own, self._more = look, keymap, own, more_keys
        self.set_class(look.ascii, "-ascii")

    def compose(self) -> ComposeResult:
        """One long page."""
        with VerticalScroll(id="help"):
            yield Static(self.page(), markup=False)

    def page(self) -> Text:
        """The page as text."""
        out = Text()
        for group in sorted(GROUPS, key=lambda name: name not in self._own):
            out.append(f"{group}{' · this screen' * (group in self._own)}\n", style=TITLE)
            rows = [(shown(self._keymap.get(name, key.keys)), key.says) for name, key in GROUPS[group].items()]
            for left, right in (*rows, *(self._more if group == EVERYWHERE else ())):
                out.append(f"  {left:<15} ")
                out.append(f"{right}\n", style=DIM)
            out.append("\n")
        for title, table in (("Filter of installations", "installations"), ("Filter of the audit", "audit")):
            out.append(f"{title}\n", style=TITLE)
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
