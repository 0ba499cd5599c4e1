"""Bugs planted on purpose are found: the tests of crashes and races can fail."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVER = Path(__file__).with_name("driver.py")
RACE = Path(__file__).with_name("race.py")
TORN = '    conn.execute("COMMIT")\n    conn.execute("BEGIN IMMEDIATE")\n'


def planted(folder: Path, module: str, sound: str, defect: str) -> dict[str, str]:
    """An environment whose grantflow carries a defect."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "src" / "grantflow" / module
    text = file.read_text(encoding="utf-8")
    assert text.count(sound) == 1, "the place to plant the defect has moved"
    file.write_text(text.replace(sound, defect), encoding="utf-8")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder / "src"), str(ROOT / "machines")])}


def outcome(program: Path, *arguments: object, env: dict[str, str] | None = None) -> tuple[int, list[str]]:
    command = [sys.executable, str(program), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, check=False)
    assert run.stdout, run.stderr[-2000:]
    return run.returncode, json.loads(run.stdout)["broken"]


@pytest.mark.parametrize(
    ("sound", "defect", "symptom"),
    [
        (
            "    if change.transitions:\n        _many(",
            f"{TORN}    if change.transitions:\n        _many(",
            "half a transaction",
        ),
        (
            "    if change.notices:\n        _many(",
            f"{TORN}    if change.notices:\n        _many(",
            "half a transaction",
        ),
    ],
    ids=["transition", "notice"],
)
def test_a_row_written_outside_the_transaction_is_found(folder: Path, sound: str, defect: str, symptom: str) -> None:
    env = planted(folder, "_store/_writing.py", sound, defect)
    status, broken = outcome(DRIVER, folder, "send", "--first", env=env)
    assert status == 1
    assert any(symptom in why for why in broken)


@pytest.mark.slow
def test_an_answer_before_the_commit_is_found(folder: Path) -> None:
    sound = '            flush_counts(conn, counts)\n            conn.execute("COMMIT")'
    defect = (
        "            flush_counts(conn, counts)\n            self._loop.call_soon_threadsafe(_settle, outcomes)\n"
        '            import time; time.sleep(0.02)\n            conn.execute("COMMIT")'
    )
    env = planted(folder, "_store/_writer.py", sound, defect)
    status, broken = outcome(DRIVER, folder, "send", "--first", env=env)
    assert status == 1
    assert any("acknowledged" in why for why in broken)


_UNGUARDED = (
    '    where = " AND ".join(f"{name}=?" for name in ("pk", *guard))',
    '    where = "pk=?"',
)


def test_stale_writers_are_refused_and_an_unguarded_update_is_found(folder: Path) -> None:
    assert outcome(RACE, folder / "sound.db") == (0, [])
    env = planted(folder, "_store/_statements.py", *_UNGUARDED)
    file = folder / "src" / "grantflow" / "_store" / "_writing.py"
    text = file.read_text(encoding="utf-8")
    values = "(*update.values(row), change.expected_version)"
    assert text.count(values) == 1
    file.write_text(text.replace(values, "update.values(row)"), encoding="utf-8")
    status, broken = outcome(RACE, folder / "planted.db", env=env)
    assert status == 1
    assert any("overwritten" in why for why in broken)
