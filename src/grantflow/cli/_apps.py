"""`grantflow apps`: what is registered, and the brake of one app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from grantflow.cli import _out
from grantflow.cli._out import say
from grantflow.cli._read import Json
from grantflow.cli._run import Run

if TYPE_CHECKING:
    from grantflow import App, AppOverview, Engine

Key = Annotated[str, typer.Argument(metavar="APP", help="Key of the app.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept for ever.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    from grantflow.cli._operate import add_secret, resume

    group = typer.Typer(help="List, register, hold, release and resume apps.")
    group.command("list")(list_)
    for command in (register, hold, release, resume, add_secret):
        group.command()(command)
    app.add_typer(group, name="apps")


def list_(ctx: typer.Context, json: Json = False) -> None:
    """List registered apps and how each stands."""

    async def work(engine: Engine) -> tuple[list[App], dict[str, AppOverview], dict[str, str]]:
        overview = {one.app: one for one in await engine.ops.app_overview()}
        return await engine.apps.list(), overview, await engine.apps.held()

    apps, stand, held = Run.of(ctx).engine(work)
    if json:
        _out.as_json(
            [{**_out.plain(app), "public": app.public, "held": app.key in held, "held_reason": held.get(app.key),
              "overview": _out.plain(stand[app.key])}
             for app in apps]
        )  # fmt: skip
        return
    _out.table(
        ("APP", "KIND", "NAME", "VERSION", "CLIENT", "INSTALLED", "WORKING", "END IN 30 D", "INCIDENT", "HELD"),
        (_row(app, stand[app.key], held.get(app.key, "")) for app in apps),
    )


def _row(app: App, stands: AppOverview, held: str) -> tuple[object, ...]:
    numbers = (f"{count:,}" for count in (stands.installed, stands.working, stands.expiring))
    return app.key, app.kind.value, app.name, app.latest.name, app.client_id, *numbers, stands.incident or "", held


def register(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="The app's description.")],
) -> None:
    """Register an app, or bring it up to date. Operators only."""
    from grantflow import App

    run = Run.of(ctx)
    run.existing()
    actor = run.somebody()

    async def work(engine: Engine) -> App:
        await engine.ops.admit("register", file.name, actor=actor)
        return await engine.apps.register(App.from_toml(file))

    app = run.engine(work)
    say(f"registered {app.key}, version {_out.clean(app.latest.name)}")


def hold(ctx: typer.Context, app: Key, reason: Why) -> None:
    """Stop an app everywhere; installations are not touched. Operators only."""
    _switch(Run.of(ctx), "hold", app, reason)
    say(f"{_out.clean(app)} is on hold")


def release(ctx: typer.Context, app: Key, reason: Why) -> None:
    """Let a held app work again. Operators only."""
    _switch(Run.of(ctx), "release", app, reason)
    say(f"{_out.clean(app)} works again")


def _switch(run: Run, verb: Literal["hold", "release"], app: str, reason: str) -> None:
    run.existing()
    actor = run.somebody()

    async def work(engine: Engine) -> None:
        await (engine.apps.hold if verb == "hold" else engine.apps.release)(app, actor=actor, reason=reason)

    run.engine(work)
