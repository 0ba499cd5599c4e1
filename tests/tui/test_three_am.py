"""Three in the morning, on a real terminal, key by key: what died, why, hold, probe ten, resume, probe the rest."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from grantflow import Engine
from tests.tui.incident import KEY, PROGRAM, SPARED, night
from tests.tui.terminal import ENTER, ESC, F9, TAB, Terminal

REASON = "INC-88 server answered invalid_grant"
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "operators.md"
FILTER = "app:crm state:refresh-expired reason:unknown"


@pytest.mark.parametrize("at_least", [400, pytest.param(4_000, marks=pytest.mark.slow)])
async def test_three_in_the_morning(tmp_path: Path, at_least: int) -> None:
    path = tmp_path / "prod-eu.db"
    died = await night(path, at_least)
    await asyncio.to_thread(play, path, died, at_least + SPARED + 5)
    async with Engine.open(f"sqlite:///{path}") as engine:
        assert (await engine.counts()).by_app == {"crm": {"active": at_least + SPARED}, "mail": {"active": 5}}
        assert await engine.apps.held() == {}
        assert await engine.ops.incidents() == []
        jobs = await engine.ops.jobs()
        assert [(job.verb, job.total, job.applied, job.reason) for job in jobs] == [
            ("probe", died - 10, died - 10, REASON),
            ("probe", 10, 10, REASON),
        ]
        told = [action for _, action in await engine.ops.actions(limit=100) if action.actor == "operator:maria"]
        done = [(action.verb, action.outcome) for action in reversed(told)]
        assert done == [
            ("hold", "applied"),
            ("bulk-probe", "previewed"),
            ("bulk-probe", "started"),
            ("release", "applied"),
            ("bulk-probe", "previewed"),
            ("bulk-probe", "started"),
        ]
        assert {action.reason for action in told} == {REASON}


def confirm(terminal: Terminal, wanted: str) -> None:
    """Type what the dialog asks for, and F9, no faster than its guard."""
    terminal.wait_for(f"Type to confirm: {wanted}")
    terminal.settle(0.4)
    terminal.press(TAB, TAB)
    terminal.type(wanted)
    terminal.settle(0.4)
    terminal.press(F9)


def play(path: Path, died: int, every: int) -> None:
    """What the operator types."""
    terminal = Terminal(sys.executable, "-c", PROGRAM, str(path), KEY, "read", size=(45, 160))
    try:
        terminal.wait_for("refresh-expired")
        # which ones, since when, and why
        terminal.press("2")
        terminal.wait_for(f"{every:,} match")
        terminal.press("/")
        terminal.type(FILTER)
        terminal.press(ENTER)
        terminal.wait_for(f"{died:,} match")
        terminal.press(ENTER)
        terminal.wait_for("2025-01-02 02:10:00Z")
        terminal.press(ESC)
        terminal.wait_for(f"{died:,} match")
        # nothing is changed yet: write mode, with the reason that every dialog then begins with
        terminal.press("W")
        terminal.wait_for("Write mode")
        terminal.press(TAB)
        terminal.settle(0.4)
        terminal.type(REASON)
        terminal.wait_for("F9 Apply")
        terminal.settle(0.4)
        terminal.press(F9)
        terminal.wait_for("WRITE mode for 15 minutes")
        # the verbs say what is wrong with the app, before it is held
        terminal.press("a")
        terminal.wait_for("renewals-failing:")
        terminal.press(*"jjj", ENTER)
        confirm(terminal, "crm")
        terminal.wait_for("crm is held everywhere")
        # ten of them, as a probe
        terminal.press(*" " * 10)
        terminal.wait_for("10 marked")
        terminal.press("a")
        terminal.wait_for("10 marked (0 hidden by the filter)")
        terminal.press(ENTER)
        confirm(terminal, "10")
        terminal.wait_for("this console runs it")
        terminal.press("5")
        terminal.wait_for("10 applied")
        # they live: let the app work again, and probe the rest
        terminal.press("2")
        terminal.wait_for(f"{died - 10:,} match")
        terminal.press("a")
        terminal.wait_for("let crm work again")
        terminal.press(*"jjj", ENTER)
        terminal.wait_for("F9 Apply")
        terminal.settle(0.4)
        terminal.press(F9)
        terminal.wait_for("crm works again")
        terminal.press("b")
        terminal.wait_for(f"all that match {FILTER}")
        terminal.press(ENTER)
        confirm(terminal, str(died - 10))
        terminal.wait_for("this console runs it")
        terminal.press("5")
        terminal.wait_for("10 applied")  # the cursor stays on the job it was on
        terminal.press("g")
        terminal.wait_for(f"{died - 10:,} applied")
        terminal.press("2")
        terminal.wait_for("0 match")
        terminal.press("q")
        assert terminal.leave() == 0
        assert f"\n{terminal.keys} keys and five words." in PAGE.read_text(encoding="utf-8"), terminal.keys
    finally:
        terminal.give_up()
