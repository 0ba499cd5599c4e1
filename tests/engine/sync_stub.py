"""What a type checker sees of SyncEngine, made of the async classes: `python -m tests.engine.sync_stub` writes it."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

from grantflow import Engine
from tests.architecture.source_tree import ROOT

STUB = ROOT / "src/grantflow/_sync/_engine.pyi"
LOOSER = {"Directory": "AnyDirectory", "Identify": "AnyIdentify", "Policy": "AnyPolicy", "Carrier": "AnyCarrier"}
"""What a blocking host may pass where the async engine wants an async function; `Veto | HttpVeto` is one, too."""
HOSTS = "grantflow._sync._hosts"
Function = ast.FunctionDef | ast.AsyncFunctionDef


def is_verb(node: Function) -> bool:
    """Whether a function of a class is one that callers use as it stands."""
    return node.name[0] != "_" and not node.decorator_list


class Stub:
    """Collects classes and the names their signatures need."""

    def __init__(self) -> None:
        self.classes: list[str] = []
        self.imports: dict[str, str] = {}

    def door(self, room: type, name: str, more: list[str]) -> None:
        """One class with every public verb of an async one."""
        seen: dict[str, str] = {}
        for base in room.__mro__[:-1]:
            module = importlib.import_module(base.__module__)
            tree = ast.parse(inspect.getsource(module))
            classes = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == base.__name__)
            for node in next(classes).body:
                if isinstance(node, Function) and node.name not in seen and is_verb(node):
                    seen[node.name] = self.verb(node, tree, module.__name__)
        self.classes.append(f"class {name}:\n" + "\n".join([*more, *seen.values()]))

    def verb(self, node: Function, tree: ast.Module, module: str) -> str:
        """A signature without `async`, and the imports it needs."""
        plain = ast.FunctionDef(node.name, node.args, [ast.Expr(ast.Constant(...))], [], node.returns)
        self.note(plain, tree, module)
        return "    " + ast.unparse(ast.fix_missing_locations(plain)).replace("\n", "\n    ")

    def note(self, node: ast.AST, tree: ast.Module, module: str) -> None:
        """Where each name of a signature comes from."""
        known = {
            alias.asname or alias.name: found.module or ""
            for found in ast.walk(tree)
            if isinstance(found, ast.ImportFrom)
            for alias in found.names
        }
        for name in {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}:
            if name in known or not hasattr(builtins, name):
                self.imports[name] = known.get(name, module)

    def text(self) -> str:
        """The whole file, as the formatter likes it."""
        homes: dict[str, list[str]] = {}  # module → names
        for name, module in self.imports.items():
            homes.setdefault(module, []).append(name)
        lines = [f"from {module} import {', '.join(sorted(names))}" for module, names in homes.items()]
        whole = "# Made by `python -m tests.engine.sync_stub`.\n" + "\n".join([*lines, *self.classes])
        for words in (["check", "--select", "I,F401,UP,PYI", "--fix", "--quiet"], ["format", "--quiet"]):
            command = [str(Path(sys.executable).with_name("ruff")), *words, "--stdin-filename", str(STUB), "-"]
            whole = subprocess.run(command, input=whole, capture_output=True, text=True, check=True, cwd=ROOT).stdout
        return whole


def made() -> str:
    """The stub as the classes are now."""
    stub = Stub()
    tree = ast.parse(inspect.getsource(importlib.import_module(Engine.__module__)))
    engine = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Engine")
    doors = []
    for node in ast.walk(engine):
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Attribute)
            and node.targets[0].attr[0] != "_"
            and isinstance(node.value, ast.Call)
        ):
            room = node.value.func
            assert isinstance(room, ast.Name)
            module = next(n.module for n in tree.body if isinstance(n, ast.ImportFrom) and n.names[0].name == room.id)
            stub.door(getattr(importlib.import_module(module or ""), room.id), f"Sync{room.id}", [])
            doors.append(f"    {node.targets[0].attr}: Sync{room.id}")
    opening = next(node for node in engine.body if isinstance(node, Function) and node.name == "open")
    arguments = ast.unparse(opening.args)
    for name, looser in (("Veto | HttpVeto", "AnyVeto"), *LOOSER.items()):
        arguments = arguments.replace(f": {name} ", f": {looser} ")
    taken = ast.parse(f"def open({arguments}): ...")
    stub.note(taken, tree, Engine.__module__)
    stub.imports |= dict.fromkeys([*LOOSER.values(), "AnyVeto"], HOSTS) | {"Self": "typing"}
    more = [
        *doors,
        "    @classmethod",
        f"    def open({arguments}) -> Self: ...",
        "    def __enter__(self) -> Self: ...",
        "    def __exit__(self, *error: object) -> None: ...",
        "    def close(self) -> None: ...",
    ]
    stub.door(Engine, "SyncEngine", more)
    return stub.text()


if __name__ == "__main__":
    Path(STUB).write_text(made(), encoding="utf-8")
