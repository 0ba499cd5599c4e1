"""Operators' commands for grants of foreign servers, and what `doctor` says and how it is mended."""

from __future__ import annotations

import asyncio
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from grantflow import Actor, Engine, KeyRing
from grantflow.testing import ForeignServer, People, grant, sample_app
from tests.cli.fleet import Command

BOB, SYSTEM = Actor.agent("bob"), Actor.system()
REASON = ("--reason", "the server is back")


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """(database, installation): one grant of a server that nobody can reach."""
    key = KeyRing.new_key()
    database = f"sqlite:///{tmp_path / 'mail.db'}"
    monkeypatch.setenv("GRANTFLOW_KEYS", key)
    monkeypatch.setenv("GRANTFLOW_DATABASE", database)
    server = ForeignServer("http://localhost:9")

    async def make() -> str:
        people = People({BOB: ["acme"]})
        async with Engine.open(database, keys=KeyRing.parse(key), http=server, directory=people) as engine:
            await engine.apps.register(server.app("mail"))
            await engine.apps.register(sample_app("account"))
            await engine.apps.install("mail", "acme", actor=SYSTEM)
            done = await grant(engine, server, "mail", "acme", actor=BOB)
            assert done.installation is not None
            server.secret = "another one"
            await engine.report(done.installation.id, status=401, generation=1)
            return done.installation.id

    return database, asyncio.run(make())


def test_an_incident_is_listed_and_ended_by_hand(grantflow: Command, mail: tuple[str, str]) -> None:
    listed = json.loads(grantflow("incidents", "--json").out)
    assert [(row["app"], row["cause"], row["closed_at"]) for row in listed] == [("mail", "invalid_client", None)]
    assert "invalid_client" in grantflow("incidents").out
    doctor = grantflow("doctor")
    assert doctor.code == 1
    assert "grantflow apps resume mail" in doctor.out
    assert grantflow("apps", "resume", "mail", *REASON).code == 0
    assert json.loads(grantflow("incidents", "--json").out) == []
    assert len(json.loads(grantflow("incidents", "--all", "--json").out)) == 1
    assert grantflow("apps", "resume", "mail", *REASON).code == 3


def test_a_probe_of_a_server_that_is_away_says_so_and_ends_nothing(grantflow: Command, mail: tuple[str, str]) -> None:
    told = grantflow("probe", mail[1], *REASON, "--json")
    assert told.code == 1
    assert [(row["outcome"], row["state"]) for row in json.loads(told.out)] == [("later", "active")]
    found = grantflow("probe", "app:mail", *REASON)
    assert "later" in found.out
    assert grantflow("probe", mail[1], "--reason", "short").code == 2


def test_a_client_secret_comes_on_standard_input_and_is_never_shown(
    grantflow: Command, mail: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("a fresh secret of the app\n\na secret\n"))
    done = grantflow("apps", "add-secret", "mail")
    assert done.code == 0, done.err
    assert "fresh secret" not in done.out + done.err
    with closing(sqlite3.connect(mail[0].removeprefix("sqlite:///"))) as conn:
        ((kept,),) = conn.execute("SELECT secrets FROM grantflow_app WHERE key='mail'").fetchall()
    assert len(json.loads(kept)) == 2
    assert "fresh secret" not in kept
    assert grantflow("apps", "add-secret", "mail").code == 2, "an empty line is no secret"
    assert grantflow("apps", "add-secret", "account-app").code == 2, "it is in host mode"


def test_a_reminder_needs_somebody_who_has_to_act(grantflow: Command, mail: tuple[str, str]) -> None:
    assert grantflow("remind", mail[1], *REASON).code == 4
    assert grantflow("force", mail[1], "--to", "refresh-expired", *REASON, "--yes").code == 0
    assert grantflow("remind", mail[1], *REASON).code == 0
    assert json.loads(grantflow("audit", "--json").out)[0]["verb"] == "remind"


def test_an_open_window_is_found_and_closed(grantflow: Command, mail: tuple[str, str]) -> None:
    async def opens() -> str:
        server, people = ForeignServer("http://localhost:9"), People({BOB: ["acme"]})
        async with Engine.open(mail[0], keys=KeyRing.from_env(), http=server, directory=people) as engine:
            return (await engine.reauthorize(mail[1], actor=BOB)).id

    assert grantflow("force", mail[1], "--to", "refresh-expired", *REASON, "--yes").code == 0
    attempt = asyncio.run(opens())
    shown = json.loads(grantflow("attempts", mail[1], "--json").out)
    assert (shown[0]["id"], shown[0]["outcome"]) == (attempt, None)
    assert "authorize_url" not in shown[0]
    lines = grantflow("attempts", mail[1]).out.splitlines()
    assert lines[1].split()[:1] == [attempt]
    assert "open" in lines[1].split()
    assert f"{attempt} is closed" in grantflow("cancel-attempt", attempt, *REASON).err
    assert json.loads(grantflow("attempts", mail[1], "--json").out)[0]["outcome"] == "cancelled"
    assert json.loads(grantflow("audit", "--json").out)[0]["verb"] == "cancel-attempt"
    assert grantflow("cancel-attempt", attempt, *REASON).code != 0


def test_a_row_that_is_set_aside_is_found_and_repaired(grantflow: Command, mail: tuple[str, str]) -> None:
    with closing(sqlite3.connect(mail[0].removeprefix("sqlite:///"), isolation_level=None)) as conn:
        conn.execute("UPDATE grantflow_installation SET state='no-such-state'")
    assert grantflow("send", mail[1], "suspend", *REASON).code == 1
    assert "set aside" in grantflow("doctor").out
    assert "active" in grantflow("repair", mail[1], *REASON).err
    assert grantflow("repair", mail[1], *REASON).code == 4


def test_hold_and_release_are_words_of_their_own(grantflow: Command, mail: tuple[str, str]) -> None:
    assert grantflow("hold", "mail", *REASON).code == 0
    assert json.loads(grantflow("apps", "list", "--json").out)[1]["held"] is True
    assert grantflow("release", "mail", *REASON).code == 0


def test_doctor_tells_the_oldest_notice_and_damage(grantflow: Command, mail: tuple[str, str]) -> None:
    told = json.loads(grantflow("doctor", "--thorough", "--json").out)
    by_check = {finding["check"]: finding for finding in told}
    assert by_check["integrity"]["health"] == "ok"
    assert "wait, the oldest since" in by_check["notices"]["says"]
    assert all(finding["mend"] for finding in told if finding["health"] == "wrong")
