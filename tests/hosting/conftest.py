"""A platform for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.hosting.world import World, world_at


@pytest.fixture
async def world(tmp_path: Path) -> World:
    """On a database of its own."""
    return await world_at(tmp_path / "grants.db")
