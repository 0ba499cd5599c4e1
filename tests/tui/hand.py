"""Keys on a console over a small fleet, and what stands there afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.widgets import Input

from grantflow import Actor, Engine, Installation
from grantflow_tui._dialog import ActionDialog
from grantflow_tui._menu import VerbMenu
from tests.tui.fleet import console_on, fleet, screen_text, settled

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from grantflow_tui._app import Console

REASON = "support case 4711"
OLGA = Actor.operator("olga")


class Hand:
    """Keys on the console, and what stands there afterwards."""

    def __init__(self, app: Console, pilot: Pilot[None], engine: Engine) -> None:
        self.app, self.pilot, self.engine = app, pilot, engine

    async def press(self, *keys: str) -> str:
        await self.pilot.press(*keys)
        await settled(self.pilot)
        return screen_text(self.app)

    async def filter(self, text: str) -> str:
        return await self.press("slash", "home", "ctrl+k", *text, "enter")

    async def choose(self, verb: str, to: str | None = None) -> ActionDialog:
        """Open the dialog of a verb from the menu that is open."""
        menu = self.app.screen
        assert isinstance(menu, VerbMenu)
        at = next(n for n, one in enumerate(menu.offers) if (one.verb, one.to) == (verb, to))
        assert menu.offers[at].why_not is None, menu.offers[at]
        menu.dismiss(menu.offers[at])
        await settled(self.pilot)
        return self.dialog()

    def dialog(self) -> ActionDialog:
        assert isinstance(self.app.screen, ActionDialog)
        self.app.screen._opened -= 1  # a person has looked at it
        return self.app.screen

    async def fill(self, reason: str = REASON, typed: str | None = None) -> ActionDialog:
        """Reason, enter, and what is asked to be typed."""
        dialog = self.dialog()
        dialog.query_one("#reason", Input).focus()
        await self.press(*reason, "enter")
        if typed is not None:
            dialog.query_one("#typed", Input).focus()
            await self.press(*typed)
        return dialog


@asynccontextmanager
async def at_hand(
    path: Path, *accounts: str, write: bool = True, size: tuple[int, int] = (120, 36), **options: Any
) -> AsyncIterator[Hand]:
    """A console over a small fleet, on screen 2."""
    async with fleet(path, accounts=accounts or ("acme",)) as engine:
        app = console_on(engine, write=write, **options)
        async with app.run_test(size=size) as pilot:
            hand = Hand(app, pilot, engine)
            await hand.press("2")
            yield hand


async def only(engine: Engine) -> Installation:
    return (await engine.find("is:any")).items[0]


async def outcomes(engine: Engine) -> list[tuple[str, str]]:
    """What was tried on the fleet after it was made, oldest first."""
    told = [action for _, action in reversed(await engine.ops.actions(limit=1000))]
    return [(action.verb, action.outcome) for action in told if action.verb != "install"]
