"""Plays the story and shows its end."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from grantflow import Engine, SystemClock
from grantflow.demo._overview import overview
from grantflow.demo._story import DAYS, Story, Tally
from grantflow.demo._travel import MovedClock, TimeMachine, app
from grantflow.demo._web import serve_marketplace
from grantflow.errors import BadInput
from grantflow.testing import ManualClock, People

MAX_SIZE = 20_000


def run_demo(
    size: int = 300, keep: Path | None = None, *, tui: bool = False, seed: int = 7, operator: str = "maria"
) -> int:
    """Let a fleet live 420 days that end now, show it, and open the console if asked; returns the exit code.

    In that console time goes on as it does anywhere, and faster on keys of its own.

    `operator` is who acts in the console.

    Raises:
        BadInput: the size is out of bounds or the file to keep exists already.
    """
    if not 20 <= size <= MAX_SIZE:
        msg = f"--size lies between 20 and {MAX_SIZE:,}"
        raise BadInput(msg)
    _new(keep)
    console = Console(highlight=False)
    with _place(keep) as path:
        people = asyncio.run(play(console, path, size, seed, SystemClock().now()))
        _how_to_go_on(console, keep)
        if tui:
            run: Callable[..., int] = app("tui")
            machine = TimeMachine(path, people, MovedClock())
            return run(
                f"sqlite:///{path}",
                write=True,
                operator=operator,
                claimed=False,
                engine_factory=machine.opened,
                advance=machine.advance,
            )
    return 0


def run_web(keep: Path | None = None, *, port: int = 8000) -> int:
    """Serve the marketplace to click through, on loopback, until it is stopped; returns the exit code.

    Raises:
        BadInput: the file to keep exists already.
        ConfigurationError: the extra `[hosting]` is not installed.
    """
    _new(keep)
    with _place(keep) as path:
        asyncio.run(serve_marketplace(path, port))
    return 0


def _new(keep: Path | None) -> None:
    if keep is not None and keep.exists():
        msg = f"{keep} exists already"
        raise BadInput(msg, hint="choose another file; the demo never writes into an existing one")


@contextlib.contextmanager
def _place(keep: Path | None) -> Iterator[Path]:
    if keep is not None:
        yield keep.absolute()
        return
    folder = tempfile.mkdtemp(prefix="grantflow-demo-")
    try:
        yield Path(folder) / "demo.db"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def play(console: Console, path: Path, size: int, seed: int, end: datetime) -> People:
    """Let a fleet live 420 days that end then, and show it; returns who lives there."""
    real = SystemClock()
    clock = ManualClock(end - timedelta(days=DAYS))
    people = People()
    started = real.monotonic()
    async with Engine.open(f"sqlite:///{path}", directory=people, clock=clock) as engine:
        story = Story(engine, clock, people, size, seed)
        await story.prepare()
        async with app("expiry-scheduler")(engine) as scheduler:
            with _progress(console) as progress:
                task = progress.add_task("420 days", total=DAYS, day="")
                for number in range(DAYS):
                    await story.day(number)
                    clock.advance(timedelta(days=1))
                    report = await scheduler.sweep_now()
                    story.tally.expired += report.moved
                    story.tally.sweeps += 1
                    await scheduler.run_now("warnings")
                    progress.update(task, advance=1, day=f"{clock.now():%Y-%m-%d}")
        await story.finish()
        engine.subscribe(story.tally.hear)  # at the end: what waited is delivered by hundreds
        await engine.drain_notices()
        _told(console, story.tally, real.monotonic() - started)
        await overview(console, engine, story)
    return people


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[day]}"),
        TimeRemainingColumn(),
        console=console,
    )


def _told(console: Console, tally: Tally, seconds: float) -> None:
    console.print(
        f"{tally.authorized} authorizations, {tally.cancelled} cancelled, {tally.refused} refused, "
        f"{tally.abandoned} abandoned; a new version with one more scope: {tally.upgraded} agreed; "
        f"{tally.sweeps} sweeps by APScheduler moved {tally.expired}; {tally.reauthorized} reauthorized. "
        f"{tally.warned:,} warnings before an end, {tally.reminded:,} reminders after it. {seconds:.1f} s.\n"
    )


def _how_to_go_on(console: Console, keep: Path | None) -> None:
    if keep is None:
        console.print("Nothing was left behind. To go on with a fleet like this:\n")
        console.print("  grantflow demo --keep demo.db      keep the database")
        console.print("  grantflow demo --tui               look at it in the console")
        return
    console.print(f"The database stays in {keep}. Go on with:\n")
    for command, what in (
        (f"grantflow --database {keep} list state:refresh-expired", "find the broken ones"),
        (f"grantflow --database {keep} forecast --by week --warn 30d", "see what is to come"),
        (f"grantflow --database {keep} tui --write", "look around, force one"),
        (f"grantflow --database {keep} scheduler run", "let time move"),
    ):
        console.print(f"  {command}", soft_wrap=True)
        console.print(f"      {what}", style="dim")
