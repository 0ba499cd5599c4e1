"""The `grantflow` command. Only typer is loaded here; each command loads what it needs when it runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from grantflow import __version__
from grantflow.cli import (
    _act,
    _apps,
    _database,
    _forecast,
    _jobs,
    _keys,
    _machines,
    _operate,
    _programs,
    _read,
    _time,
)
from grantflow.cli._errors import INTERRUPTED, code_of, report
from grantflow.cli._out import be_plain, reader_left, say
from grantflow.cli._plain import without_pydantic
from grantflow.cli._run import Run

__all__ = ["app", "main"]

_EVERYWHERE = ("--database", "--operator")
_PLAIN = "--plain"

app = typer.Typer(
    name="grantflow",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="--database, --operator and --plain may stand before or after the command. "
    "Data goes to stdout, talk to stderr. "
    "Exit codes: 0 ok, 1 failure, 2 usage, 3 not found, 4 transition refused, 5 conflict, 6 database, "
    "7 permission, 130 interrupted.",
)


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"grantflow {__version__}")
        raise typer.Exit


@app.callback()
def _everywhere(
    ctx: typer.Context,
    database: Annotated[
        str,
        typer.Option(
            envvar="GRANTFLOW_DATABASE",
            metavar="URL",
            help="A path, sqlite:///path, or postgresql://user@host/name.",
            show_default=False,
        ),
    ] = "",
    operator: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Act under this name; recorded as claimed. Operators only.", show_default=False
        ),
    ] = "",
    plain: Annotated[bool, typer.Option(_PLAIN, help="Words and tabs, for screen readers and scripts.")] = False,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Show the version and exit.")
    ] = False,
) -> None:
    """The life of OAuth app installations: look at it, explain it, act on it."""
    del version  # told already
    be_plain(plain)
    ctx.obj = Run(database, operator)


for part in (_read, _forecast, _act, _operate, _jobs, _apps, _time, _keys, _machines, _database, _programs):
    part.add_to(app)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; `argv` is without the program's name."""
    arguments = _in_front(list(sys.argv[1:] if argv is None else argv)) or ["--help"]
    for stream in (sys.stdout, sys.stderr):
        if "utf" not in (stream.encoding or "").lower() and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a glyph must not end a command on an old terminal
    try:
        command = without_pydantic(typer.main.get_command(app))
        code = int(command(args=arguments, prog_name="grantflow", standalone_mode=False) or 0)
        sys.stdout.flush()
    except BrokenPipeError:
        return reader_left()
    except SystemExit as stop:  # how typer says that the reader of a pipe has left
        return int(stop.code or 0)
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except Exception as error:
        if os.environ.get("GRANTFLOW_DEBUG"):
            raise
        report(error)
        return code_of(error)
    if code == INTERRUPTED:
        say("interrupted")
    return code


def _in_front(arguments: list[str]) -> list[str]:
    """Move what every command takes before the command, where typer looks for it."""
    front: list[str] = []
    rest: list[str] = []
    while arguments and arguments[0] != "--":
        word = arguments.pop(0)
        if word in _EVERYWHERE and arguments:
            front += [word, arguments.pop(0)]
        elif word == _PLAIN or word.startswith(tuple(f"{name}=" for name in _EVERYWHERE)):
            front.append(word)
        else:
            rest.append(word)
    return [*front, *rest, *arguments]
