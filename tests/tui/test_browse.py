"""Screen 2: a list over a window, bound to ids, with a filter that never loses what is on screen."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from grantflow_tui._browse import BrowseScreen
from grantflow_tui._window import WINDOW
from tests.tui.fleet import CountingEngine, console_on, fleet, screen_text, settled


async def test_opening_a_long_list_reads_few_pages(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", copies=3000) as engine:
        counting = CountingEngine(engine)
        app = console_on(counting)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            assert "3,001 match" in screen_text(app)
            assert counting.finds <= 3


@pytest.mark.slow
async def test_opening_a_hundred_thousand_rows_reads_few_pages(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", copies=100_000) as engine:
        counting = CountingEngine(engine)
        app = console_on(counting)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            assert "≥10,000 match" in screen_text(app)
            await pilot.press("G")
            await settled(pilot)
            assert "acct100000" in screen_text(app)
            assert counting.finds <= 4


async def test_paging_sees_every_row_once_in_both_directions(tmp_path: Path) -> None:
    copies = 3 * WINDOW
    async with fleet(tmp_path / "g.db", copies=copies) as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            screen = app.screen
            assert isinstance(screen, BrowseScreen)
            order = ["acme", *(f"acct{number:06}" for number in range(1, copies + 1))]
            for step, expected in ((1, order), (-1, order[::-1])):
                seen = []
                for _ in range(copies + 1):
                    assert screen.chosen is not None
                    seen.append(screen.chosen.account)
                    screen.list.action_move(step)
                    if screen.list.wish("onward" if step > 0 else "backward") is not None:
                        await settled(pilot)
                assert seen == expected
            assert len(screen.list.rows.items) <= WINDOW


async def test_the_keys_reach_both_ends(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", copies=1000) as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            screen = app.screen
            assert isinstance(screen, BrowseScreen)
            for keys, account in (
                (("G",), "acct001000"),
                (("k",), "acct000999"),
                (("pageup", "pageup", "ctrl+u"), "acct000949"),
                (("g",), "acme"),
                (("ctrl+d", "j"), "acct000011"),
                (("pagedown",), "acct000031"),
            ):
                await pilot.press(*keys)
                await settled(pilot)
                assert screen.chosen is not None
                assert screen.chosen.account == account


async def test_the_cursor_stays_on_its_installation_when_rows_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    async with fleet(path, copies=50) as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2", "slash", *"state:active", "enter")
            await settled(pilot)
            await pilot.press("j", "j", "j")
            screen = app.screen
            assert isinstance(screen, BrowseScreen)
            before = screen.chosen
            assert before is not None
            with closing(sqlite3.connect(path)) as conn, conn:
                conn.execute("UPDATE grantflow_installation SET state = 'unauthorized' WHERE account = 'acct000001'")
            app.tick()
            await settled(pilot)
            assert screen.chosen is not None
            assert screen.chosen.id == before.id
            assert "acct000001" not in screen_text(app)


async def test_a_filter_that_cannot_be_read_shows_a_caret_and_keeps_the_rows(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", copies=5) as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2", "slash", *"account:acme", "enter")
            await settled(pilot)
            await pilot.press("slash", "end", *" stat:x", "enter")
            await settled(pilot)
            lines = screen_text(app).splitlines()
            at = next(index for index, line in enumerate(lines) if line.strip().startswith("^"))
            assert lines[at - 1].strip() == "account:acme stat:x"
            assert lines[at].index("^") == lines[at - 1].index("stat:x")
            assert "1 match" in screen_text(app)
            assert "agent-app" in screen_text(app)
            await pilot.press("escape")
            await settled(pilot)
            screen = app.screen
            assert isinstance(screen, BrowseScreen)
            assert screen.filter == "account:acme"
            assert "^" not in screen_text(app)


async def test_the_refresh_stands_still_while_a_dialog_is_open(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        counting = CountingEngine(engine)
        app = console_on(counting, write=True)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("f")
            await settled(pilot)
            finds = counting.finds
            app.tick()
            await settled(pilot)
            assert counting.finds == finds
            assert "paused" in screen_text(app)
            await pilot.press("escape")
            await settled(pilot)
            assert counting.finds > finds
            assert "paused" not in screen_text(app)


async def test_hostile_names_are_inert_on_every_screen(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    hostile = "\x1b[2J[red]x[/]\u202eexe\x07"
    async with fleet(path) as engine:
        with closing(sqlite3.connect(path)) as conn, conn:
            conn.execute("UPDATE grantflow_installation SET account = ?, subject_id = ?", (hostile, hostile))
        app = console_on(engine, write=True)
        async with app.run_test(size=(120, 36)) as pilot:
            shown = []
            for key in ("2", "enter", "f"):
                await pilot.press(key)
                await settled(pilot)
                shown.append(screen_text(app))
            for text in shown:
                assert "[red]x[/]exe" in text
                assert not {"\x1b", "\u202e", "\x07"} & set(text)
