"""The command line in this process: every command there is, and one run of it."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import typer

from grantflow.cli import app, main


@dataclass(frozen=True)
class Answer:
    """What one run left behind."""

    code: int | None
    out: str
    err: str
    error: BaseException | None = None
    """What came through, with GRANTFLOW_DEBUG."""


Run = Callable[..., Answer]


def every_command(group: Any = None, path: str = "") -> Iterator[tuple[str, list[str]]]:
    """(command, its options), as `grantflow --help` knows them."""
    known: Any = group or typer.main.get_command(app)
    for name, command in known.commands.items():
        if hasattr(command, "commands"):
            yield from every_command(command, f"{path}{name} ")
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield f"{path}{name}", [option for parameter in command.params for option in parameter.opts]


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command as the system user olga; `stdin=` and environment variables by name."""
    for name in [name for name in os.environ if name.startswith("GRANTFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name="olga"))

    def run(*words: object, stdin: str = "", **environment: str) -> Answer:
        capsys.readouterr()
        code, error = None, None
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.stdin", io.StringIO(stdin))
            for name, value in environment.items():
                patch.setenv(name, value)
            with contextlib.suppress(KeyboardInterrupt):
                try:
                    code = main([str(word) for word in words])
                except Exception as caught:  # noqa: BLE001 - looked at by the caller
                    behind = caught.__traceback__.tb_next if caught.__traceback__ else None
                    error = caught.with_traceback(behind)  # this frame holds the environment
        return Answer(code, *capsys.readouterr(), error=error)

    return run
