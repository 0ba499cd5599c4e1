"""`grantflow doctor`: everything that can be wrong at once, and each command it names takes its finding away."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from grantflow import Actor, Engine, KeyRing, Notice, Settings, SystemClock, errors
from grantflow.testing import ForeignServer, ManualClock, People, authorize, grant, sample_app
from tests.cli.fleet import LONG_AGO, Command, Fleet
from tests.cli.test_start import START, python

BOB, SYSTEM, OLGA = Actor.agent("bob"), Actor.system(), Actor.operator("olga")
MANY = [Actor.agent(f"agent-{number}") for number in range(101)]
"""One more than the brake lets through at once."""
REASON = "a reason that is long enough"
EVERY_COMMAND = {
    "apps resume", "db recount", "keys rotate", "notices retry", "repair", "scheduler resume", "scheduler run",
    "sweep", "sweep --release",
}  # fmt: skip


@dataclass(frozen=True)
class Ruin:
    """A database with everything wrong in it."""

    path: Path
    keys: str


async def flooded(path: Path) -> None:
    """101 grants that a step of the clock would end at once: the brake holds them, in whichever process."""
    clock = ManualClock(LONG_AGO)
    people = People({agent: ["acme"] for agent in MANY})
    async with Engine.open(f"sqlite:///{path}", directory=people, clock=clock) as engine:
        await engine.apps.register(sample_app("agent", "flood"))
        await engine.apps.install("flood", "acme", actor=SYSTEM)
        await asyncio.gather(*(authorize(engine, "flood", "acme", actor=agent) for agent in MANY))
        await engine.sweep()
        clock.step(timedelta(days=400))
        (held,) = (await engine.sweep()).held
        assert (held.app, held.due) == ("flood", 101)


async def ruined(path: Path) -> str:
    """Returns the keys, a new one before the one that sealed everything."""
    old = KeyRing.new_key()
    server, people = ForeignServer("http://localhost:9"), People({BOB: ["acme"]})

    def broken(notice: Notice) -> None:
        raise ValueError(notice.name)

    url, keys = f"sqlite:///{path}", KeyRing.parse(old)
    late = ManualClock(LONG_AGO + timedelta(days=500))
    async with Engine.open(url, directory=people, clock=late) as engine:
        await engine.apps.register(sample_app("agent", "late"))
        await engine.apps.install("late", "acme", actor=SYSTEM)
        await authorize(engine, "late", "acme", actor=BOB)
    give_up = Settings(notice_tries=1)
    async with Engine.open(url, keys=keys, http=server, directory=people, settings=give_up) as engine:
        for app in (server.app("mail"), sample_app("agent", "spoiled")):
            await engine.apps.register(app)
            await engine.apps.install(app.key, "acme", actor=SYSTEM)
        done = await grant(engine, server, "mail", "acme", actor=BOB)
        assert done.installation is not None
        server.secret = "another one"
        await engine.report(done.installation.id, status=401, generation=1)
        spoiled = (await authorize(engine, "spoiled", "acme", actor=BOB)).installation
        with closing(sqlite3.connect(path, isolation_level=None)) as conn:
            conn.execute("UPDATE grantflow_installation SET state='no-such-state' WHERE public_id=?", (spoiled,))
            conn.execute(
                "UPDATE grantflow_count SET n = n + 3 WHERE rowid = (SELECT min(rowid) FROM grantflow_count)"
            )
        with pytest.raises(errors.Quarantined):
            await engine.suspend(spoiled, actor=OLGA, reason=REASON)
        engine.subscribe(broken)
        await engine.drain_notices()
        await engine.ops.pause(actor=OLGA, reason=REASON)
    return f"{KeyRing.new_key()},{old}"


@pytest.fixture(scope="module")
def first_flood(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flood") / "g.db"
    asyncio.run(flooded(path))
    return path


@pytest.fixture
def flood(first_flood: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(first_flood, tmp_path / "flood.db"))


@pytest.fixture(scope="module")
def first_ruin(first_flood: Path, tmp_path_factory: pytest.TempPathFactory) -> Ruin:
    path = Path(shutil.copy(first_flood, tmp_path_factory.mktemp("ruin") / "g.db"))
    return Ruin(path, asyncio.run(ruined(path)))


@pytest.fixture
def ruin(first_ruin: Ruin, grantflow: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ruin:
    path = Path(shutil.copy(first_ruin.path, tmp_path / "ruin.db"))
    monkeypatch.setenv("GRANTFLOW_DATABASE", str(path))
    monkeypatch.setenv("GRANTFLOW_KEYS", first_ruin.keys)
    return Ruin(path, first_ruin.keys)


def findings(grantflow: Command) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = json.loads(grantflow("doctor", "--thorough", "--json").out)
    return told


def commands(told: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Findings with a command of ours; the daemon last, for it changes what the others say."""
    ours = [one for one in told if (one["mend"] or "").startswith("grantflow ")]
    return sorted(ours, key=lambda one: one["mend"] == "grantflow scheduler run")


def test_every_command_that_doctor_names_takes_its_finding_away(grantflow: Command, ruin: Ruin) -> None:
    used = set()
    while named := commands(findings(grantflow)):
        finding = named[0]
        words = [REASON if word == "TEXT" else word for word in shlex.split(finding["mend"])[1:]]
        used.add(" ".join(words[:2]) if words[0] != "repair" else words[0])
        if words == ["scheduler", "run"]:
            at_work(grantflow, ruin, finding)
            break
        answer = grantflow(*words)
        assert answer.code in {0, 1}, (finding, answer.err)
        left = [(one["check"], one["mend"]) for one in findings(grantflow)]
        assert (finding["check"], finding["mend"]) not in left, finding
    assert used == EVERY_COMMAND


def at_work(grantflow: Command, ruin: Ruin, finding: dict[str, Any]) -> None:
    """`scheduler run` does not end: it is there while it works, and its finding is not."""
    daemon = subprocess.Popen(
        [sys.executable, "-c", START, "scheduler", "run"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 30
        while finding in findings(grantflow):
            assert time.monotonic() < until
            time.sleep(0.2)
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)


def test_what_is_wrong_comes_first_and_the_commands_can_be_copied(
    grantflow: Command, ruin: Ruin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    told, shown = findings(grantflow), grantflow("doctor", "--thorough")
    assert shown.code == 1
    lines = shown.out.splitlines()
    marks = [line[0] for line in lines if line[0] != " "]
    assert marks == sorted(marks, key="✗▲●".index)
    assert len(marks) == len(told)
    assert all(f"→ {one['mend']}" in shown.out for one in told if one["mend"])
    assert all(len(line) <= 80 for line in lines if "→" not in line)
    counted = [sum(one["health"] == health for one in told) for health in ("wrong", "note", "ok")]
    assert shown.err == "{} wrong, {} to know, {} ok\n".format(*counted)
    starts = {line.index(line[2:].split("  ")[-1].lstrip()) for line in lines if line[0] != " " and "  " in line[2:]}
    assert len(starts) == 1, "what is said stands in one column"


def test_it_says_in_words_what_the_lock_file_is_for(grantflow: Command, fleet: Fleet) -> None:
    told = {one["check"]: one for one in json.loads(grantflow("doctor", "--json").out)}
    assert sqlite3.sqlite_version in told["database"]["says"]
    assert "journal mode WAL, synchronous FULL, foreign keys on" in told["database"]["says"]
    lock = told["lock file"]
    assert lock["health"] == "ok"
    assert "NFS" in lock["says"]
    needed = fleet.path.with_name(fleet.path.name + ".lock").exists()
    assert ("can damage a file" in lock["says"]) is needed
    assert ("not needed" in lock["says"]) is not needed


def test_heartbeats_say_who_is_at_work(grantflow: Command, fleet: Fleet) -> None:
    async def beat(age: timedelta, note: str = "") -> None:
        clock = ManualClock(SystemClock().now() - age)
        async with Engine.open(f"sqlite:///{fleet.path}", clock=clock) as engine:
            await engine.beat("scheduler", note)

    def scheduler() -> list[tuple[str, str | None]]:
        told = json.loads(grantflow("doctor", "--json").out)
        return [(one["health"], one["mend"]) for one in told if one["check"] == "scheduler"]

    assert scheduler() == [("note", "grantflow scheduler run")]
    asyncio.run(beat(timedelta(minutes=5)))
    assert scheduler() == [("wrong", "grantflow scheduler run")]
    asyncio.run(beat(timedelta(seconds=3)))
    assert scheduler() == [("ok", None), ("note", None)], "what was killed hurts nobody while others are at work"
    asyncio.run(beat(timedelta(seconds=2), "failing: outbox"))
    assert scheduler()[0] == ("note", None)


def test_sealed_values_that_no_key_opens_are_found(
    grantflow: Command, ruin: Ruin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRANTFLOW_KEYS", KeyRing.new_key())
    wrong = [one for one in findings(grantflow) if one["check"] == "keys"]
    assert [one["health"] for one in wrong] == ["wrong", "wrong"]
    assert "its key is not here" in wrong[1]["says"]
    monkeypatch.setenv("GRANTFLOW_KEYS", ruin.keys)
    assert (
        "sealed values open" in next(one for one in reversed(findings(grantflow)) if one["check"] == "keys")["says"]
    )


def test_what_the_brake_holds_is_not_overdue_for_want_of_a_sweep(grantflow: Command, flood: Path) -> None:
    told = json.loads(grantflow("doctor", "--json", "--database", flood).out)
    by_check = {one["check"]: one for one in told}
    assert by_check["overdue"]["health"] == "ok"
    assert by_check["sweep"]["mend"] == "grantflow sweep --release flood --reason TEXT"


def test_a_release_in_one_process_frees_what_another_holds(grantflow: Command, flood: Path) -> None:
    end = f"{START}; sys.exit(code)"

    def elsewhere(*words: str) -> subprocess.CompletedProcess[str]:
        return python(end, *words, GRANTFLOW_DATABASE=str(flood))

    held = elsewhere("sweep", "--json")
    assert held.returncode == 1, "a process that never saw the step of the clock holds them too"
    assert [(one["app"], one["due"]) for one in json.loads(held.stdout)["held"]] == [("flood", 101)]
    here = ("--database", flood, "sweep", "--json")
    assert grantflow(*here, "--release", "flood").code == 2, "a reason is needed"
    assert grantflow(*here, "--release", "nobodys", "--reason", REASON).code == 3
    assert grantflow(*here).code == 1
    freed = elsewhere("sweep", "--release", "flood", "--reason", REASON, "--json")
    assert freed.returncode == 0, freed.stderr
    assert json.loads(freed.stdout)["moved"] == 101
    again = grantflow(*here)
    assert (again.code, json.loads(again.out)["seen"]) == (0, 0)
