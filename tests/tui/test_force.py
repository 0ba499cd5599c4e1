"""Forcing: planned, with a reason, the account typed, F9; refused wherever something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from grantflow import Actor, Engine, Installation
from grantflow_tui._base import ConsoleScreen
from grantflow_tui._force import ForceDialog
from tests.tui.fleet import console_on, fleet, screen_text, settled

REASON = "support case 4711"


async def only(engine: Engine) -> Installation:
    return (await engine.find("is:any")).items[0]


async def outcomes(engine: Engine) -> list[str]:
    return [action.outcome for _, action in await engine.ops.actions() if action.verb == "force"]


async def test_force_from_the_list_to_the_end(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, write=True)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("f")
            await settled(pilot)
            dialog = app.screen
            assert isinstance(dialog, ForceDialog)
            dialog._opened -= 1
            assert app.focused is not None
            assert app.focused.id == "cancel"
            await pilot.press("down", "tab", "tab", *REASON)
            await pilot.press("enter")
            await settled(pilot)
            text = screen_text(app)
            assert "refresh-expired" in text
            assert "Plan:" in text
            assert app.focused is not None
            assert app.focused.id == "typed"
            await pilot.press("f9")
            await settled(pilot)
            assert "acme is not typed" in screen_text(app)
            await pilot.press(*"acme", "f9")
            await settled(pilot)
            assert isinstance(app.screen, ConsoleScreen)
            assert "forced: now refresh-expired" in screen_text(app)
        found = await only(engine)
        assert (found.state, found.forced) == ("refresh-expired", True)
        newest = (await engine.history(found.id))[0]
        assert (newest.forced, newest.actor, newest.reason) == (True, "operator:maria", REASON)
        assert await outcomes(engine) == ["applied", "previewed"]


async def test_what_cannot_be_undone_says_so_before(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, write=True)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("f")
            await settled(pilot)
            await pilot.press("tab", "tab", *REASON, "enter")
            await settled(pilot)
            assert "IRREVERSIBLE" in screen_text(app)
        assert (await only(engine)).state == "active"


@pytest.mark.parametrize(
    ("write", "operator", "says"),
    [(False, "maria", "READ mode: nothing is changed"), (True, None, "READ mode: a change needs a name")],
)
@pytest.mark.parametrize("detail", [False, True])
async def test_refused_in_read_mode_with_the_reason(
    tmp_path: Path, write: bool, operator: str | None, says: str, detail: bool
) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, write=write, operator=operator)
        async with app.run_test(size=(80, 24)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            if detail:
                await pilot.press("enter")
                await settled(pilot)
            await pilot.press("f")
            await settled(pilot)
            assert isinstance(app.screen, ConsoleScreen)
            assert says in screen_text(app)
            assert "  READ  " in screen_text(app).splitlines()[0]
        assert await outcomes(engine) == []


async def test_enter_never_confirms(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, write=True)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("f")
            await settled(pilot)
            dialog = app.screen
            assert isinstance(dialog, ForceDialog)
            await pilot.press("tab", "tab", *REASON, "enter")
            await settled(pilot)
            await pilot.press(*"acme")
            assert dialog.obstacle() is None
            for _ in range(4):  # wherever the keyboard is
                await pilot.press("enter")
                await settled(pilot)
                if app.screen is not dialog:
                    break  # it was Cancel
                await pilot.press("tab")
        assert (await only(engine)).state == "active"
        assert set(await outcomes(engine)) == {"previewed"}


@pytest.mark.parametrize("first", ["#typing", "#typed", "#plan", "#apply", "#reason"])
async def test_a_dialog_that_goes_away_part_by_part_is_not_drawn(tmp_path: Path, first: str) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, write=True)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("f")
            await settled(pilot)
            dialog = app.screen
            assert isinstance(dialog, ForceDialog)
            await dialog.query_one(first).remove()
            await dialog.check()
            dialog.show()


async def test_keys_typed_ahead_do_not_reach_apply(tmp_path: Path) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, write=True)
        app._monotonic = lambda: 0.0
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("f")
            await settled(pilot)
            await pilot.press("tab", "tab", *REASON, "enter")
            await settled(pilot)
            await pilot.press(*"acme", "f9")
            await settled(pilot)
        assert (await only(engine)).state == "active"


@pytest.mark.parametrize("when", ["before the plan", "after the plan"])
async def test_a_change_under_the_open_dialog_disables_apply(tmp_path: Path, when: str) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        app = console_on(engine, write=True)
        async with app.run_test(size=(120, 36)) as pilot:
            await pilot.press("2")
            await settled(pilot)
            await pilot.press("f")
            await settled(pilot)
            dialog = app.screen
            assert isinstance(dialog, ForceDialog)
            dialog._opened -= 1
            opened = dialog
            found = await only(engine)
            system = Actor.system()
            if when == "before the plan":
                await engine.suspend(found.id, actor=system, reason="somebody else")
            await pilot.press("tab", "tab", *REASON, "enter")
            await settled(pilot)
            if when == "after the plan":
                await engine.suspend(found.id, actor=system, reason="somebody else")
            await pilot.press(*"acme", "f9")
            await settled(pilot)
            assert app.screen is dialog
            assert "OUTDATED" in screen_text(app) or "not applied" in screen_text(app)
            assert (opened.outdated, opened.plan) == (True, None)
            await pilot.press("f9")
            await settled(pilot)
            assert app.screen is dialog
        now = await only(engine)
        assert (now.state, now.version) == ("active", found.version + 1)
