"""Screen 4, sweeps: whether anybody is at work, what is due, held and waiting, and what the last runs did."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.style import Style
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType

from grantflow_machines import Severity
from grantflow_tui import _works
from grantflow_tui._base import BAD, DIM, ConsoleScreen
from grantflow_tui._confirm import ConfirmDialog
from grantflow_tui._keys import SWEEPS, on
from grantflow_tui._lines import Line, Lines, rule
from grantflow_tui._text import bar, clean, ending, lasting, spark, stamp, term
from grantflow_tui._themes import tint
from grantflow_tui._works import Works

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grantflow import Engine, Matches, Notice, RecentRun

_RUNS = 12
_DEAD = 5


class SweepsScreen(ConsoleScreen):
    """Sweeps and the scheduler."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("sweep", "run_now"),
        on("pause_work", "pause_work"),
    ]
    DEFAULT_CSS = "SweepsScreen Lines { height: 1fr; }"
    twin = ("scheduler", "status")
    hints = (
        "{sweep} sweep now (dry run first) · {pause_work} pause or resume · {open} opens · "
        "{fleet}-{audit} screens · {help} help"
    )
    own_keys = (SWEEPS,)

    def __init__(self) -> None:
        super().__init__()
        self.works: Works | None = None

    def body(self) -> ComposeResult:
        """One list."""
        yield Lines(id="sweeps")

    def on_mount(self) -> None:
        """Say that data is on its way."""
        self.query_one("#sweeps", Lines).show([Line(Text("  looking …", style=DIM))])

    async def load(self, engine: Engine) -> None:
        """The operation as it is now."""
        works = await _works.read(engine)
        runs = (await engine.ops.recent_changes(limit=_RUNS)).runs
        dead = await engine.ops.dead_notices(limit=_DEAD)
        soon = await engine.count("expires:<24h")
        self.works = works
        lines = [rule("At work"), *_works.at_work(works), Line(Text()), rule("Clocks")]
        lines += [*_works.clocks(works, engine.now()), _soon(soon), Line(Text()), rule("Held")]
        lines += _works.holds(works) or [Line(Text("  no app is held back", style=DIM))]
        lines += [Line(Text()), rule("On their way out"), *_works.waiting(works, engine.now())]
        lines += [_dead(notice) for notice in dead]
        lines += [Line(Text()), rule("Last runs that wrote something"), *self._runs(runs)]
        self.query_one("#sweeps", Lines).show(lines)

    def _runs(self, runs: Sequence[RecentRun]) -> list[Line]:
        most = max([run.written for run in runs] or [1])
        lines = []
        for run in runs:
            text = Text(f"  {stamp(run.since)} ")
            text.append(f"{run.written:>9,} written in {lasting(run.until - run.since):<7} ")
            text.append(f"{bar(run.written / most, 20, ascii_only=self.console_app.look.ascii):<20} ", style=_BAR)
            text.append(f"run {clean(run.run)[:8]}…{clean(run.run)[-4:]}", style=DIM)
            lines.append(Line(text, term("run", run.run) + " is:any"))
        if len(runs) > 1:
            lines.insert(0, self._durations(runs))
        return lines or [Line(Text("  none in the last 5,000 transitions", style=DIM))]

    def _durations(self, runs: Sequence[RecentRun]) -> Line:
        """How long each took, the newest last."""
        lengths = [(run.until - run.since).total_seconds() for run in reversed(runs)]
        text = Text(f"  {f'took, the last {len(runs)}':<20} ")
        text.append(spark(lengths, ascii_only=self.console_app.look.ascii), style=_BAR)
        text.append(f"  longest {lasting(max(run.until - run.since for run in runs))}", style=DIM)
        return Line(text)

    # -- acting ---------------------------------------------------------------------------------
    def action_run_now(self) -> None:
        """Ask for a sweep; the dialog shows what it would do."""
        self.ask_first(self._run_now)

    async def _run_now(self, engine: Engine) -> ConfirmDialog:
        app = self.console_app
        preview = await engine.ops.preview_sweep()
        plan = Text()
        plan.append("Dry run: nothing is written yet\n", style=Style(bold=True))
        plan.append(f"  {preview.overdue:,} due in all, attempts included\n")
        for key, count in sorted(preview.due.items()):
            plan.append_text(Text(f"  {clean(key)}: {ending(count)}\n"))
        for held in preview.held:
            plan.append(f"  {clean(held.app)}: held back, {held.due:,} wait: {clean(held.why)}\n", style=BAD)

        async def deed(reason: str) -> str:
            actor = app.operator()
            report = await engine.ops.run_sweep(actor=actor, reason=reason)
            return f"swept: {report.seen:,} seen, {report.moved:,} moved, {report.quarantined:,} quarantined"

        return ConfirmDialog("Sweep now", plan, deed, app.monotonic, ascii_only=app.look.ascii)

    def action_pause_work(self) -> None:
        """Ask for a pause of production, or for its end; `p` alone pauses only this screen."""
        self.ask_first(self._pause_work)

    async def _pause_work(self, engine: Engine) -> ConfirmDialog:
        app, pause = self.console_app, await engine.ops.paused()
        if pause is None:
            title, plan = "Pause every scheduler of this database", Text("Nothing is swept, warned or renewed.\n")
            plan.append("Grants still end at their time, and whoever asks for a token is served.", style=DIM)
        else:
            title = "Resume the schedulers"
            plan = Text(f"Paused by {clean(pause.by)} since {stamp(pause.since)}: {clean(pause.reason)}\n")
            plan.append("What became due meanwhile is caught up.", style=DIM)

        async def deed(reason: str) -> str:
            verb = engine.ops.pause if pause is None else engine.ops.resume
            await verb(actor=app.operator(), reason=reason)
            return "paused: schedulers do nothing now" if pause is None else "resumed"

        return ConfirmDialog(title, plan, deed, app.monotonic, ascii_only=app.look.ascii)


_BAR = tint(Severity.PENDING)


def _soon(soon: Matches) -> Line:
    told = ending(soon.count) if soon.exact else f"≥{ending(soon.count - 1)}"
    return _works.row("next 24 h", told, "expires:<24h")


def _dead(notice: Notice) -> Line:
    told = f"{stamp(notice.at)} {notice.name} {notice.installation or notice.app}"
    line = _works.row("dead", told)
    return Line(line.text, installation=notice.installation or None)
