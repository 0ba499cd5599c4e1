"""`grantflow keys`: what is sealed by which key, and all of it sealed anew."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from grantflow import Actor, Engine, KeyRing
from grantflow.cli import _out
from grantflow.testing import ForeignServer, People, grant
from tests.cli.fleet import Command, Fleet

OLD, NEW = KeyRing.new_key(), KeyRing.new_key()
OLD_ID, NEW_ID = OLD.split(":")[0], NEW.split(":")[0]
BOB = Actor.agent("bob")
ROTATE = ("keys", "rotate", "--reason", "a new year, a new key")


async def sealed(path: Path) -> None:
    """A grant of a foreign server: two tokens and a client secret."""
    server = ForeignServer()
    keys, people = KeyRing.parse(OLD), People({BOB: ["acme"]})
    async with Engine.open(f"sqlite:///{path}", keys=keys, directory=people, http=server) as engine:
        await engine.apps.register(server.app("mail"))
        await engine.apps.install("mail", "acme", actor=Actor.system())
        await grant(engine, server, "mail", "acme", actor=BOB)


@pytest.fixture
def keys(fleet: Fleet, grantflow: Command, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    asyncio.run(sealed(fleet.path))
    monkeypatch.setenv("GRANTFLOW_KEYS", OLD)
    return monkeypatch


def test_a_new_key_is_the_only_one_that_is_shown(grantflow: Command) -> None:
    answer = grantflow("keys", "new")
    assert KeyRing.parse(answer.out).ids
    assert answer.out.count("\n") == 1
    assert answer.out.strip() not in answer.err
    assert "GRANTFLOW_KEYS" in answer.err
    assert "grantflow keys rotate" in answer.err


def test_keys_are_listed_with_what_they_sealed(grantflow: Command, keys: pytest.MonkeyPatch) -> None:
    assert json.loads(grantflow("keys", "list", "--json").out) == [
        {"key": OLD_ID, "active": True, "known": True, "values": 3}
    ]
    keys.setenv("GRANTFLOW_KEYS", f"{NEW},{OLD}")
    lines = [line.split() for line in grantflow("keys", "list").out.splitlines()]
    assert lines == [["KEY", "USE", "VALUES"], [NEW_ID, "active", "0"], [OLD_ID, "opens", "3"]]
    keys.setenv("GRANTFLOW_KEYS", NEW)
    answer = grantflow("keys", "list")
    assert [OLD_ID, "missing", "3"] in [line.split() for line in answer.out.splitlines()]
    assert answer.err == f"{OLD_ID} is missing: 3 values cannot be opened\n"
    keys.delenv("GRANTFLOW_KEYS")
    assert json.loads(grantflow("keys", "list", "--json").out) == [
        {"key": OLD_ID, "active": False, "known": False, "values": 3}
    ]


def test_a_rotation_moves_everything_and_is_on_the_record(grantflow: Command, keys: pytest.MonkeyPatch) -> None:
    keys.setenv("GRANTFLOW_KEYS", f"{NEW},{OLD}")
    plan = json.loads(grantflow(*ROTATE, "--dry-run", "--json").out)
    assert plan == {"active": NEW_ID, "to_reseal": 3, "by_key": {OLD_ID: 3}}
    assert "to reseal  3" in grantflow(*ROTATE, "--dry-run").out
    answer = grantflow(*ROTATE)
    assert (answer.code, answer.err) == (0, "")
    assert f"under {NEW_ID}  3" in answer.out
    again = json.loads(grantflow(*ROTATE, "--json").out)
    assert again == {"resealed": 0, "already": 3, "unreadable": 0, "by_key": {NEW_ID: 3}}
    keys.setenv("GRANTFLOW_KEYS", NEW)
    assert json.loads(grantflow("keys", "verify", "--json").out) == {"opened": 3, "unreadable": 0, "places": []}
    audit = grantflow("audit", "--limit", "4").out
    assert audit.count("rotate-keys") == 4
    assert "3 resealed" in audit


def test_a_bar_is_drawn_where_somebody_looks(grantflow: Command, keys: pytest.MonkeyPatch) -> None:
    keys.setenv("GRANTFLOW_KEYS", f"{NEW},{OLD}")
    keys.setattr("sys.stderr.isatty", lambda: True)
    answer = grantflow(*ROTATE)
    assert "██" in answer.err
    assert "██" not in answer.out


def test_what_does_not_open_is_one(grantflow: Command, keys: pytest.MonkeyPatch) -> None:
    assert grantflow("keys", "verify").code == 0
    keys.setenv("GRANTFLOW_KEYS", NEW)
    answer = grantflow("keys", "verify")
    assert answer.code == 1
    assert "unreadable  3" in answer.out
    assert f"/refresh: its key is not here ({OLD_ID})" in answer.err
    told = json.loads(grantflow("keys", "verify", "--json").out)
    assert told["unreadable"] == len(told["places"]) == 3
    answer = grantflow(*ROTATE)
    assert answer.code == 1
    assert answer.err.endswith("3 values do not open\nhint: grantflow keys verify\n")


def test_rotating_needs_a_key_an_operator_and_a_reason(
    grantflow: Command, keys: pytest.MonkeyPatch, fleet: Fleet
) -> None:
    before = fleet.content(audit=False)
    assert grantflow("keys", "rotate").code == 2
    assert grantflow("keys", "rotate", "--reason", "short").code == 2
    keys.setenv("GRANTFLOW_OPERATORS", "somebody-else")
    assert grantflow(*ROTATE).code == 7
    keys.delenv("GRANTFLOW_OPERATORS")
    keys.delenv("GRANTFLOW_KEYS")
    for command in (ROTATE, (*ROTATE, "--dry-run")):
        answer = grantflow(*command)
        assert (answer.code, answer.out) == (2, "")
        assert "\nhint: set GRANTFLOW_KEYS" in answer.err
    assert grantflow("keys").code == 2
    assert fleet.content(audit=False) == before


def test_keys_may_stand_in_a_file(grantflow: Command, keys: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# the old one\n{OLD}\n", encoding="utf-8")
    file.chmod(0o600)
    keys.delenv("GRANTFLOW_KEYS")
    keys.setenv("GRANTFLOW_KEYS_FILE", str(file))
    assert grantflow("keys", "verify").code == 0
    if os.name == "posix":
        file.chmod(0o644)
        answer = grantflow("keys", "verify")
        assert answer.code == 2
        assert f"hint: chmod 600 {file}" in answer.err


def test_no_key_is_told_by_any_of_them(grantflow: Command, keys: pytest.MonkeyPatch) -> None:
    keys.setenv("GRANTFLOW_KEYS", f"{NEW},{OLD}")
    commands = (["keys", "list"], ["keys", "verify"], [*ROTATE], ["keys", "list", "--json"], [*ROTATE, "--json"])
    told = "".join(answer.out + answer.err for answer in (grantflow(*command) for command in commands))
    assert NEW_ID in told
    assert not any(key.split(":")[1][:12] in told for key in (OLD, NEW))


def test_a_foreign_key_id_cannot_act(grantflow: Command, keys: pytest.MonkeyPatch) -> None:
    used = {"k1\x1b[2J": 3}
    keys.setattr("grantflow.cli._keys._used", lambda engine: _told(used))
    answer = grantflow("keys", "list")
    assert all(char.isprintable() or char == "\n" for char in answer.out + answer.err)
    assert _out.clean("\x1b") not in "".join(used)


async def _told(used: dict[str, int]) -> dict[str, int]:
    return used
