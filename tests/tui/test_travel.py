"""Virtual time in the console: keys move it on, expiries are watched, and where time is real there is no such key."""

from __future__ import annotations

import asyncio
import io
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console as Paper

from grantflow.demo._run import play
from grantflow.demo._travel import TimeMachine
from grantflow.testing import ManualClock
from grantflow_tui import console
from grantflow_tui._base import ConsoleScreen
from tests.tui.fleet import console_on, fleet, screen_text, settled
from tests.tui.terminal import Terminal

if TYPE_CHECKING:
    from textual.pilot import Pilot

NOW = datetime(2027, 3, 4, 9, 30, tzinfo=UTC)
F2, F3, F4 = "\x1bOQ", "\x1bOR", "\x1bOS"
DEMO = "import sys; from grantflow.cli import main; sys.exit(main(['demo', '--tui', '--size', '60']))"


@asynccontextmanager
async def travelling(folder: Path, *, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Pilot[None]]:
    """The console of the demo, on its first screen."""
    path = folder / "demo.db"
    people = await play(Paper(file=io.StringIO()), path, 60, 7, NOW)
    machine = TimeMachine(path, people, ManualClock(NOW))
    app = console(
        f"sqlite:///{path}",
        write=True,
        operator="maria",
        claimed=False,
        engine_factory=machine.opened,
        advance=machine.advance,
    )
    async with app.run_test(size=size) as pilot:
        await settled(pilot)
        yield pilot
    await app.close_engine()


def counted(text: str, state: str) -> int:
    """What the fleet screen says of a state."""
    found = re.search(rf"{state} +(\d+) +\d+\.\d%", text)
    assert found is not None, text
    return int(found[1])


async def moved(pilot: Pilot[None], key: str) -> str:
    """The screen after a way."""
    await pilot.press(key)
    await settled(pilot)
    return screen_text(pilot.app)


async def test_a_week_then_a_year_are_watched_on_the_fleet_screen(tmp_path: Path) -> None:
    async with travelling(tmp_path) as pilot:
        first = screen_text(pilot.app)
        assert "VIRTUAL 2027-03-04 09:30Z" in first.splitlines()[0]
        assert "virtual time  F2 a day on  F3 a week on  F4 a year on" in first
        assert "VIRTUAL 2027-03-05 09:30Z" in await moved(pilot, "f2")
        week = await moved(pilot, "f3")
        assert "VIRTUAL 2027-03-12 09:30Z" in week.splitlines()[0]
        assert "7 days: " in week
        year = await moved(pilot, "f4")
        assert "VIRTUAL 2028-03-11 09:30Z" in year.splitlines()[0]
        assert "365 days: " in year
        assert counted(first, "active") > 20
        assert counted(year, "active") == 0
        assert counted(year, "refresh-expired") > counted(first, "refresh-expired") + 20
        lately = year.split("Needs attention")[0]
        assert re.search(r"✖ refresh-expired +\+\d+ since 2027-\d\d-\d\d · \w+-\w+ · time", lately), lately
        horizon = year.split("Live grants that end")[1].split("Scheduler")[0]
        assert "from Sat 2028-03-11 · 0 end" in horizon, "the picture of what is to come moved on, too"
        assert "scheduler · 0s ago" in year


async def test_numbers_move_while_time_does_and_a_second_key_stops_it(tmp_path: Path) -> None:
    async with travelling(tmp_path) as pilot:
        seen = set[int]()
        await pilot.press("f4")
        async with asyncio.timeout(60):
            while len(seen) < 5:
                seen.add(counted(screen_text(pilot.app), "active"))
                await pilot.pause(0.02)
        assert "F2 F3 F4 stop it" in screen_text(pilot.app)
        text = await moved(pilot, "f2")
        days = re.search(r"(\d+) days: ", text)
        assert days is not None
        assert 4 < int(days[1]) < 365
        assert f"VIRTUAL {NOW + timedelta(days=int(days[1])):%Y-%m-%d}" in text
        assert "F2 a day on" in text


async def test_the_keys_are_in_the_help_and_the_palette_and_rest_under_a_dialog(tmp_path: Path) -> None:
    async with travelling(tmp_path, size=(80, 24)) as pilot:
        assert "virtual time  F2 a day on  F3 a week on  F4 a year on" in screen_text(pilot.app)
        help_page = await moved(pilot, "question_mark")
        await pilot.press("f3")
        for _ in range(3):
            help_page += await moved(pilot, "ctrl+d")
        assert "a day, a week, a year on" in help_page
        await moved(pilot, "escape")
        assert "VIRTUAL 2027-03-04" in screen_text(pilot.app)
        await pilot.press("colon")
        await settled(pilot)
        await pilot.press(*"a week on")
        await pilot.pause(0.5)
        await pilot.press("enter")
        await pilot.pause(0.2)
        await settled(pilot)
        assert "VIRTUAL 2027-03-11" in screen_text(pilot.app)


async def test_where_time_is_real_there_is_no_such_key(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, write=True)
        async with app.run_test(size=(120, 36)) as pilot:
            await settled(pilot)
            before = engine.now()
            for key in ("f2", "f3", "f4"):
                assert key not in app.screen.active_bindings
                await pilot.press(key)
            await settled(pilot)
            assert engine.now() == before
            assert isinstance(app.screen, ConsoleScreen)
            assert not app.screen.query("#time")
            text = screen_text(app) + await moved(pilot, "question_mark")
            assert "virtual" not in text.lower()
            assert "F2" not in text


async def test_the_command_on_a_real_terminal() -> None:
    await asyncio.to_thread(a_year_in_a_terminal)


def a_year_in_a_terminal() -> None:
    """`grantflow demo --tui`: a week, a year, and out on the way to the next."""
    terminal = Terminal(sys.executable, "-c", DEMO)
    try:
        terminal.wait_for("next renewal")  # the console has read the fleet
        terminal.type(F3)
        terminal.wait_for("a year on   7 days: ")  # it stands still again
        terminal.type(F4)
        terminal.wait_for("stop it")
        terminal.wait_for("a year on   365 days: ")
        terminal.type(F4)
        terminal.wait_for("stop it")  # and is left on the way
        terminal.type("q")
        assert terminal.leave() == 0
    finally:
        terminal.give_up()
