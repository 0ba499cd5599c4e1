"""The console on a real terminal: found, forced, left; and the database says so afterwards."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from grantflow import Actor, Engine
from tests.tui.fleet import fleet
from tests.tui.terminal import ENTER, F9, TAB, Terminal

PROGRAM = """
import sys
from grantflow_tui import run
sys.exit(run(sys.argv[1], write=True, operator="maria", claimed=True))
"""


async def test_every_screen_and_the_way_back_on_a_real_terminal(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    async with fleet(path, accounts=("acme", "globex"), real_time=True):
        pass
    await asyncio.to_thread(wander, path)
    async with Engine.open(f"sqlite:///{path}") as engine:
        assert await engine.ops.paused() is not None
        done = [
            (action.verb, action.outcome) for _, action in await engine.ops.actions(filter="verb:pause,run-sweep")
        ]
        assert done == [("pause", "applied"), ("run-sweep", "applied")]


def wander(path: Path) -> None:
    """Through all screens, with a sweep and a pause on the way."""
    terminal = Terminal(sys.executable, "-c", PROGRAM, f"sqlite:///{path}")
    try:
        terminal.wait_for("Changed lately")
        terminal.type("3")
        terminal.wait_for("awaiting")
        terminal.type("4")
        terminal.wait_for("nobody")
        for key, title in (("t", "Sweep now"), ("P", "Pause every scheduler")):
            terminal.type(key)
            terminal.wait_for(title)
            terminal.type("\x1b[Z")  # from Cancel back to the reason
            time.sleep(0.2)
            terminal.type("a drill on a terminal")
            time.sleep(0.5)
            terminal.type("\x1b[20~")
            terminal.wait_for("swept:" if key == "t" else "PAUSED")
        terminal.type("6")
        terminal.wait_for("run-sweep")
        terminal.type("2")
        terminal.wait_for("2 match")
        terminal.type("/acc")
        terminal.wait_for("account:")  # offered
        terminal.type("\t")
        time.sleep(1.0)
        terminal.type("glob*\r")
        terminal.wait_for("1 match")
        terminal.type("[")
        terminal.wait_for("2 match")
        terminal.type("[")
        terminal.wait_for("run-sweep")
        terminal.type(":")
        terminal.wait_for("Search for commands")
        terminal.type("quit")
        time.sleep(1.0)
        terminal.type("\r")
        assert terminal.leave() == 0
    finally:
        terminal.give_up()


async def test_filter_force_and_quit_on_a_real_terminal(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    async with fleet(path, accounts=("acme", "globex"), real_time=True):
        pass
    await asyncio.to_thread(play, path)
    async with Engine.open(f"sqlite:///{path}") as engine:
        states = {found.account: (found.state, found.forced) for found in (await engine.find()).items}
        assert states == {"acme": ("active", False), "globex": ("unauthorized", True)}
        done = [
            (action.outcome, action.actor, action.claimed)
            for _, action in await engine.ops.actions()
            if action.verb == "force"
        ]
        assert done == [("applied", "operator:maria", True), ("previewed", "operator:maria", True)]


def play(path: Path) -> None:
    """What the operator types."""
    terminal = Terminal(sys.executable, "-c", PROGRAM, f"sqlite:///{path}")
    try:
        terminal.wait_for("2 installations")
        terminal.type("2")
        terminal.wait_for("2 match")
        terminal.type("/account:globex\r")
        terminal.wait_for("1 match")
        terminal.type("f")
        terminal.wait_for("Type to confirm: globex")
        terminal.type("\t")
        time.sleep(0.2)
        terminal.type("\t")
        time.sleep(0.2)
        terminal.type("support case 4711\r")
        terminal.wait_for("IRREVERSIBLE")
        terminal.type("globex")
        time.sleep(0.4)  # a person cannot be faster than the dialog's guard; a program can
        terminal.type("\x1b[20~")
        terminal.wait_for("forced: now unauthorized")
        terminal.type("q")
        assert terminal.leave() == 0
    finally:
        terminal.give_up()


async def test_a_dialog_on_a_real_terminal_notices_what_another_process_did(tmp_path: Path) -> None:
    path = tmp_path / "grants.db"
    async with fleet(path, real_time=True):
        pass
    terminal = Terminal(sys.executable, "-c", PROGRAM, f"sqlite:///{path}")
    try:
        await asyncio.to_thread(open_force, terminal)
        async with Engine.open(f"sqlite:///{path}") as engine:
            here = (await engine.find()).items[0]
            await engine.suspend(here.id, actor=Actor.system(), reason="somebody else")
            await asyncio.to_thread(terminal.wait_for, "OUTDATED, nothing was written")
            await asyncio.to_thread(terminal.press, F9)
            await asyncio.to_thread(terminal.wait_for, "not applied")
            now = await engine.get(here.id)
            assert (now.state, now.version) == ("active", here.version + 1)
    finally:
        terminal.give_up()


def open_force(terminal: Terminal) -> None:
    """The force dialog with everything that F9 waits for."""
    terminal.wait_for("1 installation")
    terminal.press("2")
    terminal.wait_for("1 match")
    terminal.press("f")
    terminal.wait_for("Type to confirm: acme")
    terminal.press(TAB, TAB)
    terminal.type("support case 4711")
    terminal.press(ENTER)
    terminal.wait_for("IRREVERSIBLE")
    terminal.press("acme")
    terminal.wait_for("acme")
