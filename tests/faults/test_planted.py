"""Bugs planted on purpose are found: the tests of crashes and races can fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults import planting
from tests.faults.planting import Edit, planted

HERE = Path(__file__).parent
DRIVER, RACE, INTERLEAVE = HERE / "driver.py", HERE / "race.py", HERE / "interleave.py"
WRITING = "src/grantflow/_store/_writing.py"
TORN = '    conn.execute("COMMIT")\n    conn.execute("BEGIN IMMEDIATE")\n'


def outcome(program: Path, *arguments: object, env: dict[str, str] | None = None) -> tuple[int, list[str]]:
    command = [sys.executable, str(program), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env, check=False)
    assert run.stdout, run.stderr[-2000:]
    return run.returncode, json.loads(run.stdout)["broken"]


@pytest.mark.parametrize("table", ["transitions", "notices"])
def test_a_row_written_outside_the_transaction_is_found(folder: Path, table: str) -> None:
    sound = f"    if change.{table}:\n        _many("
    env = planted(folder, (WRITING, sound, TORN + sound))
    status, broken = outcome(DRIVER, folder, "send", "--first", env=env)
    assert status == 1
    assert any("half a transaction" in why for why in broken)


@pytest.mark.slow
def test_an_answer_before_the_commit_is_found(folder: Path) -> None:
    sound = '            flush_counts(conn, counts)\n            conn.execute("COMMIT")'
    defect = (
        "            flush_counts(conn, counts)\n            self._loop.call_soon_threadsafe(_settle, outcomes)\n"
        '            import time; time.sleep(0.02)\n            conn.execute("COMMIT")'
    )
    env = planted(folder, ("src/grantflow/_store/_writer.py", sound, defect))
    status, broken = outcome(DRIVER, folder, "send", "--first", env=env)
    assert status == 1
    assert any("acknowledged" in why for why in broken)


def test_stale_writers_are_refused_and_an_unguarded_update_is_found(folder: Path) -> None:
    assert outcome(RACE, folder / "sound.db") == (0, [])
    env = planted(folder, *planting.GUARD)
    status, broken = outcome(RACE, folder / "planted.db", env=env)
    assert status == 1
    assert any("overwritten" in why for why in broken)


@pytest.mark.parametrize(
    ("edits", "scenario", "within"),
    [
        (planting.GUARD, "giving-up", 100),
        (planting.OUTCOME, "replay", 100),
        (planting.DUE, "expiry", 300),
        (planting.KEY, "suspension", 300),
        (planting.CHILDREN, "removal", 100),
        (planting.LEASE, "token-at-expiry", 50),
        (planting.GENERATION, "answers-lost", 200),
        (planting.STATE, "callbacks", 50),
        (planting.LATE, "leaving", 200),
        (planting.MARKER, "answers-lost", 400),
    ],
    ids=[
        "no version guard",
        "no look at the outcome",
        "a sweep that believes its list",
        "keys",
        "children",
        "no look at the lease",
        "generations are not compared",
        "a state is used twice",
        "late tokens are dropped",
        "an unanswered renewal is forgotten",
    ],
)
def test_a_planted_race_is_found_and_its_replay_shows_it_again(
    folder: Path, edits: tuple[Edit, ...], scenario: str, within: int, capsys: pytest.CaptureFixture[str]
) -> None:
    env = planted(folder, *edits)
    status, broken = outcome(INTERLEAVE, scenario, 0, within, env=env)
    assert status == 1, f"not found within {within} schedules"
    seed = broken[0].removeprefix(f"{scenario} ").partition(":")[0]
    command = [sys.executable, str(INTERLEAVE), scenario, seed]
    replay = subprocess.run(command, capture_output=True, text=True, timeout=60, env=env, check=False)
    assert replay.returncode == 1
    for why in broken:
        assert "BROKEN " + why.partition(": ")[2] in replay.stdout
    with capsys.disabled():
        sys.stdout.write(f"[{scenario}: after {int(seed) + 1} schedules]")
