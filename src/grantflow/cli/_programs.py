"""The programs beside the engine: console, demonstration."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from grantflow.cli._run import Run, user_name
from grantflow.errors import GrantflowError


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    app.command()(tui)
    app.command()(demo)
    app.command()(serve)


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
