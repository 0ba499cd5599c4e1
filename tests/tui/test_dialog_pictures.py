"""How every dialog and the jobs look at three sizes, as text; a change is looked at before it is kept."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from tests.tui.fleet import screen_text
from tests.tui.hand import REASON, Hand, at_hand

SIZES = [(80, 24), (120, 36), (160, 45)]
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4})?…[0-9a-f]{4}|[0-9a-f]{8}-[0-9a-f-]{27}")


async def marks(hand: Hand) -> None:
    await hand.press("space", "space")


async def verbs(hand: Hand) -> None:
    await hand.press("a")


async def verbs_for_many(hand: Hand) -> None:
    await hand.press("space", "a")


async def force(hand: Hand) -> None:
    await hand.press("f")
    await hand.fill()


async def suspend_one(hand: Hand) -> None:
    await hand.press("a")
    await hand.choose("suspend")
    await hand.fill()


async def bulk(hand: Hand) -> None:
    await hand.filter("state:active")
    await hand.press("b")
    await hand.choose("force", "unauthorized")
    await hand.fill(typed="3")


async def hold(hand: Hand) -> None:
    await hand.press("a")
    await hand.choose("hold app")
    await hand.fill(typed="agent-app")


async def write_mode(hand: Hand) -> None:
    await hand.press("W", "W")


async def jobs(hand: Hand) -> None:
    await hand.filter("state:active")
    await hand.press("b")
    await hand.choose("suspend")
    await hand.fill(typed="3")
    await hand.press("f9")
    await hand.press("5")


async def steering(hand: Hand) -> None:
    actor = hand.app.operator()
    plan = await hand.engine.ops.preview_bulk("state:active", "suspend", actor=actor, reason=REASON)
    await hand.engine.ops.start_bulk(plan)
    await hand.press("5", "P")


PICTURES: dict[str, Callable[[Hand], Awaitable[None]]] = {
    one.__name__: one
    for one in (marks, verbs, verbs_for_many, force, suspend_one, bulk, hold, write_mode, jobs, steering)
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", PICTURES)
async def test_picture(tmp_path: Path, name: str, size: tuple[int, int], snapshot: SnapshotAssertion) -> None:
    async with at_hand(tmp_path / "g.db", "acme", "globex", "initech", size=size) as hand:
        now = hand.app.now_monotonic()
        hand.app._monotonic = lambda: now
        await PICTURES[name](hand)
        shown = screen_text(hand.app)
        assert max(len(line) for line in shown.splitlines()) <= size[0]
        assert _ID.sub(lambda found: "i" * len(found[0]), shown) == snapshot
