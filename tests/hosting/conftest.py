"""A platform for each test."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.hosting.world import World, world_at


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
