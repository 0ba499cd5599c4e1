"""The database itself, and the programs beside the engine: console, demonstration."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from grantflow.cli import _out
from grantflow.cli._act import Reason
from grantflow.cli._out import say
from grantflow.cli._read import Json
from grantflow.cli._run import Run, user_name
from grantflow.errors import GrantflowError

if TYPE_CHECKING:
    from grantflow import DatabaseCheck, Engine


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    database = typer.Typer(help="Create, check and recount the database.")
    database.command()(init)
    database.command()(check)
    database.command()(recount)
    app.add_typer(database, name="db")
    app.command()(tui)
    app.command()(demo)
    app.command()(serve)


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


def recount(ctx: typer.Context, reason: Reason) -> None:
    """Count every installation again and correct the counters. Operators only."""
    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()
    wrong = run.engine(lambda engine: engine.ops.reconcile_counts(actor=actor, reason=reason))
    say(f"{wrong:,} counters were wrong" if wrong else "every counter was right")


def tui(
    ctx: typer.Context,
    write: Annotated[bool, typer.Option("--write", help="Allow actions. Operators only.")] = False,
    ascii: Annotated[bool, typer.Option("--ascii", help="No glyphs beyond ASCII.")] = False,  # noqa: A002 - the flag's name
    theme: Annotated[
        Literal["dark", "light"] | None, typer.Option(help="Colours; the ones chosen last unless it is given.")
    ] = None,
    max_bulk: Annotated[int, typer.Option(min=1, help="Refuse bulk work that would reach more rows.")] = 10_000,
) -> int:
    """Open the operator console."""
    run = Run.of(ctx)
    url = run.existing()
    if write or run.claimed:
        actor = run.somebody()
        run.engine(lambda engine: engine.ops.admit("console", "tui --write" if write else "tui", actor=actor))
    name = (run.claimed or user_name()) if run.is_operator else None
    code: int = part("grantflow_tui", "run")(
        url,
        write=write,
        operator=name,
        claimed=bool(run.claimed),
        ascii=ascii,
        theme=theme,
        max_bulk=max_bulk,
    )
    return code


def demo(
    size: Annotated[int, typer.Option(help="How many installations.")] = 300,
    keep: Annotated[Path | None, typer.Option(metavar="PATH", help="Keep the database there.")] = None,
    tui: Annotated[bool, typer.Option("--tui", help="Open the console afterwards.")] = False,
    web: Annotated[bool, typer.Option("--web", help="Serve the marketplace to click through instead.")] = False,
    seed: Annotated[int, typer.Option(help="The same seed makes the same fleet.")] = 7,
) -> int:
    """Run the main job on a database of its own."""
    if web:
        return serve(keep=keep)
    code: int = part("grantflow.demo", "run_demo")(size, keep, tui=tui, seed=seed, operator=user_name())
    return code


def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="On this machine only.")] = 8000,
    keep: Annotated[Path | None, typer.Option(metavar="PATH", help="Keep the database there.")] = None,
) -> int:
    """Serve a small marketplace to click through: people to be, apps to connect, a clock to move."""
    code: int = part("grantflow.demo", "run_web")(keep, port=port)
    return code


def part(module: str, name: str) -> Any:
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
