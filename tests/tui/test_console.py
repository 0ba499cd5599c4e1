"""The console as a whole: header, fleet page, detail, help, and how it ends."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from grantflow import Actor, Engine
from grantflow.errors import DatabaseError, SchemaMismatch
from grantflow.testing import ManualClock
from grantflow_tui import console
from grantflow_tui._browse import BrowseScreen
from grantflow_tui._lines import Lines
from tests.tui.fleet import console_on, fleet, screen_text, settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SIZES = [(80, 24), (120, 36)]


@pytest.mark.parametrize("size", SIZES)
async def test_the_fleet_page_counts_and_leads_to_the_rows(tmp_path: Path, size: tuple[int, int]) -> None:
    async with fleet(tmp_path / "g.db", accounts=("acme", "globex")) as engine:
        first = (await engine.find()).items[0]
        await engine.ops.force(first.id, to="refresh-expired", actor=Actor.operator("x"), reason="for the test")
        app = console_on(engine)
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            text = screen_text(app)
            assert text.splitlines()[0].startswith(" grantflow  grants.db  READ  op=maria  as of ")
            assert "States · 2 installations" in text
            assert "refresh-expired: whoever may reauthorize must act" in text
            lines = app.screen.query_one("#states", Lines)
            wanted = next(line for line in lines.lines if "must act" in line.text.plain)
            while lines.current != wanted:
                await pilot.press("j")
            await pilot.press("enter")
            await settled(pilot)
            assert isinstance(app.screen, BrowseScreen)
            assert app.screen.filter == "state:refresh-expired"
            assert "1 match" in screen_text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_the_detail_tells_the_whole_story(tmp_path: Path, size: tuple[int, int]) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        here = (await engine.find()).items[0]
        await engine.ops.force(here.id, to="refresh-expired", actor=Actor.operator("x"), reason="for the test")
        app = console_on(engine)
        async with app.run_test(size=size) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("enter")
            await settled(pilot)
            seen = screen_text(app)
            for _ in range(6):
                await pilot.press("pagedown")
                await settled(pilot)
                seen += "\n" + screen_text(app)
            for expected in (
                "[✖ refresh-expired]",
                "!FORCED",
                "for the test",
                here.id,
                "tickets.read",
                "Clocks",
                "Open attempts · 0",
                "yes suspend",
                "no  authorize",
            ):
                assert expected in seen


async def test_ascii_screens_hold_only_ascii(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, ascii=True, write=True)
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            await pilot.press("2")
            await settled(pilot)
            assert "* active" in screen_text(app)
            assert "> 0" in screen_text(app)
            await pilot.press("enter")
            await settled(pilot)
            assert "[* active]" in screen_text(app)
            for key in ("1", "2", "f", "escape", "question_mark"):
                await pilot.press(key)
                await settled(pilot)
                assert screen_text(app).isascii()


async def test_no_color_leaves_glyph_and_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            assert app.no_color
            assert "● active" in screen_text(app)


async def test_help_is_over_everything_and_q_closes_only_it(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            await pilot.press("question_mark")
            await settled(pilot)
            assert "Horizon · this screen" in screen_text(app)
            await pilot.press("q")
            await settled(pilot)
            assert app.is_running
            assert "States" in screen_text(app)


async def test_pause_and_stale_stand_in_the_header(tmp_path: Path) -> None:
    seconds = [0.0]
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, write=True)
        app._monotonic = lambda: seconds[0]
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("p")
            await settled(pilot)
            assert "paused" in screen_text(app).splitlines()[0]
            await pilot.press("p")
            seconds[0] = 41.0
            assert "stale 41s" in app.header().plain
            assert app.why_read_only() is not None


async def test_copying_takes_the_whole_id(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("y")
            await settled(pilot)
            assert app.clipboard == (await engine.find()).items[0].id


async def test_a_lost_database_is_told_and_the_data_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2")
            await settled(pilot)

            async def lost(*_: object, **__: object) -> None:
                raise DatabaseError("the database is gone")

            monkeypatch.setattr(engine, "find", lost)
            await pilot.press("r")
            await settled(pilot)
            assert "the database is gone" in screen_text(app)
            assert "acme" in screen_text(app)
            monkeypatch.undo()
            await pilot.press("r")
            await settled(pilot)
            assert "the database is gone" not in screen_text(app)


async def test_a_database_that_cannot_be_opened_ends_with_its_reason(tmp_path: Path) -> None:
    @asynccontextmanager
    async def refuses() -> AsyncIterator[Engine]:
        raise SchemaMismatch
        yield  # makes it a generator

    app = console("sqlite:///x.db", write=False, operator=None, claimed=False, engine_factory=refuses)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause(0.1)
    await app.close_engine()
    assert app.return_code == 1


async def test_the_engine_is_closed_at_the_end(tmp_path: Path) -> None:
    told = []

    @asynccontextmanager
    async def opened() -> AsyncIterator[Engine]:
        async with fleet(tmp_path / "g.db") as engine:
            told.append("open")
            yield engine
        told.append("closed")

    app = console("sqlite:///x.db", write=False, operator=None, claimed=False, engine_factory=opened)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("q")
    await app.close_engine()
    assert told == ["open", "closed"]
    assert app.return_code in (0, None)


async def test_a_crash_shows_no_locals_and_no_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)

        def broken() -> None:
            password = "hunter2"
            raise RuntimeError(password)

        async def crash() -> None:
            async with app.run_test(size=(80, 24)) as pilot:
                await settled(pilot)
                app.call_later(broken)
                await pilot.pause(0.1)

        with pytest.raises(RuntimeError, match="hunter2"):
            await crash()
        assert app.return_code == 1
        app._fatal_error()
        app.error_console.file = None  # type: ignore[assignment]  # rich takes None for stderr
        app._print_error_renderables()
        said = capsys.readouterr()
        assert "RuntimeError" in said.err + said.out
        assert "hunter2" not in said.err + said.out


async def test_times_come_from_the_engines_clock(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        here = (await engine.find()).items[0]
        assert here.expires_at is not None
        ends = here.expires_at
        app = console_on(engine)
        clock = engine._core.clock
        assert isinstance(clock, ManualClock)
        clock.advance(ends - clock.now() - timedelta(days=3))
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            assert "in 3d" in screen_text(app)
            assert "▲ active" in screen_text(app)
