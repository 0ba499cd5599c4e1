"""One arrow is taken out of the chart's text, nothing else is touched, and everything forgets it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("src", "machines", "tui", "scheduler")
CHART = Path("machines/grantflow_machines/_lifecycle.py")
ARROW = ' | reauthorizing.to(active, cond="token_set_held")'
EVENT, SOURCE = "recovered", "reauthorizing"

# What people and programs see of a chart: name → arguments of Python, run against a tree of its own.
# Each prints, line by line, what it knows of the arrows; the command line and the console join them here.
VIEWS: dict[str, list[str]] = {
    "compiled table": [
        "-c",
        "for key, cell in CELLS.items(): print(key, [(c.names, c.target) for c in cell])",
    ],
    "table": ["-c", "print(table(CHARTS['agent']))"],
    "diagram": ["-c", "print(mermaid(CHARTS['agent']))"],
    "readme": ["-c", "print(readme())"],
    "command line": ["-c", "from grantflow.cli import main; main(['machines', 'show', 'agent'])"],
    "console": [
        "-c",
        (
            "from grantflow import definitions\n"
            "from grantflow_tui._chart import draw\n"
            "from grantflow_tui._look import Look\n"
            f"for line in draw(definitions()['agent'], {SOURCE!r}, Look(definitions())).plain.splitlines():\n"
            f"    print({SOURCE!r} + line)"
        ),
    ],
    "refusal": ["-c", f"print(decide(compile_chart(CHARTS['agent']), {SOURCE!r}, {EVENT!r}, FACTS))"],
}
FINGERPRINTS = ["-c", "print(*(compile_chart(chart).fingerprint for chart in CHARTS.values()), sep=NEWLINE)"]
PROOF = ["-c", "print(prove(compile_chart(CHARTS['agent'])).ok)"]
FILES = ["-c", "import grantflow, grantflow_machines as m; print(grantflow.__path__[0], m.__path__[0])"]
IMPORTS = r"""
NEWLINE = "\n"
from grantflow._compile import compile_chart
from grantflow._decide import decide
from grantflow._prove import prove
from grantflow_machines import CHARTS, Actor, Facts, mermaid, readme, table
CELLS = compile_chart(CHARTS['agent']).cells
FACTS = Facts(actor=Actor.operator('olga'), now=0, secrets_held=True)
"""


def copied(to: Path) -> Path:
    for name in PACKAGES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    return to


def run(tree: Path, arguments: list[str]) -> list[str]:
    path = os.pathsep.join(str(tree / name) for name in PACKAGES)
    if arguments[0] == "-c":
        arguments = ["-c", IMPORTS + arguments[1]]
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def digests(tree: Path) -> dict[str, str]:
    return {
        str(path.relative_to(tree)): sha256(path.read_bytes()).hexdigest()
        for path in sorted(tree.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copied(tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def cut(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = copied(tmp_path_factory.mktemp("cut"))
    text = (tree / CHART).read_text(encoding="utf-8")
    assert text.count(ARROW) == 1
    (tree / CHART).write_text(text.replace(ARROW, ""), encoding="utf-8")
    return tree


def test_only_the_chart_was_touched(whole: Path, cut: Path) -> None:
    before, after = digests(whole), digests(cut)
    assert {name for name in before | after if before.get(name) != after.get(name)} == {str(CHART)}


def test_the_copies_are_what_runs(whole: Path, cut: Path) -> None:
    for tree in (whole, cut):
        assert all(name.startswith(str(tree)) for name in run(tree, FILES)[0].split())


@pytest.mark.parametrize("view", VIEWS)
def test_the_arrow_is_gone_from(view: str, whole: Path, cut: Path) -> None:
    before, after = run(whole, VIEWS[view]), run(cut, VIEWS[view])
    lost = [line for line in before if line not in after]
    gained = [line for line in after if line not in before]
    assert lost, f"{view} does not come from the chart"
    assert all(EVENT in line or SOURCE in line for line in lost)
    assert not any(EVENT in line and SOURCE in line for line in gained if "does not happen" not in line)


def test_every_kind_has_another_fingerprint(whole: Path, cut: Path) -> None:
    before, after = run(whole, FINGERPRINTS), run(cut, FINGERPRINTS)
    assert len(before) == len(after) == 3
    assert not set(before) & set(after)


def test_what_is_left_is_proved_all_the_same(cut: Path) -> None:
    assert run(cut, PROOF) == ["True"]
