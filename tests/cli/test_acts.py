"""What changes something: previewed, confirmed, on the record."""

from __future__ import annotations

import io
import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.fleet import Command, Fleet

TOML = """
key = "new-app"
kind = "external"
name = "New"
redirect_uris = ["https://new.example/back"]
client_secret = "not for anybody"
[[versions]]
name = "1"
required = ["a.read"]
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def force(fleet: Fleet, *more: str) -> tuple[str, ...]:
    return ("force", fleet.active, "--to", "refresh-expired", "--reason", "lost the phone", *more)


def state_of(grantflow: Command, installation: str) -> str:
    return str(json.loads(grantflow("show", installation, "--json").out)["stored_state"])


def test_send_brings_the_event(grantflow: Command, fleet: Fleet) -> None:
    told = json.loads(grantflow("send", fleet.active, "suspend", "--reason", "a look at it", "--json").out)
    assert told["installation"]["suspension"]["by"] == "operator"
    assert "operator:olga" in grantflow("history", fleet.active).out
    assert "(suspended)" in grantflow("list", "is:suspended").out
    assert grantflow("send", fleet.active, "disconnect", "--as", "agent:bob").code == 0
    assert state_of(grantflow, fleet.active) == "unauthorized"


def test_a_dry_run_of_force_leaves_only_its_trace(grantflow: Command, fleet: Fleet) -> None:
    before = fleet.content(audit=False)
    answer = grantflow(*force(fleet, "--dry-run"))
    assert answer.code == 0
    assert "● active → ✗ refresh-expired" in answer.out
    assert "lost the phone" in answer.out
    assert fleet.content(audit=False) == before
    assert "previewed" in grantflow("audit", "--limit", "1").out


def test_force_asks_for_the_account(grantflow: Command, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    before = fleet.content(audit=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("acme\n"))
    assert grantflow(*force(fleet)).code == 2, "a pipe cannot confirm"
    monkeypatch.setattr("sys.stdin", Terminal("acmee\n"))
    answer = grantflow(*force(fleet))
    assert (answer.code, answer.err.splitlines()[-1]) == (1, "not confirmed; nothing was changed")
    assert fleet.content(audit=False) == before
    monkeypatch.setattr("sys.stdin", Terminal("acme\n"))
    assert grantflow(*force(fleet)).code == 0
    assert state_of(grantflow, fleet.active) == "refresh-expired"


def test_force_with_yes_needs_no_terminal(grantflow: Command, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    answer = grantflow(*force(fleet, "--yes", "--json"))
    assert answer.code == 0
    (move,) = json.loads(answer.out)["moves"]
    assert (move["source"], move["target"]) == ("active", "refresh-expired")
    assert state_of(grantflow, fleet.active) == "refresh-expired"


def test_sweep_writes_what_is_due_once(grantflow: Command, fleet: Fleet) -> None:
    due = json.loads(grantflow("sweep", "--dry-run", "--json").out)
    assert due == {"due": {"old-app": 1}, "overdue": 1, "held": []}
    assert state_of(grantflow, fleet.expired) == "active"
    assert json.loads(grantflow("sweep", "--json").out)["moved"] == 1
    assert state_of(grantflow, fleet.expired) == "refresh-expired"
    again = grantflow("sweep")
    assert again.code == 0
    assert "moved            0" in again.out


def test_the_bar_is_drawn_where_somebody_looks(grantflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert "██" in grantflow("sweep").err


def test_apps_are_registered_held_and_released(grantflow: Command, tmp_path: Path) -> None:
    file = tmp_path / "new.toml"
    file.write_text(TOML, encoding="utf-8")
    assert grantflow("apps", "register", file).code == 0
    assert grantflow("apps", "register", file).code == 0, "the same again changes nothing"
    assert grantflow("apps", "hold", "new-app", "--reason", "it misbehaves").code == 0
    row = json.loads(grantflow("apps", "list", "--json").out)[2]
    assert (row["key"], row["held"], row["held_reason"]) == ("new-app", True, "it misbehaves")
    assert "not for anybody" not in grantflow("apps", "list", "--json").out
    assert grantflow("apps", "release", "new-app", "--reason", "it behaves").code == 0
    assert json.loads(grantflow("apps", "list", "--json").out)[2]["held"] is False
    file.write_text(TOML.replace("a.read", "not a scope"), encoding="utf-8")
    assert grantflow("apps", "register", file).code == 2
    assert grantflow("apps", "register", tmp_path / "none.toml").code == 2


def test_db_init_makes_an_empty_database_once(grantflow: Command, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh.db"
    assert grantflow("db", "init", "--database", fresh).err.startswith("created: ")
    made = fresh.read_bytes()
    assert grantflow("db", "init", f"--database=sqlite:///{fresh}").err.startswith("already there: ")
    assert fresh.read_bytes() == made
    assert grantflow("--database", fresh, "list").err == "0 of 0\n"
    for command in (["counts"], ["forecast"], ["audit"], ["apps", "list"], ["sweep"]):
        assert grantflow("--database", fresh, *command).code == 0, command


def test_db_check_finds_damage(grantflow: Command, fleet: Fleet) -> None:
    assert json.loads(grantflow("db", "check", "--json").out)["ok"] is True
    conn = sqlite3.connect(fleet.path)
    conn.execute("PRAGMA writable_schema=ON")
    conn.execute("UPDATE sqlite_master SET sql = replace(sql, 'due_at BIGINT', 'due_at BIGINT NOT NULL')")
    conn.commit()
    conn.close()
    answer = grantflow("db", "check")
    assert answer.code == 1
    assert "problem: NULL value in grantflow_installation.due_at" in answer.err


def test_a_new_key_is_one_the_engine_takes(grantflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    key = grantflow("keys", "new").out.strip()
    assert key != grantflow("keys", "new").out.strip()
    monkeypatch.setenv("GRANTFLOW_KEYS", key)
    assert grantflow("counts").code == 0
    monkeypatch.setenv("GRANTFLOW_KEYS", "rubbish")
    answer = grantflow("counts")
    assert answer.code == 2
    assert "rubbish" not in answer.err


def test_the_programs_get_what_was_asked(grantflow: Command, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[str, str, tuple[object, ...], dict[str, object]]] = []

    def part(module: str, name: str) -> object:
        def run(*arguments: object, **named: object) -> int:
            calls.append((module, name, arguments, named))
            return 5

        return run

    monkeypatch.setattr("grantflow.cli._programs.part", part)
    url = f"sqlite:///{fleet.path}"
    assert grantflow("tui", "--write", "--operator", "zoe").code == 5
    assert grantflow("scheduler", "run", "--interval", "2").code == 5
    assert grantflow("demo", "--size", "30", "--seed", "3").code == 5
    assert calls == [
        (
            "grantflow_tui",
            "run",
            (url,),
            {"write": True, "operator": "zoe", "claimed": True, "ascii": False, "theme": None, "max_bulk": 10_000},
        ),
        ("grantflow_scheduler", "run_forever", (url,), {"interval": 2.0}),
        ("grantflow.demo", "run_demo", (30, None), {"tui": False, "seed": 3, "operator": "olga"}),
    ]


def test_the_schedulers_jobs_are_shown(grantflow: Command) -> None:
    assert json.loads(grantflow("scheduler", "jobs", "--json").out)
    assert grantflow("scheduler", "jobs").code == 0
