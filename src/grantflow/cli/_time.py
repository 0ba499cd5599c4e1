"""Commands about time: who is at work and what is due next, pauses, and the notices that wait."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grantflow.cli import _out, _programs
from grantflow.cli._act import Reason
from grantflow.cli._out import clean, moment, say
from grantflow.cli._read import SHORT, Json, Limit
from grantflow.cli._run import Run
from grantflow.errors import TransitionRefused

if TYPE_CHECKING:
    from grantflow import Engine, Heartbeat, Notice, Outbox, Pause, SweepPreview

_SCHEDULER = "grantflow_scheduler"
_PREFIX = "grantflow."
_BOUND = 10_000
_LOG = "%(asctime)s %(levelname)s %(name)s: %(message)s"
_ANSWERS = {"warnings": ("queued",), "outbox": ("notices delivered", "tokens given back")}
"""What the bare numbers mean that some duties answer with."""


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    scheduler = typer.Typer(help="The processes that move time.")
    scheduler.command("run")(run_scheduler)
    for command in (status, jobs, pause, resume, run_now):
        scheduler.command()(command)
    app.add_typer(scheduler, name="scheduler")
    outbox = typer.Typer(invoke_without_command=True)
    outbox.callback()(notices)
    outbox.command()(retry)
    app.add_typer(outbox, name="notices")


# -- who moves time ---------------------------------------------------------------------------------
def run_scheduler(
    ctx: typer.Context,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at the latest.")] = 30.0,
) -> int:
    """Expire, renew, warn, deliver and tidy on time until it is stopped; what it does is told on stderr."""
    url = Run.of(ctx).existing()
    logging.basicConfig(stream=sys.stderr, format=_LOG)
    logging.getLogger("grantflow").setLevel(logging.INFO)
    code: int = _programs.part(_SCHEDULER, "run_forever")(url, interval=interval)
    return code


def jobs(ctx: typer.Context, json: Json = False) -> None:
    """Show what a scheduler does, and when the database next needs it."""

    async def work(engine: Engine) -> tuple[list[dict[str, Any]], datetime]:
        return await _described(engine), engine.now()

    rows, now = Run.of(ctx).engine(work)
    if json:
        _out.as_json(rows)
    else:
        _duties(rows, now)


@dataclass(frozen=True, slots=True)
class _Status:
    """Everything that `status` shows, as it stood at one time."""

    now: datetime
    paused: Pause | None
    processes: tuple[Heartbeat, ...]
    duties: list[dict[str, Any]]
    sweep: SweepPreview
    outbox: Outbox
    skew: timedelta | None

    @property
    def at_work(self) -> bool:
        """Somebody moves time."""
        return self.paused is None and not all(one.silent for one in self.processes)


def status(ctx: typer.Context, json: Json = False) -> int:
    """Show who is at work, what is due next, held, late or waiting. Exit code 1 when nobody moves time."""

    async def work(engine: Engine) -> _Status:
        ops = engine.ops
        return _Status(
            engine.now(),
            await ops.paused(),
            await ops.heartbeats(),
            await _described(engine),
            await ops.preview_sweep(),
            await ops.outbox(),
            engine.clock_skew(),
        )

    seen = Run.of(ctx).engine(work)
    if json:
        _out.as_json({
            "at_work": seen.at_work, "paused": seen.paused, "processes": seen.processes, "duties": seen.duties,
            "overdue": seen.sweep.overdue, "held": seen.sweep.held, "outbox": seen.outbox,
            "clock_skew": None if seen.skew is None else seen.skew.total_seconds(),
        })  # fmt: skip
    else:
        _shown(seen)
    return 0 if seen.at_work else 1


def pause(ctx: typer.Context, reason: Reason) -> None:
    """Stop every scheduler on this database until somebody resumes them. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()
    run.engine(lambda engine: engine.ops.pause(actor=actor, reason=reason))
    say(
        "paused: no scheduler works on this database, also after a restart; grants still end on time for whoever asks"
    )
    say("hint: grantflow scheduler resume --reason TEXT")


def resume(ctx: typer.Context, reason: Reason) -> None:
    """Let the schedulers work again; what became due meanwhile is caught up. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()
    run.engine(lambda engine: engine.ops.resume(actor=actor, reason=reason))
    say("the schedulers work again")


def run_now(
    ctx: typer.Context,
    duty: Annotated[str, typer.Argument(metavar="DUTY", help="expiry, or another that `jobs` names.")] = "expiry",
    json: Json = False,
) -> int:
    """Do one round of a duty here and now, without a scheduler; refused while paused."""
    run = Run.of(ctx)
    go = _programs.part(_SCHEDULER, "run_duty")

    async def work(engine: Engine) -> object:
        paused = await engine.ops.paused()
        if paused is not None:
            msg = f"paused by {paused.by} since {moment(paused.since)}: {paused.reason}"
            raise TransitionRefused(msg, hint="grantflow scheduler resume --reason TEXT")
        return await go(engine, duty)

    done = _out.plain(run.engine(work))
    if not isinstance(done, dict):
        numbers = done if isinstance(done, list) else [done]
        done = dict(zip(_ANSWERS[duty], numbers, strict=True))
    held = done.get("held")
    if json:
        _out.as_json({"duty": duty, **done})
    else:
        shown = ((name.replace("_", " "), _told(value)) for name, value in done.items() if value is not None)
        _out.fields((("duty", duty), *shown))
    if isinstance(held, list):
        for one in held:
            say(f"held: {clean(one['app'])}: {one['due']:,} of {one['active']:,} would end: {clean(one['why'])}")
            say(f"hint: grantflow sweep --release {clean(one['app'])} --reason TEXT")
    return 1 if held else 0


async def _described(engine: Engine) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = await _programs.part(_SCHEDULER, "describe_jobs")(engine)
    return rows


# -- how it is shown --------------------------------------------------------------------------------
def _told(value: object) -> str:
    match value:
        case list():
            return f"{len(value):,}"
        case float():
            return f"{value:.3f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def _shown(seen: _Status) -> None:
    alive = sum(not one.silent for one in seen.processes)
    if seen.paused is not None:
        _out.line(
            "bad", f"paused by {clean(seen.paused.by)} since {moment(seen.paused.since)}: {clean(seen.paused.reason)}"
        )
        say("hint: grantflow scheduler resume --reason TEXT")
    elif alive:
        _out.line("ok", f"at work: {alive:,} process{'' if alive == 1 else 'es'}")
    else:
        _out.line("bad", "no process says that it is at work")
        say("hint: grantflow scheduler run")
    print()
    if seen.processes:
        _processes(seen.processes)
        print()
    _duties(seen.duties, seen.now)
    print()
    late = f"{_BOUND:,}+" if seen.sweep.overdue > _BOUND else f"{seen.sweep.overdue:,}"
    outbox = seen.outbox
    _out.fields(
        (
            ("overdue", late),
            *((f"held {clean(one.app)}", f"{one.due:,} of {one.active:,}: {one.why}") for one in seen.sweep.held),
            ("notices waiting", _waiting(outbox.notices, outbox.oldest_notice, seen.now)),
            ("tokens to give back", _waiting(outbox.revocations, outbox.oldest_revocation, seen.now)),
            ("notices given up", f"{outbox.dead:,}"),
            *(() if seen.skew is None else (("clock", _apart(seen.skew)),)),
        )
    )
    for one in seen.sweep.held:
        say(f"hint: grantflow sweep --release {clean(one.app)} --reason TEXT")
    if outbox.dead:
        say("hint: grantflow notices --dead")


def _apart(skew: timedelta) -> str:
    return f"this machine's is {skew.total_seconds():+.3f} s off the database's, which the engine goes by"


def _waiting(count: int, oldest: datetime | None, now: datetime) -> str:
    return f"{count:,}" + ("" if oldest is None else f", the oldest for {_out.ago(now - oldest)}")


def _processes(processes: Sequence[Heartbeat]) -> None:
    _out.table(
        ("PROCESS", "HOST", "PID", "RUNS SINCE", "LAST HEARD", "SAYS"),
        (
            (
                _out.marked("bad" if one.silent else "ok", one.kind),
                one.host,
                one.pid,
                moment(one.started_at),
                f"{_out.ago(one.age)} ago" + (" (silent)" if one.silent else ""),
                "; ".join(filter(None, ("leads" if one.leads else "", one.note))),
            )
            for one in processes
        ),
    )


def _duties(rows: Sequence[dict[str, Any]], now: datetime) -> None:
    _out.table(
        ("DUTY", "NEXT DUE", "EVERY", "WHAT IT DOES"),
        (
            (
                row["id"].removeprefix(_PREFIX),
                _next(row["next_due_at"], now),
                _out.ago(timedelta(seconds=row["every"])),
                row["name"],
            )
            for row in rows
        ),
    )


def _next(text: str | None, now: datetime) -> str:
    if text is None:
        return "-"
    left = datetime.fromisoformat(text) - now
    return f"in {_out.ago(left)}" if left > timedelta(0) else "now"


# -- notices ----------------------------------------------------------------------------------------
def notices(
    ctx: typer.Context,
    dead: Annotated[bool, typer.Option("--dead", help="Those that no subscriber took in all their tries.")] = False,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List notices that wait for a host's subscriber, or that were given up."""
    if ctx.invoked_subcommand is not None:
        return

    async def work(engine: Engine) -> tuple[Sequence[Notice], Outbox]:
        ops = engine.ops
        rows = await (ops.dead_notices(limit=limit) if dead else ops.waiting_notices(limit=limit))
        return rows, await ops.outbox()

    rows, outbox = Run.of(ctx).engine(work)
    if json:
        _out.as_json(rows)
        return
    _out.table(
        ("AT", "NOTICE", "APP", "INSTALLATION", "VERSION"),
        ((moment(one.at), one.name, one.app or "", one.installation[:SHORT], one.version) for one in rows),
    )
    say(f"{len(rows):,} shown; {outbox.notices:,} wait, {outbox.dead:,} given up")
    if outbox.dead:
        say("hint: grantflow notices retry --reason TEXT delivers the ones that were given up again")


def retry(ctx: typer.Context, reason: Reason) -> None:
    """Deliver the notices that were given up once more, from their first try. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()
    revived = run.engine(lambda engine: engine.ops.retry_notices(actor=actor, reason=reason))
    say(f"{revived:,} wait for a host's subscriber again")
