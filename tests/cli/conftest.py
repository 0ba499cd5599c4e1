"""A fleet made once, a copy for every test, and the command run in this process."""

from __future__ import annotations

import asyncio
import os
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from grantflow.cli import main
from tests.cli.fleet import Answer, Command, Fleet, settled


@pytest.fixture(scope="session")
def first_fleet(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    return asyncio.run(settled(tmp_path_factory.mktemp("fleet") / "grants.db"))


@pytest.fixture
def fleet(first_fleet: Fleet, tmp_path: Path) -> Fleet:
    return replace(first_fleet, path=Path(shutil.copy(first_fleet.path, tmp_path / "grants.db")))


@pytest.fixture
def grantflow(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    for name in [name for name in os.environ if name.startswith("GRANTFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GRANTFLOW_DATABASE", str(fleet.path))
    monkeypatch.setenv("LOGNAME", "somebody-else")  # whoever may set it is not believed
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name="olga"))

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        return Answer(code, *capsys.readouterr())

    return run
