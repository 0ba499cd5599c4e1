"""Commands that change installations."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from grantflow.cli import _out
from grantflow.cli._out import clean, moment, say
from grantflow.cli._read import Id, Json, print_explanation
from grantflow.cli._run import Run, actor_from, found
from grantflow.errors import BadInput

if TYPE_CHECKING:
    from grantflow import Actor, Engine, Explanation, Installation, Plan, Sent, SweepPreview, SweepReport

REFUSED = 4

Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why: at least 8 characters, kept for ever.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    for command in (send, force, sweep):
        app.command()(command)


def send(
    ctx: typer.Context,
    installation: Id,
    event: Annotated[str, typer.Argument(help="An event of the machine.")],
    who: Annotated[str, typer.Option("--as", metavar="KIND:NAME", help="On behalf of somebody.")] = "",
    reason: Reason = "",
    idempotency_key: Annotated[str, typer.Option(help="The same key again answers and writes nothing.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Explain only; nothing is written.")] = False,
    json: Json = False,
) -> int:
    """Bring an event to an installation. Operators only."""
    run = Run.of(ctx)
    run.existing()
    somebody = run.somebody()
    actor = actor_from(who) if who else somebody

    async def target(engine: Engine) -> str:
        item, about = await found(engine, installation), f"{event} as {actor}" if who else event
        await engine.ops.admit("send", item.id, actor=somebody, reason=reason or None, about=about)
        return item.id

    async def ask(engine: Engine) -> Explanation:
        return await engine.explain(await target(engine), event, actor=actor)

    async def work(engine: Engine) -> Sent:
        key = idempotency_key or None
        return await engine.send(await target(engine), event, actor=actor, reason=reason or None, idempotency_key=key)

    if dry_run:
        told = run.engine(ask)
        print_explanation(told, json=json)
        return 0 if told.allowed else REFUSED
    sent = run.engine(work)
    if json:
        _out.as_json({**_out.plain(sent), "installation": _out.plain(sent.installation)})
    else:
        print(f"{sent.installation.id} is {_out.state(sent.target)}, version {sent.version}")
    if sent.replayed:
        say("the idempotency key was used before; nothing was written")
    return 0


def force(
    ctx: typer.Context,
    installation: Id,
    to: Annotated[str, typer.Option(metavar="STATE", help="The state to go to.")],
    reason: Reason,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the plan only; the look is on the record.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Apply without asking.")] = False,
    quiet: Annotated[bool, typer.Option("--without-side-effects", help="No notices go out.")] = False,
    json: Json = False,
) -> int:
    """Force an installation into another state: prints the plan, then asks. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor: Actor = run.somebody()

    async def preview(engine: Engine) -> tuple[Plan, Installation]:
        item = await found(engine, installation)
        plan = await engine.ops.preview_force(item.id, to=to, actor=actor, reason=reason, without_side_effects=quiet)
        return plan, item

    async def apply(engine: Engine) -> tuple[str, ...]:
        return await engine.ops.apply(plan)

    plan, item = run.engine(preview)
    _print_plan(plan, json=json)
    if dry_run:
        return 0
    if not yes and not _confirmed(item):
        say("not confirmed; nothing was changed")
        return 1
    run.engine(apply)
    say(f"{item.id} is now {to}")
    return 0


def _print_plan(plan: Plan, *, json: bool) -> None:
    if json:
        _out.as_json(plan)
        return
    for move in plan.moves:
        print(f"{plan.verb} {move.installation}, version {move.version}")
        print(f"  {_out.state(move.source)} → {_out.state(move.target)}")
        for effect in move.effects:
            print(f"  {clean(effect)}")
        if move.irreversible:
            print("  cannot be taken back")
    print(f"  by {clean(plan.actor)}: {clean(plan.reason)}")


def _confirmed(item: Installation) -> bool:
    if not sys.stdin.isatty():
        msg = "not applied: nobody is there to confirm"
        raise BadInput(msg, hint="look at the plan, then pass --yes")
    say(f"type the account, {clean(item.account)}, to apply:")
    return sys.stdin.readline().strip() == item.account


def sweep(
    ctx: typer.Context,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many rows.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is due.")] = False,
    release: Annotated[
        str, typer.Option(metavar="APP", help="Let go of an app that the brake holds. Operators only.")
    ] = "",
    reason: Annotated[str, typer.Option(help="With --release: why; kept for ever.")] = "",
    json: Json = False,
) -> int:
    """Write what time has done: attempts and grants whose time is over."""
    run = Run.of(ctx)
    if reason and not release:
        msg = "--reason belongs to --release"
        raise BadInput(msg)

    async def preview(engine: Engine) -> SweepPreview:
        return await engine.ops.preview_sweep()

    async def work(engine: Engine) -> SweepReport:
        if release:
            await engine.ops.release_sweep(release, actor=run.somebody(), reason=reason)
        return await engine.sweep(limit=limit, progress=_out.progress)

    if dry_run:
        due = run.engine(preview)
        if json:
            _out.as_json(due)
        else:
            _out.table(("APP", "ENDING NOW"), due.due.items())
        say(f"{due.overdue:,} due in all")
        return _said_held(due)
    try:
        done = run.engine(work)
    finally:
        _out.progress_over()
    if json:
        _out.as_json(done)
    else:
        _out.fields(
            (
                ("seen", f"{done.seen:,}"),
                ("moved", f"{done.moved:,}"),
                ("attempts closed", f"{done.attempts_closed:,}"),
                ("skipped", f"{done.skipped:,}"),
                ("quarantined", f"{done.quarantined:,}"),
                ("seconds", f"{done.seconds:.3f}"),
                ("next due", moment(done.next_due_at)),
                ("run", done.run_id),
            )
        )
    return _said_held(done)


def _said_held(report: SweepReport | SweepPreview) -> int:
    for entry in report.held:
        say(f"held: {clean(entry.app)}: {entry.due:,} of {entry.active:,} would end: {clean(entry.why)}")
    return 1 if report.held else 0
