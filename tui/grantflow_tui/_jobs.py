"""Screen 5, bulk jobs: how far they are, what failed, and a hand on them."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widgets import Static

from grantflow import JobOutcome, JobState
from grantflow_tui._base import BAD, DIM, TITLE, ConsoleScreen
from grantflow_tui._command import command
from grantflow_tui._deeds import Deed
from grantflow_tui._keys import JOBS, on
from grantflow_tui._lines import Line, Lines
from grantflow_tui._text import bar, cell, clean, short_id, stamp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grantflow import Engine, Job, JobItem
    from grantflow_machines import Actor
    from grantflow_tui._look import Look

_NOT_APPLIED = (JobOutcome.FAILED, JobOutcome.REFUSED, JobOutcome.OUTDATED)
_SHOWN = 8
_AS_FILTER = 50
"""Ids that fit into one filter."""
_PAGE = 1_000
_BAR = 20
_WIDE = 100
_OVER = (JobState.DONE, JobState.CANCELLED)
_RESTING = (JobState.PAUSED, JobState.STOPPED)
STEERING = {
    "pause": ("It stops after the row at hand; resume goes on where it stood.", _RESTING + _OVER),
    "resume": ("It goes on where it stood; what failed until now does not stop it again.", ()),
    "cancel": ("It ends for good. IRREVERSIBLE: what it has done stays done.", _OVER),
    "retry": ("A new job of the rows that were not applied, planned anew as they are now.", ()),
}


class JobList(Lines):
    """Jobs, newest first; the cursor stays on its job when newer ones come."""

    @property
    def chosen(self) -> str | None:
        """The job under the cursor."""
        links = self.links
        return self.lines[links[self._link]].filter if links else None

    def renew(self, lines: Sequence[Line], job: str | None) -> None:
        """Take new lines; go to this job, or keep the one under the cursor."""
        before, jobs = job or self.chosen, [line.filter for line in lines if line.filter is not None]
        if before in jobs:
            self._link = jobs.index(before)
        self.show(lines)

    def action_move(self, by: int) -> None:
        """Another job has other rows."""
        super().action_move(by)
        if by and isinstance(self.screen, JobsScreen):
            self.screen.action_reload()


class JobsScreen(ConsoleScreen):
    """Bulk jobs."""

    BINDINGS: ClassVar[list[BindingType]] = [
        on("job_pause", "steer('pause')"),
        on("job_resume", "steer('resume')"),
        on("job_cancel", "steer('cancel')"),
        on("job_retry", "steer('retry')"),
        on("job_export", "export"),
        on("copy", "copy"),
    ]
    DEFAULT_CSS = """
    JobsScreen #who, JobsScreen #detail { height: auto; }
    JobsScreen #detail { max-height: 50%; }
    """
    hints = (
        "{open} its rows · {job_pause} pause · {job_resume} resume · {job_cancel} cancel · {job_retry} retry · "
        "{job_export} export · {down} {up} move · {help} help"
    )
    own_keys = (JOBS,)

    def __init__(self) -> None:
        super().__init__()
        self.jobs: dict[str, Job] = {}

    def body(self) -> ComposeResult:
        """Who runs jobs, the jobs, and the one under the cursor."""
        yield Static("opening …", id="who", markup=False)
        yield JobList(id="jobs")
        yield Static("", id="detail", markup=False)

    def on_mount(self) -> None:
        """The list has the keyboard."""
        self.set_focus(self.list)

    @property
    def list(self) -> JobList:
        """The list."""
        return self.query_one("#jobs", JobList)

    @property
    def chosen(self) -> Job | None:
        """The job under the cursor."""
        return self.jobs.get(self.list.chosen or "")

    def command(self) -> str:
        """What is on screen, on the command line."""
        return command("jobs", "list") if self.chosen is None else command("jobs", "show", self.chosen.id)

    async def load(self, engine: Engine) -> None:
        """The jobs, who runs them, and the failures of the one under the cursor."""
        app = self.console_app
        found = await engine.ops.jobs()
        self.jobs = {job.id: job for job in found}
        launched, app.launched = app.launched, None
        self.list.renew([Line(self._line(job), job.id) for job in found], launched)
        at_work = await app.scheduler_at_work()
        self.query_one("#who", Static).update(self._who(at_work=at_work))
        chosen = self.chosen
        failures = [] if chosen is None else await not_applied(engine, chosen.id, _SHOWN)
        self.query_one("#detail", Static).update(detail(chosen, failures, app.look))

    def _who(self, *, at_work: bool) -> Text:
        here = len(self.console_app.running)
        if here:
            return Text(f" {here} run in this console; leaving it gives them back, and any other process goes on")
        if at_work:
            return Text(" a scheduler is at work and runs what waits")
        waiting = any(job.state not in (*_OVER, *_RESTING) for job in self.jobs.values())
        words = " no scheduler is at work" + ("; grantflow jobs run does what waits" if waiting else "")
        return Text(words, style=BAD if waiting else DIM)

    def _line(self, job: Job) -> Text:
        look, done = self.console_app.look, job.total - job.pending
        width = _BAR if self.size.width >= _WIDE else _BAR // 3
        drawn = bar(done / job.total, width, ascii_only=look.ascii)
        verb = f"{job.verb} to {job.to}" if job.to else job.verb
        failed = job.refused + job.failed + job.outdated
        text = Text(f" {stamp(job.created_at)[5:16]} {cell(verb, 14, dots=look.dots)} {job.state.value:<9} ")
        text.append(cell(drawn, width), style="" if not failed else BAD)
        text.append(f" {done / job.total:4.0%} {job.applied:>7,} ok")
        text.append(f" {failed:>6,} not", style=BAD if failed else DIM)
        text.append(f"  {clean(job.filter)}  {clean(job.actor)}")
        return text

    # -- a hand on it ---------------------------------------------------------------------------
    def action_steer(self, how: str) -> None:
        """Open the dialog of a verb on the job, or say why not."""
        job = self.chosen
        if job is None:
            self.tell("there is no job", bad=True)
        elif (why := why_not(job, how)) is not None:
            self.tell(f"{how}: {why}", bad=True)
        else:
            self.console_app.open_deed(self._deed(job, how))

    def _deed(self, job: Job, how: str) -> Deed:
        async def does(engine: Engine, actor: Actor, reason: str) -> str:
            now: Job = await getattr(engine.ops, f"{how}_job")(job.id, actor=actor, reason=reason)
            if how in {"resume", "retry"}:
                return await self.console_app.launch(now.id, f"{now.verb} on {now.pending:,} rows")
            return f"the job is {now.state.value}"

        async def sees(engine: Engine) -> object:
            return (await engine.ops.job(job.id)).state.value in {one.value for one in STEERING[how][1]}

        tells = f"{job.verb} on {job.total:,} rows, {job.pending:,} to do. {STEERING[how][0]}"
        return Deed(f"{how.capitalize()} job {short_id(job.id, 18)}", tells, does, sees, ("jobs", how, job.id))

    # -- its rows -------------------------------------------------------------------------------
    async def on_lines_opened(self, event: Lines.Opened) -> None:
        """Enter shows the job's rows as a filter."""
        event.stop()
        engine, job = self.console_app.engine, event.query
        if engine is not None and job is not None:
            await self.guarded(lambda: self._open_rows(engine, job))

    async def _open_rows(self, engine: Engine, job: str) -> None:
        rows = await not_applied(engine, job, _AS_FILTER) or await engine.ops.job_items(job, limit=_AS_FILTER)
        await self.console_app.open_filter("id:" + ",".join(row.installation for row in rows))

    def action_export(self) -> None:
        """Write what was not applied to a file."""
        engine, job = self.console_app.engine, self.chosen
        if engine is not None and job is not None:
            self.run_worker(self.guarded(lambda: self._export(engine, job.id)), group="export")

    async def _export(self, engine: Engine, job: str) -> None:
        rows = await not_applied(engine, job, None)
        try:
            path = write_out(Path.cwd(), job, rows)
        except OSError as error:
            self.tell(f"not exported: {clean(error.strerror)}", bad=True)
        else:
            self.tell(f"{len(rows):,} rows that were not applied: {clean(path.name)}, in this folder")

    def action_copy(self) -> None:
        """Copy the job's id."""
        if (job := self.chosen) is not None:
            self.console_app.copy_id(job.id)


def why_not(job: Job, how: str) -> str | None:
    """Why a job cannot be steered so, or None; the engine has the last word."""
    if how == "resume":
        return None if job.state in _RESTING else f"the job is {job.state.value}"
    if how == "retry":
        if job.state not in (*_RESTING, *_OVER):
            return f"the job is {job.state.value}: it may get to its failures itself"
        return None if job.refused + job.outdated + job.failed else "everything was applied"
    return f"the job is {job.state.value}" if job.state in STEERING[how][1] else None


async def not_applied(engine: Engine, job: str, limit: int | None) -> list[JobItem]:
    """Rows that failed, were refused or had moved; at most `limit`."""
    found: list[JobItem] = []
    for outcome in _NOT_APPLIED:
        after = -1
        while limit is None or len(found) < limit:
            page = await engine.ops.job_items(job, outcome=outcome, after=after, limit=_PAGE)
            if not page:
                break
            found += page
            after = page[-1].ordinal
    return found if limit is None else found[:limit]


def write_out(folder: Path, job: str, rows: Sequence[JobItem]) -> Path:
    """One line of JSON for each row, in a new file that only its owner can read."""
    path = folder / f"grantflow-job-{job}.jsonl"
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        for row in rows:
            told = {"installation": row.installation, "version": row.version, "outcome": row.outcome.value}
            file.write(json.dumps({**told, "detail": row.detail}) + "\n")
    return path


def detail(job: Job | None, failures: Sequence[JobItem], look: Look) -> Text:
    """The job under the cursor."""
    if job is None:
        return Text(" no bulk job yet: b on screen 2 plans one", style=DIM)
    out = Text()
    out.append(f"Job {clean(job.id)}\n", style=TITLE)
    out.append(f" {clean(job.actor)}{' (claimed)' if job.claimed else ''}: {clean(job.reason)}\n")
    out.append(f" {job.applied:,} applied · {job.refused:,} refused · {job.outdated:,} outdated · ")
    out.append(f"{job.failed:,} failed · {job.pending:,} to do · canary {job.canary:,}\n")
    if job.why:
        out.append(f" {job.state.value}: {clean(job.why)}\n", style=BAD)
    for row in failures:
        mark = "X" if look.ascii else "✖"
        out.append(f" {mark} {short_id(row.installation, 18)} {row.outcome.value}: ", style=BAD)
        out.append(f"{clean(row.detail)}\n")
    return out
