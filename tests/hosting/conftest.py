"""A platform for each test."""

from __future__ import annotations

import asyncio
import functools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from grantflow.hosting import _app
from tests.hosting.world import World, world_at


@pytest.fixture(scope="session", autouse=True)
def templates_compiled_once() -> Iterator[None]:
    """A server for every request would spend two thirds of its time compiling the same templates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_app, "environment", functools.cache(_app.environment))
        yield


@pytest.fixture(scope="session", name="template")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> World:
    """What every platform starts from."""
    return asyncio.run(world_at(tmp_path_factory.mktemp("template") / "grants.db"))


@pytest.fixture
def world(template: World, tmp_path: Path) -> World:
    """On a database of its own."""
    path = tmp_path / "grants.db"
    shutil.copyfile(template.path, path)
    return World(path, keys=template.keys)
