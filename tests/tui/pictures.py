"""Draws the console for the guides, from the running demo: `python -m tests.tui.pictures` (make pictures)."""

from __future__ import annotations

import asyncio
import inspect
import io
import random
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from rich.console import Console as Paper
from textual.widgets import Input

from grantflow.demo._run import play
from grantflow.demo._story import Story
from grantflow.demo._travel import TimeMachine
from grantflow.testing import ManualClock
from grantflow_tui import console
from grantflow_tui._app import INTERVAL
from tests.architecture.source_tree import ROOT
from tests.tui.fleet import settled
from tests.tui.hand import Hand

PICTURES = ROOT / "docs/pictures"
NOW = datetime(2027, 3, 4, 9, 30, tzinfo=UTC)
SIZE = (120, 34)
_ELSEWHERE = re.compile(r"@font-face \{.*?\}\s*|<!--.*?-->\s*", re.DOTALL)
"""Where the drawing would fetch its font from, and who drew it; any fixed-width font will do."""


def safe(drawing: str) -> str:
    """The drawing without anything from elsewhere."""
    return re.sub(r"[ \t]+$", "", _ELSEWHERE.sub("", drawing), flags=re.MULTILINE)


async def one_by_one(story: Story, number: int) -> None:
    """A day on which nobody does anything at the same time."""
    for action in story.days[number]:
        await action()


@contextmanager
def without_chance(configuration: str) -> Iterator[None]:
    """Ids and names are the same in every drawing, and the theme of whoever draws is neither read nor changed."""
    dice: dict[str, random.Random] = {}

    def thrown(bits: int) -> int:
        """Each place that makes ids has dice of its own: what runs in the background takes none away."""
        here = inspect.currentframe()
        assert here is not None
        assert here.f_back is not None
        assert here.f_back.f_back is not None
        place = here.f_back.f_back.f_code.co_name
        return dice.setdefault(place, random.Random(place)).getrandbits(bits)

    with ExitStack() as stack:
        stack.enter_context(patch("secrets.randbits", thrown))
        stack.enter_context(patch.object(Story, "day", one_by_one))
        stack.enter_context(patch.dict("os.environ", XDG_CONFIG_HOME=configuration))
        stack.enter_context(patch("socket.gethostname", lambda: "node-a"))
        stack.enter_context(patch("os.getpid", lambda: 47))
        yield


async def fleet(hand: Hand) -> None:
    await hand.press("1", "f3")


async def installations(hand: Hand) -> None:
    await hand.press("2")
    await hand.filter("account:acme,globex app:call-notes,report-hub")


async def detail(hand: Hand) -> None:
    await hand.filter("is:forced")
    await hand.press("enter")


async def force(hand: Hand) -> None:
    await hand.press("escape")
    await hand.filter("state:active account:acme app:call-notes")
    await hand.press("f")
    await hand.fill("case 4711: shared by mistake")


async def bulk(hand: Hand) -> None:
    await hand.press("escape")
    await hand.filter("state:active account:globex")
    await hand.press("b")
    await hand.choose("suspend")
    await hand.fill("case 4712: the account is in dispute")


async def jobs(hand: Hand) -> None:
    await hand.press(*(hand.dialog().to_type() or ""), "f9", "5")
    async with asyncio.timeout(60):
        while "100%" not in await hand.press("r"):
            await hand.pilot.pause(0.3)


async def audit(hand: Hand) -> None:
    await hand.press("6")


async def sweeps(hand: Hand) -> None:
    await hand.press("4")


async def apps(hand: Hand) -> None:
    await hand.press("3")


async def light(hand: Hand) -> None:
    await hand.press("2", "T")


DRAWN: tuple[Callable[[Hand], Awaitable[None]], ...] = (
    fleet,
    installations,
    detail,
    force,
    bulk,
    jobs,
    audit,
    sweeps,
    apps,
    light,
)


async def draw(folder: Path) -> None:
    """Play the demo, open its console, and draw one screen after the other."""
    with tempfile.TemporaryDirectory() as place, without_chance(place):
        path = Path(place) / "demo.db"
        people = await play(Paper(file=io.StringIO()), path, 300, 7, NOW)
        machine = TimeMachine(path, people, ManualClock(NOW))
        app = console(
            f"sqlite:///{path}",
            write=True,
            operator="maria",
            claimed=False,
            theme="dark",
            engine_factory=machine.opened,
            advance=machine.advance,
        )
        app._interval = 3_600.0
        start = app.now_monotonic()
        app._monotonic = lambda: start
        async with app.run_test(size=SIZE) as pilot:
            app._interval = INTERVAL
            hand = Hand(app, pilot, None)  # type: ignore[arg-type]
            for scene in DRAWN:
                await scene(hand)
                for field in app.screen.query(Input):
                    field.cursor_blink = False
                await settled(pilot)
                shown = safe(app.export_screenshot(title="grantflow", simplify=True))
                (folder / f"console-{scene.__name__}.svg").write_text(shown, encoding="utf-8")
        await app.close_engine()


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1]) if sys.argv[1:] else PICTURES))
