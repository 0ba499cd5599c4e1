"""How the command starts: fast, with nothing loaded that nobody asked for, and as a program of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grantflow import __version__
from tests.architecture.source_tree import PACKAGES, ROOT
from tests.cli.fleet import Command, Fleet

START = "import sys; from grantflow.cli import main; code = main(sys.argv[1:])"
HEAVY = {"aiosqlite", "apscheduler", "asyncio", "cryptography", "rich", "sqlalchemy", "sqlite3", "sqlmodel"} | {
    "statemachine",
    "textual",
    "grantflow_machines",
    "grantflow._engine",
}


def python(code: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(str((ROOT / folder).parent) for folder in PACKAGES.values())
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GRANTFLOW_")}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**kept, "PYTHONPATH": path, **more},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def fastest(code: str, *arguments: str) -> float:
    def once() -> float:
        started = time.perf_counter()
        assert python(code, *arguments).returncode == 0
        return time.perf_counter() - started

    return min(once() for _ in range(5))


def test_help_loads_nothing_but_typer() -> None:
    loaded = set(python(f"{START}; print(*sys.modules)", "--help").stdout.splitlines()[-1].split())
    assert "typer" in loaded
    assert not loaded & HEAVY


def test_help_takes_little_more_than_typer_itself() -> None:
    assert fastest(START, "--help") < 3 * fastest("import typer")


def test_the_program_ends_with_the_exit_code(fleet: Fleet, tmp_path: Path) -> None:
    end = f"{START}; sys.exit(code)"
    good = python(end, "counts", GRANTFLOW_DATABASE=str(fleet.path))
    assert (good.returncode, good.stderr) == (0, "4 in all, 1 overdue\n")
    assert "active" in good.stdout
    missing = python(end, "counts", GRANTFLOW_DATABASE=str(tmp_path / "none.db"))
    assert missing.returncode == 3
    assert "Traceback" not in missing.stderr


def test_an_old_terminal_gets_something(fleet: Fleet) -> None:
    done = python(f"{START}; sys.exit(code)", "counts", GRANTFLOW_DATABASE=str(fleet.path), PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert "? active" in done.stdout


@pytest.mark.parametrize("words", [["--version"], ["--version", "--database", "x"]])
def test_the_version_is_told(words: list[str], grantflow: Command) -> None:
    assert grantflow(*words).out == f"grantflow {__version__}\n"


def test_nothing_to_do_shows_the_help(grantflow: Command) -> None:
    assert grantflow().out == grantflow("--help").out
    assert "machines" in grantflow().out


def test_the_database_may_stand_on_either_side(
    grantflow: Command, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GRANTFLOW_DATABASE")
    answers = [
        grantflow("--database", fleet.path, "counts"),
        grantflow("counts", "--database", fleet.path),
        grantflow("counts", f"--database=sqlite:///{fleet.path}"),
    ]
    assert [answer.code for answer in answers] == [0, 0, 0]
    assert len({answer.out for answer in answers}) == 1
    assert grantflow("list", "--", "--database").code == 2, "what follows -- belongs to the command"
