"""`grantflow db`: create, upgrade, check, recount and copy the database."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from grantflow.cli import _out
from grantflow.cli._act import Reason
from grantflow.cli._out import say
from grantflow.cli._read import Json
from grantflow.cli._run import Run, url_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from grantflow import Engine, UpgradePlan

_SHORT = 12


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="Create, upgrade, check, recount and copy the database.")
    for command in (init, upgrade, check, recount, copy):
        group.command()(command)
    app.add_typer(group, name="db")


def init(ctx: typer.Context) -> None:
    """Create an empty database; one that is there is only opened."""
    run = Run.of(ctx)
    there = run.file is not None and run.file.exists()

    async def work(engine: Engine) -> None:
        del engine

    run.engine(work, create=True)
    say(f"{'already there' if there else 'created'}: {_out.clean(run.place)}")


def upgrade(
    ctx: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    no_backup: Annotated[bool, typer.Option("--no-backup", help="SQLite: no copy of the file beside it.")] = False,
    json: Json = False,
) -> None:
    """Bring the database to the schema of this release: all of it or nothing, safe to run again."""
    import asyncio

    from grantflow import plan_upgrade, upgrade_database

    run = Run.of(ctx)
    url, actor = run.existing(), run.somebody()
    plan = asyncio.run(plan_upgrade(url))
    if not json:
        _shown(plan, run)
    if dry_run or not plan.steps:
        if json:
            _out.as_json(plan)
        return
    with _progress() as progress:
        done = asyncio.run(upgrade_database(url, actor=actor, backup=not no_backup, progress=progress))
    if json:
        _out.as_json(done)
    say(f"upgraded to schema version {done.target}")
    if done.backup is not None:
        say(f"as it was: {_out.clean(done.backup)}")


def _shown(plan: UpgradePlan, run: Run) -> None:
    if not plan.steps:
        _out.fields((("database", run.place), ("schema", plan.version), ("to do", "nothing")))
        return
    _out.fields(
        (
            ("database", run.place),
            ("schema", f"{plan.version} to {plan.target}"),
            ("hosts", "may stay at work" if plan.hosts_may_run else "stop every host and scheduler first"),
        )
    )
    _out.table(
        ("TO", "WRITES ANEW", "WHAT"),
        (
            (
                step.version,
                ", ".join(f"{name.removeprefix('grantflow_')} {rows:,}" for name, rows in step.rewrites.items())
                or "-",
                step.says,
            )
            for step in plan.steps
        ),
    )


def check(ctx: typer.Context, json: Json = False) -> int:
    """Check version, tables, integrity, invariants and counters; reads the whole database."""
    import asyncio

    from grantflow import charts_from_env, check_database

    found = asyncio.run(check_database(Run.of(ctx).existing(), charts=charts_from_env()))
    if json:
        _out.as_json({"ok": not found.problems, **_out.plain(found)})
    else:
        _out.fields(
            (
                ("schema", f"{found.version}, for code of {found.compatible_from} and later"),
                *found.pragmas.items(),
                ("problems", f"{len(found.problems)}"),
            )
        )
    for problem in found.problems:
        say(f"problem: {_out.clean(problem)}")
    return 1 if found.problems else 0


def recount(ctx: typer.Context, reason: Reason) -> None:
    """Count every installation again and correct the counters. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()
    wrong = run.engine(lambda engine: engine.ops.reconcile_counts(actor=actor, reason=reason))
    say(f"{wrong:,} counters were wrong" if wrong else "every counter was right")


def copy(
    source: Annotated[str, typer.Argument(help="A path or a URL; nobody can write to it meanwhile.")],
    target: Annotated[str, typer.Argument(help="The path or URL of an empty database.")],
    restart: Annotated[bool, typer.Option("--restart", help="Let go of an unfinished copy first.")] = False,
    json: Json = False,
) -> None:
    """Copy a whole database into an empty one, compare both, and go on where a run was stopped."""
    import asyncio

    from grantflow import copy_database

    began = time.monotonic()
    with _progress() as progress:
        done = asyncio.run(copy_database(url_of(source), url_of(target), restart=restart, progress=progress))
    took = time.monotonic() - began
    if json:
        _out.as_json({"seconds": round(took, 3), **_out.plain(done)})
    else:
        _out.table(
            ("TABLE", "ROWS", "SHA-256"),
            ((one.name, f"{one.rows:,}", one.checksum[:_SHORT]) for one in done.tables),
        )
    say(f"{done.rows:,} rows, the same on both sides; {done.rows - done.resumed:,} of them now, in {took:.1f} s")


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr, where somebody looks at it."""
    if not sys.stderr.isatty():
        yield lambda *_: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, whole: bar.update(task, description=what, completed=done, total=whole)
