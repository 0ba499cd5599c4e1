"""Screen 2 goes to a place in the order, and counts to the end on request."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grantflow_tui._browse import BrowseScreen
from tests.tui.fleet import CountingEngine, console_on, fleet, screen_text, settled

if TYPE_CHECKING:
    from textual.pilot import Pilot

    from grantflow_tui._app import Console

COPIES = 11_000


def account_here(app: Console) -> str | None:
    screen = app.screen
    assert isinstance(screen, BrowseScreen)
    return None if screen.chosen is None else screen.chosen.account


async def jump(pilot: Pilot[None], place: str) -> None:
    await pilot.press("apostrophe", *place, "enter")
    await settled(pilot)


@pytest.mark.parametrize(
    ("order", "place", "lands"),
    [
        ("sort:account", "acct0075", "acct007500"),
        ("sort:-account", "acct0075", "acct007599"),
        ("sort:account", "zebra", "acme"),
        ("sort:id", "00000000-1d4c", "acct007500"),
        ("sort:-id", "00000000-1d4c", "acct007500"),
        ("sort:-id", "2100-01-01", "acct011000"),
        ("sort:expires", "30d", "acme"),
    ],
)
async def test_a_jump_lands_in_the_order_of_the_filter(tmp_path: Path, order: str, place: str, lands: str) -> None:
    async with fleet(tmp_path / "g.db", copies=COPIES) as engine:
        app = console_on(engine)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2", "slash", *order, "enter")
            await settled(pilot)
            await jump(pilot, place)
            assert account_here(app) == lands
            await pilot.press("g")
            await settled(pilot)
            assert account_here(app) != lands or place in {"30d", "2100-01-01"}


async def test_a_jump_nowhere_says_what_the_order_knows_and_esc_asks_for_nothing(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", copies=300) as engine:
        app = console_on(engine)
        async with app.run_test(size=(160, 36)) as pilot:
            await pilot.press("2", "slash", *"sort:expires", "enter")
            await settled(pilot)
            await pilot.press("G")
            here = account_here(app)
            await jump(pilot, "acme")
            assert "30d or 2026-08-01" in screen_text(app)
            await pilot.press("apostrophe", *"3d", "escape")
            await settled(pilot)
            assert account_here(app) == here


async def test_c_counts_to_the_end_and_the_number_keeps_its_time(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", copies=COPIES) as engine:
        app = console_on(engine)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            assert "≥10,000 match" in screen_text(app)
            await pilot.press("c")
            await settled(pilot)
            counted = f"{COPIES + 1:,} match at "
            assert counted in screen_text(app)
            app.tick()
            await settled(pilot)
            assert counted in screen_text(app)
            await pilot.press("slash", *"state:active", "enter")
            await settled(pilot)
            assert "≥10,000 match" in screen_text(app)


class EndlessCount(CountingEngine):
    """Counting to the end never comes to one."""

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.given_up = asyncio.Event()

    async def count(self, *args: Any, exact: bool = False, **named: Any) -> Any:
        if not exact:
            return await self._engine.count(*args, **named)
        try:
            return await asyncio.Event().wait()
        finally:
            self.given_up.set()


async def test_esc_stops_the_counting(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        slow = EndlessCount(engine)
        app = console_on(slow)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("c", "j")
            assert "counting" in screen_text(app)
            await pilot.press("escape")
            await asyncio.wait_for(slow.given_up.wait(), 5)
            await settled(pilot)
            assert "interrupted" in screen_text(app)
            assert "1 match" in screen_text(app)
