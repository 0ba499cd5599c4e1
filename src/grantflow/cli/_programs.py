"""The database itself, and the programs beside the engine: console, scheduler, demonstration."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grantflow.cli import _out
from grantflow.cli._out import say
from grantflow.cli._read import Json
from grantflow.cli._run import Run, user_name
from grantflow.errors import GrantflowError

if TYPE_CHECKING:
    from grantflow import DatabaseCheck, Engine


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    database = typer.Typer(help="Create and check the database.")
    database.command()(init)
    database.command()(check)
    app.add_typer(database, name="db")
    scheduler = typer.Typer(help="The process that sweeps on time.")
    scheduler.command("run")(run_scheduler)
    scheduler.command()(jobs)
    app.add_typer(scheduler, name="scheduler")
    app.command()(tui)
    app.command()(demo)


def init(ctx: typer.Context) -> None:
    """Create an empty database; one that is there is only opened."""
    run = Run.of(ctx)
    there = run.file is not None and run.file.exists()

    async def work(engine: Engine) -> None:
        del engine

    run.engine(work, create=True)
    say(f"{'already there' if there else 'created'}: {_out.clean(run.place)}")


def check(ctx: typer.Context, json: Json = False) -> int:
    """Check schema, settings and integrity; reads the whole database."""

    async def work(engine: Engine) -> DatabaseCheck:
        return await engine.ops.check_database()

    found = Run.of(ctx).engine(work)
    if json:
        _out.as_json({"ok": not found.problems, **_out.plain(found)})
    else:
        _out.fields((("schema", "ok"), *found.pragmas.items(), ("problems", f"{len(found.problems)}")))
    for problem in found.problems:
        say(f"problem: {_out.clean(problem)}")
    return 1 if found.problems else 0


def tui(
    ctx: typer.Context,
    write: Annotated[bool, typer.Option("--write", help="Allow actions. Operators only.")] = False,
    ascii: Annotated[bool, typer.Option("--ascii", help="No glyphs beyond ASCII.")] = False,  # noqa: A002 - the flag's name
) -> int:
    """Open the operator console."""
    run = Run.of(ctx)
    url = run.existing()
    if write or run.claimed:
        actor = run.somebody()
        run.engine(lambda engine: engine.ops.admit("console", "tui --write" if write else "tui", actor=actor))
    name = (run.claimed or user_name()) if run.is_operator else None
    code: int = _part("grantflow_tui", "run")(url, write=write, operator=name, claimed=bool(run.claimed), ascii=ascii)
    return code


def run_scheduler(
    ctx: typer.Context,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks at the latest.")] = 30.0,
) -> int:
    """Sweep on time until it is stopped."""
    code: int = _part("grantflow_scheduler", "run_forever")(Run.of(ctx).existing(), interval=interval)
    return code


def jobs(ctx: typer.Context, json: Json = False) -> None:
    """Show the scheduler's jobs."""
    describe = _part("grantflow_scheduler", "describe_jobs")

    async def work(engine: Engine) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await describe(engine)
        return rows

    rows = [_out.plain(row) for row in Run.of(ctx).engine(work)]
    if json:
        _out.as_json(rows)
    elif rows:
        names = list(rows[0])
        _out.table([name.upper() for name in names], ([row.get(name, "") for name in names] for row in rows))


def demo(
    size: Annotated[int, typer.Option(help="How many installations.")] = 300,
    keep: Annotated[Path | None, typer.Option(metavar="PATH", help="Keep the database there.")] = None,
    tui: Annotated[bool, typer.Option("--tui", help="Open the console afterwards.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed makes the same fleet.")] = 7,
) -> int:
    """Run the main job on a database of its own."""
    code: int = _part("grantflow.demo", "run_demo")(size, keep, tui=tui, seed=seed, operator=user_name())
    return code


def _part(module: str, name: str) -> Any:
    """A function of a program beside the engine, loaded by name: the command line imports none of them."""
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
    except AttributeError:
        pass
    msg = f"{module} is not part of this installation"
    raise GrantflowError(msg, hint="install grantflow whole")
