"""Kill -9 anywhere: nothing acknowledged is lost, nothing is doubled, nothing is half there."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("driver.py")


@pytest.mark.parametrize("verb", ["send", "force", "redeem", "sweep"])
def test_every_database_call_may_be_the_last(folder: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    run = subprocess.run(
        [sys.executable, DRIVER, folder, verb], capture_output=True, text=True, timeout=120, check=False
    )
    assert run.stdout, run.stderr[-2000:]
    told = json.loads(run.stdout)
    assert told["broken"] == []
    assert told["total"] >= 40, "the engine makes more database calls than that"
    with capsys.disabled():
        sys.stdout.write(f"[{verb}: {told['total']} points]")
