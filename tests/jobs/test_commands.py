"""`grantflow bulk` and `grantflow jobs`: the plan first, the number typed, data on stdout and talk on stderr."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from grantflow import Actor, Engine
from grantflow.cli import main
from tests.jobs.fleet import EVERY, FILTER, filled, rows, transitions

WHY = ("--reason", "a reason that is long enough")
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    async def make() -> None:
        async with Engine.open(f"sqlite:///{tmp_path / 'g.db'}") as engine:
            await filled(engine, 15)

    asyncio.run(make())
    return tmp_path / "g.db"


@pytest.fixture
def grantflow(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name="olga"))
    monkeypatch.delenv("GRANTFLOW_OPERATORS", raising=False)

    def run(*words: object, typed: str | None = None) -> tuple[int, str, str]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            stdin = io.StringIO(typed or "")
            stdin.isatty = lambda: typed is not None  # type: ignore[method-assign]  # somebody sits there, or nobody
            patch.setattr("sys.stdin", stdin)
            code = main(["--database", str(file), *map(str, words)])
        return (code, *capsys.readouterr())

    return run


def only_job(file: Path) -> str:
    [(name,)] = rows(file, "SELECT public_id FROM grantflow_job")
    return str(name)


def test_the_plan_is_shown_and_a_dry_run_changes_nothing(grantflow: Command, file: Path) -> None:
    code, out, _ = grantflow("bulk", FILTER, "force", "--to", "uninstalled", *WHY, "--dry-run")
    assert code == 0
    assert out.startswith("force to uninstalled: 15 rows\n")
    assert "15 cannot be taken back" in out
    told = json.loads(grantflow("bulk", FILTER, "suspend", *WHY, "--dry-run", "--json")[1])
    assert (told["count"], told["states"], told["refused"]) == (15, {"unauthorized": 15}, {})
    assert rows(file, "SELECT count(*) FROM grantflow_job") == [(0,)]
    assert transitions(file, "suspend") == {}


def test_the_number_of_rows_is_typed(grantflow: Command, file: Path) -> None:
    assert grantflow("bulk", FILTER, "suspend", *WHY)[0] == 2, "nobody is there to confirm"
    code, _, err = grantflow("bulk", FILTER, "suspend", *WHY, typed="14\n")
    assert (code, transitions(file, "suspend")) == (1, {})
    assert "type the number of rows, 15" in err
    assert grantflow("bulk", FILTER, "suspend", *WHY, typed="15\n")[0] == 0
    assert len(transitions(file, "suspend")) == 15


def test_a_job_runs_at_once_and_its_report_is_data(grantflow: Command, file: Path) -> None:
    code, out, err = grantflow("bulk", FILTER, "suspend", *WHY, "--yes", "--json")
    told = json.loads(out)
    assert (code, told["state"], told["applied"]) == (0, "done", 15)
    assert told["id"] == only_job(file)
    assert f"job {told['id']}" in err
    assert "15 rows" not in out


def test_a_queued_job_waits_and_can_be_steered(grantflow: Command, file: Path) -> None:
    assert grantflow("bulk", FILTER, "suspend", *WHY, "--yes", "--queue")[0] == 0
    name = only_job(file)
    assert transitions(file, "suspend") == {}
    assert json.loads(grantflow("jobs", "pause", name, *WHY, "--json")[1])["state"] == "paused"
    assert grantflow("jobs", "run")[0] == 0
    assert transitions(file, "suspend") == {}
    assert "canary" in grantflow("jobs", "resume", name, *WHY)[1]
    assert json.loads(grantflow("jobs", "run", name, "--json")[1])["applied"] == 15
    listed = json.loads(grantflow("jobs", "--json")[1])
    assert [(job["id"], job["state"]) for job in listed] == [(name, "done")]
    assert grantflow("jobs", "cancel", name, *WHY)[0] == 4, "it is over"
    assert grantflow("jobs", "list")[1].splitlines()[1].startswith(name)


def test_failures_are_exported_and_retried(grantflow: Command, file: Path) -> None:
    grantflow("bulk", EVERY, "suspend", *WHY, "--yes", "--queue", "--canary", 0)
    first = only_job(file)
    broken = json.loads(grantflow("jobs", "items", first, "--json")[1])[12]["installation"]
    rows(file, "UPDATE grantflow_installation SET state = 'bogus' WHERE public_id = ?", broken)
    code, _, _ = grantflow("jobs", "run")
    assert code == 1
    [export] = json.loads(grantflow("jobs", "items", first, "--outcome", "failed", "--json")[1])
    assert (export["installation"], export["outcome"]) == (broken, "failed")
    assert "grantflow jobs items" in grantflow("jobs", "show", first)[2]
    assert grantflow("repair", broken, *WHY)[0] == 0
    again = json.loads(grantflow("jobs", "retry", first, *WHY, "--json")[1])
    assert (again["retries"], again["total"], again["state"]) == (first, 1, "waiting")
    assert grantflow("jobs", "run", again["id"])[0] == 0
    assert len(transitions(file, "suspend")) == 15


def test_what_cannot_be_has_its_exit_code(grantflow: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert grantflow("bulk", "nonsense:", "suspend", *WHY)[0] == 2
    assert grantflow("bulk", FILTER, "suspend", *WHY, "--limit", 14)[0] == 2
    assert grantflow("bulk", FILTER, "unsuspend", *WHY, "--yes")[0] == 4, "nothing is suspended"
    assert grantflow("jobs", "show", "nothing")[0] == 3
    monkeypatch.setenv("GRANTFLOW_OPERATORS", "zoe")
    code, out, err = grantflow("bulk", FILTER, "suspend", *WHY, "--yes")
    assert (code, out) == (7, "")
    assert "operator" in err


def test_a_claimed_name_is_recorded_as_claimed(grantflow: Command, file: Path) -> None:
    grantflow("--operator", "zoe", "bulk", FILTER, "suspend", *WHY, "--yes")
    told = json.loads(grantflow("jobs", "show", only_job(file), "--json")[1])
    assert (told["actor"], told["claimed"]) == (str(Actor.operator("zoe")), True)
