"""The dialog before something is done to the whole operation: what will happen, a reason, F9; never enter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Button, Input, Static

from grantflow.errors import GrantflowError
from grantflow_tui._base import BAD, DIM, TITLE, said
from grantflow_tui._dialog import GUARD_SECONDS, MIN_REASON
from grantflow_tui._field import Field
from grantflow_tui._keys import on

Deed = Callable[[str], Awaitable[str]]
"""Takes the reason; returns what to say afterwards."""


class ConfirmDialog(ModalScreen[str | None]):
    """Asks for a reason, then does one thing."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("leave", "cancel"),
        on("apply", "apply"),
    ]
    DEFAULT_CSS = """
    ConfirmDialog { align: center middle; }
    ConfirmDialog #box { width: 78; max-width: 100%; height: auto; max-height: 100%;
        border: round $warning; padding: 0 1; }
    ConfirmDialog.-ascii #box { border: ascii $warning; }
    ConfirmDialog Static { height: auto; }
    ConfirmDialog #planned { height: auto; max-height: 12; margin: 1 0; }
    ConfirmDialog #ends { height: auto; margin-top: 1; }
    ConfirmDialog #cancel { margin-right: 2; }
    ConfirmDialog #apply { width: 1fr; }
    """

    def __init__(
        self, title: str, plan: Text, deed: Deed, monotonic: Callable[[], float], *, ascii_only: bool = False
    ) -> None:
        super().__init__()
        self._title, self._plan, self._deed, self._monotonic = title, plan, deed, monotonic
        self._opened = monotonic()
        self._applying = False
        self.set_class(ascii_only, "-ascii")

    def compose(self) -> ComposeResult:
        """What will happen, why, and the way out."""
        with Vertical(id="box"):
            yield Static(Text(self._title, style=TITLE), markup=False)
            with VerticalScroll(id="planned", can_focus=False):
                yield Static(self._plan, markup=False)
            yield Static(f"Reason, at least {MIN_REASON} characters; it is kept for ever", markup=False)
            yield Field(id="reason", compact=True, max_length=500)
            yield Static("", id="say", markup=False)
            with Horizontal(id="ends"):
                yield Button("Cancel", id="cancel", compact=True)
                yield Static("", id="apply", markup=False)

    def on_mount(self) -> None:
        """The harmless way out has the keyboard."""
        self._opened = self._monotonic()
        self.query_one("#cancel", Button).focus()
        self._show()

    @property
    def reason(self) -> str:
        """Why, as typed."""
        return self.query_one("#reason", Input).value.strip()

    def obstacle(self) -> str | None:
        """Why F9 is off, or None when it is on."""
        if len(self.reason) < MIN_REASON:
            return f"the reason has {len(self.reason)} of {MIN_REASON} characters"
        return None

    def on_input_changed(self) -> None:
        """What F9 still waits for."""
        self._show()

    def action_apply(self) -> None:
        """F9."""
        if self._monotonic() - self._opened < GUARD_SECONDS or self._applying:
            return
        if (why := self.obstacle()) is not None:
            self._say(f"not done: {why}")
            return
        self._applying = True
        self._say("at work …")
        self.run_worker(self._apply(), group="deed")

    async def _apply(self) -> None:
        try:
            self.dismiss(await self._deed(self.reason))
        except GrantflowError as error:
            self._say(said(error))
        finally:
            self._applying = False

    def on_button_pressed(self) -> None:
        """The only button is Cancel."""
        self.action_cancel()

    def action_cancel(self) -> None:
        """Leave without a change; what was begun is not left half done."""
        if not self._applying:
            self.dismiss(None)

    def _say(self, message: str) -> None:
        self.query_one("#say", Static).update(Text(message, style=BAD))

    def _show(self) -> None:
        why = self.obstacle()
        apply = Text()
        apply.append("F9 does it", style=Style(bold=True, reverse=True) if why is None else DIM)
        if why is not None:
            apply.append(f"  off: {why}")
        self.query_one("#apply", Static).update(apply)
