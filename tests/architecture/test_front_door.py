"""The public names: listed, sorted, described; and the error tree that people read."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from typing import Any

import pytest

import grantflow
from grantflow import errors
from tests.architecture.source_tree import ROOT, parse


def test_the_exported_names_are_a_sorted_literal() -> None:
    names = exported("src/grantflow/__init__.py")
    assert names == sorted(set(names))


def test_every_exported_name_exists() -> None:
    names = exported("src/grantflow/__init__.py")
    assert names
    assert [name for name in names if not hasattr(grantflow, name)] == []


def test_no_private_name_is_exported() -> None:
    assert [
        name for name in exported("src/grantflow/__init__.py") if name.startswith("_") and name != "__version__"
    ] == []


def test_what_is_exported_is_described() -> None:
    things = {name: getattr(grantflow, name) for name in exported("src/grantflow/__init__.py")}
    classes = {name: thing for name, thing in things.items() if inspect.isclass(thing) or inspect.isroutine(thing)}
    assert classes
    assert [name for name, thing in classes.items() if not described(thing)] == []


@pytest.mark.parametrize("module", ["grantflow", "grantflow.errors", "grantflow.testing"])
def test_the_front_door_opens(module: str) -> None:
    assert importlib.import_module(module).__doc__


def test_the_drawn_error_tree_is_the_tree_of_classes() -> None:
    assert drawn_tree(errors.__doc__ or "") == class_tree()


def test_every_error_descends_from_one_root_and_has_a_code_of_its_own() -> None:
    classes: list[Any] = [getattr(errors, name) for name in class_tree()]
    assert [thing for thing in classes if not issubclass(thing, errors.GrantflowError)] == []
    assert class_tree()["GrantflowError"] is None
    codes = [thing.code for thing in classes]
    assert sorted(codes) == sorted(set(codes))


def test_the_default_message_is_the_docstring() -> None:
    for thing in (errors.DirectoryUnavailable, errors.NotHeldHere):
        assert str(thing()) == (thing.__doc__ or "").strip().splitlines()[0]


def test_a_drawing_is_read_as_it_is_drawn() -> None:
    drawing = "Errors.\n\n::\n\n    Root\n    ├── Left\n    │   └── Leaf\n    └── Right\n\nNo more.\n"
    assert drawn_tree(drawing) == {"Root": None, "Left": "Root", "Leaf": "Left", "Right": "Root"}


def exported(path: str) -> list[str]:
    """The literal value of `__all__` in one file."""
    for node in parse(ROOT / path).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


def described(thing: object) -> bool:
    """Whether it has a docstring of its own, not the signature a dataclass makes up."""
    text = getattr(thing, "__doc__", None) or ""
    return bool(text.strip()) and not text.startswith(f"{getattr(thing, '__name__', '')}(")


def drawn_tree(text: str) -> dict[str, str | None]:
    """Name to parent, from a drawing in which each level is four columns deeper."""
    tree: dict[str, str | None] = {}
    line_of_parents: list[str] = []
    for line in text.splitlines():
        match = re.fullmatch(r"([ │├└─]{4,})([A-Z]\w+)", line)
        if match is None:
            continue
        depth = len(match[1]) // 4 - 1
        line_of_parents[depth:] = [match[2]]
        tree[match[2]] = line_of_parents[depth - 1] if depth else None
    return tree


def class_tree() -> dict[str, str | None]:
    """Name to first base, from the code."""
    classes = [node for node in parse(ROOT / "src/grantflow/errors.py").body if isinstance(node, ast.ClassDef)]
    names = {node.name for node in classes}
    bases = {node.name: ast.unparse(node.bases[0]) for node in classes if node.bases}
    return {name: base if base in names else None for name, base in bases.items()}
