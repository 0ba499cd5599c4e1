"""Every screen as text, at three sizes; `pytest --snapshot-update` after a look at what changed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.tui.fleet import console_on, screen_text, settled
from tests.tui.lively import lively, masked

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

SIZES = [(80, 24), (120, 36), (160, 45)]
TOUR: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("1 fleet", ()),
    ("1 horizon", ("tab", "right", "right")),
    ("2 installations", ("2",)),
    ("2 completion", ("slash", *"state:re")),
    ("2 syntax error", (*" stat:x", "enter")),
    ("2 no match", ("escape", "slash", *"state:active account:nobody", "enter")),
    ("detail", ("escape", "enter")),
    ("detail below", ("G",)),
    ("3 apps", ("escape", "3")),
    ("4 sweeps", ("4",)),
    ("4 run now", ("t",)),
    ("4 pause", ("escape", "P")),
    ("6 audit", ("escape", "6")),
    ("6 refused", ("slash", *"outcome:refused", "enter")),
    ("force", ("2", "f")),
    ("save", ("escape", "slash", *"app:crm-*", "enter", "S")),
    ("help", ("escape", "question_mark")),
)


@pytest.mark.parametrize("size", SIZES, ids=["80x24", "120x36", "160x45"])
async def test_every_screen_looks_as_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, snapshot: SnapshotAssertion, size: tuple[int, int]
) -> None:
    async with lively(tmp_path / "g.db", monkeypatch) as engine:
        app = console_on(engine, write=True)
        app._interval = 3_600.0
        async with app.run_test(size=size) as pilot:
            for name, keys in TOUR:
                await settled(pilot)
                await pilot.press(*keys[:-1])
                await settled(pilot)
                await pilot.press(*keys[-1:])
                await settled(pilot)
                shown = screen_text(app)
                assert len(shown.splitlines()) == size[1]
                assert masked(shown) == snapshot(name=f"{name} {size[0]}x{size[1]}")


async def test_chance_is_masked_and_nothing_else() -> None:
    text = "01942a1a-ff80-7643-8e66-99bae5e831a4 01942a1a-ff80…31a4 run …9b 2026-01-16 fade"
    assert masked(text) == "01942a1a-ff80-7xxx-xxxx-xxxxxxxxxxxx 01942a1a-ff80…xxxx run …xx 2026-01-16 fade"
