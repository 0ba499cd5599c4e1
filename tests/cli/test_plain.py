"""The console starts without pydantic, which typer would load for its options; what needs it is still checked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from grantflow.cli import main

PROGRAM = """
import sys
from grantflow.cli import _programs, main
def run(url, **named):
    print(named["max_bulk"], "pydantic" in sys.modules)
_programs.part = lambda module, name: run
sys.exit(main(["--database", sys.argv[1], "tui", *sys.argv[2:]]))
"""


def started(file: Path, *options: str) -> str:
    told = subprocess.run([sys.executable, "-c", PROGRAM, str(file), *options], check=True, capture_output=True)
    return told.stdout.decode().strip()


def test_simple_options_are_taken_as_they_are_and_others_are_checked(tmp_path: Path) -> None:
    file = tmp_path / "grants.db"
    assert main(["--database", str(file), "db", "init"]) == 0
    assert started(file) == "10000 False"
    assert started(file, "--max-bulk", "5") == "5 True"
    assert main(["--database", str(file), "tui", "--max-bulk", "0"]) == 2
