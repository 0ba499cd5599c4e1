"""Where the store calls the database: every `execute` in its source, with the function around it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

CALLS = {"execute", "executemany", "executescript", "blobopen", "backup", "cursor"}


@dataclass(frozen=True, slots=True)
class Site:
    """One call in the source."""

    file: str
    function: str
    first: int
    last: int
    text: str

    @property
    def name(self) -> str:
        """How people and the list of exceptions call it; lines move, this does not."""
        return f"{self.file}:{self.function}:{self.text}"


def call_sites(store: Path) -> list[Site]:
    """Every call of the database below a folder of modules."""
    found: list[Site] = []
    for path in sorted(store.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += _inside(tree, path.relative_to(store).as_posix(), "")
    return found


def _inside(node: ast.AST, file: str, function: str) -> Iterator[Site]:
    for child in ast.iter_child_nodes(node):
        inner = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = f"{function}.{child.name}".lstrip(".")
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Attribute) and child.func.attr in CALLS:
            asked = ast.unparse(child.args[0]) if child.args else ""
            yield Site(file, function, child.lineno, child.end_lineno or child.lineno, asked[:60])
        yield from _inside(child, file, inner)


def never_reached(sites: Iterable[Site], reached: Iterable[tuple[str, int]]) -> list[str]:
    """Names of the call sites that no line of `reached` lies in."""
    lines = {(file, line) for file, line in reached}
    return [
        site.name
        for site in sites
        if not any((site.file, line) in lines for line in range(site.first, site.last + 1))
    ]
