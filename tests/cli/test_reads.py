"""What is printed: tables for people, tabs and JSON for programs, nothing a terminal obeys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from datetime import datetime
from typing import Any

import pytest
import typer

from grantflow import Installation, Secret
from grantflow.cli import _out, app
from tests.cli.fleet import HOSTILE, Command, Fleet

# Everything that is no read: it changes something, opens a program, or prints a text made for one purpose.
NOT_READS = {
    "apps add-secret",
    "apps hold",
    "apps register",
    "apps release",
    "apps resume",
    "cancel-attempt",
    "db init",
    "db recount",
    "demo",
    "hold",
    "keys new",
    "machines readme",
    "notices retry",
    "release",
    "remind",
    "repair",
    "scheduler pause",
    "scheduler resume",
    "scheduler run",
    "serve",
    "tui",
}
READS = [
    ["list"],
    ["list", "is:any", "--limit", "2"],
    ["show", "ACTIVE"],
    ["history", "ACTIVE"],
    ["attempts", "ACTIVE"],
    ["explain", "ACTIVE", "suspend"],
    ["explain", "ACTIVE", "unsuspend", "--as", "admin:maria"],
    ["counts"],
    ["changes"],
    ["forecast"],
    ["forecast", "--by", "week", "--lifetime", "26w", "--warn", "30d", "--app", "agent-app"],
    ["scheduler", "status"],
    ["scheduler", "jobs"],
    ["notices"],
    ["notices", "--dead"],
    ["audit"],
    ["apps", "list"],
    ["incidents"],
    ["jobs"],
    ["jobs", "list"],
    ["doctor"],
    ["db", "check"],
    ["keys", "list"],
    ["keys", "verify"],
    ["machines", "show", "agent"],
    ["sweep", "--dry-run"],
    ["send", "ACTIVE", "suspend", "--dry-run"],
]


def commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{path}{name} ")
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield f"{path}{name}", command


def test_every_read_has_json() -> None:
    found = dict(commands(typer.main.get_command(app)))
    assert set(found) >= NOT_READS
    for name, command in found.items():
        has_json = any("--json" in parameter.opts for parameter in command.params)
        assert has_json is (name not in NOT_READS), name


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_a_read_writes_nothing_and_its_json_is_stable(words: list[str], grantflow: Command, fleet: Fleet) -> None:
    before = fleet.content()
    command = [fleet.active if word == "ACTIVE" else word for word in words]
    first, second = grantflow(*command, "--json"), grantflow(*command, "--json")
    people = grantflow(*command)
    assert first.code == second.code == people.code, first.err
    assert keys(json.loads(first.out)) == keys(json.loads(second.out))
    assert first.out.isascii()
    assert people.out.count("\n") >= 1
    assert all(char.isprintable() or char == "\n" for char in people.out + people.err)
    assert fleet.content() == before


def keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: keys(item) for name, item in value.items()}
    return [keys(item) for item in value] if isinstance(value, list) else None


def test_json_tells_what_the_engine_told(grantflow: Command, fleet: Fleet) -> None:
    shown = json.loads(grantflow("show", fleet.active, "--json").out)
    assert set(shown) == {field.name for field in fields(Installation)}
    assert shown["id"] == fleet.active
    assert shown["state"] == shown["stored_state"] == "active"
    assert datetime.fromisoformat(shown["expires_at"]).tzinfo is not None
    listed = json.loads(grantflow("list", "app:agent-app account=acme", "--json").out)
    assert listed == {"items": [shown], "next_after": None, "count": 1, "exact": True}


def test_names_of_others_are_inert(grantflow: Command, fleet: Fleet) -> None:
    for command in (["list"], ["list", "--plain"], ["show", fleet.hostile], ["apps", "list"], ["audit"]):
        answer = grantflow(*command)
        assert answer.code == 0
        assert all(char.isprintable() or char in "\n\t" for char in answer.out), command
        assert "\N{REPLACEMENT CHARACTER}[" in answer.out
    told = json.loads(grantflow("show", fleet.hostile, "--json").out)
    assert told["account"] == HOSTILE
    assert all(char.isprintable() or char == "\n" for char in grantflow("list", "state:\x1b[31m").err)


def test_no_secret_is_printed(grantflow: Command) -> None:
    listed = json.loads(grantflow("apps", "list", "--json").out)
    assert [row["key"] for row in listed] == ["account-app", "agent-app", "old-app"]
    assert all("secret_hashes" not in row for row in listed)
    with pytest.raises(TypeError):
        _out.plain({"token": Secret("gfa_x")})


def test_pages_follow_their_cursor(grantflow: Command) -> None:
    seen: list[str] = []
    after: list[str] = []
    for _ in range(4):
        answer = grantflow("list", "--limit", "1", "--plain", *after)
        seen += [line.split("\t")[0] for line in answer.out.splitlines()]
        assert answer.err.startswith("1 of 4\n")
        cursor = answer.err.partition("next: ")[2].split()
        if not cursor:
            break
        after = cursor
    assert len(seen) == len(set(seen)) == 4
    assert "next:" not in answer.err


def test_a_list_begins_at_a_place_of_its_order(grantflow: Command) -> None:
    accounts = [line.split("\t")[2] for line in grantflow("list", "sort:account", "--plain").out.splitlines()]
    at = accounts.index("bolt") if "bolt" in accounts else 1
    answer = grantflow("list", "sort:account", "--plain", "--from", accounts[at][:3], "--exact")
    assert [line.split("\t")[2] for line in answer.out.splitlines()] == accounts[at:]
    assert answer.err == f"{len(accounts) - at} of 4\n"


def test_a_place_that_the_order_does_not_know_is_refused(grantflow: Command) -> None:
    answer = grantflow("list", "sort:expires", "--from", "acme")
    assert answer.code == 2
    assert "'acme' is no place in the order of expires" in answer.err
    assert "30d or 2026-08-01" in answer.err
    assert grantflow("list", "--from", "30d", "--after", "x").code == 2


def test_an_id_may_be_shortened(grantflow: Command, fleet: Fleet) -> None:
    short = grantflow("list", "account=acme app:agent-app").out.splitlines()[1].split()[0]
    assert fleet.active.startswith(short)
    assert f"id       {fleet.active}" in grantflow("show", short).out
    assert grantflow("show", short[:7]).code == 2


def test_a_prefix_of_several_names_them(grantflow: Command, fleet: Fleet) -> None:
    common = fleet.active[:8]
    assert fleet.hostile.startswith(common) or fleet.fresh.startswith(common)
    answer = grantflow("show", common)
    assert answer.code == 2
    assert fleet.active in answer.err


def test_the_effective_state_is_shown(grantflow: Command, fleet: Fleet) -> None:
    shown = grantflow("show", fleet.expired).out
    assert "✗ refresh-expired" in shown
    assert "active (the sweep has not written it yet)" in shown


def test_explain_says_who_and_why(grantflow: Command, fleet: Fleet) -> None:
    assert grantflow("explain", fleet.active, "suspend").out.startswith("suspend happens")
    refused = grantflow("explain", fleet.active, "unsuspend")
    assert refused.code == 0, "asking is no failure"
    assert refused.out.startswith("unsuspend does not happen: ")
    assert "✗" in refused.out


def test_colour_only_where_it_is_seen(
    grantflow: Command, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "\x1b" not in grantflow("counts").out
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[32m●\x1b[0m active" in grantflow("counts").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in grantflow("counts").out


@pytest.mark.parametrize(("command", "table"), [("list", "installations"), ("audit", "audit")])
def test_the_help_of_a_filter_has_every_field(grantflow: Command, command: str, table: str) -> None:
    from grantflow import help_rows

    text = grantflow(command, "--help").out
    assert all(row.example in text and f"{row.name}: " in text for row in help_rows(table))


def test_the_audit_is_filtered(grantflow: Command) -> None:
    every = json.loads(grantflow("audit", "--json").out)
    verb = every[0]["verb"]
    found = json.loads(grantflow("audit", f"verb:{verb}", "--json").out)
    assert found == [action for action in every if action["verb"] == verb]
    assert json.loads(grantflow("audit", f"verb!={verb}", "--json").out) == [a for a in every if a["verb"] != verb]
    assert "^" in grantflow("audit", "state:active").err
