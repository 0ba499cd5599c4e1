"""What the demonstration shows at its end: pictures where people would rather look than read."""

from __future__ import annotations

from rich.bar import Bar
from rich.console import Console
from rich.table import Table
from rich.text import Text

from grantflow import Engine, Installation, TransitionRecord, definitions
from grantflow.demo._story import Story

_LOOKS = {
    "idle": ("○", "white"),
    "pending": ("◔", "cyan"),
    "ok": ("●", "green"),
    "warn": ("↻", "yellow"),
    "bad": ("✖", "red"),
}
_WIDTH = 40


def _look(state: str) -> tuple[str, str]:
    info = next(iter(definitions().values())).states.get(state)
    return _LOOKS[info.severity.value] if info is not None else ("?", "white")


async def overview(console: Console, engine: Engine, story: Story) -> None:
    """Every state with its count, the ends to come, what needs attention, and one life story."""
    await _states(console, engine)
    await _forecast(console, engine)
    await _attention(console, engine, story)
    await _life(console, engine)


async def _states(console: Console, engine: Engine) -> None:
    counts = await engine.counts()
    table = Table("state", "installations", "", box=None, pad_edge=False, title="The fleet now", title_justify="left")
    most = max(counts.by_state.values(), default=1)
    for state in next(iter(definitions().values())).states:
        count = counts.by_state.get(state, 0)
        glyph, colour = _look(state)
        bar = "█" * max(1 if count else 0, round(_WIDTH * count / most))
        table.add_row(
            Text(f"{glyph} {state}", style=colour),
            Text(f"{count:,}", justify="right"),
            Text(bar, style=colour),
        )
    console.print(table)
    console.print(f"{counts.total:,} installations of {len(counts.by_app)} apps; {counts.overdue} overdue\n")


async def _forecast(console: Console, engine: Engine) -> None:
    told = await engine.ops.forecast(spans=13)
    most = max(1, *(month.expiries for month in told.spans))
    table = Table(
        box=None, pad_edge=False, show_header=False, title="Grants that end, by month", title_justify="left"
    )
    for month in told.spans:
        bar = Bar(most, 0, month.expiries, width=_WIDTH, color="green")
        table.add_row(f"  {month.start:%b %Y}", Text(f"{month.expiries:,}", justify="right"), bar)
    console.print(table)
    console.print(f"  {told.later:,} later, {told.never:,} with no known end, {told.overdue:,} overdue\n")


async def _attention(console: Console, engine: Engine, story: Story) -> None:
    asked = {
        "the grant is dead and nobody is at it": "state:refresh-expired",
        "somebody is authorizing anew": "state:reauthorizing",
        "suspended": "is:suspended",
        "moved by an operator": "is:forced",
        "ends within 7 days": "expires:<7d",
    }
    console.print(Text("Needs attention", style="italic"))
    for title, query in asked.items():
        matches = await engine.count(query)
        sample = (await engine.find(query, limit=1)).items
        shown = f"for example {sample[0].app} for {sample[0].subject}" if sample else ""
        console.print(
            Text(f"  {matches.count:>5,}  {title:<37} {query:<22} {shown}"), no_wrap=True, overflow="ellipsis"
        )
    told = await story.guidance()
    if told is not None:
        console.print(Text(f"\n  A call on a dead grant gets 401: “{told.sentence}”"))
    console.print()


async def _life(console: Console, engine: Engine) -> None:
    candidates = (await engine.find("is:forced", limit=1)).items
    candidates += (await engine.find("state:active", limit=200)).items
    told: tuple[Installation, tuple[TransitionRecord, ...]] | None = None
    for found in candidates:
        history = await engine.history(found.id)
        if told is None or len(history) > len(told[1]):
            told = found, history
    if told is None:
        return
    found, history = told
    console.print(Text(f"One life: {found.app} for {found.subject} on {found.account}", style="italic"))
    for record in reversed(history):
        glyph, colour = _look(record.target)
        line = Text(f"  {record.at:%Y-%m-%d %H:%M}  ")
        line.append(f"{glyph} {record.target:<17}", style=colour)
        line.append(f" {record.event:<16} {record.actor}")
        if record.reason:
            line.append(f"  ({record.reason})", style="dim")
        if record.forced:
            line.append("  FORCED", style="bold red")
        console.print(line)
    console.print()
