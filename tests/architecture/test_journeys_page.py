"""docs/reference/journeys.md and tests/journeys/ name the same 37 requirements."""

from __future__ import annotations

import ast
import re

from tests.architecture.source_tree import ROOT, modules, parse

PAGE = ROOT / "docs/reference/journeys.md"
IDS = [f"S-{number:02}" for number in range(1, 38)]


def test_the_page_lists_every_requirement_once() -> None:
    assert sorted(requirement for requirement, _, _ in rows()) == IDS


def test_every_row_names_the_test_of_its_own_number() -> None:
    assert [row for row in rows() if row[1] != prefix(row[0])] == []


def test_every_requirement_has_its_test_where_the_page_says() -> None:
    missing = [
        f"{path}::{name}_…"
        for requirement, name, path in rows()
        if not any(function.startswith(f"{prefix(requirement)}_") for function in functions(path))
    ]
    assert missing == []


def test_every_numbered_test_is_on_the_page() -> None:
    known = {prefix(requirement) for requirement in IDS}
    numbered = {
        match.group()
        for path in modules(ROOT, "tests/journeys")
        for function in functions(path.relative_to(ROOT).as_posix())
        if (match := re.match(r"test_s\d+", function))
    }
    assert numbered == known


def test_every_source_named_in_the_code_is_on_the_page() -> None:
    folders = ("src", "machines", "scheduler", "tui")
    named = {
        found
        for path in modules(ROOT, *folders)
        for found in re.findall(r"\bS-\d\d\b", path.read_text(encoding="utf-8"))
    }
    assert named
    assert named <= set(IDS)


def test_the_links_of_the_page_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", PAGE.read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (PAGE.parent / link).is_file()] == []


def rows() -> list[tuple[str, str, str]]:
    """Requirement, the test it names, and the file its table links."""
    found = []
    path = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if match := re.match(r"Tests: \[`(tests/journeys/test_\w+\.py)`\]", line):
            path = match[1]
        if match := re.match(r"\| (S-\d\d) \|.*\| `(test_s\d\d)_…` \|$", line):
            found.append((match[1], match[2], path))
    return found


def prefix(requirement: str) -> str:
    """`test_s01` for S-01."""
    return f"test_s{requirement.removeprefix('S-')}"


def functions(path: str) -> list[str]:
    """The test functions of one file, those in classes included; none if the file is missing."""
    if not (ROOT / path).is_file():
        return []
    nodes = ast.walk(parse(ROOT / path))
    return [node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
