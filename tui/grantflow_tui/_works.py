"""Who is at work, what is held and what waits: read once, shown on the fleet page and on the sweeps page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rich.text import Text

from grantflow_machines import Severity
from grantflow_tui._base import BAD, DIM
from grantflow_tui._lines import Line
from grantflow_tui._text import clean, lasting, term, until
from grantflow_tui._themes import tint

if TYPE_CHECKING:
    from grantflow import Engine, Heartbeat, Held, Outbox, Pause

SILENT = timedelta(seconds=60)
"""A process that said nothing for so long is not at work."""
APART = timedelta(seconds=1)
"""How far this machine's clock may be off the database's without a warning."""
_WELL = tint(Severity.OK)


@dataclass(frozen=True, slots=True)
class Works:
    """The operation as it is now."""

    pause: Pause | None
    beats: tuple[Heartbeat, ...]
    next_due: datetime | None
    next_warning: datetime | None
    next_renewal: datetime | None
    due: dict[str, int]
    overdue: int
    held: tuple[Held, ...]
    outbox: Outbox
    skew: timedelta | None

    @property
    def alive(self) -> tuple[Heartbeat, ...]:
        """Processes that said something lately."""
        return tuple(beat for beat in self.beats if beat.age <= SILENT)


async def read(engine: Engine) -> Works:
    """Ask the engine; each answer comes from an index or a table of a few rows."""
    preview = await engine.ops.preview_sweep()
    return Works(
        await engine.ops.paused(),
        await engine.ops.heartbeats(),
        await engine.next_due(),
        await engine.next_warning(),
        await engine.next_renewal(),
        preview.due,
        preview.overdue,
        preview.held,
        await engine.ops.outbox(),
        engine.clock_skew(),
    )


def row(name: str, value: str | Text, link: str | None = None) -> Line:
    """A name and what there is of it."""
    out = Text()
    out.append(f"  {name:<13} ", style=DIM)
    out.append_text(value if isinstance(value, Text) else Text(clean(value)))
    return Line(out, link)


def at_work(works: Works) -> list[Line]:
    """Processes, the latest word first; or that there is nobody."""
    lines = []
    if works.pause is not None:
        told = f"by {works.pause.by} since {works.pause.since:%Y-%m-%d %H:%MZ}: {works.pause.reason}"
        lines.append(row("PAUSED", Text(clean(told), style=BAD)))
    if not works.alive:
        lines.append(row("at work", Text("nobody: nothing is swept, warned or renewed; grants still end", style=BAD)))
    for beat in works.beats[:6]:
        alive = beat.age <= SILENT
        note = f"{beat.note} · " if beat.note else ""
        told = f"{beat.kind} · {lasting(beat.age)} ago · {note}{beat.host} {beat.pid}"
        name = "silent" if not alive else "leads" if beat.leads else "at work"
        lines.append(row(name, Text(clean(told), style=_WELL if alive else DIM)))
    return lines


def clocks(works: Works, now: datetime) -> list[Line]:
    """What is due next, and what is late."""
    late = Text(f"{works.overdue:,} overdue", style=BAD if works.overdue else DIM)
    due = Text(until(works.next_due, now) + "  ")
    due.append_text(late)
    lines = [
        row("next due", due, "is:overdue" if works.overdue else None),
        row("next warning", until(works.next_warning, now)),
        row("next renewal", until(works.next_renewal, now)),
    ]
    if works.skew is not None:
        told = f"{works.skew.total_seconds():+.3f} s off the database's"
        lines.append(row("this clock", Text(told, style=BAD if abs(works.skew) > APART else DIM)))
    return lines


def waiting(works: Works, now: datetime) -> list[Line]:
    """Notices and tokens on their way out."""
    box = works.outbox
    lines = [
        row("notices", _waits(box.notices, box.oldest_notice, now)),
        row("revocations", _waits(box.revocations, box.oldest_revocation, now)),
    ]
    if box.dead:
        told = f"{box.dead:,} dead: no subscriber took them; grantflow retries them on request"
        lines.append(row("", Text(told, style=BAD)))
    return lines


def holds(works: Works) -> list[Line]:
    """Apps whose expiries the brake holds, each a link."""
    return [
        row(
            "held",
            Text(clean(f"{held.app}: {held.due:,} of {held.active:,} would end: {held.why}"), style=BAD),
            term("app", held.app),
        )
        for held in works.held
    ]


def _waits(count: int, oldest: datetime | None, now: datetime) -> str:
    if not count:
        return "none waits"
    return f"{count:,} wait{'' if oldest is None else f', the oldest {lasting(now - oldest)}'}"
