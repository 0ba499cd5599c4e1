"""The rules of the house that no linter knows: each takes a tree and returns what breaks it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from grantflow_machines import CHARTS, edges
from tests.architecture.source_tree import PACKAGES, docstrings, dotted, files, modules, parse, product, where

MAX_LINES = 500
WITHOUT_NAMES = ("_compile.py", "_decide.py", "_transition.py", "_sweep.py")
_DATABASE = ("sqlmodel", "sqlalchemy", "sqlite3", "aiosqlite", "asyncpg", "alembic")
THE_CLOCK = "src/grantflow/_clock.py"

_WALL_CLOCK = re.compile(r"(^|\.)(datetime|date)\.(now|utcnow|today)$|^time\.(time|time_ns|localtime|gmtime)$")
_CHANCE = re.compile(r"^(random|secrets)\.|(^|\.)uuid[1-8]$|^os\.urandom$|^(shuffle|randint|choice|token_\w+)$")
_INPUT_OUTPUT = re.compile(r"^(open|input|print|exec|eval|__import__)$|(^|\.)(read|write)_(text|bytes)$")

# Spelled in pieces, so that this file passes its own rule.
_OF_A_MACHINE = re.compile(
    "|".join(
        (
            r"pypi\.(?:org|python)",
            r"pythonhosted" + r"\.org",
            r"npmjs" + r"\.(?:org|com)",
            r"--(?:extra-)?index" + r"-url",
            r"--find" + r"-links",
            r"(?<![\w.])/wo" + r"rk/",
            r"(?<![\w.])/ro" + r"ot/",
            r"(?<![\w.])/opt/py" + r"pi",
        )
    )
)


def names_of_the_charts() -> frozenset[str]:
    """Every state and event of every chart."""
    arrows = [edge for chart in CHARTS.values() for edge in edges(chart)]
    states = {str(state.value) for chart in CHARTS.values() for state in chart.states}
    return frozenset(states | {arrow.event for arrow in arrows})


def spelled_out_names(root: Path) -> list[str]:
    """States and events written as literals where the chart should be asked."""
    names = names_of_the_charts()
    found = []
    for path in (root / "src/grantflow" / name for name in WITHOUT_NAMES):
        tree = parse(path)
        prose = docstrings(tree)
        found += [
            f"{where(root, path, node)} spells out {node.value!r}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and node.value in names and id(node) not in prose
        ]
    return found


def calls(root: Path, pattern: re.Pattern[str], *folders: str) -> list[str]:
    """Calls, and uses as a default or a callback, of the names that match."""
    return [
        f"{where(root, path, node)} uses {dotted(node)}"
        for path in modules(root, *folders)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.Name | ast.Attribute) and pattern.search(dotted(node))
    ]


def wall_clocks(root: Path) -> list[str]:
    """Readings of the wall clock outside the one module that may."""
    found = calls(root, _WALL_CLOCK, *PACKAGES.values())
    return [line for line in found if not line.startswith(f"{THE_CLOCK}:")]


def impure_decisions(root: Path) -> list[str]:
    """Chance, clock, files or coroutines in the decision core."""
    core = ("src/grantflow/_compile.py", "src/grantflow/_decide.py", PACKAGES["grantflow_machines"])
    found = [line for pattern in (_WALL_CLOCK, _CHANCE, _INPUT_OUTPUT) for line in calls(root, pattern, *core)]
    return found + [
        f"{where(root, path, node)} is a coroutine"
        for path in modules(root, *core)
        for node in ast.walk(parse(path))
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncWith | ast.AsyncFor)
    ]


def prints(root: Path) -> list[str]:
    """Calls of print outside the command line."""
    found = calls(root, re.compile(r"^print$"), *PACKAGES.values())
    return [line for line in found if not line.startswith("src/grantflow/cli/")]


def data_tables(root: Path) -> list[str]:
    """Textual's DataTable, which blocks for minutes on a large fleet."""
    return [
        f"{where(root, path, node)} names DataTable"
        for path in modules(root, PACKAGES["grantflow_tui"])
        for node in ast.walk(parse(path))
        if (isinstance(node, ast.alias) and node.name == "DataTable")
        or (isinstance(node, ast.Attribute) and node.attr == "DataTable")
    ]


def late_library_imports(root: Path) -> list[str]:
    """Libraries with a home, loaded by name: the import graph cannot see those."""
    homes = {
        "textual": PACKAGES["grantflow_tui"],
        "apscheduler": PACKAGES["grantflow_scheduler"],
        "statemachine": PACKAGES["grantflow_machines"],
        **dict.fromkeys(_DATABASE, "src/grantflow/_store"),
    }
    found = []
    for path in product(root):
        here = path.relative_to(root).as_posix()
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.Call) or not dotted(node.func).endswith(("import_module", "__import__")):
                continue
            name = ast.unparse(node.args[0]).strip("'\"") if node.args else ""
            home = homes.get(name.partition(".")[0], here)
            if not here.startswith(home):
                found.append(f"{where(root, path, node)} loads {name}")
    return found


def long_files(root: Path) -> list[str]:
    """Python files over the limit."""
    sizes = {path: len(path.read_bytes().splitlines()) for path in files(root) if path.suffix == ".py"}
    return [f"{path.relative_to(root)} has {size} lines" for path, size in sizes.items() if size > MAX_LINES]


def traces_of_a_machine(root: Path) -> list[str]:
    """Addresses of package registries and paths of somebody's machine."""
    found = []
    for path in files(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        found += [
            f"{path.relative_to(root)}:{number} says {match.group()!r}"
            for number, line in enumerate(text.splitlines(), 1)
            for match in _OF_A_MACHINE.finditer(line)
        ]
    return found


RULES = (
    spelled_out_names,
    wall_clocks,
    impure_decisions,
    prints,
    data_tables,
    late_library_imports,
    long_files,
    traces_of_a_machine,
)
