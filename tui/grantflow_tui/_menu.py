"""The menu of operators' verbs, for one row or for many; what cannot be done now says why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from grantflow_tui._base import DIM, TITLE
from grantflow_tui._choices import Choices
from grantflow_tui._deeds import Offer
from grantflow_tui._keys import on
from grantflow_tui._text import clean

_VERB = 16


class VerbMenu(ModalScreen[Offer | None]):
    """Choose what to do; the dialog that follows asks for the reason."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("leave", "leave"),
        on("quit", "leave"),
        on("down", "choose(1)"),
        on("up", "choose(-1)"),
    ]
    DEFAULT_CSS = """
    VerbMenu { align: center middle; }
    VerbMenu #box { width: 78; max-width: 100%; height: auto; max-height: 100%;
        border: round $primary; padding: 0 1; }
    VerbMenu.-ascii #box { border: ascii $primary; }
    VerbMenu Static { height: auto; }
    VerbMenu #verbs { height: auto; border: none; padding: 0; }
    """

    def __init__(self, title: str, offers: Sequence[Offer], *, ascii_only: bool = False) -> None:
        super().__init__()
        self._title, self.offers = title, offers
        self.set_class(ascii_only, "-ascii")

    def compose(self) -> ComposeResult:
        """A title and a line for each verb."""
        with Vertical(id="box"):
            yield Static(Text(self._title, style=TITLE), markup=False)
            lines = [Option(self._line(one), disabled=one.why_not is not None) for one in self.offers]
            yield Choices(*lines, id="verbs", markup=False, compact=True)
            yield Static(Text("enter opens the verb's dialog · esc leaves; nothing is done here", style=DIM))

    @staticmethod
    def _line(offer: Offer) -> Text:
        text = Text(f"{offer.verb:<{_VERB}}", no_wrap=True, overflow="ellipsis")
        if offer.why_not is None:
            text.append(clean(offer.words), style=DIM)
        else:
            text.append(clean(f"not now: {offer.why_not}"))  # the whole line is quiet already
        return text

    def on_mount(self) -> None:
        """The first verb that can be done."""
        verbs = self.query_one("#verbs", Choices)
        verbs.highlighted = next((at for at, one in enumerate(self.offers) if one.why_not is None), None)
        verbs.focus()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go on with this verb."""
        self.dismiss(self.offers[event.option_index])

    def action_choose(self, by: int) -> None:
        """Move without arrows."""
        verbs = self.query_one("#verbs", Choices)
        (verbs.action_cursor_down if by > 0 else verbs.action_cursor_up)()

    def action_leave(self) -> None:
        """Choose nothing."""
        self.dismiss(None)
