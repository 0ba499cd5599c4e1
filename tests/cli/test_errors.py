"""Exit codes, and what a failure says."""

from __future__ import annotations

import inspect
import os
import signal
from pathlib import Path

import pytest

from grantflow import errors
from grantflow.cli import _out, _run
from grantflow.cli._errors import code_of
from tests.cli.fleet import Command, Fleet

UNKNOWN = "0198c0de-0000-7000-8000-000000000000"


def test_every_error_has_its_exit_code() -> None:
    expected = {
        "ConfigurationError": 2,
        "BadInput": 2,
        "NotFound": 3,
        "TransitionRefused": 4,
        "Conflict": 5,
        "DatabaseError": 6,
        "PermissionDenied": 7,
    }
    classes = [
        kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.GrantflowError)
    ]
    assert len(classes) > 20
    for kind in classes:
        wanted = next((expected[base.__name__] for base in kind.__mro__ if base.__name__ in expected), 1)
        assert code_of(kind.__new__(kind)) == wanted, kind


def test_usage_is_two(grantflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for arguments in (["bogus"], ["list", "--bogus"], ["list", "--limit", "0"], ["keys"], ["show"], ["show", "x"]):
        answer = grantflow(*arguments)
        assert (answer.code, answer.out) == (2, ""), arguments
        assert answer.err.startswith("error: ")
        assert "\nhint: " in answer.err
    monkeypatch.delenv("GRANTFLOW_DATABASE")
    assert grantflow("counts").code == 2


def test_a_filter_is_marked_where_it_cannot_be_read(grantflow: Command) -> None:
    answer = grantflow("list", "app:crm state:bogus")
    assert (answer.code, answer.out) == (2, "")
    message, text, caret, hint = answer.err.splitlines()
    assert message == "error: there is no state 'bogus'"
    assert text[caret.index("^") :] == "bogus"
    assert "active" in hint


def test_what_is_not_there_is_three(grantflow: Command) -> None:
    assert grantflow("show", UNKNOWN).code == 3
    assert grantflow("show", UNKNOWN[:8]).code == 3
    assert grantflow("apps", "hold", "nobody", "--reason", "a good reason").code == 3
    assert "refused" in grantflow("audit", "--limit", "1").out
    assert grantflow("machines", "show", "bogus").code == 3


def test_a_refusal_is_four(grantflow: Command, fleet: Fleet) -> None:
    refused = grantflow("force", fleet.active, "--to", "active", "--reason", "a good reason", "--yes")
    assert refused.code == 4
    assert "person can take" in refused.err
    unknown = grantflow("send", fleet.active, "suspendd")
    assert unknown.code == 4
    assert "suspend" in unknown.err.partition("hint: ")[2]
    assert grantflow("send", fleet.active, "unsuspend", "--dry-run").code == 4


def test_a_key_used_twice_is_five(grantflow: Command, fleet: Fleet) -> None:
    assert grantflow("send", fleet.active, "suspend", "--idempotency-key", "k1").code == 0
    assert "nothing was written" in grantflow("send", fleet.active, "suspend", "--idempotency-key", "k1").err
    assert grantflow("send", fleet.active, "unsuspend", "--idempotency-key", "k1").code == 5


def test_a_file_that_is_no_database_is_six(grantflow: Command, tmp_path: Path) -> None:
    (tmp_path / "noise.db").write_bytes(b"no database at all " * 100)
    for place in (tmp_path / "noise.db", tmp_path):
        answer = grantflow("--database", place, "list")
        assert (answer.code, answer.out) == (6, "")
        assert "Traceback" not in answer.err


def test_a_missing_database_is_named_and_not_made(grantflow: Command, tmp_path: Path) -> None:
    missing = tmp_path / "none.db"
    for command in (["list"], ["counts"], ["sweep"], ["tui"], ["scheduler", "run"], ["send", UNKNOWN, "suspend"]):
        answer = grantflow(*command, "--database", missing)
        assert answer.code == 3, command
        assert str(missing) in answer.err
        assert "grantflow db init" in answer.err
        assert not missing.exists()


def test_who_is_no_operator_gets_seven(
    grantflow: Command, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GRANTFLOW_OPERATORS", "zoe, max")
    (tmp_path / "app.toml").write_text("", encoding="utf-8")
    before = fleet.content(audit=False)
    reason = ("--reason", "a good reason")
    commands: list[list[object]] = [
        ["send", fleet.active, "suspend"],
        ["send", fleet.active, "suspend", "--dry-run"],
        ["send", fleet.active, "suspend", "--as", "operator:zoe"],
        ["force", fleet.active, "--to", "unauthorized", "--yes", *reason],
        ["--operator", "zoe", "force", fleet.active, "--to", "unauthorized", "--yes", *reason],
        ["apps", "hold", "agent-app", *reason],
        ["apps", "release", "agent-app", *reason],
        ["apps", "register", tmp_path / "app.toml"],
        ["tui", "--write"],
    ]
    for number, command in enumerate(commands, 1):
        assert grantflow(*command).code == 7, command
        audit = grantflow("audit").out
        assert audit.count("user:olga") == audit.count("refused") == number, command
    assert fleet.content(audit=False) == before
    assert "suspend as operator:zoe: only an operator may do this" in grantflow("audit").out
    monkeypatch.setenv("GRANTFLOW_OPERATORS", "zoe,olga")
    assert grantflow("send", fleet.active, "suspend").code == 0


def test_without_a_list_the_owner_of_the_file_operates(
    grantflow: Command, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = _run.Run(str(fleet.path), "")
    assert run.is_operator
    monkeypatch.setenv("GRANTFLOW_OPERATORS", " , ")
    assert run.is_operator
    monkeypatch.setattr(os, "getuid", lambda: fleet.path.stat().st_uid + 1)
    assert not run.is_operator
    assert grantflow("send", fleet.active, "suspend").code == 7
    assert not _run.Run("postgresql://somewhere/db", "").is_operator


def test_a_name_by_argument_is_recorded_as_claimed(grantflow: Command, fleet: Fleet) -> None:
    command = ("force", fleet.active, "--to", "unauthorized", "--reason", "a good reason", "--yes")
    assert grantflow(*command, "--operator", "zoe").code == 0
    newest = grantflow("audit", "--limit", "1").out
    assert "operator:zoe (claimed)" in newest


@pytest.mark.parametrize("arguments", [["nobody"], ["king:arthur"], ["agent:"]])
def test_as_takes_a_kind_and_a_name(arguments: list[str], grantflow: Command, fleet: Fleet) -> None:
    answer = grantflow("explain", fleet.active, "suspend", "--as", *arguments)
    assert answer.code == 2
    assert "KIND:NAME" in answer.err


def test_an_interrupted_sweep_is_130(grantflow: Command, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_out, "progress", lambda done, total: os.kill(os.getpid(), signal.SIGINT))
    answer = grantflow("sweep")
    assert answer.code == 130
    assert answer.err.splitlines()[-1] == "interrupted"
    monkeypatch.undo()
    assert fleet.content()


def test_a_surprise_shows_neither_traceback_nor_values(grantflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def surprise(*arguments: object) -> None:
        raise ZeroDivisionError("the token gfa_secret")

    monkeypatch.setattr(_run.Run, "engine", surprise)
    answer = grantflow("counts")
    assert answer.code == 1
    assert answer.err.splitlines()[0] == "error: unexpected ZeroDivisionError"
    assert "gfa_secret" not in answer.err
    monkeypatch.setenv("GRANTFLOW_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        grantflow("counts")


def test_a_program_that_is_not_installed_is_one(grantflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name=name)

    monkeypatch.setattr("grantflow.cli._programs.import_module", missing)
    answer = grantflow("tui")
    assert answer.code == 1
    assert "grantflow_tui is not part of this installation" in answer.err


def test_a_read_only_database_is_six(grantflow: Command, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise errors.DatabaseReadOnly

    monkeypatch.setattr(_run.Run, "engine", refuse)
    answer = grantflow("send", fleet.active, "suspend")
    assert answer.code == 6
    assert answer.err.startswith("error: The database cannot be written.")
