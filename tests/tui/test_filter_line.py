"""The filter line: completed, explained, interrupted, saved, and part of a history of views."""

from __future__ import annotations

import asyncio
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from textual.command import CommandPalette
from textual.widgets import Input

from grantflow_tui import _saved
from grantflow_tui._audit import AuditScreen
from grantflow_tui._browse import BrowseScreen
from grantflow_tui._detail import DetailScreen
from grantflow_tui._facets import preview
from grantflow_tui._fleet import FleetScreen
from grantflow_tui._lines import Lines
from grantflow_tui._look import Look
from grantflow_tui._palette import LineDialog
from grantflow_tui._places import MOST, Place, Places
from tests.tui.fleet import CountingEngine, console_on, fleet, screen_text, settled
from tests.tui.lively import lively

SIZE = (120, 36)


def browse_of(app: Any) -> BrowseScreen:
    assert isinstance(app.screen, BrowseScreen)
    return app.screen


# -- completion ---------------------------------------------------------------------------------------
async def test_tab_completes_fields_words_and_values(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", accounts=("acme", "acorn", "bolt")) as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2", "slash", *"acc")
            await settled(pilot)
            field = app.screen.query_one("#filter", Input)
            await pilot.press("tab")
            await settled(pilot)
            assert field.value == "account:"
            await pilot.press("a")
            await settled(pilot)
            assert "account:acme  account:acorn" in screen_text(app)
            await pilot.press("tab", "tab")
            await settled(pilot)
            assert field.value == "account:acorn"
            await pilot.press("tab", "enter")
            await settled(pilot)
            assert browse_of(app).filter == "account:acme"
            assert "tab" not in screen_text(app).splitlines()[2]


async def test_tab_goes_on_where_nothing_is_offered(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2", "slash")
            await settled(pilot)
            await pilot.press("tab")
            assert app.screen.focused is not app.screen.query_one("#filter", Input)


async def test_marked_means_what_is_marked_here(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", accounts=("acme", "bolt", "cern")) as engine:
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            app.marked = {item.id for item in (await engine.find("account:bolt,cern")).items}
            await pilot.press("2", "slash", *"is:marked", "enter")
            await settled(pilot)
            assert "2 match" in screen_text(app)
            await pilot.press("slash", "end", *" account:acme", "enter")
            await settled(pilot)
            assert "without account:acme 2 match" in screen_text(app)


# -- nothing matches, and searches that read everything -----------------------------------------------
async def test_no_match_says_which_term_removed_everything(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", accounts=("acme", "bolt")) as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2", "slash", *"state:active account:nobody", "enter")
            await settled(pilot)
            text = screen_text(app)
            assert "nothing matches" in text
            assert "without state:active 0 match" in text
            assert "without account:nobody 2 match" in text
            await pilot.press("escape")
            await settled(pilot)
            assert "nothing matches" not in screen_text(app)


async def test_a_scan_says_so_and_runs_on_enter_alone(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", accounts=("acme", "bolt")) as engine:
        counting = CountingEngine(engine)
        app = console_on(counting)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.press("2", "slash", *"label:def*", "enter")
            await settled(pilot)
            assert "scanned label" in screen_text(app)
            assert "a scan has no facets" in screen_text(app)
            assert "2 match" in screen_text(app)
            finds = counting.finds
            app.tick()
            await settled(pilot)
            assert counting.finds == finds
            await pilot.press("slash", "enter")
            await settled(pilot)
            assert counting.finds == finds + 1
            await pilot.press("escape")
            await settled(pilot)
            app.tick()
            await settled(pilot)
            assert counting.finds > finds + 2


class SlowEngine(CountingEngine):
    """One search takes for ever, and tells when it was given up."""

    slow = "label:slow"

    def __init__(self, engine: Any) -> None:
        super().__init__(engine)
        self.given_up = asyncio.Event()
        self.began = asyncio.Event()

    async def find(self, *args: Any, **named: Any) -> Any:
        if args and args[0] == self.slow:
            self.began.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.given_up.set()
                raise
        return await super().find(*args, **named)


async def test_esc_interrupts_a_search_and_the_last_result_stays(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        slow = SlowEngine(engine)
        app = console_on(slow)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("slash", *slow.slow, "enter")
            await asyncio.wait_for(slow.began.wait(), 5)
            await pilot.pause()
            assert "esc interrupts" in screen_text(app)
            await pilot.press("escape")
            await asyncio.wait_for(slow.given_up.wait(), 5)
            await settled(pilot)
            assert browse_of(app).filter == ""
            assert "interrupted" in screen_text(app)
            assert "1 match" in screen_text(app)
            app.tick()
            await settled(pilot)
            assert "acme" in screen_text(app)


# -- facets and preview -------------------------------------------------------------------------------
async def test_facets_are_narrower_filters_and_need_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.press("2", "slash", *"app:crm-*", "enter")
            await settled(pilot)
            facets = app.screen.query_one("#facets", Lines)
            found = {line.filter: line.text.plain.split()[-1] for line in facets.lines if line.filter is not None}
            assert len(found) >= 5
            for query, number in found.items():
                assert (await engine.count(query)).count == int(number), query
            app.screen.set_focus(facets)
            await pilot.press("g", "enter")
            await settled(pilot)
            assert browse_of(app).filter.startswith("app:crm-* state:")
            assert f"{found[browse_of(app).filter]} match" in screen_text(app)


async def test_a_narrow_screen_has_neither_facets_nor_preview(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=(100, 30)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            assert not app.screen.query_one("#facets").display
            assert not app.screen.query_one("#preview").display


async def test_the_preview_follows_the_cursor(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db", accounts=("acme", "bolt")) as engine:
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.press("2")
            await settled(pilot)
            assert "acme · agent:bob · default" in screen_text(app)
            await pilot.press("j")
            await settled(pilot)
            assert "bolt · agent:bob · default" in screen_text(app)
            assert "granted people.read" in screen_text(app)


async def test_a_preview_is_three_lines_whatever_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from grantflow import definitions

    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        for item in (await engine.find()).items:
            shown = preview(item, Look(definitions()), engine.now()).plain
            assert len(shown.splitlines()) == 3
            assert item.account in shown


# -- history ------------------------------------------------------------------------------------------
async def test_the_history_goes_back_and_forward_through_views(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=(80, 24)) as pilot:
            await settled(pilot)
            await pilot.press("2", "slash", *"state:active", "enter")
            await settled(pilot)
            await pilot.press("enter")
            await settled(pilot)
            shown = app.screen
            assert isinstance(shown, DetailScreen)
            await pilot.press("6")
            await settled(pilot)

            async def after(key: str) -> tuple[type, str]:
                await pilot.press(key)
                await settled(pilot)
                return type(app.screen), getattr(app.screen, "filter", "")

            assert await after("left_square_bracket") == (DetailScreen, "")
            again = app.screen
            assert isinstance(again, DetailScreen)
            assert again.installation_id == shown.installation_id
            assert await after("left_square_bracket") == (BrowseScreen, "state:active")
            assert await after("left_square_bracket") == (BrowseScreen, "")
            assert await after("left_square_bracket") == (FleetScreen, "")
            assert await after("left_square_bracket") == (FleetScreen, "")
            assert "no view beyond" in screen_text(app)
            assert await after("right_square_bracket") == (BrowseScreen, "")
            assert await after("right_square_bracket") == (BrowseScreen, "state:active")
            assert await after("minus") == (BrowseScreen, "")
            assert await after("minus") == (BrowseScreen, "state:active")
            await pilot.press("slash", "end", *"-[]:")
            assert app.screen.query_one("#filter", Input).value == "state:active-[]:"


def test_places_forget_what_lay_ahead_and_are_bounded() -> None:
    places = Places()
    for number in range(MOST + 20):
        places.visit(Place("installations", str(number)))
    assert places.here == Place("installations", str(MOST + 19))
    back = 0
    while places.step(-1) is not None:
        back += 1
    assert back == MOST - 1
    places.visit(Place("fleet"))
    assert places.step(1) is None
    places.visit(Place("fleet"))
    assert places.step(-1) == Place("installations", "20")


# -- palette and saved filters ------------------------------------------------------------------------
@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
async def test_the_palette_goes_to_places_states_and_apps(tmp_path: Path, key: str) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            for typed, screen, query in (
                ("audit", AuditScreen, ""),
                ("app agent-app", BrowseScreen, 'app="agent-app"'),
                ("state consented", BrowseScreen, "state:consented"),
            ):
                await settled(pilot)
                await pilot.press(key)
                await settled(pilot)
                assert isinstance(app.screen, CommandPalette)
                await pilot.press(*typed)
                await pilot.pause(0.5)
                await pilot.press("enter")
                await pilot.pause(0.2)
                await settled(pilot)
                assert isinstance(app.screen, screen)
                assert getattr(app.screen, "filter", "") == query


async def test_a_filter_is_saved_by_name_for_its_owner_alone(tmp_path: Path, own_configuration: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine)
        async with app.run_test(size=SIZE) as pilot:
            await pilot.press("2", "S")
            await settled(pilot)
            assert "no filter on screen" in screen_text(app)
            await pilot.press("slash", *"state:active app:agent-*", "enter")
            await settled(pilot)
            await pilot.press("S")
            await settled(pilot)
            assert isinstance(app.screen, LineDialog)
            await pilot.press(*"mine", "enter")
            await settled(pilot)
            assert "saved: mine" in screen_text(app)
            await pilot.press("1", "colon")
            await settled(pilot)
            await pilot.press(*"filter mine")
            await pilot.pause(0.5)
            await pilot.press("enter")
            await pilot.pause(0.2)
            await settled(pilot)
            assert browse_of(app).filter == "state:active app:agent-*"
    file = own_configuration / "grantflow" / "filters.json"
    assert json.loads(file.read_text()) == {"mine": "state:active app:agent-*"}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["filters.json"]


@pytest.mark.parametrize("content", ["", "{", "[1, 2]", '{"a": 1}', "\ud800".encode("utf-8", "surrogatepass")])
def test_a_file_that_is_not_ours_is_neither_read_nor_replaced(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "grantflow" / "filters.json"
    assert _saved.load(path) == {}
    path.parent.mkdir()
    raw = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(raw)
    assert _saved.load(path) == {}
    if len(raw) > 2:
        with pytest.raises(_saved.CannotSave):
            _saved.save(path, "mine", "state:active")
        assert path.read_bytes() == raw


def test_saving_where_nothing_can_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(_saved.CannotSave, match="not saved"):
        _saved.save(tmp_path / "file" / "grantflow" / "filters.json", "mine", "state:active")


def test_there_is_an_end_to_saved_filters(tmp_path: Path) -> None:
    path = tmp_path / "filters.json"
    path.write_text(json.dumps({str(number): "state:active" for number in range(_saved.MOST)}))
    _saved.save(path, "0", "state:other")
    with pytest.raises(_saved.CannotSave, match="200"):
        _saved.save(path, "one more", "state:active")


def test_the_file_lies_where_xdg_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for given, expected in ((str(tmp_path), tmp_path), ("relative", Path.home() / ".config"), ("", None)):
        monkeypatch.setenv("XDG_CONFIG_HOME", given)
        folder = expected or Path.home() / ".config"
        assert _saved.default_path() == folder / "grantflow" / "filters.json"
