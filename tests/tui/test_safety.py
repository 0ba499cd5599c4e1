"""The safety rules of the console, one by one, by name."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input

from grantflow import Actor, Engine, Installation
from grantflow.errors import DatabaseError, GrantflowError, PermissionDenied
from grantflow_tui._base import ConsoleScreen
from grantflow_tui._blast import Blast
from grantflow_tui._browse import BrowseScreen
from grantflow_tui._deed_dialog import DeedDialog
from grantflow_tui._deeds import Deed, Offer, hold, release
from grantflow_tui._dialog import ActionDialog
from grantflow_tui._force import ForceDialog
from grantflow_tui._plan_dialog import PlanDialog, Targets
from grantflow_tui._writing import READ_ONLY_AFTER, WRITE_SECONDS
from tests.tui.fleet import fleet, screen_text, settled
from tests.tui.hand import OLGA, REASON, at_hand, only, outcomes


# -- S1: it starts READ, and the engine enforces what the console only greys out ----------------------
async def test_s1_starts_read_unless_it_was_asked_to_write(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", write=False) as hand:
        for key in ("f", "a"):
            text = await hand.press(key)
            assert "READ mode: nothing is changed; W asks for write mode" in text
            assert isinstance(hand.app.screen, ConsoleScreen)
        assert "  READ  " in text.splitlines()[0]
        await hand.filter("state:active")
        assert "READ mode" in await hand.press("b")
        assert await outcomes(hand.engine) == []


async def test_s1_what_cannot_be_done_is_greyed_with_its_reason(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        text = await hand.press("a")
        for line in (
            "probe           not now: the app keeps its grants itself (host mode)",
            "remind          not now: nobody has to act: it is active",
            "unsuspend       not now: it is not suspended",
            "resume app      not now: it is not held",
            "repair          not now: the row is in order",
        ):
            assert line in text


# -- S2: operator, reason, version, token; refusals are on the record ---------------------------------
async def test_s2_every_change_carries_operator_reason_version_and_plan(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        before = await only(hand.engine)
        await hand.press("a")
        await hand.choose("suspend")
        dialog = await hand.fill()
        assert isinstance(dialog, PlanDialog)
        assert dialog.plan is not None
        token = dialog.plan.id
        assert "suspend: applied" in await hand.press("f9")
        job = await hand.engine.ops.job(token)
        (row,) = await hand.engine.ops.job_items(token)
        assert (job.actor, job.reason, row.installation, row.version) == (
            "operator:maria",
            REASON,
            before.id,
            before.version,
        )
        newest = (await hand.engine.history(before.id))[0]
        assert (newest.event, newest.actor, newest.reason) == ("suspend", "operator:maria", REASON)


@pytest.mark.parametrize("reason", ["", "too few", "       x       "])
async def test_s2_a_reason_has_at_least_eight_characters(tmp_path: Path, reason: str) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        await hand.press("a")
        await hand.choose("suspend")
        await hand.fill(reason)
        assert "of 8 characters" in await hand.press("f9")
        assert isinstance(hand.app.screen, PlanDialog)
        assert await outcomes(hand.engine) == []


async def test_s2_a_refused_attempt_is_on_the_record(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        hand.app.writing.actor = Actor.agent("bob")  # a console gone wrong
        await hand.press("a")
        await hand.choose("hold app")
        await hand.fill(typed="agent-app")
        assert "only an operator may do this" in await hand.press("f9")
        assert await outcomes(hand.engine) == [("hold", "refused")]


# -- S3: compare and set on the version that was seen ---------------------------------------------------
OTHER = """
import asyncio, sys
from grantflow import Actor, Engine
from grantflow.testing import ManualClock
async def main():
    async with Engine.open("sqlite:///" + sys.argv[1], clock=ManualClock()) as engine:
        await engine.suspend(sys.argv[2], actor=Actor.system(), reason="another process")
asyncio.run(main())
"""


@pytest.mark.parametrize("verb", ["force", "suspend"])
async def test_s3_another_process_moves_the_row_under_an_open_dialog(tmp_path: Path, verb: str) -> None:
    path = tmp_path / "g.db"
    async with at_hand(path) as hand:
        here = await only(hand.engine)
        await hand.press("a")
        if verb == "force":
            await hand.choose("force")
            await hand.fill(typed="acme")
        else:
            await hand.choose("suspend")
            await hand.fill()
        dialog = hand.dialog()
        assert dialog.obstacle() is None
        command = [sys.executable, "-c", OTHER, str(path), here.id]
        await asyncio.to_thread(subprocess.run, command, check=True)
        dialog._look_again()  # as every second
        await settled(hand.pilot)
        text = screen_text(hand.app)
        assert "OUTDATED, nothing was written" in text
        assert f"from version {here.version} to {here.version + 1}" in text
        assert "suspend" in text
        assert dialog.obstacle() is not None
        await hand.press("f9")
        assert hand.app.screen is dialog
        now = await hand.engine.get(here.id)
        assert (now.state, now.version) == ("active", here.version + 1)


async def test_s3_a_dialog_that_did_not_notice_yet_writes_nothing(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        here = await only(hand.engine)
        await hand.press("f")
        await hand.fill(typed="acme")
        await hand.engine.suspend(here.id, actor=Actor.system(), reason="somebody else")
        assert "OUTDATED" in await hand.press("f9")
        assert (await hand.engine.get(here.id)).version == here.version + 1


# -- S4: Cancel has the focus, enter never confirms, the first moments do not count --------------------
DIALOGS: dict[str, tuple[Callable[[Installation], ActionDialog], str | None]] = {
    "force": (ForceDialog, "acme"),
    "plan": (lambda seen: PlanDialog(Offer("suspend", "x"), Targets(seen=seen)), None),
    "bulk": (lambda _: PlanDialog(Offer("suspend", "x"), Targets(query="state:active")), None),
    "hold": (lambda seen: DeedDialog(hold(seen.app)), "agent-app"),
}


@pytest.mark.parametrize("name", DIALOGS)
async def test_s4_cancel_has_the_focus_and_enter_never_confirms(tmp_path: Path, name: str) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        seen = await only(hand.engine)
        make, typed = DIALOGS[name]
        await hand.app.open_dialog(make(seen))
        await settled(hand.pilot)
        assert hand.app.focused is not None
        assert hand.app.focused.id == "cancel"
        dialog = await hand.fill(typed=typed)
        assert dialog.obstacle() is None
        for place in [one for one in dialog.focus_chain if one.id != "cancel"]:
            dialog.set_focus(place)
            await hand.press("enter")
            assert hand.app.screen is dialog, place
        dialog.query_one("#cancel").focus()
        await hand.press("enter")
        assert hand.app.screen is not dialog
        assert {outcome for _, outcome in await outcomes(hand.engine)} <= {"previewed"}
        assert await only(hand.engine) == seen


@pytest.mark.parametrize("name", DIALOGS)
async def test_s4_keys_typed_ahead_do_not_apply(tmp_path: Path, name: str) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        seen = await only(hand.engine)
        make, typed = DIALOGS[name]
        dialog = make(seen)
        await hand.app.open_dialog(dialog)
        await settled(hand.pilot)
        await hand.fill(typed=typed)
        dialog._opened = hand.app.now_monotonic() - 0.29
        hand.app._monotonic = lambda at=dialog._opened + 0.29: at  # type: ignore[misc]
        await hand.press("f9")
        assert hand.app.screen is dialog
        assert await only(hand.engine) == seen


async def test_s4_no_key_does_anything_by_itself(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        before = await only(hand.engine)
        for screen in ("2", "5", "1"):
            for key in (
                "f",
                "a",
                "b",
                "space",
                "v",
                "asterisk",
                "x",
                "P",
                "u",
                "R",
                "e",
                "W",
                "d",
                "ctrl+d",
                "ctrl+k",
            ):
                await hand.press(screen, key)
                if not isinstance(hand.app.screen, ConsoleScreen):
                    await hand.press(key)  # the key that opened it, once more
                while not isinstance(hand.app.screen, ConsoleScreen):
                    await hand.press("escape")
        assert await only(hand.engine) == before
        assert await outcomes(hand.engine) == []


# -- S5: the engine refuses whatever the console shows; blast radius -----------------------------------
ROLES = {
    "admin": Actor.admin("ada"),
    "agent": Actor.agent("bob"),
    "user": Actor.user("uma"),
    "app": Actor.app("agent-app"),
    "system": Actor.system(),
}
DEEDS: dict[str, Callable[[Engine, Installation, Actor], Awaitable[object]]] = {
    "hold": lambda e, h, a: hold(h.app).does(e, a, REASON),
    "release": lambda e, h, a: release(h.app).does(e, a, REASON),
    **{
        verb: (lambda e, h, a, verb=verb: e.ops.preview_bulk([h.id], verb, actor=a, reason=REASON))  # type: ignore[misc]
        for verb in ("probe", "remind", "suspend", "unsuspend", "repair")
    },
    "force": lambda e, h, a: e.ops.preview_force(h.id, to="unauthorized", actor=a, reason=REASON),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("deed", DEEDS)
async def test_s5_the_engine_refuses_every_verb_to_every_other_role(tmp_path: Path, role: str, deed: str) -> None:
    async with fleet(tmp_path / "g.db") as engine:
        here = await only(engine)
        with pytest.raises(PermissionDenied):
            await DEEDS[deed](engine, here, ROLES[role])
        assert await only(engine) == here
        assert [outcome for _, outcome in await outcomes(engine)] == ["refused"]


async def test_s5_one_row_needs_a_reason_one_that_is_hard_its_account(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        await hand.press("a")
        await hand.choose("suspend")
        assert (await hand.fill()).to_type() is None
        await hand.press("escape", "f")
        dialog = await hand.fill(typed="globex")
        assert "acme is not typed yet" in await hand.press("f9")
        assert hand.app.screen is dialog


def test_s5_how_much_is_typed() -> None:
    assert [Blast(rows).to_type() for rows in (2, 100, 101, 10_000)] == ["2", "100", "101", "10000"]


async def test_s5_many_rows_need_their_count_and_go_behind_a_canary(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", "acme", "globex", "initech") as hand:
        await hand.filter("state:active")
        await hand.press("b")
        await hand.choose("suspend")
        dialog = await hand.fill(typed="2")
        assert "filter" not in screen_text(hand.app) or "state:active" in screen_text(hand.app)
        assert "3 is not typed yet" in await hand.press("f9")
        assert "canary of" in screen_text(hand.app)
        dialog.query_one("#typed", Input).value = "3"
        await hand.press("f9")
        (job,) = await hand.engine.ops.jobs()
        assert (job.total, job.applied, job.canary, job.filter) == (3, 3, 3, "state:active")


async def test_s5_more_than_the_console_allows_is_refused(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", "acme", "globex", "initech", max_bulk=2) as hand:
        await hand.filter("state:active")
        await hand.press("b")
        await hand.choose("suspend")
        dialog = await hand.fill()
        assert isinstance(dialog, PlanDialog)
        assert "more than 2 installations match" in screen_text(hand.app)
        await hand.press("f9")
        assert (dialog.plan, await hand.engine.ops.jobs()) == (None, ())


# -- S6: cursor and marks are bound to ids ----------------------------------------------------------------
async def test_s6_marks_are_ids_and_hidden_ones_are_counted(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", "acme", "globex", "initech") as hand:
        screen = hand.app.screen
        assert isinstance(screen, BrowseScreen)
        assert "2 marked (0 hidden)" in await hand.press("space", "space")
        marked = set(screen.marks)
        assert "2 marked (1 hidden)" in await hand.filter("account:globex")
        assert set(screen.marks) == marked
        assert "2 marked (0 hidden)" in await hand.filter("sort:-account")
        shown = [line.rsplit("agent-app", 1) for line in screen_text(hand.app).splitlines() if "agent-app" in line]
        starred = {after.split()[0] for before, after in shown if "*" in before}
        assert starred == {"acme", "globex"}
        await hand.press("b")
        assert "2 marked (0 hidden by the filter)" in screen_text(hand.app)
        await hand.choose("suspend")
        await hand.fill(typed="2")
        await hand.press("f9")
        states = {one.account: one.suspension is not None for one in (await hand.engine.find()).items}
        assert states == {"acme": True, "globex": True, "initech": False}
        assert not screen.marks


# -- S7: marks and dialogs pause the refresh; old ground is no ground -----------------------------------
async def test_s7_marks_and_dialogs_pause_the_refresh_and_say_so(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", "acme", "globex") as hand:
        assert "paused: marks" in (await hand.press("space")).splitlines()[0]
        here = await only(hand.engine)
        await hand.engine.ops.force(here.id, to="refresh-expired", actor=OLGA, reason="for the test")
        hand.app.tick()
        await settled(hand.pilot)
        assert "refresh-expired" not in screen_text(hand.app)
        assert "paused: dialog" in (await hand.press("a")).splitlines()[0]
        await hand.press("escape", "ctrl+backslash")
        assert "refresh-expired" in screen_text(hand.app)
        assert "paused" not in screen_text(hand.app).splitlines()[0]


async def test_s7_old_data_turns_the_write_keys_off(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        then = hand.app.now_monotonic()
        hand.app._monotonic = lambda: then + READ_ONLY_AFTER + 5
        text = await hand.press("f")
        assert "the data is" in text
        assert "nothing is changed on such ground" in text
        assert "stale" in hand.app.header().plain
        await hand.press("r", "f")
        assert isinstance(hand.app.screen, ForceDialog)


async def test_s7_a_lost_database_turns_apply_off_and_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        here = await only(hand.engine)
        await hand.press("f")
        dialog = await hand.fill(typed="acme")
        assert dialog.obstacle() is None

        async def lost(*_: object, **__: object) -> None:
            raise DatabaseError("the database is gone")

        for name in ("get", "find", "counts"):
            monkeypatch.setattr(hand.engine, name, lost)
        await dialog.check()
        assert "the database is lost" in (dialog.obstacle() or "")
        await hand.press("f9")
        await hand.press("escape", "f")
        text = screen_text(hand.app)
        assert "DATABASE LOST" in text.splitlines()[0]
        assert "acme" in text
        waits = []
        for _ in range(6):
            hand.app.failed("the database is gone")
            waits.append(round(hand.app.ground.again_at - hand.app.now_monotonic()))
        assert waits == sorted(waits)
        assert waits[-1] == 30
        hand.app.tick()
        await settled(hand.pilot)
        assert "asked again in" in screen_text(hand.app)
        monkeypatch.undo()
        text = await hand.press("r")
        assert "DATABASE LOST" not in text
        assert (await hand.engine.get(here.id)).version == here.version


async def test_s7_write_mode_has_a_reason_and_an_end(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db", write=False) as hand:
        await hand.press("W")
        await hand.fill()
        assert "WRITE mode for 15 minutes" in await hand.press("f9")
        assert hand.app.writable
        await hand.press("f")
        dialog = hand.dialog()
        assert dialog.reason == REASON
        assert isinstance(dialog, ForceDialog)
        assert dialog.plan is not None
        then = hand.app.now_monotonic()
        hand.app._monotonic = lambda: then + WRITE_SECONDS + 1
        hand.app.answered()
        assert "write mode ended after 15 minutes" in (dialog.obstacle() or "")
        await hand.press("escape")
        assert "  READ  " in hand.app.header().plain


# -- S8: IRREVERSIBLE stands there before -------------------------------------------------------------------
async def test_s8_what_cannot_be_undone_says_so_before_and_an_inverse_is_named(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        await hand.press("f")
        await hand.fill()
        assert "IRREVERSIBLE: nobody can undo this" in screen_text(hand.app)
        await hand.press("escape", "a")
        await hand.choose("hold app")
        assert "Way back: resume" in screen_text(hand.app)


# -- S9: foreign text -----------------------------------------------------------------------------------------
async def test_s9_foreign_text_is_inert_in_every_dialog(tmp_path: Path) -> None:
    path, hostile = tmp_path / "g.db", "\x1b[2J[red]x[/]\u202eexe\x07"
    async with at_hand(path) as hand:
        with closing(sqlite3.connect(path)) as conn, conn:
            conn.execute("UPDATE grantflow_installation SET account = ?, subject_id = ?", (hostile, hostile))
        await hand.press("r")
        for keys in (("a",), ("f",)):
            text = await hand.press(*keys)
            assert "[red]x[/]exe" in text
            assert not {"\x1b", "\u202e", "\x07"} & set(text)
            await hand.press("Y", "escape")
            assert not {"\x1b", "\u202e", "\x07"} & set(hand.app.clipboard)


# -- S10: nothing secret leaves ---------------------------------------------------------------------------------
async def test_s10_the_clipboard_takes_a_command_a_shell_can_run(tmp_path: Path) -> None:
    async with at_hand(tmp_path / "g.db") as hand:
        here = await only(hand.engine)
        await hand.filter("state:active app:agent-*")
        await hand.press("Y")
        assert hand.app.clipboard == "grantflow list 'state:active app:agent-*'"
        await hand.press("f")
        await hand.fill()
        await hand.press("f8")
        assert hand.app.clipboard == f"grantflow force {here.id} --to unauthorized --reason '{REASON}'"
        await hand.press("escape", "b")
        await hand.choose("suspend")
        await hand.press("Y")
        assert hand.app.clipboard.startswith("grantflow bulk 'state:active app:agent-*' suspend --reason")


def exported(folder: Path) -> tuple[int, list[dict[str, Any]]]:
    """The mode and the rows of the only export."""
    (path,) = folder.glob("*.jsonl")
    return path.stat().st_mode & 0o777, [json.loads(line) for line in path.read_text().splitlines()]


async def test_s10_an_export_is_for_its_owner_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with at_hand(tmp_path / "g.db", "acme", "globex") as hand:
        plan = await hand.engine.ops.preview_bulk("state:active", "suspend", actor=OLGA, reason=REASON, canary=0)
        moved = (await hand.engine.find("account:globex")).items[0]
        await hand.engine.suspend(moved.id, actor=Actor.system(), reason="somebody else")
        await hand.engine.ops.start_bulk(plan)
        await hand.engine.run_jobs()
        await hand.press("5")
        assert "1 rows that were not applied" in await hand.press("e")
        mode, (row,) = exported(tmp_path)
        assert mode == 0o600
        assert (row["installation"], row["outcome"]) == (moved.id, "outdated")


async def test_a_deed_is_done_on_what_was_seen_and_on_nothing_else(tmp_path: Path) -> None:
    """The fence of what has no version: somebody else held the app meanwhile."""
    async with at_hand(tmp_path / "g.db") as hand:
        await hand.press("a")
        await hand.choose("hold app")
        await hand.fill(typed="agent-app")
        await hand.engine.apps.hold("agent-app", actor=OLGA, reason="olga was faster")
        assert "OUTDATED, nothing was written: it was nothing, and is" in await hand.press("f9")
        assert "olga was faster" in screen_text(hand.app)
        assert await outcomes(hand.engine) == [("hold", "applied")]


async def test_an_error_of_the_engine_stands_in_the_dialog(tmp_path: Path) -> None:
    async def does(engine: Engine, actor: Actor, reason: str) -> str:
        raise GrantflowError("it would not")

    async def sees(engine: Engine) -> object:
        return None

    async with at_hand(tmp_path / "g.db") as hand:
        await hand.app.open_dialog(DeedDialog(Deed("A test", "of errors", does, sees)))
        await settled(hand.pilot)
        await hand.fill()
        assert "it would not" in await hand.press("f9")
