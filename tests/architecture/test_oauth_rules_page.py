"""docs/reference/oauth-rules.md names every rule, and tests that exist."""

from __future__ import annotations

import ast
import re

from tests.architecture.source_tree import ROOT, parse

PAGE = ROOT / "docs/reference/oauth-rules.md"
RULES = {f"R-{number:02}" for number in range(1, 38)}
ELSEWHERE = {"R-23", "R-24", "R-33", "R-35"}
"""Named below the table, with the reason."""


def rows() -> dict[str, list[tuple[str, str]]]:
    """Rule → (file, test)."""
    lines = re.findall(r"^\| (R-\d\d) \|.*\| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {rule: re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", tests) for rule, tests in lines}


def exists(path: str, name: str) -> bool:
    file = ROOT / path
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    return file.is_file() and any(isinstance(node, functions) and node.name == name for node in parse(file).body)


def test_every_rule_has_its_row_or_its_reason() -> None:
    assert set(rows()) == RULES - ELSEWHERE
    below = PAGE.read_text(encoding="utf-8").rpartition("|")[2]
    assert set(re.findall(r"R-\d\d", below)) == ELSEWHERE


def test_every_row_names_tests_and_each_exists() -> None:
    assert [rule for rule, tests in rows().items() if not tests] == []
    missing = [f"{path}::{name}" for tests in rows().values() for path, name in tests if not exists(path, name)]
    assert missing == []


def test_a_test_that_is_not_there_is_noticed() -> None:
    path = "tests/architecture/test_oauth_rules_page.py"
    assert exists(path, "test_a_test_that_is_not_there_is_noticed")
    assert not exists(path, "test_that_nobody_wrote")
    assert not exists("tests/architecture/test_nothing.py", "test_that_nobody_wrote")
