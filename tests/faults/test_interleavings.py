"""People, apps, operators and sweeps in every order, with lost answers, crashes, repetitions and wrong clocks."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.foreign_scenarios import FOREIGN
from tests.faults.playing import ALL, many, one

INTERLEAVE = Path(__file__).with_name("interleave.py")
FEW, MANY = 40, 2_000
RARE = 0.02
"""Every fault happens in at least this share of the schedules, or the lot proves nothing."""


def judged(name: str, seeds: range, capsys: pytest.CaptureFixture[str]) -> None:
    told = many(name, seeds)
    replays = [f"python tests/faults/interleave.py {' '.join(why.partition(':')[0].split())}" for why in told.broken]
    assert told.broken == [], "replay with: " + "; ".join(dict.fromkeys(replays[:3]))
    assert told.turns > len(seeds) * 8, "hardly anybody met anybody"
    assert sum(told.acked.values()) > len(seeds)
    with capsys.disabled():
        rate = told.schedules / told.seconds
        sys.stdout.write(f"[{name}: {told.schedules} schedules, {rate:.0f}/s, {dict(told.faults)}]")


@pytest.mark.parametrize("name", ALL)
def test_no_order_breaks_a_promise(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    judged(name, range(FEW), capsys)


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_no_order_of_thousands_breaks_a_promise(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    judged(name, range(FEW, FEW + MANY), capsys)


def test_the_lot_is_rich_enough() -> None:
    told = many("suspension", range(60))
    assert {"lost", "dead", "clock"} <= set(told.faults)
    assert min(told.faults.values()) >= RARE * 60
    assert told.heard["TransitionRefused"] > 0


def test_the_lot_of_client_mode_is_rich_enough() -> None:
    faults, heard, acked = Counter[str](), Counter[str](), Counter[str]()
    for name in FOREIGN:
        told = many(name, range(25))
        faults, heard, acked = faults + told.faults, heard + told.heard, acked + told.acked
    for fault in ("lost", "dead", "clock", "late"):
        assert faults[fault] >= RARE * 25 * len(FOREIGN), fault
    assert {"BadCallback", "ReauthorizationRequired", "cancelled", "expired", "superseded"} <= set(heard)
    for verb in ("exchange_ok", "cancel", "access_token", "disconnect", "app_uninstall", "force"):
        assert acked[verb] >= 5, f"{verb} hardly ever comes first"


@pytest.mark.parametrize("name", FOREIGN)
def test_a_seed_of_client_mode_is_the_same_schedule_again(name: str) -> None:
    for seed in range(5):
        first, second = one(name, seed), one(name, seed)
        assert first.turns.trace == second.turns.trace
        assert (first.acked, first.heard) == (second.acked, second.heard)


@pytest.mark.parametrize("seed", [3, 17, 23])
def test_a_seed_is_the_same_schedule_again(seed: int) -> None:
    first, second = one("windows", seed), one("windows", seed)
    assert first.turns.trace == second.turns.trace
    assert first.acked == second.acked
    assert len(first.turns.trace) > 10


def test_the_replay_program_tells_the_schedule_turn_by_turn() -> None:
    command = [sys.executable, str(INTERLEAVE), "windows", "3"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert run.stdout.splitlines() == one("windows", 3).turns.trace
