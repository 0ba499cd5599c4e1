"""`grantflow bulk` and `grantflow jobs`: one verb for many installations, previewed, and a hand on what runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from grantflow.cli import _out
from grantflow.cli._act import Reason
from grantflow.cli._out import clean, moment, say
from grantflow.cli._read import Json, Limit
from grantflow.cli._run import Run
from grantflow.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grantflow import BulkPlan, Engine, Job, JobItem, JobsReport

_PAGE = 1_000
JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(bulk)
    group = typer.Typer(help="Bulk jobs: list them, look at one, pause, resume, cancel, retry and run them.")
    group.callback(invoke_without_command=True)(_listed)
    group.command("list")(list_)
    for command in (show, items, pause, resume, cancel, retry, run_waiting):
        group.command("run" if command is run_waiting else command.__name__)(command)
    app.add_typer(group, name="jobs")


def bulk(
    ctx: typer.Context,
    filter: Annotated[str, typer.Argument(metavar="FILTER", help="Which ones; see grantflow list --help.")],  # noqa: A002 - the field's word
    verb: Annotated[str, typer.Argument(metavar="VERB", help="force, remind, probe, repair, or an event.")],
    reason: Reason,
    to: Annotated[str, typer.Option(metavar="STATE", help="With force: the state to go to.")] = "",
    limit: Annotated[int, typer.Option(help="Refuse when more match.")] = 10_000,
    canary: Annotated[int, typer.Option(help="Try so many first; all of them must succeed.")] = 10,
    stop_after: Annotated[int, typer.Option(help="Then stop at so many failures, if they are 1 % or more.")] = 5,
    quiet: Annotated[bool, typer.Option("--without-side-effects", help="With force: no notices go out.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan only; the look is on the record.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Start without asking.")] = False,
    queue: Annotated[
        bool, typer.Option("--queue", help="Leave it to the scheduler, or to grantflow jobs run.")
    ] = False,
    json: Json = False,
) -> int:
    """Bring one verb to every installation that matches: plan, canary, then the rest. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()

    async def preview(engine: Engine) -> BulkPlan:
        return await engine.ops.preview_bulk(
            filter,
            verb,
            actor=actor,
            reason=reason,
            to=to or None,
            limit=limit,
            canary=canary,
            stop_after=stop_after,
            without_side_effects=quiet,
        )

    async def start(engine: Engine) -> Job:
        return await engine.ops.start_bulk(plan)

    plan = run.engine(preview)
    if dry_run and json:
        _out.as_json(plan)
    elif not json:
        _print_plan(plan)
    if dry_run:
        return 0
    if not yes and not _confirmed(plan):
        say("not confirmed; nothing was changed")
        return 1
    job = run.engine(start)
    say(f"job {job.id}")
    return _tell(job, json=json) if queue else _run(run, job.id, json=json)


def _print_plan(plan: BulkPlan) -> None:
    verb = f"{plan.verb} to {plan.to}" if plan.to else plan.verb
    print(f"{clean(verb)}: {plan.count:,} row{'s' * (plan.count != 1)}")
    for name, count in plan.states.items():
        print(f"  {count:>9,} in {_out.state(clean(name))}")
    if plan.irreversible:
        print(f"  {plan.irreversible:>9,} cannot be taken back")
    for why, count in plan.refused.items():
        print(f"  {count:>9,} left out: {clean(why)}")
    for move in plan.sample[:5]:
        print(f"  {move.installation}  {move.source} → {move.target}: {clean('; '.join(move.effects))}")
    print(f"  first {plan.canary:,}, then the rest; stops at {plan.stop_after:,} failures")
    print(f"  by {clean(plan.actor)}: {clean(plan.reason)}")


def _confirmed(plan: BulkPlan) -> bool:
    if not sys.stdin.isatty():
        msg = "not started: nobody is there to confirm"
        raise BadInput(msg, hint="look at the plan with --dry-run, then pass --yes")
    say(f"type the number of rows, {plan.count}, to start:")
    return sys.stdin.readline().strip() == str(plan.count)


def _run(run: Run, name: str, *, json: bool) -> int:
    async def work(engine: Engine) -> Job:
        await engine.run_jobs(job=name, progress=_out.progress)
        return await engine.ops.job(name)

    try:
        job = run.engine(work)
    except KeyboardInterrupt:
        say(f"the job goes on with grantflow jobs run; to end it: grantflow jobs cancel {name}")
        raise
    finally:
        _out.progress_over()
    _tell(job, json=json)
    return 0 if job.applied == job.total else 1


def _tell(job: Job, *, json: bool) -> int:
    """Print one job."""
    if json:
        _out.as_json(job)
        return 0
    _out.fields(
        (
            ("job", job.id),
            ("verb", f"{job.verb} to {job.to}" if job.to else job.verb),
            ("filter", job.filter),
            ("by", job.actor + (" (claimed)" if job.claimed else "")),
            ("reason", job.reason),
            ("state", job.state.value + (", a process is at it" if job.running else "")),
            ("why", job.why),
            ("rows", f"{job.total:,}"),
            ("pending", f"{job.pending:,}"),
            ("applied", f"{job.applied:,}"),
            ("refused", f"{job.refused:,}"),
            ("outdated", f"{job.outdated:,}"),
            ("failed", f"{job.failed:,}"),
            ("canary", f"{job.canary:,}"),
            ("retries", job.retries),
            ("created", moment(job.created_at)),
            ("started", moment(job.started_at)),
            ("ended", moment(job.ended_at)),
        )
    )
    if job.refused + job.outdated + job.failed:
        say(f"not everything was applied: grantflow jobs items {job.id} tells why")
    return 0


def _listed(ctx: typer.Context, json: Json = False) -> None:
    """Bulk jobs; without a command they are listed, newest first."""
    if ctx.invoked_subcommand is None:
        list_(ctx, json=json)


def list_(
    ctx: typer.Context,
    limit: Limit = 50,
    before: Annotated[str, typer.Option(metavar="JOB", help="Only those made before this one.")] = "",
    json: Json = False,
) -> None:
    """List bulk jobs, newest first."""

    async def work(engine: Engine) -> Sequence[Job]:
        return await engine.ops.jobs(limit=limit, before=before or None)

    jobs = Run.of(ctx).engine(work)
    if json:
        _out.as_json(jobs)
        return
    _out.table(
        ("JOB", "CREATED", "STATE", "VERB", "ROWS", "APPLIED", "REFUSED", "OUTDATED", "FAILED", "BY", "FILTER"),
        (
            (one.id, moment(one.created_at), one.state.value, one.verb, one.total, one.applied, one.refused,
             one.outdated, one.failed, one.actor, one.filter)
            for one in jobs
        ),
    )  # fmt: skip


def show(ctx: typer.Context, job: JobId, json: Json = False) -> None:
    """Show one bulk job."""

    async def work(engine: Engine) -> Job:
        return await engine.ops.job(job)

    _tell(Run.of(ctx).engine(work), json=json)


def items(
    ctx: typer.Context,
    job: JobId,
    outcome: Annotated[
        str, typer.Option(help="Only pending, applied, refused, outdated or failed ones.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Print every row of a job and what became of it: the export of its failures."""

    async def work(engine: Engine) -> list[JobItem]:
        found: list[JobItem] = []
        after = -1
        while page := await engine.ops.job_items(job, outcome=outcome or None, after=after, limit=_PAGE):
            found += page
            after = page[-1].ordinal
        return found

    rows = Run.of(ctx).engine(work)
    if json:
        _out.as_json(rows)
        return
    _out.table(
        ("ROW", "INSTALLATION", "VERSION", "OUTCOME", "AT", "DETAIL"),
        ((one.ordinal, one.installation, one.version, one.outcome.value, moment(one.at), one.detail) for one in rows),
    )


def pause(ctx: typer.Context, job: JobId, reason: Reason, json: Json = False) -> None:
    """Stop a job after the row at hand. Operators only."""
    _steer(ctx, "pause", job, reason, json=json)


def resume(ctx: typer.Context, job: JobId, reason: Reason, json: Json = False) -> None:
    """Let a paused or stopped job go on, with grantflow jobs run or the scheduler. Operators only."""
    _steer(ctx, "resume", job, reason, json=json)


def cancel(ctx: typer.Context, job: JobId, reason: Reason, json: Json = False) -> None:
    """End a job for good; what it has done stays done. Operators only."""
    _steer(ctx, "cancel", job, reason, json=json)


def retry(ctx: typer.Context, job: JobId, reason: Reason, json: Json = False) -> None:
    """Make a new job of the rows that were not applied, as they are now. Operators only."""
    _steer(ctx, "retry", job, reason, json=json)


def _steer(
    ctx: typer.Context, how: Literal["pause", "resume", "cancel", "retry"], job: str, reason: str, *, json: bool
) -> None:
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()

    async def work(engine: Engine) -> Job:
        ops = engine.ops
        verb = {"pause": ops.pause_job, "resume": ops.resume_job, "cancel": ops.cancel_job, "retry": ops.retry_job}
        return await verb[how](job, actor=actor, reason=reason)

    _tell(run.engine(work), json=json)


def run_waiting(
    ctx: typer.Context,
    job: Annotated[str, typer.Argument(metavar="[JOB]", help="This one alone; all that wait by default.")] = "",
    json: Json = False,
) -> int:
    """Run the jobs that wait, until they end, stop or are paused."""
    run = Run.of(ctx)

    async def work(engine: Engine) -> JobsReport:
        return await engine.run_jobs(job=job or None, progress=_out.progress)

    try:
        done = run.engine(work)
    finally:
        _out.progress_over()
    if json:
        _out.as_json(done)
    else:
        names = ("applied", "refused", "outdated", "failed")
        _out.fields((("jobs", f"{len(done.jobs)}"), *((name, f"{getattr(done, name):,}") for name in names)))
    return 1 if done.refused or done.outdated or done.failed else 0
