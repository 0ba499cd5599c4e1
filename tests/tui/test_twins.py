"""Every screen has a twin on the command line, for scripts and for people who listen to their terminal."""

from __future__ import annotations

import asyncio
import json
import shlex
from pathlib import Path

import pytest

from grantflow.cli import main
from tests.tui.fleet import console_on, fleet, settled

SCREENS = {
    "1": "changes",
    "2": "list",
    "2 enter": "show",
    "3": "apps list",
    "4": "scheduler status",
    "5": "jobs list",
    "6": "audit",
}
NOBODY_AT_WORK = {"scheduler status": 1}


@pytest.mark.parametrize("keys", SCREENS)
async def test_the_line_that_is_copied_shows_the_same(
    tmp_path: Path, keys: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "g.db"
    async with fleet(path, accounts=("acme", "bolt"), real_time=True) as engine:
        app = console_on(engine)
        async with app.run_test(size=(120, 36)) as pilot:
            for key in keys.split():
                await pilot.press(key)
                await settled(pilot)
            await pilot.press("Y")
            copied = shlex.split(app.clipboard)
    assert copied[0] == "grantflow"
    assert " ".join(copied[1:]).startswith(SCREENS[keys])
    expected = NOBODY_AT_WORK.get(SCREENS[keys], 0)
    capsys.readouterr()
    assert await asyncio.to_thread(main, [*copied[1:], "--database", str(path), "--json"]) == expected
    assert json.loads(capsys.readouterr().out) is not None
    assert await asyncio.to_thread(main, ["--plain", *copied[1:], "--database", str(path)]) == expected
    spoken = capsys.readouterr().out
    assert all(char.isprintable() or char in "\n\t" for char in spoken)
    assert not set(spoken) & set("●○◔◑▲✗✖█▏─")


async def test_the_copied_filter_is_the_one_on_screen(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=(120, 36)) as pilot:
            for screen, text in (("2", "state:active acct"), ("6", "outcome:applied")):
                await pilot.press(screen, "slash", *text, "enter")
                await settled(pilot)
                await pilot.press("Y")
                assert shlex.split(app.clipboard)[-1] == text
