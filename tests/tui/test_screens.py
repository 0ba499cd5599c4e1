"""Fleet, apps, sweeps and audit: every number leads to its rows, and production moves only by a dialog."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from grantflow import Actor, Engine, definitions
from grantflow.testing import ManualClock
from grantflow_tui._apps import AppsScreen
from grantflow_tui._audit import PAGE, AuditScreen
from grantflow_tui._browse import BrowseScreen
from grantflow_tui._confirm import ConfirmDialog
from grantflow_tui._detail import DetailScreen
from grantflow_tui._fleet import FleetScreen, wishes
from grantflow_tui._horizon import DAYS, Bar, Horizon
from grantflow_tui._lines import Line, Lines
from grantflow_tui._look import Look
from grantflow_tui._sweeps import SweepsScreen
from tests.tui.fleet import console_on, fleet, screen_text, settled
from tests.tui.lively import HELD, OLGA, lively

SIZE = (120, 36)


async def choose(pilot: Any, where: str, words: str) -> Line:
    """Move the cursor to the line with these words, as a person does."""
    lines = pilot.app.screen.query_one(where, Lines)
    pilot.app.screen.set_focus(lines)
    await pilot.press("g")
    for _ in range(len(lines.links)):
        if words in lines.current.text.plain:
            found: Line = lines.current
            return found
        await pilot.press("j")
    raise AssertionError(f"no line says {words!r}")


# -- fleet --------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [(80, 24), SIZE])
async def test_what_changed_comes_first_and_enter_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        app = console_on(engine)
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            text = screen_text(app)
            assert text.index("Changed lately") < text.index("Needs attention") < text.index("States")
            for words, count in (("crm-sync", 2), ("operator", 1)):
                await choose(pilot, "#states", words)
                await pilot.press("enter")
                await settled(pilot)
                assert isinstance(app.screen, BrowseScreen)
                assert f"{count} match" in screen_text(app), app.screen.filter
                await pilot.press("1")
                await settled(pilot)


async def test_every_number_of_the_fleet_page_is_that_of_its_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot)
            lines = [line for line in app.screen.query_one("#states", Lines).lines if line.filter is not None]
            counted = 0
            for line in lines:
                words = line.text.plain.split()
                numbers = [word.lstrip("+") for word in words if word.lstrip("+").replace(",", "").isdigit()]
                if numbers:
                    assert (await engine.count(line.filter or "")).count == int(numbers[0].replace(",", "")), words
                    counted += 1
            assert counted >= 10
            for bar in app.screen.query_one("#horizon", Horizon).bars:
                assert (await engine.count(bar.filter)).count == bar.count, bar


async def test_the_attention_list_asks_only_indexes(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        found = wishes(Look(definitions()))
        assert len(found) >= 6
        assert [wish.filter for wish in found if engine.scans(wish.filter)] == []


async def test_trouble_stands_on_the_fleet_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "g.db"
    async with lively(path, monkeypatch) as engine:
        with closing(sqlite3.connect(path)) as conn, conn:
            conn.execute("UPDATE grantflow_outbox SET dead_at = 1")
            conn.execute("UPDATE grantflow_installation SET quarantined = 1 WHERE account = 'acct11'")
        await engine.ops.pause(actor=OLGA, reason="a migration goes on")
        await engine.stop_beating()
        app = console_on(engine)
        async with app.run_test(size=(160, 45)) as pilot:
            await settled(pilot)
            text = screen_text(app)
            for expected in (
                "app hr-bridge: client-secret-refused",
                HELD,
                "by operator:olga: a migration goes on",
                "nobody",
                "notices nobody took",
                "quarantined: cannot be understood",
            ):
                assert expected in text


async def test_a_process_that_fell_silent_is_not_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot)
            assert "nobody" not in screen_text(app)
            clock = engine._core.clock
            assert isinstance(clock, ManualClock)
            clock.advance(timedelta(minutes=2))
            app.tick()
            await settled(pilot)
            assert "nobody" in screen_text(app)
            assert "silent" in screen_text(app)


async def test_the_horizon_is_a_picture_of_filters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot)
            horizon = app.screen.query_one("#horizon", Horizon)
            assert len(horizon.shown) > DAYS
            at = next(number for number, bar in enumerate(horizon.bars) if bar.count)
            await pilot.press("tab", *["right"] * at)
            await settled(pilot)
            bar = horizon.bars[at]
            assert f"{bar.name} · from {bar.start:%a %Y-%m-%d} · {bar.count:,} end" in screen_text(app)
            await pilot.press("L")
            await settled(pilot)
            assert "· log" in screen_text(app)
            await pilot.press("enter")
            await settled(pilot)
            assert isinstance(app.screen, BrowseScreen)
            assert app.screen.filter == bar.filter
            assert f"{bar.count} match" in screen_text(app)


def test_a_bar_is_as_high_as_its_share_and_never_hides_a_few() -> None:
    horizon = Horizon(Look({}), id="h")
    assert [horizon.height_of(_bar(count), 1_000, 4) for count in (0, 1, 500, 1_000)] == [0, 1, 16, 32]
    horizon.logarithmic = True
    low, half, full = (horizon.height_of(_bar(count), 1_000, 4) for count in (1, 30, 1_000))
    assert 1 < low < half < full == 32


def _bar(count: int) -> Bar:
    return Bar(datetime(2026, 1, 1, tzinfo=UTC), count, "expires:0d..1d", "day 1", soon=True)


# -- apps ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [(80, 24), SIZE, (160, 45)])
async def test_apps_with_their_trouble_and_enter_filters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        app = console_on(engine)
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            await pilot.press("3")
            await settled(pilot)
            assert isinstance(app.screen, AppsScreen)
            rows = {line.split()[0]: line.split() for line in screen_text(app).splitlines()[2:5]}
            assert set(rows) == {"agent-app", "crm-sync", "hr-bridge"}
            assert "client-secret" in " ".join(rows["hr-bridge"])
            awaited = (await engine.count("app:crm-sync scope:?*")).count
            assert awaited == 3
            assert str(awaited) in rows["crm-sync"]
            if size[0] > 80:
                assert "host" in rows["crm-sync"]
                assert "held:" in rows["hr-bridge"]
            await choose(pilot, "#apps", "crm-sync")
            await pilot.press("enter")
            await settled(pilot)
            assert isinstance(app.screen, BrowseScreen)
            assert "4 match" in screen_text(app)


async def test_without_apps_the_page_says_how_to_begin(tmp_path: Path) -> None:
    async with Engine.open(f"sqlite:///{tmp_path / 'e.db'}") as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            for key, words in (
                ("3", "apps register"),
                ("4", "nobody"),
                ("6", "nothing is on record"),
                ("1", "empty"),
            ):
                await settled(pilot)
                await pilot.press(key)
                await settled(pilot)
                await pilot.press("r")
                await settled(pilot)
                assert words in screen_text(app), key


# -- sweeps -------------------------------------------------------------------------------------------
async def typed(pilot: Any, reason: str) -> None:
    """Fill the dialog and press F9 as a person would, after its guard."""
    app = pilot.app
    app.screen.query_one("#reason", Input).value = reason
    await settled(pilot)
    app.screen._opened -= 1
    await pilot.press("f9")
    await settled(pilot)


async def test_a_sweep_shows_its_dry_run_first_and_is_on_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        clock = engine._core.clock
        assert isinstance(clock, ManualClock)
        clock.advance(timedelta(days=400))
        due = (await engine.ops.preview_sweep()).overdue
        app = console_on(engine, write=True)
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot)
            await pilot.press("4", "t")
            await settled(pilot)
            assert isinstance(app.screen, ConfirmDialog)
            assert f"{due} due in all" in screen_text(app)
            assert (await engine.ops.preview_sweep()).overdue == due
            app.screen.query_one("#reason", Input).value = "a good reason"
            app.screen._opened = app.monotonic()
            await pilot.press("f9")
            await settled(pilot)
            assert isinstance(app.screen, ConfirmDialog), "keys typed ahead of the dialog do nothing"
            assert (await engine.ops.preview_sweep()).overdue == due
            await typed(pilot, "short")
            assert "5 of 8 characters" in screen_text(app)
            assert (await engine.ops.preview_sweep()).overdue == due
            await typed(pilot, "the scheduler host is down")
            assert isinstance(app.screen, SweepsScreen)
            assert "swept:" in screen_text(app)
            assert (await engine.ops.preview_sweep()).overdue == 0
        (_, action), *_ = await engine.ops.actions(filter="verb:run-sweep")
        assert (action.actor, action.outcome, action.reason) == (
            "operator:maria",
            "applied",
            "the scheduler host is down",
        )


async def test_production_is_paused_and_resumed_by_a_dialog(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, write=True)
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot)
            await pilot.press("4", "P")
            await settled(pilot)
            await pilot.press("escape")
            await settled(pilot)
            assert await engine.ops.paused() is None
            for words, after in (("Pause every scheduler", True), ("Resume the schedulers", False)):
                await pilot.press("P")
                await settled(pilot)
                assert words in screen_text(app)
                await typed(pilot, "a migration goes on")
                await settled(pilot)
                assert (await engine.ops.paused() is not None) is after
                assert ("PAUSED" in screen_text(app)) is after


@pytest.mark.parametrize("key", ["t", "P"])
async def test_in_read_mode_nothing_of_production_moves(tmp_path: Path, key: str) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            await pilot.press("4", key)
            await settled(pilot)
            assert isinstance(app.screen, SweepsScreen)
            assert "READ mode" in screen_text(app)
            assert await engine.ops.paused() is None


async def test_what_the_engine_refuses_stands_in_the_dialog(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, write=True)
        app.writing.actor = Actor.agent("mallory")
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot)
            await pilot.press("4", "P")
            await settled(pilot)
            await typed(pilot, "let me in, please")
            assert isinstance(app.screen, ConfirmDialog)
            assert "only an operator" in screen_text(app)
            assert await engine.ops.paused() is None


async def test_a_run_leads_to_what_it_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot)
            await pilot.press("4")
            await settled(pilot)
            line = await choose(pilot, "#sweeps", "written in")
            await pilot.press("enter")
            await settled(pilot)
            assert isinstance(app.screen, BrowseScreen)
            written = int(line.text.plain.split(" written")[0].split()[-1])
            assert f"{written} match" in screen_text(app)


# -- audit --------------------------------------------------------------------------------------------
async def test_the_audit_is_filtered_and_leads_to_its_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot)
            await pilot.press("6")
            await settled(pilot)
            screen = app.screen
            assert isinstance(screen, AuditScreen)
            assert "only an operator may do this" in screen_text(app)
            await pilot.press("slash", *"verb:force outcome:previewed", "enter")
            await settled(pilot)
            assert "1 action" in screen_text(app)
            assert "OPS-312 a key leaked" in screen_text(app)
            await pilot.press("enter")
            await settled(pilot)
            assert isinstance(app.screen, DetailScreen)
            forced = (await engine.find("is:forced")).items[0]
            assert app.screen.installation_id == forced.id
            await pilot.press("escape")
            await settled(pilot)
            await pilot.press("slash", *" state:active", "enter")
            await settled(pilot)
            assert "there is no field 'state'" in screen_text(app)
            assert "1 action" in screen_text(app)


async def test_the_audit_is_read_page_by_page_in_both_directions(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        for number in range(PAGE + 30):
            await engine.ops.admit("drill", f"target-{number:03}", actor=OLGA, reason="a good reason")
            await engine.apps.hold("agent-app", actor=OLGA, reason=f"number {number:03}")
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot)
            await pilot.press("6", "slash", *"verb:hold", "enter")
            await settled(pilot)
            assert f"number {PAGE + 29:03}" in screen_text(app)
            await pilot.press("G", "j")
            await settled(pilot)
            assert "page 2 · 30 actions" in screen_text(app)
            assert "number 029" in screen_text(app)
            await pilot.press("g", "k")
            await settled(pilot)
            assert f"page 1 · {PAGE}+ actions" in screen_text(app)
            assert "number 030" in screen_text(app)


async def test_the_cursor_stays_on_its_line_when_lines_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            await settled(pilot)
            await pilot.press("6", "j", "j", "j")
            await settled(pilot)
            lines = app.screen.query_one("#actions", Lines)
            before = lines.current
            await engine.apps.hold("crm-sync", actor=OLGA, reason="one more line")
            app.tick()
            await settled(pilot)
            assert before is not None
            assert lines.current is not None
            assert lines.current.key == before.key
            assert "one more line" in screen_text(app)


@pytest.mark.parametrize("key", ["1", "2", "3", "4", "6"])
async def test_every_screen_carries_the_header(tmp_path: Path, key: str) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            await pilot.press("2" if key == "1" else "1", key)
            await settled(pilot)
            first = screen_text(app).splitlines()[0]
            assert first.startswith(" grantflow  grants.db  READ  op=maria  as of ")
            assert isinstance(app.screen, FleetScreen) is (key == "1")
