"""The import contracts of pyproject.toml hold, and each of them refuses what it forbids."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.source_tree import PACKAGES, ROOT

APPS = "The apps are strangers to each other"
DOOR = "The apps enter by the front door"
UP = "The engine never looks up at the apps"
MACHINES = "The machines know nobody"
FLOORS = "Floors of the engine"
ADAPTERS = "The adapters know the ports and the model"
CORE = "The decision core has no I/O, clock or chance"
TEXTUAL = "textual lives in the console"
APSCHEDULER = "apscheduler lives in the scheduler"
STATEMACHINE = "statemachine lives in the machines and the compiler"
DATABASE = "The database libraries live in the store"
STARLETTE = "starlette and jinja2 live in the hosting pages"
TYPER = "typer lives in the command line and the apps' own commands"

HOMELESS = "grantflow._odds_and_ends"

# contract, the module that breaks it, what it must not import
BREACHES = [
    (APPS, "grantflow_tui", "grantflow_scheduler"),
    (APPS, "grantflow_scheduler._jobs", "grantflow_tui"),
    (APPS, "grantflow.cli", "grantflow_tui"),
    (DOOR, "grantflow_tui", "grantflow._store"),
    (DOOR, "grantflow_tui._gateway", "grantflow._model"),
    (DOOR, "grantflow_scheduler._jobs", "grantflow._sweep"),
    (DOOR, "grantflow.cli", "grantflow._engine"),
    (DOOR, "grantflow.hosting", "grantflow._engine"),
    (DOOR, "grantflow.hosting._site", "grantflow._store"),
    (UP, "grantflow._model", "grantflow_tui"),
    (UP, "grantflow._engine", "grantflow_scheduler"),
    (MACHINES, "grantflow_machines._guards", "grantflow.errors"),
    (FLOORS, "grantflow._decide", "grantflow._transition"),
    (FLOORS, "grantflow._model", "grantflow._decide"),
    (FLOORS, "grantflow._transition", "grantflow._store"),
    (FLOORS, "grantflow._journey", "grantflow._engine"),
    (FLOORS, "grantflow._engine", "grantflow.cli"),
    (ADAPTERS, "grantflow._store", "grantflow._transition"),
    (ADAPTERS, "grantflow._oauth", "grantflow._store"),
    (CORE, "grantflow._decide", "random"),
    (CORE, "grantflow._decide", "time"),
    (CORE, "grantflow._compile", "sqlite3"),
    (CORE, "grantflow._decide", "grantflow._clock"),
    (CORE, "grantflow_machines._guards", "asyncio"),
    (TEXTUAL, "grantflow._model", "textual"),
    (TEXTUAL, "grantflow_scheduler._jobs", "textual"),
    (APSCHEDULER, "grantflow._sweep", "apscheduler"),
    (APSCHEDULER, "grantflow_tui", "apscheduler"),
    (STATEMACHINE, "grantflow._decide", "statemachine"),
    (DATABASE, "grantflow.cli", "sqlite3"),
    (DATABASE, "grantflow._engine", "sqlalchemy"),
    (DATABASE, "grantflow_tui._gateway", "aiosqlite"),
    (DATABASE, "grantflow._ports", "sqlmodel"),
    (STARLETTE, "grantflow._engine", "starlette"),
    (STARLETTE, "grantflow_tui", "jinja2"),
    (TYPER, "grantflow._ops", "typer"),
]


def test_the_contracts_hold() -> None:
    verdict = lint_imports(ROOT)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.mark.parametrize(("contract", "importer", "imported"), BREACHES)
def test_a_planted_import_is_refused(planted: str, contract: str, importer: str, imported: str) -> None:
    arrow = re.compile(rf"^\s*-?\s*{re.escape(importer)} -> {re.escape(imported)}(\.\w+)* \(l\.", re.MULTILINE)
    assert arrow.search(section(planted, contract)), planted


def test_a_module_without_a_floor_is_refused(planted: str) -> None:
    assert re.search(rf"^- {re.escape(HOMELESS)}$", section(planted, FLOORS), re.MULTILINE), planted


def test_every_contract_has_a_planted_breach() -> None:
    assert {contract for contract, _, _ in BREACHES} == {contract["name"] for contract in settings()["contracts"]}


def test_the_contracts_cover_all_packages_of_the_distribution() -> None:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    built = pyproject["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert settings()["root_packages"] == [Path(folder).name for folder in built] == list(PACKAGES)


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the contracts say of a copy of the tree in which every breach was planted."""
    root = tmp_path_factory.mktemp("copy")
    shutil.copy(ROOT / "pyproject.toml", root)
    for folder in PACKAGES.values():
        if (ROOT / folder).is_dir():
            shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for _, importer, imported in BREACHES:
        for name in (importer, imported):
            if name.partition(".")[0] in PACKAGES:
                _ensure(root, name)
        with _file(root, importer).open("a", encoding="utf-8") as code:
            code.write(f"\nimport {imported}\n")
    _ensure(root, HOMELESS)
    verdict = lint_imports(root)
    assert verdict.returncode == 1, verdict.stdout + verdict.stderr
    return verdict.stdout


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the contracts of `root` over the packages of `root`, whatever is installed."""
    path = os.pathsep.join(str((root / folder).parent) for folder in PACKAGES.values())
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--no-logo", "--no-cache"],
        cwd=root,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "500", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def section(report: str, contract: str) -> str:
    """What the report says below one broken contract."""
    _, _, details = report.partition("Broken contracts")
    parts = re.split(r"^(.+)\n-+$", details, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(contract, "")


def settings() -> dict[str, Any]:
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    linter: dict[str, Any] = pyproject["tool"]["importlinter"]
    return linter


def _file(root: Path, module: str) -> Path:
    package, _, rest = module.partition(".")
    path = root.joinpath(PACKAGES[package], *rest.split(".")) if rest else root / PACKAGES[package]
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _ensure(root: Path, module: str) -> None:
    """A module that is not there yet is planted empty, so that its contract can be tried."""
    package = root / PACKAGES[module.partition(".")[0]]
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").touch()
    if not _file(root, module).exists():
        _file(root, module).touch()
