"""Where the project's files are, and how the architecture tests read them."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = {
    "grantflow": "src/grantflow",
    "grantflow_machines": "machines/grantflow_machines",
    "grantflow_tui": "tui/grantflow_tui",
    "grantflow_scheduler": "scheduler/grantflow_scheduler",
}

_NOT_OURS = {".hypothesis", ".git", ".venv", "venv", "build", "dist", "htmlcov", "__pycache__"}


def files(root: Path) -> Iterator[Path]:
    """Every file a commit could hold, caches and environments left out."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in _NOT_OURS and not name.endswith(("_cache", ".egg-info"))
        )
        yield from (Path(folder, name) for name in sorted(names) if not name.startswith(".coverage"))


def modules(root: Path, *folders: str) -> Iterator[Path]:
    """The Python files below the given folders (or the given files themselves)."""
    for folder in folders:
        path = root / folder
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def product(root: Path) -> Iterator[Path]:
    """The Python files of the four packages."""
    return modules(root, *PACKAGES.values())


def parse(path: Path) -> ast.Module:
    """The syntax tree of one file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def where(root: Path, path: Path, node: ast.AST) -> str:
    """`file:line`, for messages."""
    return f"{path.relative_to(root)}:{getattr(node, 'lineno', 0)}"


def dotted(node: ast.expr) -> str:
    """`datetime.now` for an attribute chain or a name, and nothing for other expressions."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return ""


def docstrings(tree: ast.Module) -> set[int]:
    """Identities of the constants that are texts on their own: docstrings, and those below attributes."""
    return {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
