"""Screen 1, the fleet: what changed, what needs somebody, how many stand where, what ends when, who is at work."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical

from grantflow_machines import Grant
from grantflow_tui import _horizon, _works
from grantflow_tui._base import BAD, DIM, ConsoleScreen
from grantflow_tui._horizon import Horizon
from grantflow_tui._keys import HORIZON, TAIL
from grantflow_tui._lines import Line, Lines, rule
from grantflow_tui._text import bar, clean, term

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.worker import Worker

    from grantflow import Counts, Engine, Incident, Matches, RecentChange
    from grantflow_tui._look import Look
    from grantflow_tui._works import Works

_EVERY = 15
"""The horizon walks an index: it is read every so many refreshes and where the clock moved on, beside them."""
_PACE = 0.01
"""Seconds that counting what needs attention may take a refresh; what takes longer is done less often."""
_SHARE = 100
"""The horizon rests for so many times as long as reading it took."""
_CHANGES = 5
_EMPTY = "  empty: engine.install(app, account=…, actor=…) makes the first installation"
_DAY, _OLD = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that needs somebody, and the filter that shows it."""

    words: str
    filter: str
    bad: bool = True


def wishes(look: Look) -> list[Attention]:
    """What to look for, derived from the charts: dead grants nobody works on, and attempts that got stuck."""
    found = []
    for value, info in look.states.items():
        if info.grant is Grant.DEAD and not info.waits_for_attempt:
            found.append(Attention(f"{value}: {info.who_acts} must act", f"state:{value}"))
            found.append(Attention(f"{value} for more than 7 days", f"state:{value} entered:>7d"))
        elif info.waits_for_attempt:
            found.append(Attention(f"stuck in {value}", f"state:{value} is:stuck", bad=False))
    found.append(Attention("renewals that fail", "has:failure"))
    found.append(Attention("overdue: no sweep has written them yet", "is:overdue", bad=False))
    found.append(Attention("quarantined: cannot be understood", "is:quarantined"))
    return found


def changed(change: RecentChange, look: Look, now: datetime) -> Line:
    """One group of transitions: what became of how many, since when, where, why, and by which sweep."""
    text = Text("  ")
    text.append_text(look.badge(change.state))
    text.append(" " * max(1, 21 - text.cell_len))
    text.append(f"{f'+{change.count:,}':>7}", style=Style(bold=True))
    since = f"{change.since:%H:%M}" if now - change.since < _DAY else f"{change.since:%Y-%m-%d}"
    text.append(f" since {since}", style=DIM)
    text.append(f" · {clean(change.app)}")
    if change.reason is not None:
        text.append(f" · {clean(change.reason)}")
    if change.run is not None:
        text.append(f" · run …{clean(change.run)[-4:]}", style=DIM)
    return Line(text, change.filter)


class FleetScreen(ConsoleScreen):
    """The fleet page; every number leads to the rows it counts."""

    DEFAULT_CSS = """
    FleetScreen #panels { height: 1fr; layout: vertical; }
    FleetScreen.-wide #panels { layout: horizontal; }
    FleetScreen #states { height: 1fr; }
    FleetScreen #side { height: 8; }
    FleetScreen #horizon { height: 8; }
    FleetScreen #works { display: none; }
    FleetScreen.-wide Lines { height: 1fr; }
    FleetScreen.-wide #states { width: 8fr; }
    FleetScreen.-wide #side { width: 5fr; height: 1fr; margin-left: 2; }
    FleetScreen.-wide #horizon { height: 2fr; max-height: 16; }
    FleetScreen.-wide #works { height: 3fr; display: block; }
    """
    twin = ("changes",)
    hints = "{open} opens as filter · tab panel · " + TAIL
    own_keys = (HORIZON,)

    def __init__(self) -> None:
        super().__init__()
        self._turn, self._drawn_at = 0, datetime.min.replace(tzinfo=UTC)
        self._found: list[tuple[Attention, Matches]] = []
        self._recount = 0
        self._ahead_at = 0.0
        self._counting: Worker[None] | None = None

    def body(self) -> ComposeResult:
        """Changes, attention and states; then the horizon and who is at work."""
        with Container(id="panels"):
            yield Lines(id="states")
            with Vertical(id="side"):
                yield Horizon(self.console_app.look, id="horizon")
                yield Lines(id="works")

    def on_mount(self) -> None:
        """Say that data is on its way."""
        self.query_one("#states", Lines).show([Line(Text("  opening the database …", style=DIM))])

    async def load(self, engine: Engine) -> None:
        """Counters every time; what is counted anew as often as it is quick, the horizon now and then."""
        counts = await engine.counts()
        stopped = await engine.apps.held()
        moved = abs(engine.now() - self._drawn_at) > _OLD
        if moved or self._turn >= self._recount:
            began = time.monotonic()
            self._found = [(wish, await engine.count(wish.filter)) for wish in wishes(self.console_app.look)]
            took = time.monotonic() - began
            self._recount = self._turn + max(1, min(_EVERY, int(took / _PACE)))
        recent = await engine.ops.recent_changes(limit=_CHANGES, within=self.console_app.looks_back)
        works = await _works.read(engine)
        incidents = await engine.ops.incidents(limit=20)
        lines = [] if counts.total else [Line(Text(_EMPTY, style=DIM)), Line(Text())]
        lines += self._changes(recent.changes, engine.now())
        lines += self._attention(self._found, stopped, works, incidents) + self._states(counts)
        self.query_one("#states", Lines).show(lines)
        self.query_one("#works", Lines).show(self._works(works, engine.now()))
        waited = self._turn % _EVERY == 0 and time.monotonic() >= self._ahead_at
        if (moved or waited) and (self._counting is None or self._counting.is_finished):
            self._drawn_at = engine.now()
            self._counting = self.run_worker(self._look_ahead(engine), group="horizon")
        self._turn += 1

    async def _look_ahead(self, engine: Engine) -> None:
        async def read() -> None:
            began = time.monotonic()
            bars = await _horizon.read(engine)
            ended = time.monotonic()
            self._ahead_at = ended + _SHARE * (ended - began)
            self.query_one("#horizon", Horizon).show(bars)

        await self.guarded(read)

    def _changes(self, changes: Sequence[RecentChange], now: datetime) -> list[Line]:
        lines = [rule("Changed lately")]
        lines += [changed(change, self.console_app.look, now) for change in changes]
        return lines if len(lines) > 1 else [*lines, Line(Text("  nothing yet", style=DIM))]

    def _states(self, counts: Counts) -> list[Line]:
        look, total = self.console_app.look, max(1, counts.total)
        known = [*look.states, *(value for value in counts.by_state if value not in look.states)]
        lines = [Line(Text()), rule(f"States · {counts.total:,} installation{'s' * (counts.total != 1)}")]
        for value in known:
            count = counts.by_state.get(value, 0)
            text = Text("  ")
            text.append_text(look.badge(value))
            text.append(" " * max(1, 22 - text.cell_len))
            text.append(f"{count:>11,} {100 * count / total:5.1f}% ", style=DIM if not count else Style())
            text.append(bar(count / total, 24, ascii_only=look.ascii), style=look.style(value))
            lines.append(Line(text, f"state:{clean(value)}"))
        return lines

    def _attention(
        self,
        found: Sequence[tuple[Attention, Matches]],
        stopped: dict[str, str],
        works: Works,
        incidents: Sequence[Incident],
    ) -> list[Line]:
        lines = [Line(Text()), rule("Needs attention")]
        for incident in incidents:
            told = f"app {incident.app}: {incident.cause} since {incident.opened_at:%Y-%m-%d %H:%MZ}"
            lines.append(self._need("incident", told, term("app", incident.app), bad=True))
        for held in works.held:
            told = f"expiries of {held.app}: {held.due:,} of {held.active:,} would end"
            lines.append(self._need("held", told, term("app", held.app), bad=True))
        for app, reason in stopped.items():
            lines.append(self._need("stopped", f"app {app}: {reason}", term("app", app), bad=False))
        if works.pause is not None:
            lines.append(self._need("paused", f"by {works.pause.by}: {works.pause.reason}", None, bad=True))
        if not works.alive:
            lines.append(self._need("nobody", "is at work: 4 shows who should be", None, bad=True))
        if works.outbox.dead:
            lines.append(self._need(f"{works.outbox.dead:,}", "notices nobody took", None, bad=True))
        for wish, matches in found:
            if matches.count:
                number = f"{matches.count:,}" if matches.exact else f"≥{matches.count - 1:,}"
                lines.append(self._need(number, wish.words, wish.filter, bad=wish.bad))
        if len(lines) == 2:
            lines.append(Line(Text("  nothing", style=DIM)))
        return lines

    def _need(self, number: str, words: str, link: str | None, *, bad: bool) -> Line:
        mark = "!" if not bad else ("X" if self.console_app.look.ascii else "✖")
        text = Text()
        text.append(f"  {mark} {number:>8}  ", style=BAD if bad else Style(bold=True))
        text.append(clean(words))
        return Line(text, link)

    def _works(self, works: Works, now: datetime) -> list[Line]:
        lines = [rule("Scheduler"), *_works.at_work(works), *_works.clocks(works, now)]
        return [*lines, *_works.waiting(works, now), *_works.holds(works)]
