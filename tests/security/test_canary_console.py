"""Every screen and dialog of the console on a database full of secrets, as text and as picture."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from textual.command import CommandPalette
from textual.widgets import Input

from grantflow import Actor
from grantflow.errors import GrantflowError
from grantflow_tui._apps import AppsScreen
from grantflow_tui._audit import AuditScreen
from grantflow_tui._base import ConsoleScreen
from grantflow_tui._browse import BrowseScreen
from grantflow_tui._confirm import ConfirmDialog
from grantflow_tui._deed_dialog import DeedDialog
from grantflow_tui._detail import DetailScreen
from grantflow_tui._dialog import ActionDialog
from grantflow_tui._field import TypesFirst
from grantflow_tui._filtered import FilteredScreen
from grantflow_tui._fleet import FleetScreen
from grantflow_tui._force import ForceDialog
from grantflow_tui._help import HelpScreen
from grantflow_tui._jobs import JobsScreen
from grantflow_tui._marking import Marking
from grantflow_tui._menu import VerbMenu
from grantflow_tui._palette import LineDialog
from grantflow_tui._plan_dialog import PlanDialog
from grantflow_tui._sweeps import SweepsScreen
from tests.security.channels import Channels
from tests.security.foreign_story import everything, told_at
from tests.security.screens import watched
from tests.tui.fleet import console_on, settled

if TYPE_CHECKING:
    from grantflow_tui._app import Console

SCREENS = {
    *(FleetScreen, BrowseScreen, DetailScreen, AppsScreen, SweepsScreen, JobsScreen, AuditScreen, HelpScreen),
    *(VerbMenu, ForceDialog, PlanDialog, DeedDialog, ConfirmDialog, LineDialog),
}
BASES = {TypesFirst, ConsoleScreen, FilteredScreen, Marking, ActionDialog}


def every_screen() -> set[type]:
    """Every screen class of the console's own modules."""
    from textual.screen import Screen

    found, waiting = set[type](), list[type]([Screen])
    while waiting:
        kinds: list[type] = type.__subclasses__(waiting.pop())
        waiting += kinds
        found |= {kind for kind in kinds if kind.__module__.startswith("grantflow_tui")}
    return found - BASES


def test_every_screen_has_a_case() -> None:
    assert every_screen() == SCREENS


def heard_exports(told: Channels, folder: Path) -> None:
    """What the console wrote to files."""
    found = list(folder.glob("grantflow-job-*"))
    assert found
    for export in found:
        told.heard("screen", export.read_text(encoding="utf-8"))


async def acting(app: Console, look: Callable[..., Awaitable[str]]) -> None:
    """Every dialog that acts, the job it made, and its export."""
    await look("space", "a")
    await look("escape", "ctrl+backslash")
    app.screen.query_one("#filter", Input).value = "is:any"
    await look("slash", "enter")
    for verb in ("probe", "suspend"):
        await look("b")
        menu = app.screen
        assert isinstance(menu, VerbMenu)
        menu.dismiss(next(one for one in menu.offers if one.verb == verb))
        await look()
        app.screen.query_one("#reason", Input).value = "a reason that is long enough"
        await look("tab", "enter")
        dialog = app.screen
        assert isinstance(dialog, PlanDialog)
        dialog.query_one("#typed", Input).value = dialog.to_type() or ""
        dialog._opened -= 1
        await look("f9")
        if dialog in app.screen_stack:
            await look("escape")
    await look("5")
    await look("e")
    await look("W", "W")
    await look("escape")
    await look("2")
    app.writing.begin()


async def test_no_screen_shows_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told, seen = Channels(), set[type]()
    async with told_at(tmp_path, told) as life:
        await everything(life)
        engine = life.engine
        ids = [item.id for item in (await engine.find("is:any")).items]
        app = console_on(engine, write=True)
        async with app.run_test(size=(200, 60)) as pilot:

            async def look(*keys: str) -> str:
                if keys:
                    await pilot.press(*keys)
                await settled(pilot)
                seen.add(type(app.screen))
                return watched(told, app)

            await look()
            await look("2")
            assert len(ids) >= 5
            for number, name in enumerate(ids):
                app.open_detail(name)
                await look()
                await look("end")
                if not number:
                    await look("Y")
                    told.heard("screen", app.clipboard)
                    await look("a")
                    await look("escape")
                    await look("y")
                    await look("f")
                    app.screen.query_one("#reason", Input).value = "a reason that is long enough"
                    await look("tab", "tab", "enter")
                    await look("f8")
                    told.heard("screen", app.clipboard)
                    await look("escape")
                await look("escape")
            await look("slash")
            app.screen.query_one("#filter", Input).value = "state:bogus"
            await look("enter")
            await look("escape")
            app.screen.query_one("#filter", Input).value = "is:any"
            await look("slash", "enter")
            await look("S")
            await look("escape")
            await acting(app, look)
            await look("question_mark")
            await look("escape")
            await look("3")
            await look("4")
            await look("t")
            await look("escape")
            await look("6")
            await look("end")
            await look("colon")
            await look("escape")
            error = await told.fails(life.engine.adopt("crm", account="x", actor=Actor.user("x"), access_token="y"))
            assert isinstance(error, GrantflowError)
            app.tell(str(error), bad=True)
            await look()
            told.heard("screen", app.clipboard)
        app._exception = error
        app._fatal_error()
        app.error_console.file = None  # type: ignore[assignment]  # rich takes None for stderr
        app._print_error_renderables()
        told.heard("screen", "".join(capsys.readouterr()))
        app._exception = None
    heard_exports(told, tmp_path)
    assert seen == SCREENS | {CommandPalette}
    assert len(told.out["svg"]) > 40
    assert told.hits() == []
