"""The command palette: places, saved filters, apps and states by name."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, cast

from rich.text import Text
from textual.app import ComposeResult
from textual.command import DiscoveryHit, Hit, Hits, Provider
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from grantflow_tui._base import DIM, TITLE
from grantflow_tui._field import Field
from grantflow_tui._text import clean, term
from grantflow_tui._travel import SPANS

if TYPE_CHECKING:
    from grantflow_tui._app import Console

Command = tuple[str, str, Callable[[], object]]
"""What is typed, what it means, what it does."""


class Commands(Provider):
    """Everything the palette knows; nothing in it changes an installation."""

    def commands(self) -> list[Command]:
        """All of them, in the order in which they are offered."""
        app = cast("Console", self.app)
        found: list[Command] = [
            ("fleet", "screen 1: what changed, what needs somebody", app.action_fleet),
            ("installations", "screen 2: find them by filter", app.action_installations),
            ("apps", "screen 3: how each app stands", app.action_apps),
            ("sweeps", "screen 4: who is at work, what is due", app.action_sweeps),
            ("jobs", "screen 5: how far bulk work is, and what failed", app.action_jobs),
            ("audit", "screen 6: what operators did and tried", app.action_audit),
            ("back", "the view before, [", partial(app.action_history, -1)),
            ("forward", "the view after, ]", partial(app.action_history, 1)),
            ("save filter", "keep the filter on screen under a name", app.action_save_filter),
            ("theme", "the dark or the light one, T", app.action_turn_theme),
            ("pause refresh", "stop and start the refresh of the screen", app.action_pause),
            ("help", "keys, filter, states", app.action_help),
            ("quit", "leave", app.action_quit),
        ]
        if app.advance is not None:
            found += [
                (f"{name} on", "virtual time", partial(app.action_travel, n)) for n, (_, name, _) in enumerate(SPANS)
            ]
        for name, text in app.saved_filters().items():
            found.append((f"filter {clean(name)}", clean(text), partial(app.open_filter, text)))
        for state, info in app.look.states.items():
            found.append((f"state {state}", info.meaning, partial(app.open_filter, f"state:{state}")))
        apps = app.app_keys
        found += [(f"app {clean(k)}", "its installations", partial(app.open_filter, term("app", k))) for k in apps]
        return found

    async def discover(self) -> Hits:
        """Everything, before anything is typed."""
        for name, meaning, does in self.commands():
            yield DiscoveryHit(Content(name), _then(self, does), text=name, help=meaning)

    async def search(self, query: str) -> Hits:
        """What looks like the words that were typed."""
        matcher = self.matcher(query)
        for name, meaning, does in self.commands():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), _then(self, does), text=name, help=meaning)


def _then(provider: Provider, does: Callable[[], object]) -> Callable[[], None]:
    """Run it once the palette is gone."""

    def then() -> None:
        provider.app.call_later(does)

    return then


class LineDialog(ModalScreen[str | None]):
    """Asks for one line of text; enter takes it, esc does not."""

    BINDINGS = [("escape", "cancel", "")]  # noqa: RUF012 - textual declares it so
    DEFAULT_CSS = """
    LineDialog { align: center middle; }
    LineDialog #box { width: 60; max-width: 100%; height: auto; border: round $primary; padding: 0 1; }
    LineDialog.-ascii #box { border: ascii $primary; }
    LineDialog Static { height: auto; }
    """

    def __init__(self, title: str, about: str, asks: str, *, longest: int, ascii_only: bool) -> None:
        super().__init__()
        self._title, self._about, self._asks, self._longest = title, about, asks, longest
        self.set_class(ascii_only, "-ascii")

    def compose(self) -> ComposeResult:
        """What it is about, and the line."""
        with Vertical(id="box"):
            yield Static(Text(self._title, style=TITLE), markup=False)
            yield Static(Text(clean(self._about), style=DIM), markup=False)
            yield Field(id="line", compact=True, max_length=self._longest, placeholder=self._asks)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter takes it."""
        self.dismiss(event.value.strip() or None)

    def action_cancel(self) -> None:
        """Nothing was asked."""
        self.dismiss(None)
