"""Commands about time: who is at work, pauses, one round by hand, and the notices that wait."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import timedelta

import pytest

from grantflow import Engine, Notice, Settings, SystemClock
from grantflow.cli import _out
from grantflow.testing import ManualClock
from tests.cli.fleet import Command, Fleet

REASON = ("--reason", "maintenance of the disks")
DUTIES = ("expiry", "renewal", "warnings", "outbox", "jobs", "housekeeping")


async def beat(fleet: Fleet, kind: str, age: timedelta, note: str = "") -> None:
    clock = ManualClock(SystemClock().now() - age)
    async with Engine.open(f"sqlite:///{fleet.path}", clock=clock) as engine:
        await engine.beat(kind, note)


def test_nobody_is_at_work_until_a_process_says_so(grantflow: Command, fleet: Fleet) -> None:
    before = grantflow("scheduler", "status")
    assert (before.code, before.err) == (1, "hint: grantflow scheduler run\n")
    assert before.out.startswith("✗ no process says that it is at work\n")
    asyncio.run(beat(fleet, "scheduler", timedelta(seconds=5), "failing: outbox"))
    after = grantflow("scheduler", "status")
    assert (after.code, after.err) == (0, "")
    assert after.out.startswith("● at work: 1 process\n")
    assert f"{os.getpid()}" in after.out
    assert re.search(r" [5-9] s ago +failing: outbox\n", after.out)


def test_a_process_that_says_nothing_for_a_minute_is_marked(grantflow: Command, fleet: Fleet) -> None:
    asyncio.run(beat(fleet, "scheduler", timedelta(minutes=10)))
    silent = grantflow("scheduler", "status")
    assert silent.code == 1
    assert "✗ scheduler" in silent.out
    assert "10 min ago (silent)" in silent.out
    assert [row["silent"] for row in json.loads(grantflow("scheduler", "status", "--json").out)["processes"]] == [
        True
    ]
    asyncio.run(beat(fleet, "scheduler", timedelta(0)))
    both = json.loads(grantflow("scheduler", "status", "--json").out)
    assert both["at_work"] is True
    assert [row["silent"] for row in both["processes"]] == [False, True]


def test_status_tells_what_is_late_next_and_waiting(grantflow: Command, fleet: Fleet) -> None:
    told = json.loads(grantflow("scheduler", "status", "--json").out)
    assert [row["id"] for row in told["duties"]] == [f"grantflow.{name}" for name in DUTIES]
    assert (told["overdue"], told["held"], told["paused"], told["at_work"]) == (1, [], None, False)
    assert told["outbox"]["notices"] > 0
    shown = grantflow("scheduler", "status").out
    assert all(any(line.startswith(name) for line in shown.splitlines()) for name in DUTIES)
    assert "expiry        now" in shown
    assert "overdue              1" in shown
    assert f"notices waiting      {told['outbox']['notices']}, the oldest for " in shown


def test_a_pause_is_told_kept_and_ended(grantflow: Command, fleet: Fleet) -> None:
    asyncio.run(beat(fleet, "scheduler", timedelta(0)))
    assert grantflow("scheduler", "pause", *REASON).code == 0
    paused = grantflow("scheduler", "status")
    assert paused.code == 1, "it is paused though a process beats"
    assert paused.out.startswith("✗ paused by operator:olga since 2")
    assert "maintenance of the disks" in paused.out
    assert paused.err == "hint: grantflow scheduler resume --reason TEXT\n"
    assert json.loads(grantflow("scheduler", "status", "--json").out)["paused"]["by"] == "operator:olga"
    before = fleet.content()
    for duty in DUTIES:
        refused = grantflow("scheduler", "run-now", duty)
        assert refused.code == 4
        assert "hint: grantflow scheduler resume --reason TEXT" in refused.err
    assert fleet.content() == before
    assert grantflow("scheduler", "resume", *REASON).code == 0
    assert grantflow("scheduler", "status").code == 0
    assert grantflow("scheduler", "resume", *REASON).code == 4, "nothing is paused any more"
    recorded = [(row["verb"], row["outcome"]) for row in json.loads(grantflow("audit", "--json").out)]
    assert recorded[:3] == [("resume", "refused"), ("resume", "applied"), ("pause", "applied")]


def test_a_pause_needs_a_reason(grantflow: Command) -> None:
    assert grantflow("scheduler", "pause").code == 2
    assert grantflow("scheduler", "pause", "--reason", "short").code == 2
    assert json.loads(grantflow("scheduler", "status", "--json").out)["paused"] is None


def test_a_round_by_hand_does_what_the_duty_does(grantflow: Command, fleet: Fleet) -> None:
    swept = json.loads(grantflow("scheduler", "run-now", "--json").out)
    assert (swept["duty"], swept["moved"]) == ("expiry", 1)
    assert "refresh-expired" in grantflow("show", fleet.expired).out
    with closing(sqlite3.connect(fleet.path, isolation_level=None)) as conn:
        conn.execute("UPDATE grantflow_installation SET notice_due_at=1 WHERE public_id=?", (fleet.active,))
    warned = grantflow("scheduler", "run-now", "warnings")
    assert (warned.code, warned.out.split()) == (0, ["duty", "warnings", "queued", "1"])
    told = [row["name"] for row in json.loads(grantflow("notices", "--json").out)]
    assert told.count("installation.expiring") == 1
    for duty in ("renewal", "outbox", "housekeeping"):
        answer = grantflow("scheduler", "run-now", duty)
        assert (answer.code, answer.out.split()[:2]) == (0, ["duty", duty])
    wrong = grantflow("scheduler", "run-now", "nothing")
    assert wrong.code == 2
    assert ", ".join(DUTIES) in wrong.err


def test_jobs_say_how_often_and_when(grantflow: Command) -> None:
    rows = {row["id"]: row for row in json.loads(grantflow("scheduler", "jobs", "--json").out)}
    assert rows["grantflow.housekeeping"]["every"] == 3600
    assert "None" not in grantflow("scheduler", "jobs").out
    assert max(map(len, grantflow("scheduler", "jobs").out.splitlines())) <= 90


def test_the_daemon_tells_what_it_does_and_leaves_no_heartbeat(grantflow: Command, fleet: Fleet) -> None:
    daemon = subprocess.Popen(
        [sys.executable, "-c", "import sys; from grantflow.cli import main; sys.exit(main(['scheduler', 'run']))"],
        env={**os.environ, "GRANTFLOW_DATABASE": str(fleet.path), "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until = time.monotonic() + 30
        while grantflow("scheduler", "status").code:
            assert time.monotonic() < until
            time.sleep(0.1)
        daemon.send_signal(signal.SIGTERM)
        _, told = daemon.communicate(timeout=30)
    finally:
        daemon.kill()
    assert daemon.returncode == 0
    assert "at work, sweeping every 0:00:30" in told
    assert grantflow("scheduler", "status").code == 1
    assert "refresh-expired" in grantflow("show", fleet.expired).out


# -- notices ----------------------------------------------------------------------------------------
async def failing(fleet: Fleet) -> int:
    """A host whose subscriber fails, and gives up at once; returns what it was told."""
    told: list[Notice] = []

    def subscriber(notice: Notice) -> None:
        told.append(notice)
        raise ValueError(notice.name)

    async with Engine.open(f"sqlite:///{fleet.path}", settings=Settings(notice_tries=1)) as engine:
        engine.subscribe(subscriber)
        await engine.drain_notices()
    return len(told)


def test_notices_that_were_given_up_are_listed_and_delivered_again(grantflow: Command, fleet: Fleet) -> None:
    waiting = json.loads(grantflow("notices", "--json").out)
    assert waiting
    assert json.loads(grantflow("notices", "--dead", "--json").out) == []
    assert asyncio.run(failing(fleet)) == len(waiting)
    assert json.loads(grantflow("notices", "--json").out) == []
    dead = json.loads(grantflow("notices", "--dead", "--json").out)
    assert {row["installation"] for row in dead} == {row["installation"] for row in waiting}
    people = grantflow("notices", "--dead", "--limit", "1")
    assert len(people.out.splitlines()) == 2
    assert f"{len(dead)} given up" in people.err
    assert "grantflow notices retry" in people.err
    assert "grantflow notices --dead" in grantflow("scheduler", "status").err
    assert grantflow("notices", "retry", *REASON).err == f"{len(dead)} wait for a host's subscriber again\n"
    assert json.loads(grantflow("notices", "--json").out) == waiting
    assert grantflow("notices", "retry").code == 2


# -- small words ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3_600, "1 h"), (86_400, "1 d"), (-5, "0 s")]
)
def test_a_span_is_told_in_its_largest_unit(seconds: int, told: str) -> None:
    assert _out.ago(timedelta(seconds=seconds)) == told
