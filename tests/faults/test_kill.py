"""Kill -9 anywhere: nothing acknowledged is lost, nothing is doubled, nothing is half there."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import grantflow
from grantflow import Engine
from tests.faults.sites import Site, call_sites, never_reached
from tests.faults.verbs import FOUR, PUBLIC_WRITES, VERBS

DRIVER = Path(__file__).with_name("driver.py")
STRIDE = 8
READS = {
    "engine": {
        *("accounts", "attempt", "attempts", "can_use", "count", "counts", "drain_notices", "explain", "find"),
        *(
            "form",
            "get",
            "guidance",
            "history",
            "horizon",
            "machine",
            "next_due",
            "now",
            "on_due_earlier",
            "open",
            "place",
        ),
        "subscribe",
        *("next_renewal", "next_warning", "clock_skew"),
        *("narrowing", "scans", "suggestions"),
        "disconnect",  # a word for `send`, which is in the table
    },
    "ledger": {
        *("authenticate", "client", "prove"),
        "begin",  # the same transaction as `authorize`
    },
    "ops": {
        *("actions", "check_database", "preview_sweep", "job", "jobs", "job_items"),
        *("broken_promises", "dead_notices", "forecast", "heartbeats", "paused", "waiting_notices"),
        *("app_overview", "recent_changes"),
        "apply",  # the second half of `force`
    },
    "apps": {"get", "held", "list", "on_account"},
}
WITHOUT_A_LINE = {
    "engine": {
        *("token_health", "on_bad_callback", "only_one"),
    },
    "ledger": set[str](),
    "ops": {
        *("close_incident", "diagnose", "incidents", "keys", "outbox", "verify_keys"),
    },
    "apps": {"discover"},
}
"""Client mode and what came with it: whoever gives one a line in the table, or finds that it only reads, moves it."""
SEARCHING = {"_search.py", "_conditions.py", "_overview.py"}
"""They only read, in statements that are made for each question; tests/store asks them all."""
ELSEWHERE = ("_pg_", "postgres")
"""Another database's: tests/postgres kills at every call of theirs, on a real server."""
AS_A_WHOLE = ("_upgrade", "_copy", "_drift", "_migrations/")
"""No engine is open while a database is upgraded, checked or copied: tests/database kills at their calls."""
A_FAILURE = "a statement must fail first: test_failing_calls makes every one fail"
EXPLAINED = {
    "_writing.py:reseal:sql.UNCHANGED[where]": "a value must be damaged first: tests/keys rotates over damaged ones",
    "_schema.py:ensure:'ROLLBACK'": A_FAILURE,
    "_writer.py:Writer._transaction:'ROLLBACK'": A_FAILURE,
}
"""Call sites no verb of the table makes, each with the reason."""


def drill(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(DRIVER), str(folder), *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert run.stdout, run.stderr[-2000:]
    told: dict[str, Any] = json.loads(run.stdout)
    return told


def reported(told: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"[{len(told['points'])} verbs: {told['total']} points]")


@pytest.mark.parametrize("verb", FOUR)
def test_every_database_call_may_be_the_last(folder: Path, verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = drill(folder, verb)
    assert told["broken"] == []
    assert told["total"] >= 40, "the engine makes more database calls than that"
    reported(told, capsys)


def test_some_calls_of_every_verb_may_be_the_last(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = drill(folder, f"--every={STRIDE}", *(name for name in VERBS if name not in FOUR))
    assert told["broken"] == []
    assert {name for name, points in told["points"].items() if points < 3} == set()
    reported(told, capsys)


@pytest.mark.slow
def test_every_call_of_every_verb_may_be_the_last(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = drill(folder, "all")
    assert told["broken"] == []
    assert {name for name, points in told["points"].items() if points < 30} == set()
    reported(told, capsys)


def test_no_call_of_the_database_is_out_of_reach(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    everywhere = call_sites(Path(grantflow.__file__).parent / "_store")
    others = (*ELSEWHERE, *AS_A_WHOLE)
    sites = [site for site in everywhere if site.file not in SEARCHING and not site.file.startswith(others)]
    told = drill(folder, "--dry", "all")
    assert told["broken"] == []
    missed = never_reached(sites, [(file, line) for file, line in told["sites"]])
    assert [name for name in missed if name not in EXPLAINED] == [], "no verb of tests/faults/verbs.py gets there"
    known = {site.name for site in sites}
    assert [name for name in EXPLAINED if name in known and name not in missed] == [], "it is reached by now"
    assert len(sites) >= 50
    with capsys.disabled():
        sys.stdout.write(f"[{len(sites)} call sites, {told['total']} points behind them]")


def test_a_call_that_no_verb_makes_is_noticed() -> None:
    sites = [Site("_a.py", "f", 3, 5, "sql.X"), Site("_a.py", "g", 9, 9, "sql.Y")]
    assert never_reached(sites, [("_a.py", 4), ("_b.py", 9)]) == ["_a.py:g:sql.Y"]


@pytest.mark.parametrize("door", PUBLIC_WRITES)
def test_every_verb_of_the_front_door_is_in_the_table_or_only_reads(door: str) -> None:
    kinds = {"ledger": grantflow._ledger.Ledger, "ops": grantflow._ops.Ops, "apps": grantflow._apps.Apps}
    kind = kinds.get(door, Engine)
    verbs = {name for name, _ in inspect.getmembers(kind) if not name.startswith("_")}
    told = PUBLIC_WRITES[door] | READS[door] | WITHOUT_A_LINE[door]
    assert verbs - told == set(), "a new verb: give it a line in tests/faults/verbs.py"
    assert (PUBLIC_WRITES[door] | READS[door]) - verbs == set()
    assert PUBLIC_WRITES[door] & (READS[door] | WITHOUT_A_LINE[door]) == READS[door] & WITHOUT_A_LINE[door] == set()
