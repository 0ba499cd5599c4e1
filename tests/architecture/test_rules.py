"""The rules hold on this tree, and each of them notices what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.architecture import rules
from tests.architecture.source_tree import PACKAGES, ROOT

Rule = Callable[[Path], list[str]]

CORE = "src/grantflow/_decide.py"
BREACHES: list[tuple[Rule, str, str]] = [
    *(
        (rules.spelled_out_names, f"src/grantflow/{name}", "AFTER = 'refresh-expired'\n")
        for name in rules.WITHOUT_NAMES
    ),
    (rules.spelled_out_names, CORE, "def is_it(event): return event == 'authorize'\n"),
    (
        rules.wall_clocks,
        "src/grantflow/_model.py",
        "import datetime\nBORN = datetime.datetime.now(datetime.UTC)\n",
    ),
    (rules.wall_clocks, "scheduler/grantflow_scheduler/_jobs.py", "import time\nBORN = time.time()\n"),
    (rules.wall_clocks, "src/grantflow/_model.py", "from datetime import datetime\nclock = datetime.now\n"),
    (
        rules.impure_decisions,
        CORE,
        "from datetime import datetime, UTC\ndef at(): return datetime.now(UTC)\n",
    ),
    (rules.impure_decisions, CORE, "import random\ndef coin(): return random.random() < 0.5\n"),
    (rules.impure_decisions, CORE, "from uuid import uuid4\nTHIS = uuid4()\n"),
    (rules.impure_decisions, CORE, "async def decide_later(): ...\n"),
    (rules.impure_decisions, "machines/grantflow_machines/_guards.py", "LIST = open('accounts').read()\n"),
    (rules.prints, "src/grantflow/_model.py", "print('hello')\n"),
    (rules.data_tables, "tui/grantflow_tui/_fleet.py", "from textual.widgets import DataTable\n"),
    (rules.data_tables, "tui/grantflow_tui/_fleet.py", "import textual.widgets as w\nTABLE = w.DataTable\n"),
    (
        rules.late_library_imports,
        "src/grantflow/_model.py",
        "import importlib\nimportlib.import_module('textual.app')\n",
    ),
    (rules.late_library_imports, "tui/grantflow_tui/_fleet.py", "DB = __import__('sqlite3')\n"),
    (rules.long_files, "src/grantflow/_model.py", "X = 1\n" * (rules.MAX_LINES + 1)),
    (rules.traces_of_a_machine, "docs/install.md", "see https://pypi" + ".org/project/grantflow\n"),
    (rules.traces_of_a_machine, "Makefile", "DATA = /wo" + "rk/data\n"),
]


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Rule) -> None:
    assert rule(ROOT) == []


@pytest.mark.parametrize("number", range(len(BREACHES)), ids=lambda n: f"{n}-{BREACHES[n][0].__name__}")
def test_a_planted_breach_is_seen(number: int, tmp_path: Path) -> None:
    rule, where, code = BREACHES[number]
    for name in rules.WITHOUT_NAMES:
        _write(tmp_path / "src/grantflow" / name, '"""Asks the chart: unauthorized is only prose here."""\n')
    assert rule(tmp_path) == []

    _write(tmp_path / where, code)

    (breach, *_) = rule(tmp_path)
    assert breach.startswith(where)


def test_every_rule_has_a_planted_breach() -> None:
    assert {rule for rule, _, _ in BREACHES} == set(rules.RULES)


def test_the_command_line_may_print_and_the_clock_may_look(tmp_path: Path) -> None:
    for name in rules.WITHOUT_NAMES:
        _write(tmp_path / "src/grantflow" / name, "")
    _write(tmp_path / "src/grantflow/cli/_show.py", "print('hello')\n")
    _write(tmp_path / rules.THE_CLOCK, "import time\nNOW = time.time()\n")

    assert [breach for rule in rules.RULES for breach in rule(tmp_path)] == []


def test_the_charts_have_names_to_look_for() -> None:
    assert {"unauthorized", "refresh-expired", "authorize", "force"} <= rules.names_of_the_charts()


def test_the_rules_look_at_all_four_packages() -> None:
    for folder in PACKAGES.values():
        assert (ROOT / folder / "__init__.py").is_file(), folder


def _write(path: Path, code: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")
