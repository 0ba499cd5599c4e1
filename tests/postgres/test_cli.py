"""`grantflow --database postgresql://…` reads and writes as it does on a file."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from grantflow.cli import main
from grantflow.cli._run import user_name
from tests.cli.fleet import Answer, Fleet, settled
from tests.cli.test_reads import READS, keys
from tests.postgres.copying import copy
from tests.postgres.outside import Outside

Run = Callable[..., Answer]
OF_THE_DATABASE = {"doctor", "db"}
QUICK = {"list", "history", "doctor", "db"}
OF_THE_MOMENT = {"forecast", "explain"}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return asyncio.run(settled(tmp_path_factory.mktemp("fleet") / "grants.db"))


@pytest.fixture
def there(url: str, fleet: Fleet) -> str:
    """The same fleet on the server."""
    outside = Outside(url)
    try:
        copy(fleet.path, outside)
    finally:
        outside.close()
    return url


@pytest.fixture
def grantflow(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name in [name for name in os.environ if name.startswith("GRANTFLOW_")]:
        monkeypatch.delenv(name)

    def run(database: str | Path, *arguments: str) -> Answer:
        capsys.readouterr()
        code = main(["--database", str(database), *arguments])
        return Answer(code, *capsys.readouterr())

    return run


def settled_part(text: str) -> object:
    """All but the moment at which a grant that is over was looked at, and what only a server has: another clock."""
    moments = ("entered_at", "updated_at", "next_notice_at", "clock_skew")
    return json.loads(
        text, object_hook=lambda row: {name: value for name, value in row.items() if name not in moments}
    )


@pytest.mark.parametrize(
    "words",
    [pytest.param(words, marks=() if words[0] in QUICK else pytest.mark.slow, id=" ".join(words)) for words in READS],
)
def test_a_read_says_the_same(
    grantflow: Run, fleet: Fleet, there: str, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRANTFLOW_OPERATORS", user_name())  # no file has an owner there
    command = [fleet.active if word == "ACTIVE" else word for word in words]
    here, beyond = (grantflow(database, *command, "--json") for database in (fleet.path, there))
    assert here.code == beyond.code, beyond.err
    if words[0] in OF_THE_DATABASE:
        assert len(json.loads(here.out)) == len(json.loads(beyond.out))
    elif words[0] in OF_THE_MOMENT:
        assert keys(json.loads(here.out)) == keys(json.loads(beyond.out))
    else:
        assert settled_part(here.out) == settled_part(beyond.out)


def test_an_operator_is_named_by_the_environment_and_acts(
    grantflow: Run, fleet: Fleet, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("force", fleet.active, "--to", "refresh-expired", "--reason", "a drill on the server", "--yes")
    refused = grantflow(there, *command)
    assert refused.code == 7
    assert "GRANTFLOW_OPERATORS" in refused.err
    monkeypatch.setenv("GRANTFLOW_OPERATORS", user_name())
    done = grantflow(there, *command)
    assert done.code == 0, done.err
    assert json.loads(grantflow(there, "show", fleet.active, "--json").out)["state"] == "refresh-expired"
    trail = {row["outcome"] for row in json.loads(grantflow(there, "audit", "--json").out)}
    assert {"refused", "applied"} <= trail


def test_a_database_is_created_and_its_password_is_never_printed(grantflow: Run, empty: str) -> None:
    with_password = empty.replace("postgres@", "postgres:canary@")
    made = grantflow(with_password, "db", "init")
    assert made.code == 0, made.err
    checked = grantflow(with_password, "db", "check")
    assert checked.code == 0
    nowhere = grantflow("postgresql://me:canary@127.0.0.1:1/db", "list")
    assert nowhere.code == 6
    assert "hint" in nowhere.err
    for answer in (made, checked, nowhere):
        assert "canary" not in answer.out + answer.err
