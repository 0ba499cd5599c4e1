"""What importing a package loads, seen in a fresh interpreter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT

HEAVY = ("textual", "apscheduler", "typer", "starlette", "jinja2", "alembic")
DATABASE = ("sqlmodel", "sqlalchemy", "sqlite3", "aiosqlite")


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("grantflow", HEAVY),
        ("grantflow.errors", HEAVY),
        ("grantflow.testing", HEAVY),
        ("grantflow_machines", (*HEAVY, *DATABASE, "grantflow")),
    ],
)
def test_an_import_loads_only_what_it_needs(package: str, unwanted: tuple[str, ...], tmp_path: Path) -> None:
    loaded = load(package, tmp_path)
    assert package in loaded
    assert loaded.isdisjoint(unwanted), sorted(loaded.intersection(unwanted))


def test_the_probe_sees_what_is_loaded(tmp_path: Path) -> None:
    assert "textual" in load("textual", tmp_path)


def test_an_import_writes_nothing(tmp_path: Path) -> None:
    load("grantflow", tmp_path)
    assert list(tmp_path.iterdir()) == []


def load(package: str, cwd: Path) -> set[str]:
    """The modules a fresh interpreter holds after one import; a warning on the way is an error."""
    path = os.pathsep.join(str((ROOT / folder).parent) for folder in PACKAGES.values())
    outcome = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"import sys, {package}; sys.stdout.write(' '.join(sys.modules))",
        ],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert outcome.returncode == 0, outcome.stderr
    return set(outcome.stdout.split())
